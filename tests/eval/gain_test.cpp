// What one way of predicting brings over another: pairs, means, intervals.
#include "sam2unet/gain.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sam2unet {
namespace {

Evaluation evaluation(const std::vector<double>& s, const std::vector<double>& mae, int resamples = 1000) {
  Evaluation e;
  e.image_keys = {"S", "MAE"};
  e.resamples = resamples;
  for (std::size_t i = 0; i < s.size(); ++i) {
    EvaluatedImage image;
    image.truth = "gt/" + std::to_string(i) + ".png";
    image.values = {s[i], mae[i]};
    e.images.push_back(image);
  }
  return e;
}

TEST(Gains, AreMeansOfDifferences) {
  const auto gains = paired_gains(evaluation({0.5, 0.7, 0.9}, {0.1, 0.1, 0.1}),
                                  evaluation({0.4, 0.6, 0.8}, {0.1, 0.2, 0.3}));
  ASSERT_EQ(gains.size(), 2u);
  EXPECT_EQ(gains[0].key, "S");
  EXPECT_EQ(gains[0].pictures, 3u);
  EXPECT_NEAR(gains[0].with, 0.7, 1e-12);
  EXPECT_NEAR(gains[0].without, 0.6, 1e-12);
  // Every picture gains the same: the interval of pairs is a point, whatever the spread of the pictures.
  for (const double v : {gains[0].difference, gains[0].low, gains[0].high}) EXPECT_NEAR(v, 0.1, 1e-12);
  EXPECT_NEAR(gains[1].difference, -0.1, 1e-12);
  EXPECT_NEAR(gains[1].low, -0.2, 1e-12);
  EXPECT_NEAR(gains[1].high, 0.0, 1e-12);
}

TEST(Gains, PairByGroundTruthAndLeaveOutWhatHasNoValue) {
  Evaluation with = evaluation({0.5, NAN, 0.9, 1.0}, {NAN, NAN, NAN, NAN});
  Evaluation without = evaluation({0.9, 0.1, 0.5, 0.2}, {0, 0, 0, 0});
  with.images[3].counted = false;
  std::swap(without.images[0], without.images[2]);
  std::swap(without.images[0].truth, without.images[2].truth);
  std::swap(without.images[0].truth, without.images[2].truth);
  const auto gains = paired_gains(with, without);
  ASSERT_EQ(gains.size(), 1u);
  EXPECT_EQ(gains[0].pictures, 2u);
  EXPECT_NEAR(gains[0].difference, ((0.5 - 0.9) + (0.9 - 0.5)) / 2, 1e-12);
  EXPECT_LT(gains[0].low, gains[0].difference);
  EXPECT_GT(gains[0].high, gains[0].difference);
  EXPECT_TRUE(paired_gains(with, evaluation({}, {})).empty());
  EXPECT_TRUE(std::isnan(paired_gains(evaluation({1}, {1}, 0), evaluation({1}, {1}, 0))[0].low));
}

TEST(Gains, OfClassesToo) {
  ClassEvaluation a, b;
  a.image_keys = b.image_keys = {"mIoU"};
  for (int i = 0; i < 4; ++i) {
    ClassEvaluatedImage image;
    image.truth = std::to_string(i);
    image.values = {0.5 + 0.1 * i};
    b.images.push_back(image);
    image.values[0] += 0.01 * i;
    a.images.push_back(image);
  }
  a.resamples = 200;
  const auto gains = paired_gains(a, b);
  ASSERT_EQ(gains.size(), 1u);
  EXPECT_NEAR(gains[0].difference, 0.015, 1e-12);
  EXPECT_GE(gains[0].low, 0.0);
  EXPECT_LE(gains[0].high, 0.03);
}

// Of the pictures without a value none is drawn: the mean of a resample is of those that have one.
TEST(Gains, APictureWithoutAValueDoesNotPullTheIntervalToNothing) {
  const auto gains = paired_gains(evaluation({0.5, NAN, 0.7, NAN, 0.9}, {0, 0, 0, 0, 0}),
                                  evaluation({0.4, 0.3, 0.6, 0.5, 0.8}, {0, 0, 0, 0, 0}));
  EXPECT_EQ(gains[0].pictures, 3u);
  for (const double v : {gains[0].difference, gains[0].low, gains[0].high}) EXPECT_NEAR(v, 0.1, 1e-12);
}

// The columns of the two need not stand in one order.
TEST(Gains, ValuesAreTakenByTheirKeys) {
  const Evaluation with = evaluation({0.5, 0.6}, {0.1, 0.2});
  Evaluation without = evaluation({0.1, 0.2}, {0.4, 0.4});
  without.image_keys = {"MAE", "S"};
  auto gains = paired_gains(with, without);
  ASSERT_EQ(gains.size(), 2u);
  EXPECT_EQ(gains[0].key, "S");
  EXPECT_NEAR(gains[0].difference, 0.15, 1e-12);
  EXPECT_NEAR(gains[1].difference, 0.0, 1e-12);
  without.image_keys = {"MAE", "other"};
  gains = paired_gains(with, without);
  ASSERT_EQ(gains.size(), 1u);
  EXPECT_EQ(gains[0].key, "MAE");
}

// Of evenly spread differences the mean's standard error is known, and of 100 drawn means 2.5 lie beyond 1.96
// of them on either side.
TEST(Gains, TheIntervalHoldsNineteenOfTwenty) {
  constexpr int kPictures = 80;
  std::vector<double> gained, nothing(kPictures, 0.0);
  for (int i = 0; i < kPictures; ++i) gained.push_back((i * 37 % kPictures + 0.5) / kPictures);
  const Gain gain = paired_gains(evaluation(gained, nothing, 4000), evaluation(nothing, nothing, 4000))[0];
  const double error = std::sqrt(1.0 / 12 / kPictures);
  EXPECT_NEAR(gain.difference, 0.5, 1e-12);
  EXPECT_NEAR(gain.low, 0.5 - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(gain.high, 0.5 + 1.96 * error, 0.15 * error);
}

TEST(Gains, TheIntervalIsOfTheSeed) {
  Evaluation with = evaluation({0.5, 0.9, 0.1, 0.3, 0.8}, {0, 0, 0, 0, 0}, 20);
  const Evaluation without = evaluation({0.4, 0.1, 0.4, 0.2, 0.1}, {0, 0, 0, 0, 0}, 20);
  const double first = paired_gains(with, without)[0].low;
  with.seed = 7;
  EXPECT_NE(paired_gains(with, without)[0].low, first);
}

}  // namespace
}  // namespace sam2unet
