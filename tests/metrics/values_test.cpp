// Which value stands under which key, and how pictures make a data set's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "metrics/dataset.h"
#include "metrics/scorer.h"
#include "metrics/value_table.h"
#include "sam2unet/errors.h"

namespace sam2unet::metrics {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::Pair;
using Keys = std::vector<std::string>;

Image map_of(int width, const std::vector<int>& levels) {
  Image out(width, static_cast<int>(levels.size()) / width, 1);
  for (std::size_t i = 0; i < levels.size(); ++i) out.pixels[i] = static_cast<std::uint8_t>(levels[i]);
  return out;
}

// A record in which no two numbers are the same.
ImageScores distinct() {
  ImageScores s;
  s.s = 0.01, s.e_adp = 0.02, s.e_mean = 0.03, s.e_max = 0.04, s.weighted_f = 0.05, s.mae = 0.06;
  for (std::size_t m = 0; m < kMeasures; ++m) {
    const double base = static_cast<double>(m + 1);
    s.measures[m] = {base + 0.1, base + 0.2, base + 0.3, base + 0.4};
  }
  s.hce = 7;
  s.msiou = {0.08, 0.09, 0.10, 0.11};
  s.cm = 0.12, s.ccm = 0.13, s.simae = 0.14;
  s.size_invariant.sample = {0.15, 0.16, 0.17, 0.18};
  s.boundary_iou = 0.19, s.hd95 = 20, s.assd = 21;
  s.mirror.iou = 0.22, s.mirror.accuracy = 0.23, s.mirror.mae = 0.24, s.mirror.ber = 0.25;
  return s;
}

std::map<std::string, double> numbers(const std::vector<Value>& values) {
  std::map<std::string, double> out;
  for (const Value& v : values) out[v.key] = v.value;
  return out;
}

// The keys of docs/metrics.md, in its order.
TEST(Values, EachKeyHasItsOwnNumber) {
  std::vector<std::pair<std::string, double>> want = {{"S", 0.01},     {"E_adp", 0.02}, {"E_mean", 0.03},
                                                      {"E_max", 0.04}, {"wF", 0.05},    {"MAE", 0.06}};
  double base = 1;
  for (const char* name : {"fm", "f1", "pre", "rec", "fpr", "iou", "dice", "spec", "ber", "oa", "kappa"}) {
    const std::string n = name;
    want.insert(want.end(), {{n + ".adp", base + 0.1},
                             {n + ".mean", base + 0.2},
                             {n + ".max", base + 0.3},
                             {"sample_" + n, base + 0.4}});
    ++base;
  }
  want.insert(want.end(), {{"HCE", 7},
                           {"MSIoU.adp", 0.08},
                           {"MSIoU.mean", 0.09},
                           {"MSIoU.max", 0.10},
                           {"MSIoU.bin", 0.11},
                           {"CM", 0.12},
                           {"CCM", 0.13},
                           {"SIMAE", 0.14},
                           {"SIfm.adp", 0.15},
                           {"SIfm.mean", 0.16},
                           {"SIfm.max", 0.17},
                           {"sample_SIfm", 0.18},
                           {"BIoU", 0.19},
                           {"HD95", 20},
                           {"ASSD", 21},
                           {"mirror.IoU", 0.22},
                           {"mirror.acc", 0.23},
                           {"mirror.MAE", 0.24},
                           {"mirror.BER", 0.25}});
  std::vector<std::pair<std::string, double>> got;
  for (const Value& v : image_values(distinct())) {
    got.emplace_back(v.key, v.value);
    EXPECT_TRUE(std::isnan(v.low) && std::isnan(v.high)) << v.key;
  }
  EXPECT_THAT(got, ElementsAreArray(want));
}

// Confusions, targets and mirrors of two pictures, and a third that has none of the latter.
std::vector<ImageScores> three_records() {
  ImageScores a = distinct(), b = distinct(), c;
  a.binary = {3, 1, 5, 1};  // tp, fp, tn, fn
  b.binary = {1, 2, 6, 1};
  b.s = 0.03, b.hce = 9, b.ccm = kNotComputed;
  a.counts.foreground[255] = 4, a.counts.background[0] = 6;
  b.counts = a.counts, b.counts.foreground[255] = 2, b.counts.background[0] = 8;
  c = a;
  c.s = 0.05, c.hce = kNotComputed, c.ccm = kNotComputed;
  c.binary = {};
  c.counts = {};
  c.msiou = {kNotComputed, kNotComputed, kNotComputed, kNotComputed};
  c.mirror = {};
  a.msiou_curve.fill(0.2), b.msiou_curve.fill(0.4);
  a.msiou_curve[3] = 1.0, b.msiou_curve[200] = 0.9;  // means of 0.7 and 0.55: 0.7 is the largest
  a.size_invariant.targets = 1, b.size_invariant.targets = 3, c.size_invariant = {};
  a.size_invariant.target_sum.fill(0.5), b.size_invariant.target_sum.fill(1.8);
  a.size_invariant.target_sum[10] = 1, b.size_invariant.target_sum[10] = 2.6;
  a.size_invariant.binary = {2, 1, 0, 0}, b.size_invariant.binary = {2, 1, 90, 4};
  a.mirror.counts.foreground[255] = 2, a.mirror.counts.background[0] = 7;
  b.mirror.counts.foreground[255] = 1, b.mirror.counts.background[255] = 1;
  return {a, b, c};
}

TEST(Values, OfADataSet) {
  std::map<std::string, double> v = numbers(dataset_values(three_records(), 0, 0, 1));
  EXPECT_NEAR(v["S"], 0.03, 1e-15);
  EXPECT_NEAR(v["HCE"], 8, 1e-15);  // of the two that have one
  EXPECT_NEAR(v["CCM"], 0.13, 1e-15);
  EXPECT_NEAR(v["sample_iou"], 6.4, 1e-14);
  EXPECT_NEAR(v["MSIoU.max"], 0.7, 1e-15);
  EXPECT_NEAR(v["MSIoU.mean"], 0.09, 1e-15);
  // Four targets: a mean curve of 2.3 / 4, and 0.9 in one place.
  EXPECT_NEAR(v["overall_SIfm.mean"], (255 * 0.575 + 0.9) / 256, 1e-14);
  EXPECT_NEAR(v["overall_SIfm.max"], 0.9, 1e-15);
  EXPECT_NEAR(v["overall_SIfm.bin"], 1.3 * (4.0 / 6) * (4.0 / 8) / (0.3 * 4.0 / 6 + 4.0 / 8), 1e-15);
  // TP 4, FP 3, TN 11, FN 2.
  const double p = 4.0 / 7, r = 4.0 / 6;
  EXPECT_NEAR(v["overall_pre"], p, 1e-15);
  EXPECT_NEAR(v["overall_rec"], r, 1e-15);
  EXPECT_NEAR(v["overall_fm"], 1.3 * p * r / (0.3 * p + r), 1e-15);
  EXPECT_NEAR(v["overall_f1"], 8.0 / 13, 1e-15);
  EXPECT_NEAR(v["overall_fpr"], 3.0 / 14, 1e-15);
  EXPECT_NEAR(v["overall_iou"], 4.0 / 9, 1e-15);
  EXPECT_NEAR(v["overall_dice"], 8.0 / 13, 1e-15);
  EXPECT_NEAR(v["overall_spec"], 11.0 / 14, 1e-15);
  EXPECT_NEAR(v["overall_ber"], 1 - (r + 11.0 / 14) / 2, 1e-15);
  EXPECT_NEAR(v["overall_oa"], 0.75, 1e-15);
  EXPECT_NEAR(v["overall_kappa"], (0.75 - 0.5925) / (1 - 0.5925), 1e-14);  // (7 * 6 + 13 * 15) / 400
  // Of two mirrors: precision 1 and 1.0001 / 2.0001, recall 1, at every threshold but the last.
  const double precision = (1 + 1.0001 / 2.0001) / 2;
  EXPECT_NEAR(v["mirror.F"], 1.3 * precision / (0.3 * precision + 1), 1e-12);
}

// Entry t belongs to the threshold t.
TEST(Values, MeanCurvesBelongToThresholds) {
  Scorer scorer(kClassicSet);
  const Image truth = map_of(4, {0, 0, 255, 255}), map = map_of(4, {0, 0, 51, 255});
  const MeanCurves c = mean_curves(std::vector{scorer.score(map, truth), scorer.score(truth, truth)});
  ASSERT_EQ(c.f.size(), 256U);
  EXPECT_NEAR(c.precision[0], 0.5, 1e-15);
  EXPECT_NEAR(c.precision[1], 1, 1e-15);
  EXPECT_NEAR(c.precision[255], 1, 1e-15);
  EXPECT_NEAR(c.recall[0], 1, 1e-15);
  EXPECT_NEAR(c.recall[51], 1, 1e-15);
  EXPECT_NEAR(c.recall[52], 0.75, 1e-15);
  EXPECT_NEAR(c.f[0], 1.3 * 0.5 / (0.3 * 0.5 + 1), 1e-15);
  EXPECT_NEAR(c.f[52], (1.3 * 0.5 / (0.3 + 0.5) + 1) / 2, 1e-15);
  // All foreground: less its mean a map is 0, so that nothing is aligned: a quarter, of 4 / 3 pixels.
  EXPECT_NEAR(c.e[0], 1.0 / 3, 1e-15);
  EXPECT_NEAR(c.e[51], 4.0 / 3, 1e-15);
}

// What counts as right is right in all that measures agreement; errors of other kinds stay as they are.
TEST(Values, ARightEmptyPicture) {
  ImageScores s = distinct();
  s.empty_truth = s.empty_prediction = true;
  s.size_invariant.targets = 2;
  ImageScores skipped = s, papers = s, found = s;
  EXPECT_FALSE(apply_policy(EmptyTruth::skip, skipped));
  EXPECT_TRUE(apply_policy(EmptyTruth::paper, papers));
  found.empty_prediction = false;
  EXPECT_TRUE(apply_policy(EmptyTruth::one_if_correct, found));
  EXPECT_EQ(numbers(image_values(papers)), numbers(image_values(distinct())));
  EXPECT_EQ(numbers(image_values(found)), numbers(image_values(distinct())));
  ImageScores full = s;
  full.empty_truth = false;
  EXPECT_TRUE(apply_policy(EmptyTruth::skip, full));
  EXPECT_EQ(numbers(image_values(full)), numbers(image_values(distinct())));

  ASSERT_TRUE(apply_policy(EmptyTruth::one_if_correct, s));
  EXPECT_TRUE(s.correct_empty);
  const std::map<std::string, double> others = {{"MAE", 0.06}, {"HCE", 7},   {"SIMAE", 0.14},
                                                {"HD95", 20},  {"ASSD", 21}, {"mirror.MAE", 0.24}};
  for (const auto& [key, v] : numbers(image_values(s))) {
    const bool rate = key.find("fpr") != std::string::npos || key.find("ber") != std::string::npos;
    EXPECT_EQ(v, others.contains(key) ? others.at(key) : rate || key == "mirror.BER" ? 0 : 1) << key;
  }
  const std::map<std::string, double> set = numbers(dataset_values(std::vector{s}, 0, 0, 1));
  for (const char* key :
       {"E_max", "fm.max", "kappa.max", "MSIoU.max", "overall_SIfm.mean", "overall_SIfm.max", "mirror.F"})
    EXPECT_NEAR(set.at(key), 1, 1e-12) << key;
  EXPECT_EQ(set.at("ber.max"), 0);
  EXPECT_EQ(set.at("fpr.max"), 0);

  // What was not computed stays so.
  ImageScores classic;
  classic.empty_truth = classic.empty_prediction = true;
  ASSERT_TRUE(apply_policy(EmptyTruth::one_if_correct, classic));
  Keys missing;
  for (const auto& [key, v] : numbers(image_values(classic))) {
    if (std::isnan(v)) missing.push_back(key);
  }
  EXPECT_THAT(missing, ElementsAre("ASSD", "BIoU", "CCM", "CM", "HCE", "HD95", "MSIoU.adp", "MSIoU.bin",
                                   "MSIoU.max", "MSIoU.mean", "SIMAE", "SIfm.adp", "SIfm.max", "SIfm.mean",
                                   "mirror.BER", "mirror.IoU", "mirror.MAE", "mirror.acc", "sample_SIfm"));
}

// Each group by itself brings its own values, beside the classic ones.
TEST(Values, GroupsCanBeLeftOut) {
  const Image truth = map_of(3, {0, 255, 255, 0, 255, 0, 0, 0, 0}), picture(3, 3, 3);
  const ImageView view = picture;
  const auto beside = [&](const MetricSet& set) {
    Keys keys;
    Scorer scorer(set);
    for (const Value& v : image_values(scorer.score(truth, truth, &view))) {
      static const Keys kOthers = {"HCE",         "MSIoU", "CM",   "CCM",  "SIMAE", "SIfm",
                                   "sample_SIfm", "BIoU",  "HD95", "ASSD", "mirror"};
      const bool classic =
          std::find(kOthers.begin(), kOthers.end(), v.key.substr(0, v.key.find('.'))) == kOthers.end();
      EXPECT_FALSE(classic && std::isnan(v.value)) << v.key;
      if (!classic && !std::isnan(v.value)) keys.push_back(v.key);
    }
    return keys;
  };
  const auto with = [](bool MetricSet::*group) {
    MetricSet set = kClassicSet;
    set.*group = true;
    return set;
  };
  EXPECT_THAT(beside(kClassicSet), ElementsAre());
  EXPECT_THAT(beside(with(&MetricSet::hce)), ElementsAre("HCE"));
  EXPECT_THAT(beside(with(&MetricSet::msiou)),
              ElementsAre("MSIoU.adp", "MSIoU.mean", "MSIoU.max", "MSIoU.bin"));
  EXPECT_THAT(beside(with(&MetricSet::context)), ElementsAre("CM", "CCM"));
  EXPECT_THAT(beside(with(&MetricSet::size_invariant)),
              ElementsAre("SIMAE", "SIfm.adp", "SIfm.mean", "SIfm.max", "sample_SIfm"));
  EXPECT_THAT(beside(with(&MetricSet::boundary)), ElementsAre("BIoU", "HD95", "ASSD"));
  EXPECT_THAT(beside(with(&MetricSet::mirror)),
              ElementsAre("mirror.IoU", "mirror.acc", "mirror.MAE", "mirror.BER"));
  EXPECT_EQ(beside({}).size(), 19U);
}

// Foreground of a truth lies above 128, of a map above a half of its range; levels are cut off.
TEST(Values, LevelsThatCount) {
  Scorer scorer(kClassicSet);
  const ImageScores limits = scorer.score(map_of(3, {0, 255, 255}), map_of(3, {128, 129, 255}));
  EXPECT_EQ(limits.mae, 0);
  EXPECT_EQ(limits.binary.tp, 2);
  EXPECT_EQ(limits.binary.tn, 1);
  const ImageScores half = scorer.score(map_of(4, {10, 11, 12, 12}), map_of(4, {0, 255, 255, 0}));
  EXPECT_EQ(half.binary.tp, 1);
  EXPECT_EQ(half.binary.fp, 1);
  EXPECT_EQ(half.binary.fn, 1);
  EXPECT_EQ(half.counts.foreground[127], 1U);
  EXPECT_EQ(half.counts.foreground[255], 1U);
  EXPECT_EQ(half.counts.background[0], 1U);
  // Twice the mean of 0.625 is more than 1, at which the brightest are foreground: F of 1 / 2 and 1 / 2.
  EXPECT_NEAR(half.measures[0].adp, 0.5, 1e-15);
  EXPECT_TRUE(scorer.score(map_of(2, {127, 127}), map_of(2, {0, 255})).empty_prediction);
  EXPECT_FALSE(scorer.score(map_of(2, {128, 128}), map_of(2, {0, 255})).empty_prediction);
  EXPECT_TRUE(scorer.score(map_of(2, {0, 1}), map_of(2, {0, 128})).empty_truth);
  EXPECT_FALSE(scorer.score(map_of(2, {0, 1}), map_of(2, {0, 129})).empty_truth);
}

// As docs/metrics.md has it, of 3 x 4 pixels: nothing is there, and nothing, or one pixel, is found.
TEST(Values, OfEmptyTruths) {
  Scorer scorer;
  const Image black(3, 4, 1);
  Image dot = black;
  dot.pixels[4] = 255;
  std::map<std::string, double> v = numbers(image_values(scorer.score(black, black)));
  for (const char* key : {"S", "sample_oa", "sample_spec"}) EXPECT_EQ(v[key], 1) << key;
  for (const char* key : {"MAE", "wF", "E_adp", "sample_iou", "sample_fm", "sample_rec", "sample_fpr", "HCE",
                          "SIMAE", "BIoU", "HD95", "ASSD", "mirror.IoU", "mirror.acc", "mirror.MAE"})
    EXPECT_EQ(v[key], 0) << key;
  EXPECT_EQ(v["sample_ber"], 0.5);
  EXPECT_EQ(v["mirror.BER"], 0.5);
  EXPECT_NEAR(v["E_mean"], 255.0 / 256 * 12 / 11, 1e-12);  // all but the threshold 0
  v = numbers(image_values(scorer.score(dot, black)));
  EXPECT_NEAR(v["MAE"], 1.0 / 12, 1e-15);
  EXPECT_NEAR(v["S"], 11.0 / 12, 1e-15);
  for (const char* key : {"HD95", "ASSD"}) EXPECT_EQ(v[key], 5) << key;  // the diagonal
  for (const char* key : {"BIoU", "wF", "sample_pre", "sample_iou", "mirror.IoU"})
    EXPECT_EQ(v[key], 0) << key;
  EXPECT_NEAR(v["sample_fpr"], 1.0 / 12, 1e-15);
}

// Products of the pixels of a data set do not fit 64 bits.
TEST(Values, KappaOfManyPixels) {
  const auto kappa = [](const Confusion& c) {
    return measures_of(c)[static_cast<std::size_t>(Measure::kappa)];
  };
  const std::int64_t many = 3000000000;
  // oa 0.8; chance (4 * 4 + 6 * 8) / 100.
  EXPECT_NEAR(kappa({3, 1, 5, 1}), (0.8 - 0.64) / (1 - 0.64), 1e-15);
  EXPECT_NEAR(kappa({3 * many, many, 5 * many, many}), (0.8 - 0.64) / (1 - 0.64), 1e-15);
  // 4e9 pixels: the square of that is more than 63 bits hold.
  EXPECT_NEAR(kappa({1'200'000'000, 400'000'000, 2'000'000'000, 400'000'000}), (0.8 - 0.64) / (1 - 0.64),
              1e-15);
  EXPECT_EQ(kappa({}), 0);
}

TEST(Values, WhatDoesNotFitIsSaid) {
  Scorer scorer;
  const auto message = [&](const Image& map, const Image& truth,
                           const Image* picture = nullptr) -> std::string {
    try {
      const ImageView view = picture != nullptr ? ImageView(*picture) : ImageView();
      scorer.score(map, truth, picture != nullptr ? &view : nullptr);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "no error";
  };
  const std::string gray = "prediction and ground truth must have one channel: decode them as gray";
  EXPECT_EQ(message(Image(4, 3, 1), Image(4, 3, 3)), gray);
  EXPECT_EQ(message(Image(4, 3, 3), Image(4, 3, 1)), gray);
  for (const Image& empty : {Image(0, 0, 1), Image(0, 3, 1), Image(3, 0, 1)})
    EXPECT_EQ(message(empty, empty), "the prediction has no pixels");
  const auto sizes = [](const std::string& p, const std::string& t) {
    return "prediction (" + p + ") and ground truth (" + t + ") differ in size: resize the prediction first";
  };
  EXPECT_EQ(message(Image(4, 3, 1), Image(4, 2, 1)), sizes("4x3", "4x2"));
  EXPECT_EQ(message(Image(4, 3, 1), Image(5, 3, 1)), sizes("4x3", "5x3"));
  const std::string picture =
      "the picture for the camouflage context measure must be RGB and as large as the ground truth";
  for (const Image& other : {Image(4, 3, 1), Image(5, 3, 3), Image(4, 2, 3)})
    EXPECT_EQ(message(Image(4, 3, 1), Image(4, 3, 1), &other), picture);
}

}  // namespace
}  // namespace sam2unet::metrics
