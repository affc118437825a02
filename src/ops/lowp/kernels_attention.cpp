// What attention needs beside the product: keys and values as right sides, and the softmax of a row of
// scores.
#include <algorithm>
#include <cstring>

#include "ops/lowp/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/lowp/kernels_attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "ops/lowp/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::lowp::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Four by four units at a time: 128-bit shuffles are there everywhere and go two at a time.
void TransposeUnits(const std::byte* const* rows, int count, int units, int width, std::byte* out_bytes) {
  auto* out = reinterpret_cast<std::uint32_t*>(out_bytes);
  const auto at = [&](int row) {
    return reinterpret_cast<const std::uint32_t*>(rows[std::min(row, count - 1)]);
  };
  const std::ptrdiff_t w = width;
  int row = 0;
#if HWY_TARGET != HWY_SCALAR
  {
    const hn::FixedTag<std::uint32_t, 4> d;
    const hn::Repartition<std::uint64_t, decltype(d)> d64;
    for (; row < count; row += 4) {  // columns behind the last key hold it again: width is a multiple of 16
      const std::uint32_t *a = at(row), *b = at(row + 1), *c = at(row + 2), *e = at(row + 3);
      int u = 0;
      for (; u + 4 <= units; u += 4) {
        const auto r0 = hn::LoadU(d, a + u), r1 = hn::LoadU(d, b + u), r2 = hn::LoadU(d, c + u),
                   r3 = hn::LoadU(d, e + u);
        const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1)),
                   high01 = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1)),
                   low23 = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3)),
                   high23 = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
        std::uint32_t* to = out + u * w + row;
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, low01, low23)), d, to);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, low01, low23)), d, to + w);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, high01, high23)), d, to + 2 * w);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, high01, high23)), d, to + 3 * w);
      }
      for (; u < units; ++u) {
        std::uint32_t* to = out + u * w + row;
        to[0] = a[u], to[1] = b[u], to[2] = c[u], to[3] = e[u];
      }
    }
  }
#endif
  for (; row < width; ++row) {
    const std::uint32_t* a = at(row);
    for (int u = 0; u < units; ++u) out[u * w + row] = a[u];
  }
}

void PackValues(const std::byte* const* rows, int count, int keys_padded, int first, int channels,
                Element type, Way way, int width, std::byte* out) {
  const D d;
  const auto n = static_cast<int>(hn::Lanes(d));
  const auto load = [&](int key, int c) {
    if (key >= count || c >= channels) return hn::Zero(d);
    if (c + n <= channels) return LoadElements(d, rows[key], type, first + c);
    return LoadSome(d, rows[key], type, first + c, static_cast<std::size_t>(channels - c));
  };
  if (way == Way::widened) {
    auto* to = reinterpret_cast<float*>(out);
    for (int key = 0; key < keys_padded; ++key, to += width)
      for (int c = 0; c < width; c += n) hn::Store(load(key, c), d, to + c);
    return;
  }
  // Two keys side by side in each unit; the values are bfloat16 already.
  const hn::Rebind<std::uint32_t, D> du;
  auto* to = reinterpret_cast<std::uint32_t*>(out);
  for (int key = 0; key < keys_padded; key += 2, to += width)
    for (int c = 0; c < width; c += n) {
      const auto even = hn::ShiftRight<16>(hn::BitCast(du, load(key, c)));
      hn::Store(hn::Or(even, hn::BitCast(du, load(key + 1, c))), du, to + c);
    }
}

// A power of two that counts for nothing beside 1.
constexpr float kLeast = -126.0F;

float SoftmaxRow(const float* scores, int keys, int padded, float scale, float pad_score, Element type,
                 std::byte* out) {
  const D d;
  const auto n = static_cast<int>(hn::Lanes(d));
  const V factor = hn::Set(d, scale * 1.4426950408889634F);  // powers of two
  const auto vector = [&](int k) { return hn::Mul(hn::LoadU(d, scores + k), factor); };
  // The last key's score is raised apart from the others, so that `scores` may stay as they are.
  const int last = keys - 1;
  const float last_score = scores[last] * (scale * 1.4426950408889634F) + pad_score * 1.4426950408889634F;
  V m = hn::Set(d, last_score);
  int k = 0;
  for (; k + n <= last; k += n) m = hn::Max(m, vector(k));
  if (k < last)
    m = hn::Max(m, hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(last - k)), vector(k), m));
  m = hn::MaxOfLanes(d, m);
  V sum = hn::Zero(d);
  for (k = 0; k + n <= last; k += n) {
    const V e = Exp2(d, hn::Max(hn::Sub(vector(k), m), hn::Set(d, kLeast)));
    sum = hn::Add(sum, e);
    StoreElements(d, e, type, out, k);
  }
  const int from = k;
  for (; k < padded; k += n) {  // the vector of the last key, and zeros
    HWY_ALIGN float lanes[hn::MaxLanes(D())] = {};
    if (k == from) {
      for (int i = k; i < last; ++i) lanes[i - k] = scores[i] * (scale * 1.4426950408889634F);
      lanes[last - k] = last_score;
    }
    const int count = k == from ? last + 1 - k : 0;
    const V e = hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(count)),
                                   Exp2(d, hn::Max(hn::Sub(hn::Load(d, lanes), m), hn::Set(d, kLeast))));
    sum = hn::Add(sum, e);
    const int left = padded - k;
    if (left >= n)
      StoreElements(d, e, type, out, k);
    else
      StoreSome(d, e, type, out, k, static_cast<std::size_t>(left));
  }
  return 1.0F / hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace sam2unet::ops::lowp::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::lowp {
HWY_EXPORT(TransposeUnits);
HWY_EXPORT(PackValues);
HWY_EXPORT(SoftmaxRow);

void transpose_units(const std::byte* const* rows, int count, int units, int width, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(TransposeUnits)(rows, count, units, width, out);
}
void pack_values(const std::byte* const* rows, int count, int keys_padded, int first, int channels,
                 Element type, Way way, int width, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(PackValues)(rows, count, keys_padded, first, channels, type, way, width, out);
}
float softmax_row(const float* scores, int keys, int padded, float scale, float pad_score, Element type,
                  std::byte* out) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxRow)(scores, keys, padded, scale, pad_score, type, out);
}

}  // namespace sam2unet::ops::lowp
#endif
