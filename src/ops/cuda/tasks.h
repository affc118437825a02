// What the kernels are told: plain structures that travel to the device by value. Memory is the device's.
#pragma once

#include <cstdint>

#include "ops/cuda/elements.h"

namespace sam2unet::ops::cuda {

/// What happens to a product's sums v, after the bias, before they are rounded.
enum class Epilogue : int {
  none,      ///< v
  gelu,      ///< gelu(v)
  relu,      ///< max(v, 0)
  add,       ///< residual + v
  gelu_add,  ///< residual + gelu(v)
  add_relu,  ///< max(residual + v, 0)
};

/// Some columns' share of what a row's LayerNorm needs: their sum, and the sum of squared deviations from
/// their own mean. Shares are combined exactly (Chan et al. 1983), without cancellation.
struct RowShare {
  float sum, squares;
};

/// Shares of all rows, [rows, count]; each of `width` columns, the last of what is left.
struct RowShares {
  RowShare* values = nullptr;
  int count = 0, width = 0;
};

inline constexpr int kMaxParts = 4;

/// out[m,n] = epilogue(sum over taps and k of left[m moved by the tap, k] weights[n, tap, k] + bias[n]).
///
/// A linear layer has one tap. A convolution's rows are the pixels of [b,h,w], and what lies outside the
/// picture is 0. The left side's columns may lie in up to kMaxParts places of `part_width` columns each (a
/// concatenation that is never made).
///
/// Where `shares` are given the left side is normalised without being written:
///   rstd (sum_k x_k w_nk - mean column_sums[n]) + bias[n], with the norm's weight in w and its bias in bias.
struct ProductTask {
  const void* parts[kMaxParts] = {};
  int pitches[kMaxParts] = {};  // elements from row to row of each part
  int part_width = 0;
  int rows = 0, columns = 0, depth = 0;  // M, N, and K of one tap
  int tap_rows = 1, tap_columns = 1, dilation = 1;
  int height = 1, width = 1;  // of the pictures of a convolution

  const void* weights = nullptr;  // [N, taps, depth], depth rounded up to 8 with zeros
  int weights_pitch = 0;          // elements from row to row
  const float* bias = nullptr;    // [N]
  const float* column_sums = nullptr;
  RowShares shares;
  float norm_width = 0;  // of the whole row

  Epilogue epilogue = Epilogue::none;
  const void* residual = nullptr;
  int residual_pitch = 0;
  void* out = nullptr;
  int out_pitch = 0;
  RowShares out_shares;  // where the rows of the result are normalised next
};

/// Convolutions of one size beside each other.
inline constexpr int kMaxTasks = 3;
struct ProductTasks {
  ProductTask tasks[kMaxTasks];
};

/// softmax(q k^T / sqrt d) v per head and window of a picture of tokens [B,H,W,3D] -> [B,H/p,W/p,D].
struct AttentionTask {
  const void* qkv = nullptr;
  const void* bias = nullptr;  // [3D] of the layer that made qkv: what a padded token is
  void* out = nullptr;
  int batch = 1, height = 0, width = 0;
  int heads = 1, head_width = 0;  // D = heads head_width
  int window_height = 0, window_width = 0;
  int pool = 1;     // 2: queries are 2x2 maxima
  float scale = 1;  // log2(e) / sqrt(d)
};

/// x + gelu(up gelu(down x)), and the shares of its rows (one of the whole width).
struct AdapterTask {
  const void* x = nullptr;  // [rows, width], dense
  void* out = nullptr;      // may be x
  int rows = 0, width = 0;
  const void* down = nullptr;  // fragments of [32, width]
  const void* up = nullptr;    // fragments of [width, 32]
  const float* down_bias = nullptr;
  const float* up_bias = nullptr;
  RowShare* shares = nullptr;  // [rows], or nothing
};

/// Pictures to the rows of the patch embedding's product: [B,H,W,3] -> [B H/4 W/4, 7*7*3 rounded up to 8].
struct UnfoldTask {
  const std::uint8_t* bytes = nullptr;  // one of the two: 8-bit RGB, normalised here,
  const float* values = nullptr;        // or what is normalised already
  void* out = nullptr;
  int batch = 1, height = 0, width = 0;
  int pitch = 0;
};

struct ResizeTask {
  const void* x = nullptr;  // [B,h,w,C] with `pitch` from pixel to pixel
  void* out = nullptr;      // [B,H,W,C], dense
  int batch = 1, height = 0, width = 0, channels = 0, pitch = 0;
  int out_height = 0, out_width = 0;
  int align_corners = 0;
};

struct RowsTask {
  const void* x = nullptr;
  void* out = nullptr;
  int rows = 0, width = 0, pitch = 0, out_pitch = 0;
  const float* weight = nullptr;  // of a norm, [width]
  const float* bias = nullptr;
  RowShare* shares = nullptr;
};

struct PoolTask {
  const void* x = nullptr;  // [B,H,W,C] -> [B,H/2,W/2,C]
  void* out = nullptr;
  int batch = 1, height = 0, width = 0, channels = 0, pitch = 0;
};

/// What is made of one or two numbers.
enum class Elementwise : int { copy, gelu, relu, add };

struct ElementwiseTask {
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
  int rows = 0, width = 0;  // of [rows, width] each
  int a_pitch = 0, b_pitch = 0, out_pitch = 0;
};

}  // namespace sam2unet::ops::cuda
