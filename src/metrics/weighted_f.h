// Weighted F-measure (Margolin et al., CVPR 2014), as PySODMetrics' sod_metrics.py, class
// WeightedFmeasure.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Memory that is kept from picture to picture.
struct WeightedFBuffers {
  std::vector<std::uint8_t> above;    ///< distance to the next foreground pixel above, at most 255
  std::vector<std::uint8_t> nearest;  ///< distance to the nearest foreground pixel in the column, at most 255
  std::vector<std::uint8_t>
      errors;  ///< E on foreground, the nearest foreground pixel's E in the band around it
  std::vector<std::uint16_t> squares;
  std::vector<double> filtered;
};

/// 0 where the truth is empty.
double weighted_f(const Sample& sample, WeightedFBuffers& buffers, double beta = 1);

}  // namespace sam2unet::metrics
