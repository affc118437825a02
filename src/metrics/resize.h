// cv2.resize with INTER_LINEAR.
#pragma once

#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// Of a gray picture, in OpenCV's fixed-point arithmetic. UsageError for a size below 1 or more than one
/// channel.
Image resize_linear(const ImageView& map, int width, int height);

}  // namespace sam2unet::metrics
