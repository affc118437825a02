// The normalisation every network here was trained with.
#pragma once

#include <array>

namespace sam2unet {

inline constexpr std::array<float, 3> kImagenetMean{0.485F, 0.456F, 0.406F},
    kImagenetDeviation{0.229F, 0.224F, 0.225F};

/// (v / 255 - mean) / deviation of every 8-bit level v of the red, green and blue channel, in float32, step
/// by step as torchvision's ToTensor and Normalize do it.
const std::array<std::array<float, 256>, 3>& imagenet_levels();

}  // namespace sam2unet
