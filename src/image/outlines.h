// Outlines of pixels told by their values.
#pragma once

#include <array>
#include <vector>

#include "sam2unet/draw.h"
#include "sam2unet/image.h"

namespace sam2unet::image {

/// Which values of a gray picture lie inside.
using InsideValues = std::array<bool, 256>;
/// As mask_polygons, which takes those of 128 and more.
std::vector<Polygon> outlines(const ImageView& gray, const InsideValues& inside, double tolerance);

}  // namespace sam2unet::image
