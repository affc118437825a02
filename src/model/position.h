// The trunk's position embedding (hieradet.py:272-282): a small background, resized to the picture, and a
// window's worth of values that is repeated.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace sam2unet::model {

struct PositionEmbedding {
  int dim = 0;
  std::array<int, 2> size{};  // of the background
  int window = 0;
  std::vector<float> background, window_part;  // [C,h,w], [C,window,window]
};

/// Per picture size: bicubic background (A = -0.75, half-pixel centres, clamped) + tiled window part. [H,W,C]
std::vector<float> position_values(const PositionEmbedding& w, std::int64_t height, std::int64_t width);

}  // namespace sam2unet::model
