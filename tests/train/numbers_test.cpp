// Numbers of a run against what the recipe says of them, worked out here: rates, the weight of a short batch,
// the average, the seed, early stopping, the best epoch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/tensor_table.h"
#include "support/turned_photo.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;

class RunNumbers : public Training {
 protected:
  std::vector<StepReport> steps() {
    std::vector<StepReport> reports;
    listener.step = [&](const StepReport& r) { reports.push_back(r); };
    train();
    listener.step = [](const StepReport&) {};
    return reports;
  }
  // The rows of log.jsonl by one key, the start's first.
  std::vector<double> logged(const char* key) {
    std::vector<double> out;
    std::istringstream rows(text("log.jsonl"));
    for (std::string row; std::getline(rows, row);)
      out.push_back(nlohmann::json::parse(row).at(key).get<double>());
    return out;
  }
  std::string last() const { return (fs::path(settings.out) / "last.safetensors").string(); }
};

TEST_F(RunNumbers, RatesRiseBatchByBatchAndThenFollowTheCosine) {
  settings.epochs = 4;
  settings.batch = 2;  // three in an epoch
  settings.warmup_epochs = 2;
  settings.lr = 1e-3;
  settings.min_lr = 1e-5;
  const auto reports = steps();
  ASSERT_EQ(reports.size(), 12U);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(reports[i].lr, 1e-3 * (static_cast<double>(i) / 3 + 1e-3) / 2, 1e-12) << i;
  for (std::size_t i = 6; i < 9; ++i) EXPECT_NEAR(reports[i].lr, (1e-3 + 1e-5) / 2, 1e-12) << i;
  for (std::size_t i = 9; i < 12; ++i)
    EXPECT_NEAR(reports[i].lr, 1e-5 + (1e-3 - 1e-5) * (2 - std::numbers::sqrt2) / 4, 1e-12) << i;
}

// Of pictures that are all alike, two make the loss and the gradient that four make.
TEST_F(RunNumbers, AShortLastBatchWeighsByItsOwnPictures) {
  for (int i = 1; i < 6; ++i) {
    for (const char* folder : {"images", "masks"})
      fs::copy_file(dir / folder / "0.png", dir / folder / (std::to_string(i) + ".png"),
                    fs::copy_options::overwrite_existing);
  }
  settings.augment = Augment::none;
  settings.epochs = 1;
  settings.batch = 4;
  settings.lr = 1e-12;
  settings.min_lr = 0;
  const auto reports = steps();
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_NEAR(reports[1].loss, reports[0].loss, 1e-3 * reports[0].loss);
  EXPECT_NEAR(reports[1].gradient_norm, reports[0].gradient_norm, 1e-2 * reports[0].gradient_norm);
}

// What is written after one step: 2/11 of what it started from and 9/11 of what the step made of it.
TEST_F(RunNumbers, TheAverageIsWhatIsWritten) {
  settings.epochs = 1;
  train();
  settings.init = last();
  const auto start = formats::TensorFile::open(last());
  settings.batch = 6;
  settings.out = (dir / "plain").string();
  train();
  const auto plain = formats::TensorFile::open(last());
  settings.ema = 0.9;
  settings.out = (dir / "average").string();
  train();
  const auto average = formats::TensorFile::open(last());
  std::vector<float> before, after, got;
  for (const auto& spec : model::tensor_table(test::nano_config())) {
    if (!spec.trainable()) continue;
    model::read_tensor(start, spec.name, before);
    model::read_tensor(plain, spec.name, after);
    model::read_tensor(average, spec.name, got);
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], (2.0 * before[i] + 9.0 * after[i]) / 11, 1e-6 * (1 + std::abs(got[i])))
          << spec.name;
  }
}

// The average is looked at, and learning goes on from what it was: the weights take the way they take without
// one.
TEST_F(RunNumbers, ValidatingTheAverageMovesNoWeight) {
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  settings.out = (dir / "plain").string();
  train();
  const auto plain = formats::TensorFile::open(fs::path(settings.out) / "state.safetensors");
  settings.ema = 0.9;
  settings.out = (dir / "average").string();
  train();
  const auto averaged = formats::TensorFile::open(fs::path(settings.out) / "state.safetensors");
  std::vector<float> wanted, got, average;
  std::size_t moved = 0;
  for (const auto& spec : model::tensor_table(test::nano_config())) {
    if (!spec.trainable()) continue;
    model::read_tensor(plain, spec.name, wanted);
    model::read_tensor(averaged, spec.name, got);
    model::read_tensor(averaged, "ema:" + spec.name, average);
    EXPECT_EQ(got, wanted) << spec.name;
    moved += average != got ? 1 : 0;
  }
  EXPECT_GT(moved, 0u);
}

// As in training, and as masks are drawn on what a file holds: EXIF turns no picture.
TEST_F(RunNumbers, ValidationTakesPicturesAsTheyAreStored) {
  settings.epochs = 1;
  settings.val_images = {(dir / "photos").string()};
  settings.val_masks = {(dir / "truths").string()};
  std::vector<double> starts;
  for (const char orientation : {1, 6}) {
    for (const char* folder : {"photos", "truths"}) fs::create_directories(dir / folder);
    std::ofstream(dir / "photos" / "a.jpg", std::ios::binary) << test::turned_photo(orientation);
    const Image stored = read_image(dir / "photos" / "a.jpg", {.apply_exif_orientation = false});
    Image truth(stored.width, stored.height, 1);
    std::fill_n(truth.pixels.begin(), truth.pixels.size() / 3, std::uint8_t{255});
    write_png(dir / "truths" / "a.png", truth);
    settings.out = (dir / ("as" + std::to_string(orientation))).string();
    starts.push_back(train().start);
  }
  EXPECT_GT(starts[0], 0.0);
  EXPECT_EQ(starts[0], starts[1]);
}

TEST_F(RunNumbers, TheSeedReachesWhatIsDoneToThePictures) {
  settings.epochs = 1;
  train();
  settings.init = last();
  settings.batch = 6;  // the order of the pictures does not matter to the loss
  std::vector<double> losses;
  for (const std::uint64_t seed : {1, 1, 2}) {
    settings.seed = seed;
    settings.out = (dir / ("seed" + std::to_string(losses.size()))).string();
    losses.push_back(steps().at(0).loss);
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_GT(std::abs(losses[0] - losses[2]), 1e-3 * losses[0]);
}

// No prediction is like a mask that no picture can have: nothing is ever better than the start.
TEST_F(RunNumbers, EarlyStopCountsTheEpochsWithoutABetterOne) {
  fs::create_directories(dir / "black");
  for (int i = 0; i < 6; ++i) write_png(dir / "black" / (std::to_string(i) + ".png"), Image(80, 60, 1));
  settings.val_images = settings.images;
  settings.val_masks = {(dir / "black").string()};
  settings.epochs = 6;
  settings.best_by = BestBy::dice;
  settings.early_stop = 2;
  const RunResult r = train();
  EXPECT_EQ(r.best_epoch, 0);
  EXPECT_EQ(logged("epoch"), (std::vector<double>{0, 1, 2}));
}

TEST_F(RunNumbers, TheBestErrorIsTheSmallestAndTheBestDiceTheLargest) {
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  settings.epochs = 4;
  settings.lr = 3e-3;
  for (const BestBy by : {BestBy::mae, BestBy::dice}) {
    settings.best_by = by;
    settings.out = (dir / ("by" + std::to_string(static_cast<int>(by)))).string();
    const RunResult r = train();
    const auto values = logged(by == BestBy::mae ? "MAE" : "dice.mean");
    ASSERT_EQ(values.size(), 5U);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    ASSERT_LT(*low, *high);
    const auto best = by == BestBy::mae ? low : high;
    EXPECT_NEAR(r.best, *best, 1e-9);
    EXPECT_EQ(r.best_epoch, best - values.begin());
  }
}

}  // namespace
}  // namespace sam2unet::train
