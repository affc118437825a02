// Functions of one number that the kernels share.
#pragma once

#include "ops/cuda/device.h"

namespace sam2unet::ops::cuda {

inline constexpr float kNormEps = 1e-6F;

/// 0.5 x (1 + erf(x / sqrt 2)) = x / (1 + exp(-2 g)) = 0.5 x (1 + tanh g) with g = x (a + y (b + y c)),
/// y = min(x^2, 64): off by at most 2.5e-5. bf16 takes the tanh, which is one special function instead of
/// two: off by 2.5e-4 |x|, an eighth of what rounding does.
template <Element E>
S2U_DEVICE float gelu_of(float x) {
  const float y = device::smaller(x * x, 64.0F);
  const float g =
      x * device::multiply_then_add(y, device::multiply_then_add(y, -0.00035147F, 0.0370055F), 0.7975075F);
  if constexpr (E == Element::bf16) {
    const float half = 0.5F * x;
    return device::multiply_then_add(half, device::rough_tanh(g), half);
  }
  constexpr float kMinusTwoLog2e = -2.885390081777927F;
  return device::divide(x, 1.0F + device::exp2_of(kMinusTwoLog2e * g));
}

/// The same to float32's precision.
S2U_DEVICE float exact_gelu_of(float x) {
  return 0.5F * x * (1.0F + device::error_function(x * 0.7071067811865476F));
}

/// Of the 32 lanes' values; the same bits in every lane.
S2U_DEVICE float warp_sum(float v) {
  S2U_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) v += device::shuffle_xor(v, mask);
  return v;
}
S2U_DEVICE float warp_max(float v) {
  S2U_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) v = device::larger(v, device::shuffle_xor(v, mask));
  return v;
}

/// Numbers of any format in memory, by float32.
template <Element E>
S2U_DEVICE float read(const void* p, long long i) {
  if constexpr (E == Element::f32) {
    return static_cast<const float*>(p)[i];
  } else {
    return device::low_of<E>(static_cast<const std::uint16_t*>(p)[i]);
  }
}
template <Element E>
S2U_DEVICE void write(void* p, long long i, float v) {
  if constexpr (E == Element::f32) {
    static_cast<float*>(p)[i] = v;
  } else {
    static_cast<std::uint16_t*>(p)[i] = static_cast<std::uint16_t>(device::pack2<E>(v, 0.0F));
  }
}

}  // namespace sam2unet::ops::cuda
