// Kernels over rows of channels: LayerNorm, sums, pooling, bilinear resizing. All are bound by memory.
#include <cmath>
#include <cstring>

#include "ops/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/kernels_rows.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// The first n elements at p, then zeros; and the reverse. Highway's masked load is an aligned load of all
// lanes on instruction sets that have none. The network's channels are multiples of most vectors, so this is
// rare.
HWY_INLINE V LoadPart(D d, const float* p, std::size_t n) {
  HWY_ALIGN float lanes[hn::MaxLanes(D())] = {};
  std::memcpy(lanes, p, n * sizeof(float));
  return hn::Load(d, lanes);
}
HWY_INLINE void StorePart(V v, D d, float* p, std::size_t n) {
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  hn::Store(v, d, lanes);
  std::memcpy(p, lanes, n * sizeof(float));
}

// Calls whole(i) for every full vector of n elements and part(i, count) for the rest.
template <class Whole, class Part>
HWY_INLINE void ForVectors(std::int64_t n, Whole&& whole, Part&& part) {
  const D d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + step <= n; i += step) whole(i);
  if (i < n) part(i, static_cast<std::size_t>(n - i));
}

void LayerNorm(const float* HWY_RESTRICT x, const float* HWY_RESTRICT gamma, const float* HWY_RESTRICT beta,
               std::int64_t rows, std::int64_t c, float* HWY_RESTRICT y) {
  const D d;
  const float inverse_c = 1.0F / static_cast<float>(c);
  for (std::int64_t r = 0; r < rows; ++r, x += c, y += c) {
    V sum = hn::Zero(d);
    ForVectors(
        c, [&](std::int64_t i) { sum = hn::Add(sum, hn::LoadU(d, x + i)); },
        [&](std::int64_t i, std::size_t n) { sum = hn::Add(sum, LoadPart(d, x + i, n)); });
    const V mean = hn::Mul(hn::SumOfLanes(d, sum), hn::Set(d, inverse_c));
    V squares = hn::Zero(d);
    ForVectors(
        c,
        [&](std::int64_t i) {
          const V v = hn::Sub(hn::LoadU(d, x + i), mean);
          squares = hn::MulAdd(v, v, squares);
        },
        [&](std::int64_t i, std::size_t n) {
          const V v = hn::IfThenElseZero(hn::FirstN(d, n), hn::Sub(LoadPart(d, x + i, n), mean));
          squares = hn::MulAdd(v, v, squares);
        });
    const V variance = hn::Mul(hn::SumOfLanes(d, squares), hn::Set(d, inverse_c));
    const V scale = hn::Div(hn::Set(d, 1.0F), hn::Sqrt(hn::Add(variance, hn::Set(d, 1e-6F))));
    const auto normed = [&](V v, V g, V b) { return hn::MulAdd(hn::Mul(hn::Sub(v, mean), scale), g, b); };
    ForVectors(
        c,
        [&](std::int64_t i) {
          hn::StoreU(normed(hn::LoadU(d, x + i), hn::LoadU(d, gamma + i), hn::LoadU(d, beta + i)), d, y + i);
        },
        [&](std::int64_t i, std::size_t n) {
          StorePart(normed(LoadPart(d, x + i, n), LoadPart(d, gamma + i, n), LoadPart(d, beta + i, n)), d,
                    y + i, n);
        });
  }
}

void AddTo(float* HWY_RESTRICT a, const float* HWY_RESTRICT b, std::int64_t n) {
  const D d;
  ForVectors(
      n, [&](std::int64_t i) { hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, a + i); },
      [&](std::int64_t i, std::size_t rest) {
        StorePart(hn::Add(LoadPart(d, a + i, rest), LoadPart(d, b + i, rest)), d, a + i, rest);
      });
}

void MaxPoolRow(const float* HWY_RESTRICT above, const float* HWY_RESTRICT below, std::int64_t width,
                std::int64_t c, float* HWY_RESTRICT out) {
  const D d;
  for (std::int64_t x = 0; x < width; ++x, above += 2 * c, below += 2 * c, out += c) {
    ForVectors(
        c,
        [&](std::int64_t i) {
          const V a = hn::Max(hn::LoadU(d, above + i), hn::LoadU(d, above + c + i));
          const V b = hn::Max(hn::LoadU(d, below + i), hn::LoadU(d, below + c + i));
          hn::StoreU(hn::Max(a, b), d, out + i);
        },
        [&](std::int64_t i, std::size_t n) {
          const V a = hn::Max(LoadPart(d, above + i, n), LoadPart(d, above + c + i, n));
          const V b = hn::Max(LoadPart(d, below + i, n), LoadPart(d, below + c + i, n));
          StorePart(hn::Max(a, b), d, out + i, n);
        });
  }
}

void BilinearRow(const float* above, const float* below, float weight_below,
                 std::span<const BilinearTap> taps, std::int64_t c, float* HWY_RESTRICT out,
                 std::int64_t stride) {
  const D d;
  const float vb = weight_below, va = 1.0F - weight_below;
  for (const BilinearTap& t : taps) {
    const float wb = t.weight, wa = 1.0F - t.weight;
    const float *a0 = above + t.first * c, *a1 = above + t.second * c, *b0 = below + t.first * c,
                *b1 = below + t.second * c;
    if (c == 1) {
      *out = va * (wa * *a0 + wb * *a1) + vb * (wa * *b0 + wb * *b1);
    } else {
      const V va_ = hn::Set(d, va), vb_ = hn::Set(d, vb), wa_ = hn::Set(d, wa), wb_ = hn::Set(d, wb);
      const auto mix = [&](V p, V q, V r, V s) {
        const V top = hn::MulAdd(wb_, q, hn::Mul(wa_, p)), bottom = hn::MulAdd(wb_, s, hn::Mul(wa_, r));
        return hn::MulAdd(vb_, bottom, hn::Mul(va_, top));
      };
      ForVectors(
          c,
          [&](std::int64_t i) {
            hn::StoreU(
                mix(hn::LoadU(d, a0 + i), hn::LoadU(d, a1 + i), hn::LoadU(d, b0 + i), hn::LoadU(d, b1 + i)),
                d, out + i);
          },
          [&](std::int64_t i, std::size_t n) {
            StorePart(mix(LoadPart(d, a0 + i, n), LoadPart(d, a1 + i, n), LoadPart(d, b0 + i, n),
                          LoadPart(d, b1 + i, n)),
                      d, out + i, n);
          });
    }
    out += stride;
  }
}

void WidenRow(const float* HWY_RESTRICT row, std::span<const BilinearTap> taps, float* HWY_RESTRICT out) {
  for (const BilinearTap& t : taps) {
    const float wb = t.weight, wa = 1.0F - t.weight;
    *out++ = wa * row[t.first] + wb * row[t.second];
  }
}

// Products and their sum rounded one by one, as the scalar spelling does.
void MixRows(const float* above, const float* below, float weight_below, std::int64_t n,
             float* HWY_RESTRICT out) {
  const D d;
  const V va = hn::Set(d, 1.0F - weight_below), vb = hn::Set(d, weight_below);
  ForVectors(
      n,
      [&](std::int64_t i) {
        hn::StoreU(hn::Add(hn::Mul(va, hn::LoadU(d, above + i)), hn::Mul(vb, hn::LoadU(d, below + i))), d,
                   out + i);
      },
      [&](std::int64_t i, std::size_t rest) {
        StorePart(
            hn::Add(hn::Mul(va, LoadPart(d, above + i, rest)), hn::Mul(vb, LoadPart(d, below + i, rest))), d,
            out + i, rest);
      });
}

}  // namespace sam2unet::ops::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::kernels {
HWY_EXPORT(LayerNorm);
HWY_EXPORT(AddTo);
HWY_EXPORT(MaxPoolRow);
HWY_EXPORT(BilinearRow);
HWY_EXPORT(WidenRow);
HWY_EXPORT(MixRows);

void layer_norm(const float* x, const float* gamma, const float* beta, std::int64_t rows, std::int64_t c,
                float* y) {
  HWY_DYNAMIC_DISPATCH(LayerNorm)(x, gamma, beta, rows, c, y);
}
void add_to(float* a, const float* b, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(AddTo)(a, b, n);
}
void max_pool_row(const float* above, const float* below, std::int64_t width, std::int64_t c, float* out) {
  HWY_DYNAMIC_DISPATCH(MaxPoolRow)(above, below, width, c, out);
}
void bilinear_row(const float* above, const float* below, float weight_below,
                  std::span<const BilinearTap> taps, std::int64_t c, float* out, std::int64_t stride) {
  HWY_DYNAMIC_DISPATCH(BilinearRow)(above, below, weight_below, taps, c, out, stride);
}
void widen_row(const float* row, std::span<const BilinearTap> taps, float* out) {
  HWY_DYNAMIC_DISPATCH(WidenRow)(row, taps, out);
}
void mix_rows(const float* above, const float* below, float weight_below, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(MixRows)(above, below, weight_below, n, out);
}

}  // namespace sam2unet::ops::kernels
#endif
