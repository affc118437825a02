// What a run says and writes down, word by word: what somebody who looks at it goes by.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "formats/tensor_file.h"
#include "model/tensor_table.h"
#include "sam2unet/errors.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Said : public Training {
 protected:
  void SetUp() override {
    Training::SetUp();
    settings.network = test::tiny_config().to_json();
    settings.size = 32;
    settings.epochs = 1;
    listen();
  }
  std::vector<nlohmann::json> rows(const char* name) const {
    std::vector<nlohmann::json> out;
    std::istringstream lines(text(name));
    for (std::string line; std::getline(lines, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
  nlohmann::json record() const { return nlohmann::json::parse(text("run.json")); }
  // Counted from the table of tensors: how many learn, and their values.
  static std::pair<int, std::int64_t> learned() {
    std::pair<int, std::int64_t> n;
    for (const auto& spec : model::tensor_table(test::tiny_config())) {
      if (!spec.trainable()) continue;
      ++n.first;
      n.second += spec.shape.numel();
    }
    return n;
  }
};

TEST_F(Said, TheFirstLineCountsPicturesAndTensors) {
  settings.val_split = 0.34;
  train();
  const auto [tensors, values] = learned();
  EXPECT_THAT(said, StartsWith(fmt::format(
                        "4 pictures to train on, 2 to validate on; fresh weights; {} tensors learn\nstart: "
                        "mean Dice ",
                        tensors)));
  EXPECT_EQ(record().at("learned_parameters"), values);
  EXPECT_EQ(record().at("pictures"), (nlohmann::json{{"train", 4}, {"validation", 2}}));
  EXPECT_EQ(record().at("processes"), 1);
  EXPECT_EQ(record().at("network"), nlohmann::json::parse(test::tiny_config().to_json()));
  EXPECT_EQ(record().at("start"), "fresh weights");
}

// A line for each epoch: its loss, what decides first, and whether it was the best.
TEST_F(Said, AnEpochsLineIsThatOfTheTable) {
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  settings.epochs = 3;
  settings.best_by = BestBy::mae;
  std::string wanted;
  train();
  double best = 0;
  const auto log = rows("log.jsonl");
  for (std::size_t i = 0; i < log.size(); ++i) {
    const auto& r = log[i];
    EXPECT_EQ(r.at("epoch"), i);
    EXPECT_EQ(r.at("step"), 2 * i);
    const bool is_better = i == 0 || r.at("MAE").get<double>() < best;
    if (is_better) best = r.at("MAE");
    const std::string values =
        fmt::format("MAE {:.4f}, mean Dice {:.4f}, weighted F {:.4f}, S {:.4f}", r.at("MAE").get<double>(),
                    r.at("dice.mean").get<double>(), r.at("wF").get<double>(), r.at("S").get<double>());
    wanted += i == 0 ? fmt::format("start: {}\n", values)
                     : fmt::format("epoch {}/3: loss {:.4f}, {}{}\n", i, r.at("loss").get<double>(), values,
                                   is_better ? " (best so far)" : "");
  }
  EXPECT_THAT(said, HasSubstr("\n" + wanted));
  EXPECT_EQ(record().at("best").at("value").get<double>(), best);
}

// Each step's row is what the listener was told, with the side of its pictures.
TEST_F(Said, AStepsRowIsWhatWasTold) {
  settings.epochs = 2;
  std::vector<StepReport> told;
  listener.step = [&](const StepReport& r) { told.push_back(r); };
  train();
  const auto steps = rows("steps.jsonl");
  ASSERT_EQ(told.size(), 4u);
  ASSERT_EQ(steps.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(told[i].epoch, static_cast<int>(i) / 2 + 1);
    EXPECT_EQ(told[i].epochs, 2);
    EXPECT_EQ(told[i].batch, i % 2 + 1);
    EXPECT_EQ(told[i].batches, 2u);
    EXPECT_EQ(told[i].step, static_cast<std::int64_t>(i) + 1);
    EXPECT_GT(told[i].pictures_per_s, 0);
    EXPECT_EQ(steps[i].at("step"), told[i].step);
    EXPECT_EQ(steps[i].at("epoch"), told[i].epoch);
    EXPECT_EQ(steps[i].at("size"), 32);
    EXPECT_EQ(steps[i].at("loss").get<double>(), told[i].loss);
    EXPECT_EQ(steps[i].at("lr").get<double>(), told[i].lr);
    EXPECT_EQ(steps[i].at("gradient_norm").get<double>(), told[i].gradient_norm);
    EXPECT_EQ(steps[i].at("pictures_per_s").get<double>(), told[i].pictures_per_s);
  }
  EXPECT_NE(told[0].loss, told[1].loss);
}

TEST_F(Said, AStoppedRunSaysWhereItGoesOn) {
  settings.batch = 2;
  settings.epochs = 3;
  listener.stop = [asked = 0]() mutable { return ++asked == 5; };
  train();
  EXPECT_THAT(said, EndsWith("stopped on request; --resume goes on from here\n"));
  said.clear();
  listener.stop = [] { return false; };
  train(Begin::resume);
  EXPECT_THAT(said, StartsWith(fmt::format("resumed at epoch 2 of 3, batch 3\n6 pictures to train on, 0 to "
                                           "validate on; weights of {}/state.safetensors; {} tensors learn\n"
                                           "epoch 2/3: loss ",
                                           settings.out, learned().first)));
}

// The cosine by hand: a third of the way 3/4 are left, and at its end the least.
TEST_F(Said, ALongerRunSaysHowItsRateGoesOn) {
  train();
  said.clear();
  settings.epochs = 3;
  train(Begin::resume);
  EXPECT_THAT(said, StartsWith("resumed at epoch 2 of 3, batch 1\n3 epochs instead of 1: the cosine now ends "
                               "at epoch 3, so the learning rate goes on at 0.00075 (it would have been "
                               "1e-07); a run of 3 epochs from the start would have had other rates until "
                               "here\n6 pictures "));
  said.clear();
  train(Begin::resume);
  EXPECT_THAT(said, AllOf(StartsWith("resumed: all 3 epochs are made\n"), Not(HasSubstr("instead of"))));
}

TEST_F(Said, WhatIsRefusedSaysWhatToDo) {
  train();
  EXPECT_EQ(message_of<UsageError>([&] { train(); }),
            settings.out + ": holds a run already; go on with it by --resume, or name another --out");
  settings.epochs = 2;
  train(Begin::resume);
  settings.epochs = 1;
  EXPECT_EQ(message_of<UsageError>([&] { train(Begin::resume); }),
            "--resume: this run has 2 epochs, and --epochs 1 would cut it short; it can only be made longer");
  settings.epochs = 2;
  settings.lr = 5e-4;
  settings.seed = 3;
  EXPECT_EQ(
      message_of<UsageError>([&] { train(Begin::resume); }),
      "--resume: this run was started otherwise: lr (0.001 before, 0.0005 now), seed (1 before, 3 now)");
}

// Weights that are finite and far too large: first the gradient's norm is beyond float32, then the loss.
TEST_F(Said, AStepThatIsNoNumberNamesItsPictures) {
  test::write_weights(dir / "good.safetensors", test::tiny_config());
  const auto good = formats::TensorFile::open(dir / "good.safetensors");
  settings.augment = Augment::none;
  settings.init = (dir / "bad.safetensors").string();
  for (const auto& [what, weight] : {std::pair{"gradient's norm is inf", 1e30F}, {"loss is nan", 3e38F}}) {
    auto tensors = good.tensors();
    std::vector<float> large;
    for (auto& t : tensors) {
      if (t.name != "head.weight") continue;
      large.assign(static_cast<std::size_t>(t.view.numel()), weight);
      t.view.data = reinterpret_cast<const std::byte*>(large.data());
    }
    formats::write_safetensors(settings.init, tensors, good.metadata());
    EXPECT_EQ(
        message_of([&] { train(); }),
        fmt::format("the {} at epoch 1, batch 1 (step 1), pictures 0.png, 1.png, 2.png, 3.png; the last "
                    "checkpoint is kept, try a smaller --lr or --clip 1",
                    what));
  }
  EXPECT_THAT(said, StartsWith(fmt::format("6 pictures to train on, 0 to validate on; {} (full SAM2-UNet, "
                                           "custom); ",
                                           settings.init)));
}

// A page that cannot be written is told, and ends nothing.
TEST_F(Said, AReportThatCannotBeWrittenIsTold) {
  fs::create_directories(fs::path(settings.out) / "report.html" / "in the way");
  EXPECT_TRUE(train().finished);
  EXPECT_THAT(said, HasSubstr("report.html is not up to date: "));
  EXPECT_EQ(record().at("status"), "finished");
}

// TensorBoard keeps the pictures of every epoch, so they are at most 600 wide there; the folder's are whole.
TEST_F(Said, WidePicturesAreSmallInTheEventsAlone) {
  for (const char* folder : {"wide", "wide_masks"}) fs::create_directories(dir / folder);
  for (const auto& [name, width, height] : {std::tuple{"a.png", 400, 40}, {"b.png", 80, 60}}) {
    write_png(dir / "wide" / name, Image(width, height, 3));
    write_png(dir / "wide_masks" / name, Image(width, height, 1));
  }
  settings.val_images = {(dir / "wide").string()};
  settings.val_masks = {(dir / "wide_masks").string()};
  train();
  EXPECT_EQ(read_image(fs::path(settings.out) / "validation" / "a.png").width, 1200);
  EXPECT_EQ(read_image(fs::path(settings.out) / "validation" / "b.png").width, 240);
  std::string events;
  for (const auto& e : fs::directory_iterator(settings.out)) {
    const std::string name = e.path().filename();
    if (name.find("tfevents") != std::string::npos) events = text(name);
  }
  const auto count = [&](const std::string& what) {
    int n = 0;
    for (auto at = events.find(what); at != std::string::npos; at = events.find(what, at + 1)) ++n;
    return n;
  };
  // height, width, RGB, by varints; before training and after an epoch
  EXPECT_EQ(count(std::string("\x08\x14\x10\xD8\x04\x18\x03")), 2);  // 20 high, 600 wide
  EXPECT_EQ(count(std::string("\x08\x3C\x10\xF0\x01\x18\x03")), 2);  // 60 high, 240 wide
  EXPECT_EQ(count("val/a"), 2);
}

// Also where two scales come to one size, which is then trained at twice.
TEST_F(Said, ABatchIsToldOnceWhateverItsSizes) {
  settings.multi_scale = {1, 2, 0.9};  // 32, 64, 32
  std::vector<std::int64_t> told;
  listener.step = [&](const StepReport& r) { told.push_back(r.step); };
  train();
  EXPECT_EQ(told, (std::vector<std::int64_t>{3, 6}));
  std::vector<int> sizes;
  for (const auto& row : rows("steps.jsonl")) sizes.push_back(row.at("size"));
  EXPECT_EQ(sizes, (std::vector<int>{32, 64, 32, 32, 64, 32}));
  EXPECT_EQ(record().at("sizes"), (std::vector<int>{32, 64, 32}));
}

// The program's users are told which option it is.
TEST_F(Said, ADeviceThatIsNotThereByItsOption) {
  if (at::hasCUDA()) GTEST_SKIP() << "there is a GPU";
  settings.device = DeviceKind::cuda;
  EXPECT_THAT(message_of<UnavailableError>([&] { train(); }), StartsWith("--device cuda: "));
}

// Something is left until the last batch of the last epoch is made, also at the end of the others.
TEST_F(Said, OnlyTheLastBatchLeavesNothing) {
  settings.batch = 2;
  settings.epochs = 2;
  std::vector<double> left;
  listener.step = [&](const StepReport& r) { left.push_back(r.seconds_left); };
  train();
  ASSERT_EQ(left.size(), 6u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_GT(left[i], 0.0) << i;
  EXPECT_EQ(left[5], 0.0);
}

}  // namespace
}  // namespace sam2unet::train
