// Our own SIMD kernels (Highway, chosen for the processor at run time). Pointers to float32 activations
// [B,H,W,C]; each call does one part of an operation, and the caller shares the parts out among threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/concept.h"

namespace sam2unet::ops::kernels {

/// y[i] = (x[i] - mean) / sqrt(variance + 1e-6) * gamma + beta for `rows` rows of `c` channels.
void layer_norm(const float* x, const float* gamma, const float* beta, std::int64_t rows, std::int64_t c,
                float* y);

/// a[i] += b[i]
void add_to(float* a, const float* b, std::int64_t n);

/// One output row of a 2x2 maximum: `above` and `below` are input rows [2 * width, c].
void max_pool_row(const float* above, const float* below, std::int64_t width, std::int64_t c, float* out);

/// Position of an output along one axis of a bilinear resize.
struct BilinearTap {
  std::int32_t first = 0, second = 0;
  float weight = 0.0F;  ///< of the second
};

/// Where each of `out` positions along an axis of `in` lies, as torch.nn.functional.interpolate places them.
std::vector<BilinearTap> bilinear_taps(std::int64_t in, std::int64_t out, Corners corners);

/// One output row of a bilinear resize; `above` and `below` are input rows [.., c], `stride` floats from one
/// output pixel to the next.
void bilinear_row(const float* above, const float* below, float weight_below,
                  std::span<const BilinearTap> taps, std::int64_t c, float* out, std::int64_t stride);

/// The two halves of `bilinear_row` of one channel, for whoever needs a widened row twice: first along the
/// row,
///   out[i] = (1 - weight) row[first] + weight row[second]
void widen_row(const float* row, std::span<const BilinearTap> taps, float* out);
/// then between two such rows: out[i] = (1 - weight_below) above[i] + weight_below below[i]
void mix_rows(const float* above, const float* below, float weight_below, std::int64_t n, float* out);

/// A tile of queries of one head against all keys of its window.
struct AttentionTile {
  std::span<const float* const> queries;  ///< q_pool^2 rows per query; the query is their maximum
  int q_rows = 1;                         ///< 1 or 4
  std::span<const float* const>
      keys;  ///< rows of k; with `pads` > 0 the last one stands for the padded tokens
  std::span<const float* const> values;  ///< rows of v, in the same order
  float pad_score = 0.0F;                ///< log of the number of padded tokens, added to the last score
  bool has_pads = false;
  std::int64_t dim = 0;         ///< of the head
  std::span<float* const> out;  ///< one row of `dim` per query
};

/// Floats of scratch that `attention` needs for so many keys and so large a head.
std::int64_t attention_scratch(std::int64_t keys, std::int64_t dim);
/// How many queries a tile may hold at most.
int attention_tile_queries();
/// softmax(q k^T / sqrt(dim)) v. `scratch` is aligned to 64 bytes.
void attention(const AttentionTile& tile, float* scratch);

}  // namespace sam2unet::ops::kernels
