// The exact squared Euclidean distance transform.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

/// [height, width] squared distances to the nearest set pixel; there must be one.
std::vector<std::int64_t> squared_distances(const Bitmap& sites);

}  // namespace sam2unet::metrics
