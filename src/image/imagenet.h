// The normalisation every network here was trained with.
#pragma once

#include <array>

namespace sam2unet {

/// (v / 255 - mean) / deviation of every 8-bit level v of the red, green and blue channel, in float32, step
/// by step as torchvision's ToTensor and Normalize do it.
const std::array<std::array<float, 256>, 3>& imagenet_levels();

}  // namespace sam2unet
