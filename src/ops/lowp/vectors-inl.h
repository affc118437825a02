// Vectors of float32 that the low-precision kernels share: bfloat16 in and out, and the functions that GELU
// and the softmax need. Included once per instruction set, behind Highway.
#if defined(SAM2UNET_OPS_LOWP_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SAM2UNET_OPS_LOWP_VECTORS_INL_H_
#undef SAM2UNET_OPS_LOWP_VECTORS_INL_H_
#else
#define SAM2UNET_OPS_LOWP_VECTORS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "ops/lowp/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::lowp::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most kLanes, so that panels are whole vectors on every instruction set.
using D = hn::CappedTag<float, kLanes>;
using V = hn::Vec<D>;

HWY_INLINE V LoadBf16(D d, const std::uint16_t* p) {
  const hn::Rebind<std::uint16_t, D> du16;
  const hn::Rebind<std::uint32_t, D> du32;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du32, hn::LoadU(du16, p))));
}

// To the nearest, ties to even.
HWY_INLINE hn::Vec<hn::Rebind<std::uint32_t, D>> RoundedBits(D, V v) {
  const hn::Rebind<std::uint32_t, D> du32;
  const auto bits = hn::BitCast(du32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du32, 1));
  return hn::Add(bits, hn::Add(odd, hn::Set(du32, 0x7FFF)));
}
HWY_INLINE V RoundToBf16(D d, V v) {
  const hn::Rebind<std::uint32_t, D> du32;
  return hn::BitCast(d, hn::And(RoundedBits(d, v), hn::Set(du32, 0xFFFF0000)));
}
HWY_INLINE void StoreBf16(D d, V v, std::uint16_t* p) {
  const hn::Rebind<std::uint16_t, D> du16;
  const hn::Rebind<std::int32_t, D> di32;
  hn::StoreU(hn::DemoteTo(du16, hn::BitCast(di32, hn::ShiftRight<16>(RoundedBits(d, v)))), du16, p);
}

HWY_INLINE V LoadElements(D d, const std::byte* p, Element type, std::int64_t at) {
  if (type == Element::f32) return hn::LoadU(d, reinterpret_cast<const float*>(p) + at);
  return LoadBf16(d, reinterpret_cast<const std::uint16_t*>(p) + at);
}
HWY_INLINE void StoreElements(D d, V v, Element type, std::byte* p, std::int64_t at) {
  if (type == Element::f32) return hn::StoreU(v, d, reinterpret_cast<float*>(p) + at);
  StoreBf16(d, v, reinterpret_cast<std::uint16_t*>(p) + at);
}

// The first n elements, then zeros; and the reverse. Highway's masked load reads all lanes on instruction
// sets that have none. Channels are multiples of most vectors, so this is rare.
HWY_INLINE V LoadSome(D d, const std::byte* p, Element type, std::int64_t at, std::size_t n) {
  HWY_ALIGN float lanes[hn::MaxLanes(D())] = {};
  const auto size = static_cast<std::size_t>(size_of(type));
  std::memcpy(lanes, p + static_cast<std::size_t>(at) * size, n * size);
  return LoadElements(d, reinterpret_cast<const std::byte*>(lanes), type, 0);
}
HWY_INLINE void StoreSome(D d, V v, Element type, std::byte* p, std::int64_t at, std::size_t n) {
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  const auto size = static_cast<std::size_t>(size_of(type));
  StoreElements(d, v, type, reinterpret_cast<std::byte*>(lanes), 0);
  std::memcpy(p + static_cast<std::size_t>(at) * size, lanes, n * size);
}

// 2^t for t in -126 .. 126, relative error below 6e-6.
HWY_INLINE V Exp2(D d, V t) {
  const hn::Rebind<std::int32_t, D> di;
  // The nearest whole number stands in the low bits of the sum, as float32 has no place for fractions there.
  const V magic = hn::Set(d, 12582912.0F);  // 1.5 * 2^23
  const V sum = hn::Add(t, magic);
  const V f = hn::Sub(t, hn::Sub(sum, magic));  // -0.5 .. 0.5
  V p = hn::Set(d, 9.61813e-3F);
  p = hn::MulAdd(p, f, hn::Set(d, 5.592078e-2F));
  p = hn::MulAdd(p, f, hn::Set(d, 2.4022651e-1F));
  p = hn::MulAdd(p, f, hn::Set(d, 6.9312114e-1F));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, sum));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
}

// 1 / x to 2^-14 at least, of which bfloat16 and bytes see nothing. AVX-512's first guess has as many.
HWY_INLINE V Reciprocal(D d, V x) {
  const V r = hn::ApproximateReciprocal(x);
#if HWY_TARGET <= HWY_AVX3
  (void)d;
  return r;
#else
  return hn::Mul(r, hn::NegMulAdd(x, r, hn::Set(d, 2.0F)));
#endif
}

// x / (1 + 2^(-2 log2(e) z (a + y (b + y c)))), y = z^2, z = x taken to -8 .. 8: within 2.5e-5 of
// 0.5 x (1 + erf(x / sqrt 2)), which is less than bfloat16 resolves. The power lies between -40 and 40.
HWY_INLINE V Gelu(D d, V x) {
  const V z = hn::Min(hn::Max(x, hn::Set(d, -8.0F)), hn::Set(d, 8.0F));
  const V y = hn::Mul(z, z);
  constexpr float kScale = -2.8853900817779268F;  // -2 log2(e)
  V t = hn::MulAdd(y, hn::Set(d, kScale * -0.00035147F), hn::Set(d, kScale * 0.0370055F));
  t = hn::MulAdd(y, t, hn::Set(d, kScale * 0.7975075F));
  const V e = Exp2(d, hn::Mul(z, t));
  return hn::Mul(x, Reciprocal(d, hn::Add(e, hn::Set(d, 1.0F))));
}

}  // namespace sam2unet::ops::lowp::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
