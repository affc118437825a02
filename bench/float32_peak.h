// The multiply-add peak that float32 is compared with: the largest of several short measurements.
#pragma once

#include <algorithm>

#include "ops/lowp/peak.h"

namespace sam2unet {

inline double peak_gflops(int threads) {
  double best = 0.0;
  for (int i = 0; i < 30; ++i) best = std::max(best, ops::lowp::peak_gops(ops::lowp::Way::widened, threads));
  return best;
}

}  // namespace sam2unet
