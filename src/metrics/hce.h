// Human correction effort, relax = 5, epsilon = 2 (Qin et al., ECCV 2022), as PySODMetrics' sod_metrics.py,
// class HumanCorrectionEffortMeasure, with OpenCV up to 4.12 (4.14 finds other polygons).
#pragma once

#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Clicks: control points of the boundaries to redraw, and regions to switch as a whole.
double human_correction_effort(const Sample& sample);

}  // namespace sam2unet::metrics
