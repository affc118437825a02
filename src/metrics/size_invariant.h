// Size-invariant MAE and F-measure (Li et al., ICML 2024), as PySODMetrics' size_invariance.py: every target,
// a connected part of the truth, is scored inside its bounding box.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/field.h"
#include "metrics/record.h"
#include "metrics/sample.h"

namespace sam2unet::metrics {

struct SizeInvariantResult {
  double mae = 0;
  SizeInvariantScores f;
};

/// Where the targets' boxes leave no background the reference returns NaN, and where the truth has no
/// background pixel or more than 63 targets it raises; here the background then adds nothing, and every
/// target counts.
SizeInvariantResult size_invariant(const Sample& sample);

/// The same, in parts. A target is a part of the truth with its box; none where the truth is empty.
std::size_t count_targets(const Sample& sample);
std::vector<ThresholdCounts> target_counts(const Sample& sample);

/// Sum of |prediction - truth| over some pixels, and how many they are.
struct ErrorSum {
  double sum = 0;
  std::int64_t pixels = 0;
};
struct TargetErrors {
  ErrorSum outside;  ///< pixels of no target
  std::vector<ErrorSum> targets;
};
TargetErrors target_errors(const Sample& sample);

/// [height, width] bytes for each target: 1 where its box is.
std::vector<std::vector<std::uint8_t>> target_masks(const Sample& sample);

}  // namespace sam2unet::metrics
