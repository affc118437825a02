// The 16-bit number formats of the CUDA backend, for the host and the device alike.
#pragma once

#include <bit>
#include <cstdint>

namespace sam2unet::ops::cuda {

/// What activations and packed weights are stored as. Sums are float32 everywhere.
enum class Element : std::uint8_t { f32, bf16, f16 };

inline constexpr int bytes_of(Element e) {
  return e == Element::f32 ? 4 : 2;
}

/// float32 rounded to the nearest, ties to even: bits of a bfloat16. NaN stays NaN.
inline std::uint16_t to_bf16(float v) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}
inline float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// The same for IEEE binary16: overflow is infinity, small numbers are denormal.
inline std::uint16_t to_f16(float v) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t size = bits & 0x7fffffffU;
  if (size > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (size >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);  // from 65520 on
  if (size < 0x38800000U) {  // below 2^-14: the last bit is 2^-24, which float32's own rounding can do
    const float scaled = std::bit_cast<float>(size) + 0.5F;  // 0.5 has its last bit at 2^-24
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(scaled) - 0x3f000000U));
  }
  const std::uint32_t rounded = size + 0xfffU + ((size >> 13) & 1U) - 0x38000000U;
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}
inline float from_f16(std::uint16_t h) {
  const std::uint32_t sign = (h & 0x8000U) << 16, exponent = (h >> 10) & 0x1fU, fraction = h & 0x3ffU;
  if (exponent == 0) {
    const float v = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -v : v;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | (fraction << 13));
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (fraction << 13));
}

inline std::uint16_t to_bits(float v, Element e) {
  return e == Element::f16 ? to_f16(v) : to_bf16(v);
}
inline float from_bits(std::uint16_t v, Element e) {
  return e == Element::f16 ? from_f16(v) : from_bf16(v);
}

namespace device {

/// What is read or written at once; the address is a multiple of its size.
struct alignas(16) Bytes16 {
  std::uint32_t v[4];
};
struct alignas(8) Floats2 {
  float x, y;
};

}  // namespace device

}  // namespace sam2unet::ops::cuda
