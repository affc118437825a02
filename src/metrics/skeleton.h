// Thinning to one-pixel lines, as scikit-image's skeletonize(method="zhang") does it.
#pragma once

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

Bitmap skeletonize(const Bitmap& picture);

}  // namespace sam2unet::metrics
