// Multi-scale IoU of edge maps (Ahmadzadeh et al., ICIP 2021), as PySODMetrics' multiscale_iou.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "metrics/curves.h"
#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Thresholds 0, 1, ..., 256 of the quantized prediction.
using MsiouCurve = std::array<double, 257>;

struct MsiouOptions {
  int levels = 10;  ///< grids, of 2^int(9 i / (levels - 1)) pixels for i = 0, 1, ...; at least 2
  /// numpy 2 adds 1 to the truth's cells in float16, numpy 1 in float64.
  enum class PlusOne { in_double, in_half } plus_one = PlusOne::in_double;
};

/// Two planes of bytes of one size, rows `stride` bytes apart; the truth is not zero where foreground is.
struct BytePlanes {
  int width = 0, height = 0;
  const std::uint8_t* prediction = nullptr;
  std::ptrdiff_t prediction_stride = 0;
  const std::uint8_t* truth = nullptr;
  std::ptrdiff_t truth_stride = 0;
};

/// The score of `prediction >= cut` for each of the cuts, which lie in 0..256.
std::vector<double> msiou_at(const BytePlanes& planes, std::span<const int> cuts,
                             const MsiouOptions& options = {});

/// mean and max are over the curve.
Summary msiou(const Sample& sample, MsiouCurve& curve, const MsiouOptions& options = {});

}  // namespace sam2unet::metrics
