// The inner loops of the resize, compiled for several instruction sets and chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sam2unet::image {

/// Bits behind the point of a coefficient: Pillow's PRECISION_BITS = 32 - 8 - 2.
inline constexpr int kPrecisionBits = 22;

/// Rows that the horizontal kernel takes at once.
inline constexpr int kRowsAtOnce = 16;

/// Which input pixels make an output pixel, and with which weights.
struct Coefficients {
  int size = 0;                           // output pixels
  std::size_t stride = 0;                 // int32 from one output pixel's weights to the next
  const int* bounds = nullptr;            // [size][2] first input pixel, number of them
  const std::int32_t* weights = nullptr;  // [size][stride]
};

/// out[i] = clip8((1 << 21) + sum over t of rows[t][i] * weights[t]) >> 22, for i < count.
void resample_vertical(const std::uint8_t* const* rows, const std::int32_t* weights, int taps,
                       std::size_t count, std::uint8_t* out);

/// kRowsAtOnce rows of `width` pixels of 1, 3 or 4 bytes to rows of c.size pixels. Rows may be named twice.
/// `scratch` has resample_scratch_bytes(width, channels) bytes.
void resample_horizontal(const std::uint8_t* const* rows, int width, int channels, const Coefficients& c,
                         std::uint8_t* const* out, std::uint8_t* scratch);
std::size_t resample_scratch_bytes(int width, int channels);

}  // namespace sam2unet::image
