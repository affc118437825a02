// Attention of one tile of queries. The queries are transposed once so that vector lanes are queries: scores
// come out as [key][query], and the softmax over keys needs no sums across lanes. Keys and values are read
// where they lie; nothing of a window is ever copied or padded.
#include <cmath>
#include <cstring>

#include "ops/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/kernels_attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that a tile of two vectors is at most kMaxQueries queries on every target.
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int kKeys = 6;  // rows of scores in registers at most: 6 x 2 accumulators
// Rows of output in registers: x 3 accumulators. With 32 registers eight, so that values, which a large
// window keeps in the second cache, are read half as often.
constexpr int kQueries = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
constexpr int kOutVectors = 3;

int TileQueries() {
  return static_cast<int>(2 * hn::Lanes(D()));
}

// q[c][0..stride) = scale * query i's channel c, a query being the maximum of its rows, and 0 past the last
// query; four queries and four channels at a time, and the last channels one by one.
HWY_INLINE void TransposeQueries(const AttentionTile& t, float scale, std::int64_t stride,
                                 float* HWY_RESTRICT q) {
  const auto queries = static_cast<std::int64_t>(t.out.size());
  std::int64_t done = 0;
#if HWY_TARGET != HWY_SCALAR
  done = t.dim / 4 * 4;
  const hn::FixedTag<float, 4> d;
  for (std::int64_t i = 0; i < stride; i += 4) {
    const auto four = [&](std::int64_t query, std::int64_t c) {
      if (query >= queries) return hn::Zero(d);
      const float* const* rows = t.queries.data() + query * t.q_rows;
      auto v = hn::LoadU(d, rows[0] + c);
      for (int r = 1; r < t.q_rows; ++r) {
        const auto other = hn::LoadU(d, rows[r] + c);
        v = hn::IfThenElse(hn::Gt(other, v), other, v);
      }
      return hn::Mul(v, hn::Set(d, scale));
    };
    for (std::int64_t c = 0; c < done; c += 4) {
      const auto v0 = four(i, c), v1 = four(i + 1, c), v2 = four(i + 2, c), v3 = four(i + 3, c);
      const auto even = hn::InterleaveLower(d, v0, v2), odd = hn::InterleaveLower(d, v1, v3);
      const auto upper_even = hn::InterleaveUpper(d, v0, v2), upper_odd = hn::InterleaveUpper(d, v1, v3);
      float* to = q + c * stride + i;
      hn::Store(hn::InterleaveLower(d, even, odd), d, to);
      hn::Store(hn::InterleaveUpper(d, even, odd), d, to + stride);
      hn::Store(hn::InterleaveLower(d, upper_even, upper_odd), d, to + 2 * stride);
      hn::Store(hn::InterleaveUpper(d, upper_even, upper_odd), d, to + 3 * stride);
    }
  }
#endif
  for (std::int64_t c = done; c < t.dim; ++c) {
    for (std::int64_t i = 0; i < stride; ++i) {
      float v = 0.0F;
      if (i < queries) {
        const float* const* rows = t.queries.data() + i * t.q_rows;
        v = rows[0][c];
        for (int r = 1; r < t.q_rows; ++r) v = rows[r][c] > v ? rows[r][c] : v;
      }
      q[c * stride + i] = v * scale;
    }
  }
}

// score[k][0..kColumns L) = sum_c key[k][c] * q[c][0..kColumns L), for kRows keys
template <int kRows, int kColumns>
HWY_INLINE void ScoreRows(const float* const* keys, const float* HWY_RESTRICT q, std::int64_t dim,
                          float* HWY_RESTRICT score) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  V acc[kRows][kColumns];
  for (auto& row : acc)
    for (auto& v : row) v = hn::Zero(d);
  for (std::int64_t c = 0; c < dim; ++c) {
    V column[kColumns];
    for (int j = 0; j < kColumns; ++j) column[j] = hn::Load(d, q + static_cast<std::size_t>(j) * n);
    q += kColumns * n;
    for (int r = 0; r < kRows; ++r) {
      const V k = hn::Set(d, keys[r][c]);
      for (int j = 0; j < kColumns; ++j) acc[r][j] = hn::MulAdd(k, column[j], acc[r][j]);
    }
  }
  for (auto& row : acc)
    for (auto& v : row) {
      hn::Store(v, d, score);
      score += n;
    }
}

// All keys, in groups of nearly the same size: a group of one or two would wait for its own sums.
template <int kColumns>
HWY_INLINE void Scores(const AttentionTile& t, const float* HWY_RESTRICT q, float* HWY_RESTRICT score) {
  const auto keys = static_cast<std::int64_t>(t.keys.size());
  const std::int64_t groups = (keys + kKeys - 1) / kKeys;
  const std::size_t row = kColumns * hn::Lanes(D());
  std::int64_t k = 0;
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t rows = (keys - k + groups - group - 1) / (groups - group);
    const float* const* first = t.keys.data() + k;
    float* to = score + static_cast<std::size_t>(k) * row;
    static_assert(kKeys == 6);
    switch (rows) {
      case 6:
        ScoreRows<6, kColumns>(first, q, t.dim, to);
        break;
      case 5:
        ScoreRows<5, kColumns>(first, q, t.dim, to);
        break;
      case 4:
        ScoreRows<4, kColumns>(first, q, t.dim, to);
        break;
      case 3:
        ScoreRows<3, kColumns>(first, q, t.dim, to);
        break;
      case 2:
        ScoreRows<2, kColumns>(first, q, t.dim, to);
        break;
      default:
        ScoreRows<1, kColumns>(first, q, t.dim, to);
        break;
    }
    k += rows;
  }
}

// p[k][.] = exp(score - max); returns 1 / sum in `scale` [kColumns L]
template <int kColumns>
HWY_INLINE void SoftmaxColumns(float* HWY_RESTRICT score, std::int64_t keys, float* HWY_RESTRICT scale) {
  const D d;
  const std::size_t n = hn::Lanes(d), row = kColumns * n;
  V max[kColumns], sum[kColumns];
  for (int j = 0; j < kColumns; ++j) {
    max[j] = hn::Load(d, score + static_cast<std::size_t>(j) * n);
    sum[j] = hn::Zero(d);
  }
  for (std::int64_t k = 1; k < keys; ++k) {
    const float* from = score + static_cast<std::size_t>(k) * row;
    for (int j = 0; j < kColumns; ++j)
      max[j] = hn::Max(max[j], hn::Load(d, from + static_cast<std::size_t>(j) * n));
  }
  for (std::int64_t k = 0; k < keys; ++k) {
    float* at = score + static_cast<std::size_t>(k) * row;
    for (int j = 0; j < kColumns; ++j, at += n) {
      const V e = hn::Exp(d, hn::Sub(hn::Load(d, at), max[j]));
      sum[j] = hn::Add(sum[j], e);
      hn::Store(e, d, at);
    }
  }
  for (int j = 0; j < kColumns; ++j)
    hn::Store(hn::Div(hn::Set(d, 1.0F), sum[j]), d, scale + static_cast<std::size_t>(j) * n);
}

// out[q][c..) = scale[q] * sum_k p[k][q] * value[k][c..), `count` of kRows queries, kVectors vectors of
// channels. Reads up to a vector past the head's last channel (the arena's slack); writes `width` channels.
template <int kRows, int kVectors>
HWY_INLINE void MixRows(const AttentionTile& t, const float* HWY_RESTRICT p, std::size_t stride,
                        const float* HWY_RESTRICT scale, int first, int count, std::int64_t c,
                        std::int64_t width) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  V acc[kRows][kVectors];
  for (auto& row : acc)
    for (auto& v : row) v = hn::Zero(d);
  p += first;
  for (const float* value : t.values) {
    V v[kVectors];
    for (int j = 0; j < kVectors; ++j) v[j] = hn::LoadU(d, value + c + static_cast<std::size_t>(j) * n);
    for (int i = 0; i < kRows; ++i) {
      const V w = hn::Set(d, p[i]);
      for (int j = 0; j < kVectors; ++j) acc[i][j] = hn::MulAdd(w, v[j], acc[i][j]);
    }
    p += stride;
  }
  for (int i = 0; i < count; ++i) {
    const V w = hn::Set(d, scale[first + i]);
    float* out = t.out[static_cast<std::size_t>(first + i)] + c;
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t left = width - static_cast<std::int64_t>(static_cast<std::size_t>(j) * n);
      const V v = hn::Mul(w, acc[i][j]);
      if (left >= static_cast<std::int64_t>(n)) {
        hn::StoreU(v, d, out + static_cast<std::size_t>(j) * n);
      } else {
        hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(left)), d,
                         out + static_cast<std::size_t>(j) * n);
      }
    }
  }
}

// The same for all queries.
template <int kVectors>
HWY_INLINE void MixValues(const AttentionTile& t, const float* HWY_RESTRICT p, std::size_t stride,
                          const float* HWY_RESTRICT scale, std::int64_t c, std::int64_t width) {
  const auto queries = static_cast<int>(t.out.size());
  for (int first = 0; first < queries;) {
    const int left = queries - first, rows = left > 4 ? kQueries : 4, count = left < rows ? left : rows;
    if (rows == kQueries)
      MixRows<kQueries, kVectors>(t, p, stride, scale, first, count, c, width);
    else
      MixRows<4, kVectors>(t, p, stride, scale, first, count, c, width);
    first += count;
  }
}

// A tile whose queries fill kColumns vectors.
template <int kColumns>
HWY_INLINE void AttentionOf(const AttentionTile& t, float* scratch) {
  const std::size_t n = hn::Lanes(D()), stride = kColumns * n;
  const auto keys = static_cast<std::int64_t>(t.keys.size()), step = static_cast<std::int64_t>(n);
  float* scale = scratch;                                       // [kColumns L]
  float* q = scratch + stride;                                  // [dim][kColumns L], transposed and scaled
  float* score = q + static_cast<std::size_t>(t.dim) * stride;  // [keys][kColumns L]
  TransposeQueries(t, 1.0F / std::sqrt(static_cast<float>(t.dim)), static_cast<std::int64_t>(stride), q);
  Scores<kColumns>(t, q, score);
  if (t.has_pads) {
    float* last = score + static_cast<std::size_t>(keys - 1) * stride;
    for (std::size_t i = 0; i < stride; ++i) last[i] += t.pad_score;
  }
  SoftmaxColumns<kColumns>(score, keys, scale);
  for (std::int64_t c = 0; c < t.dim; c += kOutVectors * step) {
    const std::int64_t width = t.dim - c < kOutVectors * step ? t.dim - c : kOutVectors * step;
    if (width > 2 * step)
      MixValues<3>(t, score, stride, scale, c, width);
    else if (width > step)
      MixValues<2>(t, score, stride, scale, c, width);
    else
      MixValues<1>(t, score, stride, scale, c, width);
  }
}

void Attention(const AttentionTile& t, float* scratch) {
  if (t.out.size() <= hn::Lanes(D()))
    AttentionOf<1>(t, scratch);
  else
    AttentionOf<2>(t, scratch);
}

}  // namespace sam2unet::ops::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::kernels {
HWY_EXPORT(Attention);
HWY_EXPORT(TileQueries);

std::int64_t attention_scratch(std::int64_t keys, std::int64_t dim) {
  return static_cast<std::int64_t>(attention_tile_queries()) * (keys + dim + 1);
}
int attention_tile_queries() {
  return HWY_DYNAMIC_DISPATCH(TileQueries)();
}
void attention(const AttentionTile& tile, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Attention)(tile, scratch);
}

}  // namespace sam2unet::ops::kernels
#endif
