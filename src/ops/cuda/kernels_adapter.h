// The adapter before every block, x + gelu(up gelu(down x)), in one pass over x: a block holds some rows, and
// the hidden values never leave registers (their fragments are the next product's left side). It also leaves
// what the LayerNorm behind it needs of each row.
//
// Weights come straight from global memory as fragments that were packed at load: for 16 columns of the
// result and 16 of depth, each lane's 16 bytes are b0, b1 of the first eight columns and of the second.
#pragma once

#include "ops/cuda/device.h"
#include "ops/cuda/kernels_math.h"
#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

inline constexpr int kAdapterWidth = 32;

/// RowWarps 4: 64 rows, of which two warps make 16; 1: 16 rows, whose depth and columns eight warps share,
/// for pictures with few pixels and for wide rows.
template <Element E_, int RowWarps>
struct AdapterShape {
  static constexpr Element kElement = E_;
  static constexpr int kRowWarps = RowWarps, kWarps = 8, kShare = kWarps / RowWarps;
  static constexpr int kThreads = 32 * kWarps, kRows = 16 * RowWarps;
  static constexpr int kHiddenTiles = kAdapterWidth / 8;
  static constexpr int pitch(int width) { return 2 * width + 16; }  // bytes
  static constexpr int kExchangeBytes = kWarps * 32 * kHiddenTiles * 4 * 4;
  static constexpr int shared_bytes(int width) { return kRows * pitch(width) + kExchangeBytes; }
};

template <class Shape>
class AdapterBlock {
 public:
  S2U_DEVICE AdapterBlock(const AdapterTask& t, int first_row)
      : t_(t),
        first_row_(first_row),
        pitch_(2 * t.width + 16),
        lane_(device::thread_index() % 32),
        row_warp_(device::thread_index() / 32 % Shape::kRowWarps),
        share_(device::thread_index() / 32 / Shape::kRowWarps),
        rows_(device::shared_memory()) {}

  S2U_DEVICE void run() {
    load();
    device::sync_threads();
    float hidden[Shape::kHiddenTiles][4] = {};
    go_down(hidden);
    add_shares(hidden);
    std::uint32_t a[Shape::kHiddenTiles / 2][4];
    activate(hidden, a);
    go_up(a);
    device::sync_threads();
    store();
  }

 private:
  static constexpr Element E = Shape::kElement;

  S2U_DEVICE void load() const {
    const int pieces = t_.width / 8;
    for (int i = device::thread_index(); i < Shape::kRows * pieces; i += Shape::kThreads) {
      const int r = i / pieces, piece = i - r * pieces, m = first_row_ + r;
      const bool is_there = m < t_.rows;
      const auto* from = static_cast<const std::uint16_t*>(t_.x) +
                         (is_there ? static_cast<long long>(m) * t_.width + piece * 8 : 0);
      device::copy_async_16(rows_ + r * pitch_ + piece * 16, from, is_there);
    }
    device::commit_async();
    device::wait_async<0>();
  }

  // Where the fragments of column pair `pair` and step `step` of a matrix of `steps` steps lie.
  S2U_DEVICE device::Bytes16 fragment(const void* matrix, int pair, int step, int steps) const {
    return device::load_16(static_cast<const unsigned char*>(matrix) +
                           ((static_cast<long long>(pair) * steps + step) * 32 + lane_) * 16);
  }

  // Weights of a few steps are asked for before the first is used: they come from far.
  S2U_DEVICE void go_down(float (&hidden)[Shape::kHiddenTiles][4]) const {
    constexpr int kAtOnce = 6, kPairs = Shape::kHiddenTiles / 2;
    const int steps = t_.width / 16;
    const unsigned char* rows = rows_ + (row_warp_ * 16 + lane_ % 16) * pitch_ + lane_ / 16 * 16;
    for (int first = share_; first < steps; first += kAtOnce * Shape::kShare) {
      device::Bytes16 b[kAtOnce][kPairs];
      S2U_UNROLL
      for (int i = 0; i < kAtOnce; ++i) {
        const int s = first + i * Shape::kShare;
        S2U_UNROLL
        for (int p = 0; p < kPairs; ++p)
          if (s < steps) b[i][p] = fragment(t_.down, p, s, steps);
      }
      S2U_UNROLL
      for (int i = 0; i < kAtOnce; ++i) {
        const int s = first + i * Shape::kShare;
        if (s >= steps) continue;
        std::uint32_t a[4];
        device::load_matrix_x4(a, rows + 32 * s);
        S2U_UNROLL
        for (int p = 0; p < kPairs; ++p) {
          device::multiply_add<E>(hidden[2 * p], a, b[i][p].v[0], b[i][p].v[1]);
          device::multiply_add<E>(hidden[2 * p + 1], a, b[i][p].v[2], b[i][p].v[3]);
        }
      }
    }
  }

  // The sums of all warps, in their order.
  S2U_DEVICE void add_shares(float (&hidden)[Shape::kHiddenTiles][4]) const {
    auto* exchange = reinterpret_cast<float*>(rows_ + Shape::kRows * pitch_);
    constexpr int kEach = Shape::kHiddenTiles * 4;
    S2U_UNROLL
    for (int i = 0; i < kEach; ++i)
      exchange[((row_warp_ * Shape::kShare + share_) * kEach + i) * 32 + lane_] = hidden[i / 4][i % 4];
    device::sync_threads();
    S2U_UNROLL
    for (int i = 0; i < kEach; ++i) {
      float sum = 0;
      S2U_UNROLL
      for (int w = 0; w < Shape::kShare; ++w)
        sum += exchange[((row_warp_ * Shape::kShare + w) * kEach + i) * 32 + lane_];
      hidden[i / 4][i % 4] = sum;
    }
  }

  S2U_DEVICE void activate(const float (&hidden)[Shape::kHiddenTiles][4],
                           std::uint32_t (&a)[Shape::kHiddenTiles / 2][4]) const {
    S2U_UNROLL
    for (int j = 0; j < Shape::kHiddenTiles; ++j) {
      const float b0 = t_.down_bias[j * 8 + 2 * (lane_ % 4)], b1 = t_.down_bias[j * 8 + 2 * (lane_ % 4) + 1];
      a[j / 2][j % 2 * 2] = device::pack2<E>(gelu_of<E>(hidden[j][0] + b0), gelu_of<E>(hidden[j][1] + b1));
      a[j / 2][j % 2 * 2 + 1] =
          device::pack2<E>(gelu_of<E>(hidden[j][2] + b0), gelu_of<E>(hidden[j][3] + b1));
    }
  }

  S2U_DEVICE void go_up(const std::uint32_t (&a)[Shape::kHiddenTiles / 2][4]) const {
    constexpr int kAtOnce = 6, kSteps = kAdapterWidth / 16;
    const int pairs = t_.width / 16;
    for (int first = share_; first < pairs; first += kAtOnce * Shape::kShare) {
      device::Bytes16 b[kAtOnce][kSteps];
      S2U_UNROLL
      for (int i = 0; i < kAtOnce; ++i) {
        const int p = first + i * Shape::kShare;
        S2U_UNROLL
        for (int s = 0; s < kSteps; ++s)
          if (p < pairs) b[i][s] = fragment(t_.up, p, s, kSteps);
      }
      S2U_UNROLL
      for (int i = 0; i < kAtOnce; ++i) {
        const int p = first + i * Shape::kShare;
        if (p < pairs) go_up_pair(a, b[i], p);
      }
    }
  }

  // 16 columns of the result, added to the rows in shared memory.
  template <int kSteps>
  S2U_DEVICE void go_up_pair(const std::uint32_t (&a)[kSteps][4], const device::Bytes16 (&b)[kSteps],
                             int p) const {
    float sums[2][4] = {};
    S2U_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      device::multiply_add<E>(sums[0], a[s], b[s].v[0], b[s].v[1]);
      device::multiply_add<E>(sums[1], a[s], b[s].v[2], b[s].v[3]);
    }
    S2U_UNROLL
    for (int j = 0; j < 2; ++j) {
      const int n = p * 16 + j * 8 + 2 * (lane_ % 4);
      const device::Floats2 bias = device::load_floats_2(t_.up_bias + n);
      S2U_UNROLL
      for (int h = 0; h < 2; ++h) {
        auto* at =
            reinterpret_cast<std::uint32_t*>(rows_ + (row_warp_ * 16 + lane_ / 4 + 8 * h) * pitch_ + 2 * n);
        *at = device::pack2<E>(device::low_of<E>(*at) + gelu_of<E>(sums[j][2 * h] + bias.x),
                               device::high_of<E>(*at) + gelu_of<E>(sums[j][2 * h + 1] + bias.y));
      }
    }
  }

  // A warp to a row.
  S2U_DEVICE void store() const {
    const int pieces = t_.width / 8;
    for (int r = device::thread_index() / 32; r < Shape::kRows; r += Shape::kWarps) {
      const int m = first_row_ + r;
      if (m >= t_.rows) break;
      const unsigned char* row = rows_ + r * pitch_;
      auto* out = static_cast<std::uint16_t*>(t_.out) + static_cast<long long>(m) * t_.width;
      float sum = 0;
      for (int i = lane_; i < pieces; i += 32) {
        const device::Bytes16 v = device::load_16(row + 16 * i);
        device::store_16(out + 8 * i, v);
        S2U_UNROLL
        for (int e = 0; e < 4; ++e) sum += device::low_of<E>(v.v[e]) + device::high_of<E>(v.v[e]);
      }
      if (t_.shares == nullptr) continue;
      sum = warp_sum(sum);
      const float mean = sum / static_cast<float>(t_.width);
      float squares = 0;
      for (int i = lane_; i < pieces; i += 32) {
        const device::Bytes16 v = device::load_16(row + 16 * i);
        S2U_UNROLL
        for (int e = 0; e < 4; ++e) {
          const float low = device::low_of<E>(v.v[e]) - mean, high = device::high_of<E>(v.v[e]) - mean;
          squares += low * low + high * high;
        }
      }
      squares = warp_sum(squares);
      if (lane_ == 0) t_.shares[m] = {sum, squares};
    }
  }

  const AdapterTask& t_;
  const int first_row_, pitch_, lane_, row_warp_, share_;
  unsigned char* rows_;
};

template <class Shape>
S2U_DEVICE void adapter_block(const AdapterTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  AdapterBlock<Shape>(t, device::block_x() * Shape::kRows).run();
}

}  // namespace sam2unet::ops::cuda
