// Kernels over rows of channels in float32 and bfloat16: conversions, LayerNorm, quantisation, resizing.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ops/lowp/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/lowp/kernels_rows.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "ops/lowp/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::lowp::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls f(vector, i, count) for every vector of a row, the last one filled up with zeros.
template <class F>
HWY_INLINE void ForRow(const std::byte* row, Element type, std::int64_t c, F&& f) {
  const D d;
  const auto n = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + n <= c; i += n) f(LoadElements(d, row, type, i), i, static_cast<std::size_t>(n));
  if (i < c)
    f(LoadSome(d, row, type, i, static_cast<std::size_t>(c - i)), i, static_cast<std::size_t>(c - i));
}
HWY_INLINE void StoreRow(V v, Element type, std::byte* row, std::int64_t i, std::size_t count) {
  const D d;
  if (count == hn::Lanes(d)) return StoreElements(d, v, type, row, i);
  StoreSome(d, v, type, row, i, count);
}
HWY_INLINE void PadRow(std::byte* row, Element type, std::int64_t c, std::int64_t padded) {
  if (padded > c) {
    const std::int64_t size = size_of(type);
    std::memset(row + c * size, 0, static_cast<std::size_t>((padded - c) * size));
  }
}

void ConvertRows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                 const RowTarget& to) {
  for (std::int64_t r = 0; r < rows; ++r) {
    std::byte* out = to.data + r * to.stride;
    const std::byte* row = from.data + r * from.stride;
    if (from.type == to.type) {
      std::memcpy(out, row, static_cast<std::size_t>(c * size_of(to.type)));
    } else {
      ForRow(row, from.type, c,
             [&](V v, std::int64_t i, std::size_t count) { StoreRow(v, to.type, out, i, count); });
    }
    PadRow(out, to.type, c, padded);
  }
}

void SplitRows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
               const RowTarget& high, const RowTarget& low) {
  const D d;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::byte *above = high.data + r * high.stride, *below = low.data + r * low.stride;
    ForRow(from.data + r * from.stride, from.type, c, [&](V v, std::int64_t i, std::size_t count) {
      const V rounded = RoundToBf16(d, v);
      StoreRow(rounded, Element::bf16, above, i, count);
      StoreRow(hn::Sub(v, rounded), Element::bf16, below, i, count);
    });
    PadRow(above, Element::bf16, c, padded);
    PadRow(below, Element::bf16, c, padded);
  }
}

void NormRows(const RowView& from, const float* gamma, const float* beta, std::int64_t rows, std::int64_t c,
              std::int64_t padded, const RowTarget& to) {
  const D d;
  const V inverse_c = hn::Set(d, 1.0F / static_cast<float>(c));
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::byte* row = from.data + r * from.stride;
    std::byte* out = to.data + r * to.stride;
    V sum = hn::Zero(d);
    ForRow(row, from.type, c, [&](V v, std::int64_t, std::size_t) { sum = hn::Add(sum, v); });
    const V mean = hn::Mul(hn::SumOfLanes(d, sum), inverse_c);
    V squares = hn::Zero(d);
    ForRow(row, from.type, c, [&](V v, std::int64_t, std::size_t count) {
      V x = hn::Sub(v, mean);
      if (count < hn::Lanes(d)) x = hn::IfThenElseZero(hn::FirstN(d, count), x);
      squares = hn::MulAdd(x, x, squares);
    });
    const V variance = hn::Mul(hn::SumOfLanes(d, squares), inverse_c);
    const V scale = hn::Div(hn::Set(d, 1.0F), hn::Sqrt(hn::Add(variance, hn::Set(d, 1e-6F))));
    ForRow(row, from.type, c, [&](V v, std::int64_t i, std::size_t count) {
      // gamma and beta have slack behind their last element.
      const V y =
          hn::MulAdd(hn::Mul(hn::Sub(v, mean), scale), hn::LoadU(d, gamma + i), hn::LoadU(d, beta + i));
      StoreRow(y, to.type, out, i, count);
    });
    PadRow(out, to.type, c, padded);
  }
}

HWY_INLINE void StoreQuantised(V q, bool as_bytes, std::byte* out, std::int64_t i, std::size_t count) {
  const D d;
  const hn::Rebind<std::uint8_t, D> du8;
  const auto whole = hn::NearestInt(q);
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  const bool is_whole = count == hn::Lanes(d);
  if (as_bytes) {
    auto* p = reinterpret_cast<std::uint8_t*>(out) + i;
    hn::StoreU(hn::DemoteTo(du8, whole), du8, is_whole ? p : reinterpret_cast<std::uint8_t*>(lanes));
    if (!is_whole) std::memcpy(p, lanes, count);
  } else {
    auto* p = reinterpret_cast<float*>(out) + i;
    const V v = hn::Min(hn::Max(hn::ConvertTo(d, whole), hn::Zero(d)), hn::Set(d, 255.0F));
    hn::StoreU(v, d, is_whole ? p : lanes);
    if (!is_whole) std::memcpy(p, lanes, count * sizeof(float));
  }
}

HWY_INLINE void QuantiseRow(const std::byte* row, Element type, std::int64_t c, std::int64_t padded,
                            bool as_bytes, const Quantised& by, std::byte* out) {
  const D d;
  const V inverse = hn::Set(d, by.scale > 0.0F ? 1.0F / by.scale : 0.0F), low = hn::Set(d, by.low);
  ForRow(row, type, c, [&](V v, std::int64_t i, std::size_t count) {
    StoreQuantised(hn::Mul(hn::Sub(v, low), inverse), as_bytes, out, i, count);
  });
  if (padded > c) {
    const std::int64_t size = as_bytes ? 1 : 4;
    std::memset(out + c * size, 0, static_cast<std::size_t>((padded - c) * size));
  }
}

HWY_INLINE void Widest(const std::byte* row, Element type, std::int64_t c, V& low, V& high) {
  const D d;
  ForRow(row, type, c, [&](V v, std::int64_t, std::size_t count) {
    if (count < hn::Lanes(d)) {
      const auto some = hn::FirstN(d, count);
      low = hn::Min(low, hn::IfThenElse(some, v, low));
      high = hn::Max(high, hn::IfThenElse(some, v, high));
    } else {
      low = hn::Min(low, v);
      high = hn::Max(high, v);
    }
  });
}

void QuantiseRows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                  const RowTarget& to, bool as_bytes, float* scale, float* low) {
  const D d;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::byte* row = from.data + r * from.stride;
    V l = hn::Set(d, 3.4e38F), h = hn::Set(d, -3.4e38F);
    Widest(row, from.type, c, l, h);
    const float least = hn::GetLane(hn::MinOfLanes(d, l)), most = hn::GetLane(hn::MaxOfLanes(d, h));
    low[r] = least;
    scale[r] = (most - least) / 255.0F;
    QuantiseRow(row, from.type, c, padded, as_bytes, {scale[r], least}, to.data + r * to.stride);
  }
}

void QuantiseRowsBy(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                    const RowTarget& to, bool as_bytes, const Quantised& by) {
  for (std::int64_t r = 0; r < rows; ++r)
    QuantiseRow(from.data + r * from.stride, from.type, c, padded, as_bytes, by, to.data + r * to.stride);
}

Extremes ExtremesOf(const RowView& from, std::int64_t rows, std::int64_t c) {
  const D d;
  V l = hn::Zero(d), h = hn::Zero(d);
  for (std::int64_t r = 0; r < rows; ++r) Widest(from.data + r * from.stride, from.type, c, l, h);
  return {hn::GetLane(hn::MinOfLanes(d, l)), hn::GetLane(hn::MaxOfLanes(d, h))};
}

void GeluRow(float* x, std::int64_t n) {
  const D d;
  auto* row = reinterpret_cast<std::byte*>(x);
  ForRow(row, Element::f32, n,
         [&](V v, std::int64_t i, std::size_t count) { StoreRow(Gelu(d, v), Element::f32, row, i, count); });
}

void ReluRow(float* x, std::int64_t n) {
  const D d;
  auto* row = reinterpret_cast<std::byte*>(x);
  ForRow(row, Element::f32, n, [&](V v, std::int64_t i, std::size_t count) {
    StoreRow(hn::Max(v, hn::Zero(d)), Element::f32, row, i, count);
  });
}

void MaxOfFour(const std::byte* const* rows, std::int64_t c, Element type, std::byte* out) {
  const D d;
  ForRow(rows[0], type, c, [&](V v, std::int64_t i, std::size_t count) {
    for (int r = 1; r < 4; ++r) {
      v = hn::Max(v, count == hn::Lanes(d) ? LoadElements(d, rows[r], type, i)
                                           : LoadSome(d, rows[r], type, i, count));
    }
    StoreRow(v, type, out, i, count);
  });
}

void BilinearRow(const RowView& above, const RowView& below, float weight_below,
                 std::span<const kernels::BilinearTap> taps, std::int64_t c, const RowTarget& out) {
  const D d;
  const V vb = hn::Set(d, weight_below), va = hn::Set(d, 1.0F - weight_below);
  std::byte* to = out.data;
  for (const auto& t : taps) {
    const V wb = hn::Set(d, t.weight), wa = hn::Set(d, 1.0F - t.weight);
    const std::byte* corners[] = {above.data + t.first * above.stride, above.data + t.second * above.stride,
                                  below.data + t.first * below.stride, below.data + t.second * below.stride};
    ForRow(corners[0], above.type, c, [&](V v, std::int64_t i, std::size_t count) {
      V rest[3];
      for (int k = 0; k < 3; ++k) {
        rest[k] = count == hn::Lanes(d) ? LoadElements(d, corners[k + 1], above.type, i)
                                        : LoadSome(d, corners[k + 1], above.type, i, count);
      }
      const V top = hn::MulAdd(wb, rest[0], hn::Mul(wa, v)),
              bottom = hn::MulAdd(wb, rest[2], hn::Mul(wa, rest[1]));
      StoreRow(hn::MulAdd(vb, bottom, hn::Mul(va, top)), out.type, to, i, count);
    });
    to += out.stride;
  }
}

std::int64_t StoreWeights(std::span<const float> values, Storage storage, float scale, std::byte* out) {
  const auto n = static_cast<std::int64_t>(values.size());
  const auto* from = reinterpret_cast<const std::byte*>(values.data());
  if (storage != Storage::int8) {
    const Element type = storage == Storage::f32 ? Element::f32 : Element::bf16;
    ForRow(from, Element::f32, n,
           [&](V v, std::int64_t i, std::size_t count) { StoreRow(v, type, out, i, count); });
    return 0;
  }
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<std::int8_t, D> d8;
  if (scale <= 0.0F) {
    std::memset(out, 0, values.size());
    return 0;
  }
  const V by = hn::Set(d, scale);
  auto sums = hn::Zero(di);
  std::array<std::int8_t, hn::MaxLanes(d)> last{};
  ForRow(from, Element::f32, n, [&](V v, std::int64_t i, std::size_t count) {
    const auto q = hn::NearestInt(hn::Div(v, by));
    sums = hn::Add(sums, q);
    const auto bytes = hn::DemoteTo(d8, q);
    if (count == hn::Lanes(d)) {
      hn::StoreU(bytes, d8, reinterpret_cast<std::int8_t*>(out) + i);
    } else {
      hn::StoreU(bytes, d8, last.data());
      std::memcpy(out + i, last.data(), count);
    }
  });
  return hn::GetLane(hn::SumOfLanes(di, sums));
}

}  // namespace sam2unet::ops::lowp::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::lowp {
HWY_EXPORT(ConvertRows);
HWY_EXPORT(SplitRows);
HWY_EXPORT(NormRows);
HWY_EXPORT(QuantiseRows);
HWY_EXPORT(QuantiseRowsBy);
HWY_EXPORT(ExtremesOf);
HWY_EXPORT(StoreWeights);
HWY_EXPORT(GeluRow);
HWY_EXPORT(ReluRow);
HWY_EXPORT(MaxOfFour);
HWY_EXPORT(BilinearRow);

void convert_rows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                  const RowTarget& to) {
  HWY_DYNAMIC_DISPATCH(ConvertRows)(from, rows, c, padded, to);
}
void split_rows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                const RowTarget& high, const RowTarget& low) {
  HWY_DYNAMIC_DISPATCH(SplitRows)(from, rows, c, padded, high, low);
}
void norm_rows(const RowView& from, const float* gamma, const float* beta, std::int64_t rows, std::int64_t c,
               std::int64_t padded, const RowTarget& to) {
  HWY_DYNAMIC_DISPATCH(NormRows)(from, gamma, beta, rows, c, padded, to);
}
void quantise_rows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                   const RowTarget& to, bool as_bytes, float* scale, float* low) {
  HWY_DYNAMIC_DISPATCH(QuantiseRows)(from, rows, c, padded, to, as_bytes, scale, low);
}
void quantise_rows_by(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                      const RowTarget& to, bool as_bytes, const Quantised& by) {
  HWY_DYNAMIC_DISPATCH(QuantiseRowsBy)(from, rows, c, padded, to, as_bytes, by);
}
Extremes extremes(const RowView& from, std::int64_t rows, std::int64_t c) {
  return HWY_DYNAMIC_DISPATCH(ExtremesOf)(from, rows, c);
}
std::int64_t store_weights(std::span<const float> values, Storage storage, float scale, std::byte* out) {
  return HWY_DYNAMIC_DISPATCH(StoreWeights)(values, storage, scale, out);
}
void gelu_row(float* x, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(GeluRow)(x, n);
}
void relu_row(float* x, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(ReluRow)(x, n);
}
void max_of_four(const std::byte* const* rows, std::int64_t c, Element type, std::byte* out) {
  HWY_DYNAMIC_DISPATCH(MaxOfFour)(rows, c, type, out);
}
void bilinear_row(const RowView& above, const RowView& below, float weight_below,
                  std::span<const kernels::BilinearTap> taps, std::int64_t c, const RowTarget& out) {
  HWY_DYNAMIC_DISPATCH(BilinearRow)(above, below, weight_below, taps, c, out);
}

}  // namespace sam2unet::ops::lowp
#endif
