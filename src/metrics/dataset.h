// From the scores of pictures to the values of a data set.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "metrics/record.h"

namespace sam2unet::metrics {

/// What to do with pictures whose ground truth has no foreground.
enum class EmptyTruth {
  paper,           ///< what the reference computes
  skip,            ///< they are left out of every mean
  one_if_correct,  ///< where the prediction is empty too (nothing above 0.5), measures of agreement count as
                   ///< 1
};

/// Whether the policy counts the record; it may be marked as perfect, which changes its own values too.
bool apply_policy(EmptyTruth policy, ImageScores& record);

/// One value of the JSON. `key` spells its place: "S", "fm.max", "mirror.IoU".
struct Value {
  std::string key;
  double value = 0;
  double low = kNotComputed;  ///< 95 % confidence interval; NaN without resampling
  double high = kNotComputed;
};

/// The same for one picture, in the same order, without those that only a data set has (overall_...).
std::vector<Value> image_values(const ImageScores& scores);

/// Values of the data set, in the order of the documentation; those that were not computed are NaN.
/// `resamples` > 0 adds percentile bootstrap intervals; the same seed gives the same intervals for any number
/// of threads.
std::vector<Value> dataset_values(std::span<const ImageScores> records, int resamples, std::uint64_t seed,
                                  int threads);

/// Means over the data set of the curves over 256 thresholds; entry t belongs to the threshold t.
struct MeanCurves {
  std::vector<double> precision, recall, f, e;
};
MeanCurves mean_curves(std::span<const ImageScores> records);

/// Whether larger values of a key are better.
bool higher_is_better(const std::string& key);

}  // namespace sam2unet::metrics
