#include "api/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "image/imagenet.h"
#include "ops/cpu/kernels.h"
#include "sam2unet/errors.h"

namespace sam2unet::api {

Image to_rgb(const ImageView& picture) {
  if (picture.data == nullptr || picture.width < 1 || picture.height < 1 ||
      (picture.channels != 1 && picture.channels != 3 && picture.channels != 4) ||
      picture.stride < static_cast<std::ptrdiff_t>(picture.width) * picture.channels) {
    throw UsageError(fmt::format(
        "picture of {}x{} with {} channels and stride {}: needs at least one pixel, 1, 3 or 4 channels, "
        "and a stride of whole rows",
        picture.width, picture.height, picture.channels, picture.stride));
  }
  Image out(picture.width, picture.height, 3);
  for (int y = 0; y < picture.height; ++y) {
    const std::uint8_t* from = picture.row(y);
    std::uint8_t* to = out.row(y);
    if (picture.channels == 3) {
      std::memcpy(to, from, static_cast<std::size_t>(picture.width) * 3);
      continue;
    }
    for (int x = 0; x < picture.width; ++x, from += picture.channels, to += 3) {
      const bool gray = picture.channels == 1;
      to[0] = from[0];
      to[1] = from[gray ? 0 : 1];
      to[2] = from[gray ? 0 : 2];
    }
  }
  return out;
}

void normalise(const ImageView& rgb, std::span<float> out) {
  const auto& level = imagenet_levels();
  float* to = out.data();
  for (int y = 0; y < rgb.height; ++y) {
    const std::uint8_t* from = rgb.row(y);
    for (int x = 0; x < rgb.width * 3; x += 3) {
      for (std::size_t c = 0; c < 3; ++c) *to++ = level[c][from[static_cast<std::size_t>(x) + c]];
    }
  }
}

std::vector<float> resize_logits(std::span<const float> logits, int h, int w, int height, int width) {
  const auto vertical = ops::kernels::bilinear_taps(h, height, /*align_corners=*/false);
  const auto horizontal = ops::kernels::bilinear_taps(w, width, /*align_corners=*/false);
  std::vector<float> out(static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  for (int y = 0; y < height; ++y) {
    const auto& t = vertical[static_cast<std::size_t>(y)];
    ops::kernels::bilinear_row(logits.data() + static_cast<std::ptrdiff_t>(t.first) * w,
                               logits.data() + static_cast<std::ptrdiff_t>(t.second) * w, t.weight,
                               horizontal, 1, out.data() + static_cast<std::ptrdiff_t>(y) * width, 1);
  }
  return out;
}

void to_probability(std::span<float> map, bool stretch) {
  for (float& v : map) v = 1.0F / (1.0F + std::exp(-v));
  if (!stretch || map.empty()) return;
  const auto [low, high] = std::minmax_element(map.begin(), map.end());
  const float least = *low, range = *high - *low + 1e-8F;
  for (float& v : map) v = (v - least) / range;
}

}  // namespace sam2unet::api
