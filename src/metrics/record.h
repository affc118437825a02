// What is kept of one scored picture: enough for every value of the data set, and nothing that grows with its
// size.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "metrics/confusion.h"
#include "metrics/curves.h"

namespace sam2unet::metrics {

/// Groups of metrics that can be left out; the classic ones are always computed.
struct MetricSet {
  bool hce = true;
  bool msiou = true;
  bool context = true;  ///< context measure
  bool size_invariant = true;
  bool boundary = true;  ///< boundary IoU, Hausdorff and average surface distance
  bool mirror = true;
};
/// None of these: S, E, weighted F, MAE and the measures by threshold, which are always computed.
inline constexpr MetricSet kClassicSet{.hce = false,
                                       .msiou = false,
                                       .context = false,
                                       .size_invariant = false,
                                       .boundary = false,
                                       .mirror = false};

inline constexpr double kNotComputed = std::numeric_limits<double>::quiet_NaN();

/// HetNet's protocol for mirrors.
struct MirrorScores {
  double iou = kNotComputed;
  double accuracy = kNotComputed;
  double mae = kNotComputed;
  double ber = kNotComputed;
  LevelCounts counts;  ///< of its own 8-bit normalisation, foreground = truth at 255
};

/// Size-invariant F-measure, beta^2 = 0.3.
struct SizeInvariantScores {
  Summary sample{kNotComputed, kNotComputed, kNotComputed,
                 kNotComputed};  ///< mean over the targets of each target's adp, mean, max, bin
  Curve target_sum{};            ///< sum over the targets of their F curves
  std::int64_t targets = 0;
  Confusion binary;  ///< sum over the targets at prediction > 0.5
};

/// Scores of one picture. Numbers that were not asked for are NaN.
struct ImageScores {
  int width = 0;
  int height = 0;
  bool empty_truth = false;
  bool correct_empty = false;     ///< counts as perfect: set by the policy for empty ground truths
  bool empty_prediction = false;  ///< no pixel above 0.5 after the normalisation

  double s = 0;
  double weighted_f = 0;
  double mae = 0;
  double e_adp = 0, e_mean = 0, e_max = 0;
  std::array<Summary, kMeasures> measures{};  ///< indexed by Measure
  Confusion binary;                           ///< prediction > 0.5
  LevelCounts counts;                         ///< from which all 256-threshold curves can be had again

  double hce = kNotComputed;
  Summary msiou{kNotComputed, kNotComputed, kNotComputed, kNotComputed};
  std::array<double, 257> msiou_curve{};  ///< thresholds 0, 1, ..., 256 of the quantized prediction
  double cm = kNotComputed;
  double ccm = kNotComputed;
  double simae = kNotComputed;
  SizeInvariantScores size_invariant;
  double boundary_iou = kNotComputed;
  double hd95 = kNotComputed;
  double assd = kNotComputed;
  MirrorScores mirror;
};

}  // namespace sam2unet::metrics
