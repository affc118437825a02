// Pillow's per-pixel formulas.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sam2unet/image.h"

namespace sam2unet::image {

/// Pillow MULDIV255: a * b / 255, rounded.
inline int muldiv255(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

inline std::uint8_t clip8(int v) {
  return static_cast<std::uint8_t>(std::clamp(v, 0, 255));
}

/// Pillow L24 >> 16: ITU-R 601-2 luma.
inline std::uint8_t luma(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

/// Pillow cmyk2rgb: nk = 255 - k; r = clip8(nk - muldiv255(c, nk)).
inline void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb) {
  const int nk = 255 - cmyk[3];
  for (int i = 0; i < 3; ++i) rgb[i] = clip8(nk - muldiv255(cmyk[i], nk));
}

/// Pillow unpackRGBa: colours that were multiplied with alpha, divided by it again.
inline std::uint8_t unpremultiply(int value, int alpha) {
  if (alpha == 0) return 0;
  if (alpha == 255) return static_cast<std::uint8_t>(value);
  return clip8(value * 255 / alpha);
}

/// UsageError unless `picture` is gray, RGB or RGBA, and `mask` is gray and of the same size (draw.cpp).
void check_pair(const ImageView& picture, const ImageView& mask);

}  // namespace sam2unet::image
