// Maps of floating-point values: the numbers that PySODMetrics 1.6.2 gives for the random maps, and what only
// such maps can hold.
#include "metrics/field.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "maps.h"
#include "metrics/record.h"
#include "metrics/size_invariant.h"
#include "support/shared_data.h"

namespace sam2unet::metrics {
namespace {

using nlohmann::json;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The prediction as the reference normalises it.
std::vector<double> normalised(const Image& map) {
  const auto [low, high] = std::minmax_element(map.pixels.begin(), map.pixels.end());
  std::vector<double> out;
  for (const std::uint8_t v : map.pixels) {
    const double p = v / 255.0, least = *low / 255.0, most = *high / 255.0;
    out.push_back(*low == *high ? p : (p - least) / (most - least));
  }
  return out;
}

std::vector<double> normalised_to_float(const Image& map) {
  std::vector<double> out = normalised(map);
  for (double& v : out) v = static_cast<double>(static_cast<float>(v));
  return out;
}

Image truth_of_levels(Image map) {
  for (std::uint8_t& v : map.pixels) v = v > 128 ? 1 : 0;
  return map;
}

int compared = 0;
void expect(const json& expected, const std::string& key, double ours, double within) {
  if (!expected.contains(key) || !expected.at(key).is_number()) return;
  ++compared;
  EXPECT_NEAR(ours, expected.at(key).get<double>(), within) << key;
}

void expect_measures(const json& expected, const ThresholdCounts& t, double within) {
  MeasureCurves curves;
  measure_curves(t.counts, t.foreground, t.background, curves);
  for (std::size_t m = 0; m < kMeasures; ++m) {
    const std::string name(name_of(static_cast<Measure>(m)));
    if (!expected.contains(name)) continue;
    expect(expected.at(name), "adp", measures_of(t.adaptive)[m], within);
    expect(expected.at(name), "mean", mean_of(curves[m]), within);
    expect(expected.at(name), "max", max_of(curves[m]), within);
    expect(expected, "sample_" + name, measures_of(t.binary)[m], within);
  }
}

// Each target by itself, and the pixels of none: SIMAE and the F-measure of targets.
void expect_targets(const json& expected, const Field& f, double within) {
  const auto masks = target_masks(f.quantized);
  if (masks.empty()) return;
  Summary mean;
  double errors = 0;
  std::vector<std::uint8_t> outside(f.value.size(), 1);
  const auto area = [](const std::vector<std::uint8_t>& m) {
    return static_cast<double>(std::count(m.begin(), m.end(), 1));
  };
  const auto n = static_cast<double>(masks.size());
  for (const auto& mask : masks) {
    const ThresholdCounts t = threshold_counts_in(f, mask);
    EXPECT_EQ(t.foreground + t.background, f.pixels());
    MeasureCurves curves;
    measure_curves(t.counts, t.foreground, t.background, curves);
    mean.adp += measures_of(t.adaptive)[0] / n;
    mean.mean += mean_of(curves[0]) / n;
    mean.max += max_of(curves[0]) / n;
    mean.bin += measures_of(t.binary)[0] / n;
    errors += error_sum_in(f, mask) / area(mask);
    for (std::size_t i = 0; i < mask.size(); ++i) outside[i] = mask[i] != 0 ? 0 : outside[i];
  }
  if (expected.contains("SI_sample_fm")) {
    const json& sample = expected.at("SI_sample_fm");
    expect(sample, "adp", mean.adp, within);
    expect(sample, "mean", mean.mean, within);
    expect(sample, "max", mean.max, within);
    expect(sample, "bin", mean.bin, within);
  }
  const double rest = area(outside), ratio = rest / (static_cast<double>(f.pixels()) - rest);
  const double outer = rest > 0 ? ratio * error_sum_in(f, outside) / rest : 0;
  expect(expected, "SIMAE", (outer + errors) / (n + ratio), within);
}

TEST(Field, IsTheReferencesOnItsRandomMaps) {
  compared = 0;
  int index = 0;
  for (const test::MapCase& c : test::read_maps(test::repository_data() / "metrics" / "random")) {
    SCOPED_TRACE(index++);
    Field f;
    f.assign(normalised(c.prediction), FieldType::f64, truth_of_levels(c.truth));
    expect(c.expected, "MAE", mean_absolute_error(f), 1e-12);
    const double s = s_measure(f, 0.5);
    if (!std::isnan(s)) expect(c.expected, "S", s, 1e-9);
    expect(c.expected, "wF", weighted_f(f, 1), 1e-9);
    expect_measures(c.expected, threshold_counts(f), 1e-9);
    expect_targets(c.expected, f, 1e-9);
    f.assign(normalised_to_float(c.prediction), FieldType::f32, truth_of_levels(c.truth));
    expect(c.expected, "MAE", mean_absolute_error(f), 1e-6);
    expect(c.expected, "wF", weighted_f(f, 1), 1e-6);
  }
  EXPECT_GT(compared, 45 * index);
}

Field field_of(std::initializer_list<double> values, std::initializer_list<int> truth,
               FieldType type = FieldType::f64) {
  Image plane(static_cast<int>(truth.size()), 1, 1);
  std::copy(truth.begin(), truth.end(), plane.pixels.begin());
  Field f;
  f.assign(std::vector<double>(values), type, plane);
  return f;
}

std::vector<int> matrix(const Confusion& c) {
  return {static_cast<int>(c.tp), static_cast<int>(c.fp), static_cast<int>(c.tn), static_cast<int>(c.fn)};
}

// float64 -> uint8 cuts off and keeps the lowest eight bits.
TEST(Field, LevelsAreCutOff) {
  const double inf = std::numeric_limits<double>::infinity();
  const Field f = field_of(
      {0.999, 1.0, 254.999 / 255, 1.01, -1.0 / 255, kNan, inf, 2147483647.9 / 255, 8421505.1, -0.5 / 255},
      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  const std::uint8_t* levels = f.quantized.prediction_row(0);
  EXPECT_THAT(std::vector<int>(levels, levels + 10), ElementsAre(254, 255, 254, 1, 255, 0, 0, 255, 0, 0));
}

TEST(Field, ThresholdsAreAtOrAboveTwiceTheMeanAndAbove05) {
  // Twice the mean is 0.75; the truth is whatever is not 0.
  const Field f = field_of({0.75, 0.5, 0.25, 0.0}, {1, 0, 7, 0});
  EXPECT_EQ(f.adaptive, 0.75);
  const ThresholdCounts t = threshold_counts(f);
  EXPECT_THAT(matrix(t.adaptive), ElementsAre(1, 0, 2, 1));
  EXPECT_THAT(matrix(t.binary), ElementsAre(1, 0, 2, 1));
  EXPECT_EQ(t.foreground, 2);
  EXPECT_EQ(t.background, 2);
  EXPECT_EQ(adaptive_mask(f).count(), 1);
  EXPECT_EQ(binary_mask(f).count(), 1);
  EXPECT_EQ(field_of({1, 1, 1, 0.5}, {1, 1, 1, 0}).adaptive, 1);
  EXPECT_TRUE(std::isnan(field_of({kNan, 1}, {1, 0}).adaptive));
  // Only the first two pixels: the mean is of all four, twice it is 0.625, and the others are background.
  const ThresholdCounts in = threshold_counts_in(f, std::vector<std::uint8_t>{1, 1, 0, 0});
  EXPECT_THAT(matrix(in.adaptive), ElementsAre(1, 0, 3, 0));
  EXPECT_THAT(matrix(in.binary), ElementsAre(1, 0, 3, 0));
  EXPECT_EQ(in.foreground, 1);
  EXPECT_EQ(in.background, 3);
  EXPECT_EQ(in.counts.background[0], 2U);
  EXPECT_EQ(in.counts.background[127], 1U);
  EXPECT_EQ(in.counts.foreground[191], 1U);
}

TEST(Field, ErrorsAreOfTheMapsOwnType) {
  EXPECT_DOUBLE_EQ(mean_absolute_error(field_of({0.25, 0.5, 1}, {1, 0, 0})), (0.75 + 0.5 + 1) / 3);
  const float tenth = 0.1F;
  const Field single = field_of({tenth, tenth, tenth}, {1, 0, 0}, FieldType::f32);
  const float sum = (1 - tenth) + tenth + tenth;
  EXPECT_EQ(mean_absolute_error(single), static_cast<double>(sum / 3));
  EXPECT_NE(mean_absolute_error(field_of({0.1, 0.1, 0.1}, {1, 0, 0})), static_cast<double>(sum / 3));
  EXPECT_EQ(single.adaptive, 2 * static_cast<double>((tenth + tenth + tenth) / 3));
  const std::vector<std::uint8_t> second{0, 1, 0};
  EXPECT_DOUBLE_EQ(error_sum_in(field_of({0.25, 0.5, 1}, {1, 0, 0}), second), 0.5);
  // What is not a number, even outside, leaves nothing.
  EXPECT_TRUE(std::isnan(error_sum_in(field_of({kNan, 0.5, 1}, {1, 0, 0}), second)));
}

TEST(Field, TruthsOfOneKindHaveNoStructure) {
  EXPECT_DOUBLE_EQ(s_measure(field_of({0.25, 0.5}, {0, 0}), 0.5), 1 - 0.375);
  EXPECT_DOUBLE_EQ(s_measure(field_of({0.25, 0.5}, {1, 1}), 0.5), 0.375);
  EXPECT_EQ(weighted_f(field_of({0.25, 0.5}, {0, 0}), 1), 0);
  // The centroid in the last row: the reference's quadrants below it are empty.
  EXPECT_TRUE(std::isnan(s_measure(field_of({0.25, 0.5}, {1, 0}), 0.5)));
  // A corner of 0.75 in 0.25: the object's part is 2 m / (m^2 + 1) of the means 0.75, the quadrants are flat.
  Image corner(2, 2, 1);
  corner.pixels[0] = 1;
  Field f;
  f.assign(std::vector<double>{0.75, 0.25, 0.25, 0.25}, FieldType::f64, corner);
  EXPECT_NEAR(s_measure(f, 1), 0.96, 1e-15);
  EXPECT_NEAR(s_measure(f, 0), 1, 1e-15);
  EXPECT_NEAR(s_measure(f, 0.5), 0.98, 1e-15);
}

// One pixel that is missed, in a map that is full or empty otherwise: its error is 1, and so is the filtered
// one, that of the nearest foreground all around. The reference's quotient is 0, and not -0.
TEST(Field, WhatHitsNothingHasNoWeightedF) {
  Image truth(9, 9, 1);
  truth.row(4)[4] = 1;
  for (const double around : {0.0, 1.0}) {
    std::vector<double> values(81, around);
    values[40] = 0;
    for (const FieldType type : {FieldType::f64, FieldType::f32}) {
      Field f;
      f.assign(values, type, truth);
      const double score = weighted_f(f, 1);
      EXPECT_NEAR(score, 0, 1e-15);
      EXPECT_FALSE(std::signbit(score)) << score << " around " << around;
    }
  }
}

}  // namespace
}  // namespace sam2unet::metrics
