// From 8-bit pixels to a network's input, compiled for several instruction sets and chosen at run time. The
// results are the same on all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sam2unet::image {

/// imagenet_levels() of every channel of RGB pixels.
void normalise_rgb(const std::uint8_t* rgb, std::size_t pixels, float* out);
/// v / 255
void normalise_gray(const std::uint8_t* gray, std::size_t pixels, float* out);

/// An affine map of colours in 1/65536: out = clip((factors in + constant) >> 16).
struct ColourMap {
  std::array<std::array<std::int32_t, 3>, 3> factors{{{65536, 0, 0}, {0, 65536, 0}, {0, 0, 65536}}};
  std::int32_t constant = 0;
};

/// Where a row of output pixels lies in a picture of red, green, blue and mask bytes, in 1/65536 pixels.
struct SlantedRow {
  const std::uint32_t* pixels =
      nullptr;              // red lowest; the neighbours right and below of every point must be there
  std::int32_t stride = 0;  // pixels from row to row, under 32768, as are the rows
  std::int32_t x = 0, y = 0, step_x = 0, step_y = 0;
  std::size_t count = 0;
};
/// Bilinear with 8 bits of fraction, then the colours mapped, then normalise_rgb and normalise_gray.
void sample_slanted(const SlantedRow& row, const ColourMap& colour, float* image, float* mask);

}  // namespace sam2unet::image
