// Blocks of a product: panels of weights are widened where the processor has no instruction for them, tiles
// are summed up in registers, and what follows a product (bias, scales, GELU, ReLU, the residual) works on a
// tile that is still in the first cache.
#include <algorithm>
#include <cstring>

#include "ops/lowp/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/lowp/kernels_product.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "ops/lowp/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::lowp::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// With 32 registers a tile is 6 x 4 vectors, with 16 it is 6 x 2.
#if HWY_TARGET <= HWY_AVX3
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif

// sums[r][c] (+)= sum_u rows[r][u] b[u][c] over kVec vectors of columns from `b` on.
template <int kVec>
HWY_INLINE void WideColumns(const TileJob& t, std::size_t width, const float* b, float* sums) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  V a[kVectorRows][kVec];
  for (auto& row : a)
    for (V& v : row) v = hn::Zero(d);
  for (int tap = 0; tap < t.taps; ++tap) {
    const float* x[kVectorRows];
    for (int r = 0; r < kVectorRows; ++r)
      x[r] = reinterpret_cast<const float*>(t.rows[tap * kVectorRows + r] + t.offset);
    for (std::ptrdiff_t u = 0; u < t.units; ++u) {
      V w[kVec];
      for (int j = 0; j < kVec; ++j) w[j] = hn::Load(d, b + static_cast<std::size_t>(j) * n);
      b += width;
      for (int r = 0; r < kVectorRows; ++r) {
        const V v = hn::Set(d, x[r][u]);
        for (int j = 0; j < kVec; ++j) a[r][j] = hn::MulAdd(v, w[j], a[r][j]);
      }
    }
  }
  for (int r = 0; r < kVectorRows; ++r)
    for (int j = 0; j < kVec; ++j) {
      float* sum = sums + static_cast<std::size_t>(r) * width + static_cast<std::size_t>(j) * n;
      hn::Store(t.adds ? hn::Add(a[r][j], hn::Load(d, sum)) : a[r][j], d, sum);
    }
}

HWY_INLINE void WideTile(const TileJob& t, int width) {
  const auto w = static_cast<std::size_t>(width);
  const auto n = hn::Lanes(D());
  const auto* b = reinterpret_cast<const float*>(t.b);
  auto* sums = reinterpret_cast<float*>(t.sums);
  std::size_t c = 0;
  for (; c + kVectors * n <= w; c += kVectors * n) WideColumns<kVectors>(t, w, b + c, sums + c);
  if constexpr (kVectors == 4) {  // a narrower last panel
    switch ((w - c) / n) {
      case 1:
        return WideColumns<1>(t, w, b + c, sums + c);
      case 2:
        return WideColumns<2>(t, w, b + c, sums + c);
      case 3:
        return WideColumns<3>(t, w, b + c, sums + c);
      default:
        break;
    }
  }
}

// Weights as float32, n a multiple of kLanes.
HWY_INLINE void Widen(const std::byte* from, Storage storage, std::int64_t n, float* HWY_RESTRICT out) {
  const D d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  if (storage == Storage::bf16) {
    const auto* p = reinterpret_cast<const std::uint16_t*>(from);
    for (std::int64_t i = 0; i < n; i += step) hn::Store(LoadBf16(d, p + i), d, out + i);
    return;
  }
  const auto* p = reinterpret_cast<const std::int8_t*>(from);
  const hn::Rebind<std::int8_t, D> di8;
  const hn::Rebind<std::int32_t, D> di32;
  for (std::int64_t i = 0; i < n; i += step)
    hn::Store(hn::ConvertTo(d, hn::PromoteTo(di32, hn::LoadU(di8, p + i))), d, out + i);
}

template <Finish kFinish>
HWY_INLINE V Finished(D d, V v, V added) {
  if constexpr (kFinish == Finish::gelu) return Gelu(d, v);
  if constexpr (kFinish == Finish::relu) return hn::Max(v, hn::Zero(d));
  if constexpr (kFinish == Finish::add) return hn::Add(added, v);
  if constexpr (kFinish == Finish::gelu_add) return hn::Add(added, Gelu(d, v));
  if constexpr (kFinish == Finish::add_relu) return hn::Max(hn::Add(added, v), hn::Zero(d));
  return v;
}

// One vector of a tile's columns, for all of its rows.
template <Finish kFinish, bool kInteger>
HWY_INLINE void FinishColumns(const BlockJob& j, int first, int rows, int at, int width, const float* sums) {
  const D d;
  const hn::Rebind<std::int32_t, D> di;
  const auto n = static_cast<int>(hn::Lanes(d));
  const bool is_scaled = j.column_scale != nullptr;
  constexpr bool kAdds = kFinish == Finish::add || kFinish == Finish::gelu_add || kFinish == Finish::add_relu;
  const V bias = hn::LoadU(d, j.bias + at);
  const V column_scale = is_scaled ? hn::LoadU(d, j.column_scale + at) : hn::Set(d, 1.0F);
  const V column_sum = is_scaled ? hn::LoadU(d, j.column_sum + at) : hn::Zero(d);
  const int left = j.columns - at;
  for (int r = 0; r < rows; ++r, sums += width) {
    const int row = first + r;
    V v;
    if constexpr (kInteger)
      v = hn::ConvertTo(d, hn::Load(di, reinterpret_cast<const std::int32_t*>(sums)));
    else
      v = hn::Load(d, sums);
    if (is_scaled) {
      v = hn::MulAdd(hn::Mul(v, column_scale), hn::Set(d, j.row_scale[row]),
                     hn::MulAdd(hn::Set(d, j.row_low[row]), column_sum, bias));
    } else if (j.row_scale != nullptr) {
      v = hn::MulAdd(v, hn::Set(d, j.row_scale[row]), bias);
    } else {
      v = hn::Add(v, bias);
    }
    if (left >= n) {
      const V added = kAdds ? LoadElements(d, j.added[row], j.added_type, at) : hn::Zero(d);
      StoreElements(d, Finished<kFinish>(d, v, added), j.out_type, j.out[row], at);
    } else {
      const auto some = static_cast<std::size_t>(left);
      const V added = kAdds ? LoadSome(d, j.added[row], j.added_type, at, some) : hn::Zero(d);
      StoreSome(d, Finished<kFinish>(d, v, added), j.out_type, j.out[row], at, some);
    }
  }
}

// One tile's sums [rows][width] -> out. `first` is its first row, `column` its first column.
template <Finish kFinish>
void FinishTile(const BlockJob& j, int first, int column, int width, const std::byte* sums) {
  const auto n = static_cast<int>(hn::Lanes(D()));
  const int rows = std::min(rows_of(j.way), j.count - first);
  const auto* s = reinterpret_cast<const float*>(sums);
  for (int c = 0; c < width && column + c < j.columns; c += n) {
    if (takes_bytes(j.way))
      FinishColumns<kFinish, true>(j, first, rows, column + c, width, s + c);
    else
      FinishColumns<kFinish, false>(j, first, rows, column + c, width, s + c);
  }
}

HWY_INLINE void FinishTile(const BlockJob& j, int first, int column, int width, const std::byte* sums) {
  switch (j.finish) {
    case Finish::none:
      return FinishTile<Finish::none>(j, first, column, width, sums);
    case Finish::gelu:
      return FinishTile<Finish::gelu>(j, first, column, width, sums);
    case Finish::relu:
      return FinishTile<Finish::relu>(j, first, column, width, sums);
    case Finish::add:
      return FinishTile<Finish::add>(j, first, column, width, sums);
    case Finish::gelu_add:
      return FinishTile<Finish::gelu_add>(j, first, column, width, sums);
    case Finish::add_relu:
      return FinishTile<Finish::add_relu>(j, first, column, width, sums);
  }
}

// Units of a linear layer that are summed up before the next ones: a panel of so many stays in the second
// cache while all tiles pass it.
constexpr int kChunk = 512;

void ProductBlock(const BlockJob& j) {
  const int rows = rows_of(j.way), tiles = (j.count + rows - 1) / rows;
  const int chunk = j.taps == 1 ? std::min(j.units, kChunk) : j.units;
  const std::int64_t stored = j.storage == Storage::f32 || j.way != Way::widened ? 4
                              : j.storage == Storage::bf16                       ? 2
                                                                                 : 1;
  for (int panel = j.first_panel; panel < j.last_panel; ++panel) {
    const int column = panel * kColumns;
    const int width = std::min(kColumns, (j.columns - column + kLanes - 1) / kLanes * kLanes);
    const std::byte* b = j.panels + std::int64_t{column} * j.taps * j.units * stored;
    for (int unit = 0; unit < j.units; unit += chunk) {
      const int units = std::min(chunk, j.units - unit);
      const std::int64_t n = std::int64_t{units} * j.taps * width;
      TileJob t{nullptr, std::ptrdiff_t{unit} * 4, j.taps, units, b, j.sums, unit > 0, rows};
      if (stored != 4) {
        Widen(b, j.storage, n, reinterpret_cast<float*>(j.widened));
        t.b = j.widened;
      }
      b += n * stored;
      const bool is_last = unit + units == j.units;
      for (int tile = 0; tile < tiles; ++tile) {
        t.rows = j.rows + static_cast<std::ptrdiff_t>(tile) * j.taps * rows;
        t.count = std::min(rows, j.count - tile * rows);
        // Only sums that go on with the next chunk need memory of their own.
        if (chunk < j.units) t.sums = j.sums + static_cast<std::ptrdiff_t>(tile) * rows * kColumns * 4;
        if (j.way == Way::widened)
          WideTile(t, width);
        else
          j.tiles->by_vectors[width / kLanes - 1](t);
        if (is_last) FinishTile(j, tile * rows, column, width, t.sums);
      }
    }
  }
}

}  // namespace sam2unet::ops::lowp::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::lowp {
HWY_EXPORT(ProductBlock);

void product_block(const BlockJob& job) {
  if (job.tiles != nullptr) job.tiles->begin();
  HWY_DYNAMIC_DISPATCH(ProductBlock)(job);
  if (job.tiles != nullptr) job.tiles->end();
}

std::int64_t sums_bytes(int count) {
  return std::int64_t{count + kMaxRows - 1} * kColumns * 4;
}

std::int64_t widened_bytes(int taps, int units) {
  return std::int64_t{taps} * units * kColumns * 4;
}

std::int64_t panel_bytes(Way way, Storage storage, std::int64_t units, int columns) {
  const std::int64_t stored = storage == Storage::f32 || way != Way::widened ? 4
                              : storage == Storage::bf16                     ? 2
                                                                             : 1;
  return units * ((columns + kLanes - 1) / kLanes * kLanes) * stored;
}

}  // namespace sam2unet::ops::lowp
#endif
