// cv2.cvtColor(picture, cv2.COLOR_RGB2LAB) of 8 bits a channel.
#pragma once

#include <cstdint>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// [height, width, 3] of an RGB picture: L times 255 / 100, a and b plus 128, in OpenCV's integer arithmetic.
std::vector<std::uint8_t> rgb_to_lab8(const ImageView& picture);

}  // namespace sam2unet::metrics
