#include "image/resample_kernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/resample_kernels.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h must come first
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace sam2unet::image::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that a pixel's weights are not mostly padding and kRowSlack suffices.
using Int = hn::CappedTag<std::int32_t, 16>;
using Byte = hn::Rebind<std::uint8_t, Int>;

constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);

// DemoteTo saturates to 0..255, which is Pillow's clip8.
template <class D, class V>
HWY_INLINE hn::Vec<hn::Rebind<std::uint8_t, D>> rounded(D, V sum) {
  return hn::DemoteTo(hn::Rebind<std::uint8_t, D>(), hn::ShiftRight<kPrecisionBits>(sum));
}

std::uint8_t rounded(std::int32_t sum) {
  const std::int32_t v = sum >> kPrecisionBits;
  return static_cast<std::uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v);
}

void VerticalScalar(const std::uint8_t* const* rows, const std::int32_t* weights, int taps, std::size_t count,
                    std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t s = kHalf;
    for (int t = 0; t < taps; ++t) s += rows[t][i] * weights[t];
    out[i] = rounded(s);
  }
}

void VerticalImpl(const std::uint8_t* const* rows, const std::int32_t* weights, int taps, std::size_t count,
                  std::uint8_t* out) {
  const Int d;
  const Byte b;
  const std::size_t n = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + 4 * n <= count; i += 4 * n) {
    auto s0 = hn::Set(d, kHalf);
    auto s1 = s0;
    auto s2 = s0;
    auto s3 = s0;
    for (int t = 0; t < taps; ++t) {
      const std::uint8_t* p = rows[t] + i;
      const auto w = hn::Set(d, weights[t]);
      s0 = hn::Add(s0, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p)), w));
      s1 = hn::Add(s1, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + n)), w));
      s2 = hn::Add(s2, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + 2 * n)), w));
      s3 = hn::Add(s3, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + 3 * n)), w));
    }
    hn::StoreU(rounded(d, s0), b, out + i);
    hn::StoreU(rounded(d, s1), b, out + i + n);
    hn::StoreU(rounded(d, s2), b, out + i + 2 * n);
    hn::StoreU(rounded(d, s3), b, out + i + 3 * n);
  }
  if (count < n) return VerticalScalar(rows, weights, taps, count, out);
  while (i < count) {
    i = std::min(i, count - n);  // the last step goes back a little rather than beyond the end
    auto s = hn::Set(d, kHalf);
    for (int t = 0; t < taps; ++t) {
      s = hn::Add(s, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, rows[t] + i)), hn::Set(d, weights[t])));
    }
    hn::StoreU(rounded(d, s), b, out + i);
    i += n;
  }
}

void GrayImpl(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out) {
  const Int d;
  const Byte b;
  const int n = static_cast<int>(hn::Lanes(d));
  for (int x = 0; x < size; ++x) {
    const std::uint8_t* p = row + c.bounds[2 * x];
    const int count = c.bounds[2 * x + 1];
    const std::int32_t* w = c.weights + static_cast<std::size_t>(x) * c.stride;
    auto s = hn::Zero(d);
    for (int t = 0; t < count; t += n) {
      s = hn::Add(s, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + t)), hn::LoadU(d, w + t)));
    }
    out[x] = rounded(kHalf + hn::GetLane(hn::SumOfLanes(d, s)));
  }
}

#if HWY_TARGET == HWY_SCALAR  // no vectors of four
void QuadsImpl(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out) {
  for (int x = 0; x < size; ++x) {
    const std::uint8_t* p = row + static_cast<std::ptrdiff_t>(c.bounds[2 * x]) * 4;
    const int count = c.bounds[2 * x + 1] * 4;
    const std::int32_t* w = c.weights + static_cast<std::size_t>(x) * c.stride;
    std::int32_t s[4] = {kHalf, kHalf, kHalf, kHalf};
    for (int t = 0; t < count; ++t) s[t % 4] += p[t] * w[t];
    for (int i = 0; i < 4; ++i) *out++ = rounded(s[i]);
  }
}
#else
using Quad = hn::FixedTag<std::int32_t, 4>;
using QuadBytes = hn::Rebind<std::uint8_t, Quad>;

// The sums of lanes 0, 4, 8, ..; of 1, 5, 9, ..; and so on.
HWY_INLINE hn::Vec<Quad> fold(Quad d, hn::Vec<Int> v) {
  HWY_ALIGN std::int32_t lanes[16];
  hn::Store(v, Int(), lanes);
  auto sum = hn::Load(d, lanes);
  for (std::size_t i = 4; i < hn::Lanes(Int()); i += 4) sum = hn::Add(sum, hn::Load(d, lanes + i));
  return sum;
}

void QuadsImpl(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out) {
  const Int d;
  const Byte b;
  const Quad q;
  const QuadBytes qb;
  const int n = static_cast<int>(hn::Lanes(d));
  for (int x = 0; x < size; ++x) {
    const std::uint8_t* p = row + static_cast<std::ptrdiff_t>(c.bounds[2 * x]) * 4;
    const int count = c.bounds[2 * x + 1] * 4;
    const std::int32_t* w = c.weights + static_cast<std::size_t>(x) * c.stride;
    auto s = hn::Zero(d);
    for (int t = 0; t < count; t += n) {
      s = hn::Add(s, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + t)), hn::LoadU(d, w + t)));
    }
    const auto sum = hn::Add(hn::Set(q, kHalf), fold(q, s));
    hn::StoreU(rounded(q, sum), qb, out + static_cast<std::ptrdiff_t>(x) * 4);
  }
}
#endif

std::size_t LanesImpl() {
  return hn::Lanes(Int());
}

}  // namespace
}  // namespace sam2unet::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::image {

HWY_EXPORT(VerticalImpl);
HWY_EXPORT(GrayImpl);
HWY_EXPORT(QuadsImpl);
HWY_EXPORT(LanesImpl);

void resample_vertical(const std::uint8_t* const* rows, const std::int32_t* weights, int taps,
                       std::size_t count, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(VerticalImpl)(rows, weights, taps, count, out);
}

void resample_gray(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(GrayImpl)(row, c, size, out);
}

void resample_quads(const std::uint8_t* row, const Coefficients& c, int size, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(QuadsImpl)(row, c, size, out);
}

std::size_t resample_lanes() {
  return HWY_DYNAMIC_DISPATCH(LanesImpl)();
}

}  // namespace sam2unet::image
#endif
