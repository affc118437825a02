// Multi-scale IoU of edge maps (Ahmadzadeh et al., ICIP 2021), as PySODMetrics' multiscale_iou.py.
#pragma once

#include <array>
#include <vector>

#include "metrics/curves.h"
#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Thresholds 0, 1, ..., 256 of the quantized prediction.
using MsiouCurve = std::array<double, 257>;

/// mean and max are over the curve.
Summary msiou(const Sample& sample, MsiouCurve& curve);

}  // namespace sam2unet::metrics
