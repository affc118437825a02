// Connected components of a binary picture, found run by run.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

/// Rows y0..y1 and columns x0..x1, the last ones included.
struct Box {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  std::int64_t area() const { return std::int64_t{x1 - x0 + 1} * (y1 - y0 + 1); }
};

struct Component {
  std::int64_t area = 0;
  Box box;
};

/// Components whose pixels touch along edges (four neighbours), in the order of their first pixels, row by
/// row.
std::vector<Component> components4(const Bitmap& picture);

}  // namespace sam2unet::metrics
