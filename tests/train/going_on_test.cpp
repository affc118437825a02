// What a run that was stopped, killed or made longer goes on with, and when it ends.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "formats/tensor_file.h"
#include "sam2unet/errors.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class GoingOn : public Training {
 protected:
  void SetUp() override {
    Training::SetUp();
    settings.network = test::tiny_config().to_json();
    settings.size = 32;
    settings.batch = 2;
    settings.epochs = 2;
  }
  void stop_at(int request) {
    listener.stop = [request, asked = 0]() mutable { return ++asked == request; };
  }
  void die_at(std::int64_t step) {
    listener.step = [step](const StepReport& r) {
      if (r.step == step) throw std::runtime_error("killed");
    };
  }
  void live_on() {
    listener.stop = [] { return false; };
    listener.step = [](const StepReport&) {};
  }
  void validate_on_the_training_data() {
    settings.val_images = settings.images;
    settings.val_masks = settings.masks;
  }
  // Masks that no prediction is like: nothing is ever better than the start.
  void validate_in_vain() {
    fs::create_directories(dir / "black");
    for (int i = 0; i < 6; ++i) write_png(dir / "black" / (std::to_string(i) + ".png"), Image(80, 60, 1));
    settings.val_images = settings.images;
    settings.val_masks = {(dir / "black").string()};
  }
  nlohmann::json progress() const {
    const auto file = formats::TensorFile::open(fs::path(settings.out) / "state.safetensors");
    return nlohmann::json::parse(file.metadata().at("training_progress"));
  }
};

// The mean over an epoch is of all its steps, also of those before it was stopped.
TEST_F(GoingOn, TheTableOfAStoppedRunIsThatOfAWholeOne) {
  validate_on_the_training_data();
  train();
  const std::string wanted = text("log.csv");
  settings.out = (dir / "stopped").string();
  stop_at(5);  // in the middle of the second epoch
  EXPECT_FALSE(train().finished);
  live_on();
  train(Begin::resume);
  EXPECT_EQ(text("log.csv"), wanted);
}

// At a rate that does not change, one more epoch is the second of two.
TEST_F(GoingOn, ARunMadeLongerIsTheLongOneWhereTheRateIsConstant) {
  settings.lr = settings.min_lr = 1e-3;
  settings.ema = 0.9;
  train();
  const std::string wanted = text("log.csv");
  const auto last = bytes("last.safetensors");
  settings.out = (dir / "longer").string();
  settings.epochs = 1;
  train();
  settings.epochs = 2;
  train(Begin::resume);
  EXPECT_EQ(text("log.csv"), wanted);
  EXPECT_EQ(bytes("last.safetensors"), last);
}

TEST_F(GoingOn, StatesAreSavedEverySoManySteps) {
  settings.batch = 1;
  settings.save_every = 2;
  die_at(5);
  EXPECT_ANY_THROW(train());
  EXPECT_EQ(progress().at("step"), 4);
  EXPECT_EQ(progress().at("batch"), 4);
  settings.out = (dir / "epochs").string();
  settings.save_every = 0;  // after each epoch of six alone
  die_at(9);
  EXPECT_ANY_THROW(train());
  EXPECT_EQ(progress().at("step"), 6);
  EXPECT_EQ(progress().at("epoch"), 1);
  settings.out = (dir / "none").string();
  settings.save_every = 2;
  die_at(2);
  EXPECT_ANY_THROW(train());
  EXPECT_FALSE(fs::exists(fs::path(settings.out) / "state.safetensors"));
}

// One that was killed in its first epoch knows what it started from, and does not say it twice.
TEST_F(GoingOn, TheStartsValueOutlivesAKill) {
  validate_on_the_training_data();
  const RunResult whole = train();
  settings.out = (dir / "killed").string();
  die_at(2);
  EXPECT_ANY_THROW(train());
  EXPECT_EQ(progress().at("step"), 0);
  live_on();
  const RunResult r = train(Begin::resume);
  EXPECT_EQ(r.start, whole.start);
  EXPECT_EQ(r.best, whole.best);
  EXPECT_EQ(r.best_epoch, whole.best_epoch);
  EXPECT_EQ(lines("log.csv"), 4);  // header, start, two epochs
}

TEST_F(GoingOn, EarlyStopCountsTheEpochsBeforeTheRunWasStopped) {
  validate_in_vain();
  settings.batch = 6;
  settings.epochs = 8;
  settings.early_stop = 3;
  stop_at(3);  // two epochs without a better one are done by then
  EXPECT_FALSE(train().finished);
  EXPECT_EQ(progress().at("epochs_since_best"), 2);
  live_on();
  listen();
  const RunResult r = train(Begin::resume);
  EXPECT_TRUE(r.finished);
  EXPECT_EQ(r.best_epoch, 0);
  EXPECT_EQ(lines("log.csv"), 1 + 1 + 3);
  EXPECT_THAT(said, HasSubstr("no better validation for 3 epochs: stopped"));
  EXPECT_EQ(nlohmann::json::parse(text("run.json")).at("status"), "stopped early");
  EXPECT_EQ(nlohmann::json::parse(text("run.json")).at("epochs_done"), 3);
}

// Without validation there is nothing to wait for.
TEST_F(GoingOn, WithoutValidationThereIsNoEarlyStopAndTheLastIsTheBest) {
  settings.early_stop = 1;
  settings.epochs = 3;
  settings.batch = 6;
  listen();
  const RunResult r = train();
  EXPECT_TRUE(r.finished);
  EXPECT_THAT(said, AllOf(Not(HasSubstr("best")), Not(HasSubstr("better"))));
  EXPECT_EQ(lines("log.csv"), 1 + 3);
  EXPECT_TRUE(std::isnan(r.best));
  EXPECT_EQ(bytes("best.safetensors"), bytes("last.safetensors"));
}

// One that has waited long enough does not wait again.
TEST_F(GoingOn, ARunThatStoppedEarlyStaysStopped) {
  validate_in_vain();
  settings.batch = 6;
  settings.epochs = 8;
  settings.early_stop = 2;
  train();
  EXPECT_EQ(lines("log.csv"), 1 + 1 + 2);
  listen();
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_EQ(lines("log.csv"), 1 + 1 + 2);
  EXPECT_THAT(said, HasSubstr("no better validation for 2 epochs: stopped"));
  EXPECT_EQ(nlohmann::json::parse(text("run.json")).at("status"), "stopped early");
}

// A batch at three sizes is three steps, of which nothing is saved in between: the third is the first after
// two.
TEST_F(GoingOn, StatesAreSavedWhereABatchPassesOverTheStep) {
  settings.size = 64;
  settings.multi_scale = {0.5, 1, 1.5};
  settings.save_every = 2;
  die_at(6);
  EXPECT_ANY_THROW(train());
  EXPECT_EQ(progress().at("step"), 3);
  EXPECT_EQ(progress().at("batch"), 1);
}

// The first epoch is one like any other.
TEST_F(GoingOn, TheFirstEpochMayBeTheBest) {
  validate_on_the_training_data();
  settings.epochs = 1;
  settings.lr = 5e-3;
  listen();
  const RunResult r = train();
  ASSERT_EQ(r.best_epoch, 1);
  EXPECT_THAT(said, AllOf(HasSubstr("best by dice: epoch 1, "), Not(HasSubstr("no epoch was better"))));
}

// What is kept as the best is what was written when it was the best, and what was told then is told at the
// end.
TEST_F(GoingOn, TheBestWeightsAreThoseOfTheBestEpoch) {
  validate_on_the_training_data();
  settings.epochs = 6;
  settings.lr = 5e-3;
  settings.ema = 0.5;
  std::vector<std::byte> best;
  int epoch = 0;
  listener.message = [&](const std::string& line) {
    said += line + "\n";
    if (!line.starts_with("epoch ")) return;
    ++epoch;
    if (line.ends_with("(best so far)")) best = bytes("last.safetensors");
  };
  const RunResult r = train();
  ASSERT_EQ(epoch, 6);
  ASSERT_GT(r.best_epoch, 0);
  EXPECT_EQ(bytes("best.safetensors"), best);
  EXPECT_THAT(said, HasSubstr(fmt::format("best by dice: epoch {}, {:.4f} (the start: {:.4f})", r.best_epoch,
                                          r.best, r.start)));
}

TEST_F(GoingOn, WithSkipBadOtherPicturesAreAWarningAndNotAnEnd) {
  settings.save_every = 1;
  stop_at(2);
  train();
  live_on();
  for (const char* side : {"images", "masks"}) fs::rename(dir / side / "5.png", dir / side / "6.png");
  EXPECT_THAT(message_of<UsageError>([&] { train(Begin::resume); }), HasSubstr("not those"));
  settings.skip_bad = true;
  listen();
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_THAT(said, HasSubstr("warning: the pictures are not those this run was started with"));
}

TEST_F(GoingOn, TheIgnoredIdMayNotChange) {
  write_file(dir / "c.toml", std::string_view("[[class]]\nid = 1\nname = \"it\"\n[remap.ids]\n255 = 1\n"));
  const std::string with_ignored = "ignore = 9\n[[class]]\nid = 1\nname = \"it\"\n[remap.ids]\n255 = 1\n";
  write_file(dir / "c.toml", std::string_view(with_ignored));
  settings.classes = (dir / "c.toml").string();
  apply_classes(settings);
  settings.epochs = 1;
  train();
  EXPECT_TRUE(train(Begin::resume).finished);
  std::string other = with_ignored;
  other[other.find('9')] = '8';
  write_file(dir / "c.toml", std::string_view(other));
  EXPECT_THAT(message_of<UsageError>([&] { train(Begin::resume); }),
              HasSubstr("no longer holds the classes"));
}

// A new run in a folder whose run was killed before its first state leaves no row of that one.
TEST_F(GoingOn, AFreshRunBeginsItsTablesAnew) {
  die_at(2);
  EXPECT_ANY_THROW(train());
  EXPECT_EQ(lines("steps.csv"), 1 + 2);
  live_on();
  train();
  EXPECT_EQ(lines("steps.csv"), 1 + 6);
  EXPECT_EQ(lines("log.csv"), 1 + 2);
}

}  // namespace
}  // namespace sam2unet::train
