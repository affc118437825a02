// Before the network and behind it: 8-bit picture -> normalised input, logits -> probability map.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::api {

/// Any supported picture as RGB: gray is repeated, alpha dropped. UsageError if the view is malformed.
Image to_rgb(const ImageView& picture);

/// (x / 255 - mean) / std per ImageNet channel (dataset.py:44, test.py:31). `out` is [H,W,3].
void normalise(const ImageView& rgb, std::span<float> out);

/// Bilinear, align_corners false (test.py:38): [h,w] -> [height,width].
std::vector<float> resize_logits(std::span<const float> logits, int h, int w, int height, int width);

/// x -> 1 / (1 + exp(-x)); then, if `stretch`, (p - min) / (max - min + 1e-8) over the picture
/// (test.py:40-42).
void to_probability(std::span<float> map, bool stretch);

}  // namespace sam2unet::api
