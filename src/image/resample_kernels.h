// The inner loops of the resize, compiled for several instruction sets and chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sam2unet::image {

/// Bits behind the point of a coefficient: Pillow's PRECISION_BITS = 32 - 8 - 2.
inline constexpr int kPrecisionBits = 22;

/// How many bytes the horizontal kernels may read beyond the end of a row, and write beyond the end of an
/// output row.
inline constexpr std::size_t kRowSlack = 64;

/// Which input pixels make an output pixel, and with which weights.
struct Coefficients {
  int taps = 0;                           // weights per output pixel, as many as `stride` bytes hold
  std::size_t stride = 0;                 // int32 from one output pixel's weights to the next
  const int* bounds = nullptr;            // [size][2] first input pixel, number of them
  const std::int32_t* weights = nullptr;  // [size][stride]; zero beyond the number
};

/// out[i] = clip8((1 << 21) + sum over t of rows[t][i] * weights[t]) >> 22, for i < count.
void resample_vertical(const std::uint8_t* const* rows, const std::int32_t* weights, int taps,
                       std::size_t count, std::uint8_t* out);
/// One row of gray pixels to `size` pixels.
void resample_gray(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out);
/// One row of pixels of 4 bytes each to `size` pixels of 4 bytes; weights are repeated four times per tap.
void resample_quads(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out);
/// Int32 lanes that one step of the horizontal kernels takes: strides are multiples of it.
std::size_t resample_lanes();

}  // namespace sam2unet::image
