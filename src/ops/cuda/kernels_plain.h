// Products and attention without matrix units, with float32 weights and sums: what float32 runs on, the heads
// (a few columns, float32 results), and widths the other kernels do not take.
#pragma once

#include "ops/cuda/device.h"
#include "ops/cuda/kernels_math.h"
#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

/// Tiles of 64 x 64 by 256 threads, 4 x 4 results each; 16 numbers of depth at a time.
template <Element In, Element Out>
struct PlainProductShape {
  static constexpr Element kIn = In, kOut = Out;
  static constexpr int kTile = 64, kDepth = 16, kThreads = 256, kPitch = kTile + 4;
  static constexpr int kSharedBytes = 2 * kDepth * kPitch * 4;
};

/// As ProductTask says, but weights are float32, and no shares are read or written.
template <class Shape>
class PlainProductBlock {
 public:
  S2U_DEVICE explicit PlainProductBlock(const ProductTask& t)
      : t_(t),
        first_row_(device::block_y() * Shape::kTile),
        first_column_(device::block_x() * Shape::kTile),
        left_(reinterpret_cast<float*>(device::shared_memory())),
        right_(left_ + Shape::kDepth * Shape::kPitch) {}

  S2U_DEVICE void run() {
    const int thread = device::thread_index(), row = thread / 16 * 4, column = thread % 16 * 4;
    float sums[4][4] = {};
    for (int tap = 0; tap < t_.tap_rows * t_.tap_columns; ++tap) {
      for (int k0 = 0; k0 < t_.depth; k0 += Shape::kDepth) {
        load(tap, k0);
        device::sync_threads();
        for (int k = 0; k < Shape::kDepth; ++k) {
          float a[4], b[4];
          S2U_UNROLL
          for (int i = 0; i < 4; ++i) a[i] = left_[k * Shape::kPitch + row + i];
          S2U_UNROLL
          for (int i = 0; i < 4; ++i) b[i] = right_[k * Shape::kPitch + column + i];
          S2U_UNROLL
          for (int i = 0; i < 4; ++i) {
            S2U_UNROLL
            for (int j = 0; j < 4; ++j) sums[i][j] = device::multiply_then_add(a[i], b[j], sums[i][j]);
          }
        }
        device::sync_threads();
      }
    }
    S2U_UNROLL
    for (int i = 0; i < 4; ++i) {
      S2U_UNROLL
      for (int j = 0; j < 4; ++j) store(first_row_ + row + i, first_column_ + column + j, sums[i][j]);
    }
  }

 private:
  // Both sides by depth, then row: [kDepth, kTile].
  S2U_DEVICE void load(int tap, int k0) const {
    const int rounded = (t_.depth + 7) / 8 * 8;
    const int ty = tap / t_.tap_columns, tx = tap - ty * t_.tap_columns;
    const int dy = (ty - (t_.tap_rows - 1) / 2) * t_.dilation;
    const int dx = (tx - (t_.tap_columns - 1) / 2) * t_.dilation;
    const bool is_convolution = t_.tap_rows * t_.tap_columns > 1;
    for (int i = device::thread_index(); i < Shape::kTile * Shape::kDepth; i += Shape::kThreads) {
      const int r = i / Shape::kDepth, d = i % Shape::kDepth, k = k0 + d;
      const int m = first_row_ + r, n = first_column_ + r;
      bool valid = k < t_.depth && m < t_.rows;
      if (is_convolution && valid) {
        const int pixel = m % (t_.height * t_.width), y = pixel / t_.width + dy, x = pixel % t_.width + dx;
        valid = y >= 0 && y < t_.height && x >= 0 && x < t_.width;
      }
      float v = 0;
      if (valid) {
        const int part = k / t_.part_width;
        const long long source = static_cast<long long>(m) + dy * t_.width + dx;
        v = read<Shape::kIn>(t_.parts[part], source * t_.pitches[part] + k - part * t_.part_width);
      }
      left_[d * Shape::kPitch + r] = v;
      right_[d * Shape::kPitch + r] =
          k < t_.depth && n < t_.columns
              ? static_cast<const float*>(
                    t_.weights)[static_cast<long long>(n) * t_.weights_pitch + tap * rounded + k]
              : 0.0F;
    }
  }

  S2U_DEVICE void store(int m, int n, float v) const {
    if (m >= t_.rows || n >= t_.columns) return;
    v += t_.bias[n];
    if (t_.epilogue == Epilogue::gelu || t_.epilogue == Epilogue::gelu_add) v = exact_gelu_of(v);
    if (t_.epilogue == Epilogue::relu) v = device::larger(v, 0.0F);
    if (t_.residual != nullptr) {
      v += read<Shape::kOut>(t_.residual, static_cast<long long>(m) * t_.residual_pitch + n);
    }
    if (t_.epilogue == Epilogue::add_relu) v = device::larger(v, 0.0F);
    write<Shape::kOut>(t_.out, static_cast<long long>(m) * t_.out_pitch + n, v);
  }

  const ProductTask& t_;
  const int first_row_, first_column_;
  float *left_, *right_;
};

template <class Shape>
S2U_DEVICE void plain_product_block(const ProductTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  PlainProductBlock<Shape>(t).run();
}

inline constexpr int kHeadThreads = 256;

/// The heads: few columns, 16-bit rows, float32 weights and results, no epilogue. A thread makes one number.
template <Element In>
S2U_DEVICE void head_block(const ProductTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const long long i = static_cast<long long>(device::block_x()) * kHeadThreads + device::thread_index();
  if (i >= static_cast<long long>(t.rows) * t.columns) return;
  const long long m = i / t.columns;
  const int n = static_cast<int>(i - m * t.columns);
  const auto* row = static_cast<const std::uint16_t*>(t.parts[0]) + m * t.pitches[0];
  const float* weights = static_cast<const float*>(t.weights) + static_cast<long long>(n) * t.weights_pitch;
  float sum = 0;
  for (int k = 0; k < t.depth; k += 8) {
    const device::Bytes16 v = device::load_16(row + k);
    S2U_UNROLL
    for (int e = 0; e < 4; ++e) {
      sum = device::multiply_then_add(device::low_of<In>(v.v[e]), weights[k + 2 * e], sum);
      sum = device::multiply_then_add(device::high_of<In>(v.v[e]), weights[k + 2 * e + 1], sum);
    }
  }
  static_cast<float*>(t.out)[m * t.out_pitch + n] = sum + t.bias[n];
}

inline constexpr int kMaxHeadWidth = 256;

/// A warp to a query: lanes are keys for the scores, 32 at a time, and channels for the values.
template <Element E>
class PlainAttention {
 public:
  static constexpr int kWarps = 4, kThreads = 128;
  static constexpr int kSharedBytes = kWarps * (kMaxHeadWidth + 32) * 4;

  S2U_DEVICE PlainAttention(const AttentionTask& t, long long query, int head)
      : t_(t), lane_(device::thread_index() % 32), model_width_(t.heads * t.head_width), head_(head) {
    auto* shared = reinterpret_cast<float*>(device::shared_memory());
    query_ = shared + device::thread_index() / 32 * (kMaxHeadWidth + 32);
    scores_ = query_ + kMaxHeadWidth;
    const int out_height = t.height / t.pool, out_width = t.width / t.pool;
    picture_ = static_cast<int>(query / (out_height * out_width));
    const int i = static_cast<int>(query % (out_height * out_width));
    y_ = i / out_width * t.pool;
    x_ = i % out_width * t.pool;
  }

  S2U_DEVICE void run(long long query) {
    load_query();
    const int y0 = y_ / t_.window_height * t_.window_height, x0 = x_ / t_.window_width * t_.window_width;
    const int rows = t_.height - y0 < t_.window_height ? t_.height - y0 : t_.window_height;
    const int columns = t_.width - x0 < t_.window_width ? t_.width - x0 : t_.window_width;
    const int real = rows * columns, padding = t_.window_height * t_.window_width - real;
    const int keys = real + (padding > 0 ? 1 : 0);
    float out[kMaxHeadWidth / 32] = {}, top = -1e30F, sum = 0;
    for (int first = 0; first < keys; first += 32) {
      const int key = first + lane_;
      float s = -1e30F;
      if (key < keys) {
        s = score(key < real ? token(y0 + key / columns, x0 + key % columns) : -1);
        if (key == real) s += device::log2_of(static_cast<float>(padding));
      }
      const float larger = device::larger(top, warp_max(s));
      const float shrink = device::exp2_of(top - larger), p = key < keys ? device::exp2_of(s - larger) : 0.0F;
      top = larger;
      sum = sum * shrink + warp_sum(p);
      scores_[lane_] = p;
      device::sync_warp();
      const int here = keys - first < 32 ? keys - first : 32;
      S2U_UNROLL
      for (int c = 0; c < kMaxHeadWidth / 32; ++c) {
        const int channel = c * 32 + lane_;
        if (channel >= t_.head_width) continue;
        float v = out[c] * shrink;
        for (int k = 0; k < here; ++k) {
          const int from = first + k;
          const long long at = from < real ? token(y0 + from / columns, x0 + from % columns) : -1;
          v = device::multiply_then_add(scores_[k], value(at, 2 * model_width_ + channel), v);
        }
        out[c] = v;
      }
      device::sync_warp();
    }
    S2U_UNROLL
    for (int c = 0; c < kMaxHeadWidth / 32; ++c) {
      const int channel = c * 32 + lane_;
      if (channel < t_.head_width)
        write<E>(t_.out, query * model_width_ + head_ * t_.head_width + channel, out[c] / sum);
    }
  }

 private:
  S2U_DEVICE long long token(int y, int x) const {
    return (static_cast<long long>(picture_) * t_.height + y) * t_.width + x;
  }
  // Channel `c` of the three parts of a token, of the bias where `token` is -1.
  S2U_DEVICE float value(long long token, int c) const {
    c += head_ * t_.head_width;
    return token < 0 ? read<E>(t_.bias, c) : read<E>(t_.qkv, token * 3 * model_width_ + c);
  }
  S2U_DEVICE void load_query() const {
    for (int c = lane_; c < t_.head_width; c += 32) {
      float q = value(token(y_, x_), c);
      for (int i = 1; i < t_.pool * t_.pool; ++i) {
        q = device::larger(q, value(token(y_ + i / t_.pool, x_ + i % t_.pool), c));
      }
      query_[c] = q;
    }
    device::sync_warp();
  }
  S2U_DEVICE float score(long long token) const {
    float s = 0;
    for (int c = 0; c < t_.head_width; ++c) {
      s = device::multiply_then_add(query_[c], value(token, model_width_ + c), s);
    }
    return s * t_.scale;
  }

  const AttentionTask& t_;
  const int lane_, model_width_, head_;
  float *query_, *scores_;
  int picture_, y_, x_;
};

/// grid: (queries of all pictures / kWarps, heads).
template <Element E>
S2U_DEVICE void plain_attention_block(const AttentionTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const long long query =
      static_cast<long long>(device::block_x()) * PlainAttention<E>::kWarps + device::thread_index() / 32;
  if (query >= static_cast<long long>(t.batch) * (t.height / t.pool) * (t.width / t.pool)) return;
  PlainAttention<E>(t, query, device::block_y()).run(query);
}

}  // namespace sam2unet::ops::cuda
