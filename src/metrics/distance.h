// Exact Euclidean distances between the pixels of two binary pictures.
#pragma once

#include <vector>

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

/// For each set pixel of `from`, in row-major order, the distance to the nearest set pixel of `to`, which
/// must have one.
std::vector<double> distances(const Bitmap& from, const Bitmap& to);

}  // namespace sam2unet::metrics
