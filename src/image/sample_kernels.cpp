#include "image/sample_kernels.h"

#include "image/imagenet.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/sample_kernels.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h must come first
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace sam2unet::image::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Float = hn::CappedTag<float, 16>;

// a / b as the division rounds it. With a fused multiply-add it takes four cheap operations: the remainder of
// the product with the rounded reciprocal is exact, and corrects it (Markstein). A test compares all levels.
template <class V>
HWY_INLINE V divided(V a, V b, V reciprocal) {
#if defined(HWY_NATIVE_FMA) && HWY_NATIVE_FMA
  const V q = hn::Mul(a, reciprocal);
  return hn::MulAdd(hn::NegMulAdd(q, b, a), reciprocal, q);
#else
  (void)reciprocal;
  return hn::Div(a, b);
#endif
}

// (v / 255 - mean) / deviation, step by step as the table's.
template <class D>
struct Normaliser {
  hn::Vec<D> mean, deviation, reciprocal;
  HWY_INLINE hn::Vec<D> operator()(D d, hn::Vec<D> v) const {
    const auto share = divided(v, hn::Set(d, 255.0F), hn::Set(d, 1.0F / 255.0F));
    return divided(hn::Sub(share, mean), deviation, reciprocal);
  }
};

template <class D>
HWY_INLINE hn::Vec<D> to_float(D d, const std::uint8_t* p) {
  const hn::Rebind<std::int32_t, D> i;
  return hn::ConvertTo(d, hn::PromoteTo(i, hn::LoadU(hn::Rebind<std::uint8_t, D>(), p)));
}

// Lane k of three vectors in a row belongs to channel k mod 3.
template <class D>
std::size_t NormaliseRgb(D d, const std::uint8_t* rgb, std::size_t values, float* out) {
  const std::size_t n = hn::Lanes(d);
  HWY_ALIGN float mean[48], deviation[48], reciprocal[48];
  for (std::size_t k = 0; k < 48; ++k) {
    mean[k] = kImagenetMean[k % 3];
    deviation[k] = kImagenetDeviation[k % 3];
    reciprocal[k] = 1.0F / deviation[k];
  }
  const auto part = [&](std::size_t k) HWY_ATTR {
    return Normaliser<D>{hn::LoadU(d, mean + k * n), hn::LoadU(d, deviation + k * n),
                         hn::LoadU(d, reciprocal + k * n)};
  };
  const auto first = part(0), second = part(1), third = part(2);
  std::size_t i = 0;
  for (; i + 3 * n <= values; i += 3 * n) {
    hn::StoreU(first(d, to_float(d, rgb + i)), d, out + i);
    hn::StoreU(second(d, to_float(d, rgb + i + n)), d, out + i + n);
    hn::StoreU(third(d, to_float(d, rgb + i + 2 * n)), d, out + i + 2 * n);
  }
  return i;
}

void NormaliseRgbImpl(const std::uint8_t* rgb, std::size_t pixels, float* out) {
  const std::size_t values = 3 * pixels, done = NormaliseRgb(Float(), rgb, values, out);
  NormaliseRgb(hn::CappedTag<float, 1>(), rgb + done, values - done, out + done);
}

template <class D>
std::size_t NormaliseGray(D d, const std::uint8_t* gray, std::size_t pixels, float* out) {
  const std::size_t n = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + n <= pixels; i += n) {
    hn::StoreU(divided(to_float(d, gray + i), hn::Set(d, 255.0F), hn::Set(d, 1.0F / 255.0F)), d, out + i);
  }
  return i;
}

void NormaliseGrayImpl(const std::uint8_t* gray, std::size_t pixels, float* out) {
  const std::size_t done = NormaliseGray(Float(), gray, pixels, out);
  NormaliseGray(hn::CappedTag<float, 1>(), gray + done, pixels - done, out + done);
}

// Two bytes in sixteen bits each, mixed by w of 256 and rounded; w is in both halves of a lane.
template <class D>
HWY_INLINE hn::Vec<D> mix(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> w) {
#if HWY_TARGET == HWY_SCALAR  // no lanes of another width; 255 * 256 + 128 stays within its sixteen bits
  const std::uint32_t wb = static_cast<std::uint32_t>(hn::GetLane(w)) & 0xFFFFU;
  const std::uint32_t sum = static_cast<std::uint32_t>(hn::GetLane(a)) * (256 - wb) +
                            static_cast<std::uint32_t>(hn::GetLane(b)) * wb + 0x00800080U;
  return hn::Set(d, static_cast<std::int32_t>((sum >> 8) & 0x00FF00FFU));
#else
  const hn::Repartition<std::uint16_t, D> h;
  const auto wb = hn::BitCast(h, w);
  const auto sum =
      hn::Add(hn::Mul(hn::BitCast(h, a), hn::Sub(hn::Set(h, 256), wb)), hn::Mul(hn::BitCast(h, b), wb));
  return hn::BitCast(d, hn::ShiftRight<8>(hn::Add(sum, hn::Set(h, 128))));
#endif
}

template <class F>
std::size_t Slanted(F f, const SlantedRow& row, std::size_t from, const ColourMap& colour, float* image,
                    float* mask) {
  const hn::Rebind<std::int32_t, F> d;
  using V = hn::Vec<decltype(d)>;
  const std::size_t n = hn::Lanes(d);
  const auto* pixels = reinterpret_cast<const std::int32_t*>(row.pixels);
  const auto lane = hn::Iota(d, 0);
  const auto byte = hn::Set(d, 255), pair = hn::Set(d, 0x00FF00FF);
  const auto fraction = [&](V position) HWY_ATTR {
    const V w = hn::And(hn::ShiftRight<8>(position), byte);
    return hn::Or(w, hn::ShiftLeft<16>(w));
  };
  const Normaliser<F> r{hn::Set(f, kImagenetMean[0]), hn::Set(f, kImagenetDeviation[0]),
                        hn::Set(f, 1.0F / kImagenetDeviation[0])};
  const Normaliser<F> g{hn::Set(f, kImagenetMean[1]), hn::Set(f, kImagenetDeviation[1]),
                        hn::Set(f, 1.0F / kImagenetDeviation[1])};
  const Normaliser<F> b{hn::Set(f, kImagenetMean[2]), hn::Set(f, kImagenetDeviation[2]),
                        hn::Set(f, 1.0F / kImagenetDeviation[2])};
  std::size_t i = from;
  for (; i + n <= row.count; i += n) {
    const auto k = hn::Add(lane, hn::Set(d, static_cast<std::int32_t>(i)));
    const V x = hn::Add(hn::Set(d, row.x), hn::Mul(k, hn::Set(d, row.step_x)));
    const V y = hn::Add(hn::Set(d, row.y), hn::Mul(k, hn::Set(d, row.step_y)));
    const V at = hn::Add(hn::Mul(hn::ShiftRight<16>(y), hn::Set(d, row.stride)), hn::ShiftRight<16>(x));
    const V a0 = hn::GatherIndex(d, pixels, at), a1 = hn::GatherIndex(d, pixels + 1, at);
    const V b0 = hn::GatherIndex(d, pixels + row.stride, at),
            b1 = hn::GatherIndex(d, pixels + row.stride + 1, at);
    const V wx = fraction(x), wy = fraction(y);
    const auto even = [&](V v) HWY_ATTR { return hn::And(v, pair); };
    const auto odd = [&](V v) HWY_ATTR { return hn::And(hn::ShiftRight<8>(v), pair); };
    const V rb = mix(d, mix(d, even(a0), even(a1), wx), mix(d, even(b0), even(b1), wx), wy);
    const V gm = mix(d, mix(d, odd(a0), odd(a1), wx), mix(d, odd(b0), odd(b1), wx), wy);
    const V red = hn::And(rb, byte), green = hn::And(gm, byte), blue = hn::ShiftRight<16>(rb);
    const auto mapped = [&](const std::array<std::int32_t, 3>& m) HWY_ATTR {
      const V sum = hn::Add(hn::Add(hn::Mul(red, hn::Set(d, m[0])), hn::Mul(green, hn::Set(d, m[1]))),
                            hn::Add(hn::Mul(blue, hn::Set(d, m[2])), hn::Set(d, colour.constant)));
      return hn::ConvertTo(f, hn::Min(hn::Max(hn::ShiftRight<16>(sum), hn::Zero(d)), byte));
    };
    hn::StoreInterleaved3(r(f, mapped(colour.factors[0])), g(f, mapped(colour.factors[1])),
                          b(f, mapped(colour.factors[2])), f, image + 3 * i);
    const auto truth = hn::ConvertTo(f, hn::ShiftRight<16>(gm));
    hn::StoreU(divided(truth, hn::Set(f, 255.0F), hn::Set(f, 1.0F / 255.0F)), f, mask + i);
  }
  return i;
}

void SlantedImpl(const SlantedRow& row, const ColourMap& colour, float* image, float* mask) {
  const std::size_t done = Slanted(Float(), row, 0, colour, image, mask);
  Slanted(hn::CappedTag<float, 1>(), row, done, colour, image, mask);
}

}  // namespace
}  // namespace sam2unet::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::image {

HWY_EXPORT(NormaliseRgbImpl);
HWY_EXPORT(NormaliseGrayImpl);
HWY_EXPORT(SlantedImpl);

void normalise_rgb(const std::uint8_t* rgb, std::size_t pixels, float* out) {
  HWY_DYNAMIC_DISPATCH(NormaliseRgbImpl)(rgb, pixels, out);
}

void normalise_gray(const std::uint8_t* gray, std::size_t pixels, float* out) {
  HWY_DYNAMIC_DISPATCH(NormaliseGrayImpl)(gray, pixels, out);
}

void sample_slanted(const SlantedRow& row, const ColourMap& colour, float* image, float* mask) {
  HWY_DYNAMIC_DISPATCH(SlantedImpl)(row, colour, image, mask);
}

}  // namespace sam2unet::image
#endif
