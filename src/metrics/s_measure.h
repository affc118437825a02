// Structure measure, alpha = 0.5 (Fan et al., ICCV 2017), as PySODMetrics' sod_metrics.py, class Smeasure.
#pragma once

#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Where the centroid of the truth lies on the last row or column, the quadrants below or right of it are
/// empty and the reference returns NaN; here an empty quadrant, whose weight is zero, adds nothing.
double s_measure(const Sample& sample);

}  // namespace sam2unet::metrics
