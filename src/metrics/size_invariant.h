// Size-invariant MAE and F-measure (Li et al., ICML 2024), as PySODMetrics' size_invariance.py: every target,
// a connected part of the truth, is scored inside its bounding box.
#pragma once

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

}  // namespace sam2unet::metrics
