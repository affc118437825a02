// Shapes as a test draws them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

/// Set where a row has a '#'.
inline Bitmap drawn(const std::vector<std::string>& rows) {
  Bitmap out(static_cast<int>(rows.front().size()), static_cast<int>(rows.size()));
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < out.width(); ++x) {
      if (rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] == '#') out.set(x, y);
    }
  }
  return out;
}

}  // namespace sam2unet::metrics
