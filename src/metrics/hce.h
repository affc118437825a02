// Human correction effort (Qin et al., ECCV 2022), as PySODMetrics' sod_metrics.py,
// class HumanCorrectionEffortMeasure, with OpenCV up to 4.12 (4.14 finds other polygons).
#pragma once

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

struct HceOptions {
  int relax = 5;         ///< errors this near to a border, in pixels, are forgiven
  double epsilon = 2.0;  ///< tolerance of the polygons, in pixels
};

/// Clicks: control points of the boundaries to redraw, and regions to switch as a whole. Two masks of one
/// size.
double human_correction_effort(const Bitmap& prediction, const Bitmap& truth, const HceOptions& options = {});

}  // namespace sam2unet::metrics
