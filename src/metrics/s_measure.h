// Structure measure, alpha = 0.5 (Fan et al., ICCV 2017), as PySODMetrics' sod_metrics.py, class Smeasure.
#pragma once

#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Where the centroid of the truth lies on the last row or column, the quadrants below or right of it are
/// empty and the reference returns NaN; here an empty quadrant, whose weight is zero, adds nothing.
/// `alpha` weighs the objects' score, 1 - alpha the regions'. Where the truth's centroid lies in the last row
/// or column the reference has NaN for the regions behind it, which `EmptyRegion::nan` gives too.
enum class EmptyRegion { zero, nan };
double s_measure(const Sample& sample, double alpha = 0.5, EmptyRegion empty = EmptyRegion::zero);

}  // namespace sam2unet::metrics
