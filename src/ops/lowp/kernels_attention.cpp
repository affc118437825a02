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

// The first vector's place in a row, and how many of its lanes there are.
HWY_INLINE V LoadLanes(const std::byte* row, Element type, int at, int end) {
  const D d;
  const auto n = static_cast<int>(hn::Lanes(d));
  return at + n <= end ? LoadElements(d, row, type, at)
                       : LoadSome(d, row, type, at, static_cast<std::size_t>(end - at));
}

void QuantiseKeys(const std::byte* const* rows, int count, std::int64_t c, std::int64_t padded, Element type,
                  std::byte* out, float* scale, float* sum) {
  const D d;
  const hn::Rebind<std::int8_t, D> di8;
  const auto n = static_cast<int>(hn::Lanes(d));
  const int channels = static_cast<int>(c);
  for (int k = 0; k < count; ++k, out += padded) {
    V most = hn::Zero(d);
    for (int i = 0; i < channels; i += n)
      most = hn::Max(most, hn::Abs(LoadLanes(rows[k], type, i, channels)));
    scale[k] = hn::GetLane(hn::MaxOfLanes(d, most)) / 127.0F;
    const V inverse = hn::Set(d, scale[k] > 0.0F ? 1.0F / scale[k] : 0.0F);
    V total = hn::Zero(d);
    std::memset(out, 0, static_cast<std::size_t>(padded));
    for (int i = 0; i < channels; i += n) {
      const auto q = hn::NearestInt(hn::Mul(LoadLanes(rows[k], type, i, channels), inverse));
      total = hn::Add(total, hn::ConvertTo(d, q));
      HWY_ALIGN std::int8_t lanes[hn::MaxLanes(D())];
      const bool is_whole = i + n <= padded;
      hn::StoreU(hn::DemoteTo(di8, q), di8, is_whole ? reinterpret_cast<std::int8_t*>(out) + i : lanes);
      if (!is_whole) std::memcpy(out + i, lanes, static_cast<std::size_t>(padded - i));
    }
    sum[k] = scale[k] * hn::GetLane(hn::SumOfLanes(d, total));
  }
}

void ValueScales(const std::byte* const* rows, int count, int channels, Element type, float* scale) {
  const D d;
  const auto n = static_cast<int>(hn::Lanes(d));
  for (int c = 0; c < channels; c += n) {
    V most = hn::Zero(d);
    for (int k = 0; k < count; ++k) most = hn::Max(most, hn::Abs(LoadLanes(rows[k], type, c, channels)));
    hn::StoreU(hn::Mul(most, hn::Set(d, 1.0F / 127.0F)), d, scale + c);  // with slack behind
  }
}

void PackValueBytes(const std::byte* const* rows, int count, int first, int channels, Element type, int width,
                    const float* scale, std::byte* out) {
  const D d;
  const hn::Rebind<std::int32_t, D> di;
  const auto n = static_cast<int>(hn::Lanes(d));
  auto* to = reinterpret_cast<std::int32_t*>(out);
  const auto byte_mask = hn::Set(di, 0xFF);
  for (int c = 0; c < width; c += n) {
    const V s = hn::LoadU(d, scale + first + c);
    const V inverse = hn::IfThenElseZero(hn::Gt(s, hn::Zero(d)), hn::Div(hn::Set(d, 1.0F), s));
    const auto bytes = [&](int key) {
      if (key >= count || c >= channels) return hn::Zero(di);
      const V v = LoadLanes(rows[key], type, first + c, first + channels);
      return hn::And(hn::NearestInt(hn::Mul(v, inverse)), byte_mask);
    };
    for (int key = 0; key < count; key += 4) {
      const auto low = hn::Or(bytes(key), hn::ShiftLeft<8>(bytes(key + 1)));
      const auto high = hn::Or(bytes(key + 2), hn::ShiftLeft<8>(bytes(key + 3)));
      hn::Store(hn::Or(low, hn::ShiftLeft<16>(high)), di,
                to + static_cast<std::ptrdiff_t>(key / 4) * width + c);
    }
  }
}

float SoftmaxBytes(float* scores, int keys, int padded, float scale, float pad_score, std::byte* out) {
  const D d;
  const hn::Rebind<std::uint8_t, D> du8;
  const auto n = static_cast<int>(hn::Lanes(d));
  // In place, powers of two below the largest, then what counts for nothing up to a whole vector.
  (void)SoftmaxRow(scores, keys, (keys + n - 1) / n * n, scale, pad_score, Element::f32,
                   reinterpret_cast<std::byte*>(scores));
  V total = hn::Zero(d);
  for (int k = 0; k < padded; k += n) {
    const auto q = hn::NearestInt(hn::Mul(hn::LoadU(d, scores + k), hn::Set(d, 255.0F)));
    total = hn::Add(total, hn::ConvertTo(d, q));
    HWY_ALIGN std::uint8_t lanes[hn::MaxLanes(D())];
    const bool is_whole = k + n <= padded;
    hn::StoreU(hn::DemoteTo(du8, q), du8, is_whole ? reinterpret_cast<std::uint8_t*>(out) + k : lanes);
    if (!is_whole) std::memcpy(out + k, lanes, static_cast<std::size_t>(padded - k));
  }
  return 1.0F / hn::GetLane(hn::SumOfLanes(d, total));
}

}  // namespace sam2unet::ops::lowp::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::lowp {
HWY_EXPORT(TransposeUnits);
HWY_EXPORT(PackValues);
HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(QuantiseKeys);
HWY_EXPORT(ValueScales);
HWY_EXPORT(PackValueBytes);
HWY_EXPORT(SoftmaxBytes);

void quantise_keys(const std::byte* const* rows, int count, std::int64_t c, std::int64_t padded, Element type,
                   std::byte* out, float* scale, float* sum) {
  HWY_DYNAMIC_DISPATCH(QuantiseKeys)(rows, count, c, padded, type, out, scale, sum);
}
void value_scales(const std::byte* const* rows, int count, int channels, Element type, float* scale) {
  HWY_DYNAMIC_DISPATCH(ValueScales)(rows, count, channels, type, scale);
}
void pack_value_bytes(const std::byte* const* rows, int count, int first, int channels, Element type,
                      int width, const float* scale, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(PackValueBytes)(rows, count, first, channels, type, width, scale, out);
}
float softmax_bytes(float* scores, int keys, int padded, float scale, float pad_score, std::byte* out) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxBytes)(scores, keys, padded, scale, pad_score, out);
}

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
