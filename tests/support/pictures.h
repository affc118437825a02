// Deterministic pictures and checksums, the same in every language (tests/data/image/README.md).
#pragma once

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "core/hash.h"
#include "sam2unet/image.h"

namespace sam2unet::test {

/// Byte i is the top byte of splitmix64's output for the state fnv1a("picture:WxHxC") + i.
inline Image picture(int width, int height, int channels) {
  char tag[64];
  std::snprintf(tag, sizeof tag, "picture:%dx%dx%d", width, height, channels);
  const std::uint64_t h = fnv1a(std::string_view(tag));
  Image image(width, height, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    std::uint64_t z = h + i + 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    image.pixels[i] = static_cast<std::uint8_t>((z ^ (z >> 31)) >> 56);
  }
  return image;
}

}  // namespace sam2unet::test
