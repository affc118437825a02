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
constexpr int kKeys = 6;     // rows of scores in registers: 6 x 2 accumulators
constexpr int kQueries = 4;  // rows of output in registers: 4 x 3 accumulators
constexpr int kOutVectors = 3;

int TileQueries() {
  return static_cast<int>(2 * hn::Lanes(D()));
}

// score[k][0..2L) = sum_c key[k][c] * q[c][0..2L), for kRows keys
template <int kRows>
HWY_INLINE void ScoreRows(const float* const* keys, const float* HWY_RESTRICT q, std::int64_t dim,
                          float* HWY_RESTRICT score) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  V a[kRows], b[kRows];
  for (int r = 0; r < kRows; ++r) a[r] = b[r] = hn::Zero(d);
  for (std::int64_t c = 0; c < dim; ++c) {
    const V q0 = hn::Load(d, q), q1 = hn::Load(d, q + n);
    q += 2 * n;
    for (int r = 0; r < kRows; ++r) {
      const V k = hn::Set(d, keys[r][c]);
      a[r] = hn::MulAdd(k, q0, a[r]);
      b[r] = hn::MulAdd(k, q1, b[r]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    hn::Store(a[r], d, score + static_cast<std::size_t>(r) * 2 * n);
    hn::Store(b[r], d, score + (static_cast<std::size_t>(r) * 2 + 1) * n);
  }
}

// p[k][.] = exp(score - max); returns 1 / sum in `scale` [2L]
HWY_INLINE void SoftmaxColumns(float* HWY_RESTRICT score, std::int64_t keys, float* HWY_RESTRICT scale) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  V m0 = hn::Load(d, score), m1 = hn::Load(d, score + n);
  for (std::int64_t k = 1; k < keys; ++k) {
    const float* row = score + static_cast<std::size_t>(k) * 2 * n;
    m0 = hn::Max(m0, hn::Load(d, row));
    m1 = hn::Max(m1, hn::Load(d, row + n));
  }
  V s0 = hn::Zero(d), s1 = hn::Zero(d);
  for (std::int64_t k = 0; k < keys; ++k) {
    float* row = score + static_cast<std::size_t>(k) * 2 * n;
    const V e0 = hn::Exp(d, hn::Sub(hn::Load(d, row), m0)),
            e1 = hn::Exp(d, hn::Sub(hn::Load(d, row + n), m1));
    s0 = hn::Add(s0, e0);
    s1 = hn::Add(s1, e1);
    hn::Store(e0, d, row);
    hn::Store(e1, d, row + n);
  }
  hn::Store(hn::Div(hn::Set(d, 1.0F), s0), d, scale);
  hn::Store(hn::Div(hn::Set(d, 1.0F), s1), d, scale + n);
}

// out[q][c..) = scale[q] * sum_k p[k][q] * value[k][c..), kQueries queries, kVectors vectors of channels.
// Reads up to a vector past the head's last channel (the arena's slack); writes `width` channels.
template <int kVectors>
HWY_INLINE void MixValues(const AttentionTile& t, const float* HWY_RESTRICT p,
                          const float* HWY_RESTRICT scale, int first, int count, std::int64_t c,
                          std::int64_t width) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  V acc[kQueries][kVectors];
  for (auto& row : acc)
    for (auto& v : row) v = hn::Zero(d);
  p += first;
  for (const float* value : t.values) {
    V v[kVectors];
    for (int j = 0; j < kVectors; ++j) v[j] = hn::LoadU(d, value + c + static_cast<std::size_t>(j) * n);
    for (int i = 0; i < kQueries; ++i) {
      const V w = hn::Set(d, p[i]);
      for (int j = 0; j < kVectors; ++j) acc[i][j] = hn::MulAdd(w, v[j], acc[i][j]);
    }
    p += 2 * n;
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

void Attention(const AttentionTile& t, float* scratch) {
  const D d;
  const std::size_t n = hn::Lanes(d);
  const auto queries = static_cast<int>(t.out.size());
  const auto keys = static_cast<std::int64_t>(t.keys.size());
  float* scale = scratch;                                      // [2L]
  float* q = scratch + 2 * n;                                  // [dim][2L], transposed and scaled
  float* score = q + static_cast<std::size_t>(t.dim) * 2 * n;  // [keys][2L]
  const float inverse_root = 1.0F / std::sqrt(static_cast<float>(t.dim));
  std::memset(q, 0, static_cast<std::size_t>(t.dim) * 2 * n * sizeof(float));
  for (int i = 0; i < queries; ++i) {
    const float* const* rows = t.queries.data() + static_cast<std::ptrdiff_t>(i) * t.q_rows;
    for (std::int64_t c = 0; c < t.dim; ++c) {
      float v = rows[0][c];
      for (int r = 1; r < t.q_rows; ++r) v = rows[r][c] > v ? rows[r][c] : v;
      q[static_cast<std::size_t>(c) * 2 * n + static_cast<std::size_t>(i)] = v * inverse_root;
    }
  }
  std::int64_t k = 0;
  for (; k + kKeys <= keys; k += kKeys) {
    ScoreRows<kKeys>(t.keys.data() + k, q, t.dim, score + static_cast<std::size_t>(k) * 2 * n);
  }
  for (; k < keys; ++k)
    ScoreRows<1>(t.keys.data() + k, q, t.dim, score + static_cast<std::size_t>(k) * 2 * n);
  if (t.has_pads) {
    float* last = score + static_cast<std::size_t>(keys - 1) * 2 * n;
    for (std::size_t i = 0; i < 2 * n; ++i) last[i] += t.pad_score;
  }
  SoftmaxColumns(score, keys, scale);
  const auto step = static_cast<std::int64_t>(n);
  for (std::int64_t c = 0; c < t.dim; c += kOutVectors * step) {
    const std::int64_t width = t.dim - c < kOutVectors * step ? t.dim - c : kOutVectors * step;
    for (int first = 0; first < queries; first += kQueries) {
      const int count = queries - first < kQueries ? queries - first : kQueries;
      if (width > 2 * step)
        MixValues<3>(t, score, scale, first, count, c, width);
      else if (width > step)
        MixValues<2>(t, score, scale, first, count, c, width);
      else
        MixValues<1>(t, score, scale, first, count, c, width);
    }
  }
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
