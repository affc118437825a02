// Attention inside windows, straight from picture order: queries, keys and values are rows of the tokens'
// qkv, and no window is ever copied or padded. The n tokens by which a window reaches past the picture are
// one more key, the layer's bias, with log n added to its score: the same softmax.
//
// A warp holds 16 queries; scores, probabilities and the result stay in its registers (the probabilities'
// fragments are the scores' own). Keys and values come in chunks through shared memory, two at a time; the
// softmax is online, in base 2.
#pragma once

#include "ops/cuda/device.h"
#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

/// `GroupWarps` warps share a window's keys, in chunks of `Keys`: 4 warps and 64 keys, or, for windows of at
/// most 16 queries, a warp for each window and 16 keys.
template <Element E_, int HeadWidth, int GroupWarps, int Keys>
struct AttentionShape {
  static constexpr Element kElement = E_;
  static constexpr int kHeadWidth = HeadWidth, kGroupWarps = GroupWarps, kKeys = Keys;
  static constexpr int kWarps = 4, kThreads = 128;
  static constexpr int kGroups = kWarps / GroupWarps, kQueries = 16 * GroupWarps;
  static constexpr int kGroupThreads = 32 * GroupWarps;
  static constexpr int kPieces = HeadWidth / 8;          // of 16 bytes
  static constexpr int kPitch = (kPieces | 1) * 16;      // odd in pieces: no bank conflicts
  static constexpr int kChunkBytes = 2 * Keys * kPitch;  // keys, then values
  static constexpr int kQueryBytes = kQueries * kPitch;
  static constexpr int kTableBytes = 2 * Keys * 4;  // where the keys of two chunks lie
  static constexpr int kGroupBytes = kQueryBytes + 2 * kChunkBytes + kTableBytes;
  static constexpr int kSharedBytes = kGroups * kGroupBytes;
  static_assert(HeadWidth % 8 == 0 && Keys % 16 == 0);
};

/// Where a window lies, and what is left of it in the picture.
struct Window {
  int picture, y0, x0, rows, columns, padding;
  S2U_DEVICE Window(const AttentionTask& t, int index) {
    const int across = (t.width + t.window_width - 1) / t.window_width;
    const int down = (t.height + t.window_height - 1) / t.window_height;
    picture = index / (across * down);
    const int i = index - picture * across * down;
    y0 = i / across * t.window_height;
    x0 = i % across * t.window_width;
    rows = t.height - y0 < t.window_height ? t.height - y0 : t.window_height;
    columns = t.width - x0 < t.window_width ? t.width - x0 : t.window_width;
    padding = t.window_height * t.window_width - rows * columns;
  }
};

template <class Shape>
class WindowAttention {
 public:
  S2U_DEVICE WindowAttention(const AttentionTask& t, const Window& w, int head, int first_query,
                             unsigned char* shared)
      : t_(t),
        w_(w),
        model_width_(t.heads * Shape::kHeadWidth),
        head_(head),
        first_query_(first_query),
        queries_((w.rows / t.pool) * (w.columns / t.pool)),
        keys_(w.rows * w.columns + (w.padding > 0 ? 1 : 0)),
        thread_(device::thread_index() % Shape::kGroupThreads),
        lane_(device::thread_index() % 32),
        warp_(thread_ / 32),
        shared_(shared) {}

  S2U_DEVICE bool has_queries() const { return first_query_ < queries_; }

  S2U_DEVICE void run() {
    const int chunks = (keys_ + Shape::kKeys - 1) / Shape::kKeys;
    find_keys(0);
    find_keys(1);
    barrier();
    load_keys(0);
    load_queries();
    float out[kOutTiles][4] = {};
    float top[2] = {kLow, kLow}, sum[2] = {0, 0};  // of the scores before they are scaled
    for (int c = 0; c < chunks; ++c) {
      device::wait_async<0>();
      barrier();  // chunk c is there for all, and all have read chunk c - 1
      if (c + 1 < chunks) load_keys(c + 1);
      find_keys(c + 2);
      if (c == 0) read_queries();
      if (c + 1 < chunks) {
        attend<false>(c, out, top, sum);
      } else {
        attend<true>(c, out, top, sum);
      }
    }
    store(out, sum);
  }

 private:
  static constexpr Element E = Shape::kElement;
  static constexpr int kScoreTiles = Shape::kKeys / 8, kOutTiles = Shape::kPieces;
  static constexpr int kFullSteps = Shape::kHeadWidth / 16;
  static constexpr bool kHalfStep = Shape::kHeadWidth % 16 != 0;

  S2U_DEVICE void barrier() const {
    if constexpr (Shape::kGroups == 1) {
      device::sync_threads();
    } else {
      device::sync_warp();
    }
  }
  // Less than any score.
  static constexpr float kLow = -1e30F;
  static constexpr int kPadding = -1, kNothing = -2;  // where a key that is no pixel of the picture lies

  S2U_DEVICE int pixel(int y, int x) const {
    return (w_.picture * t_.height + w_.y0 + y) * t_.width + w_.x0 + x;
  }
  // The head's channels of a pixel's query; key and value are model_width_ and twice that further on.
  S2U_DEVICE const std::uint16_t* token(int pixel) const {
    return static_cast<const std::uint16_t*>(t_.qkv) + static_cast<long long>(pixel) * 3 * model_width_ +
           head_ * Shape::kHeadWidth;
  }
  S2U_DEVICE unsigned char* chunk_memory(int c) const {
    return shared_ + Shape::kQueryBytes + c % 2 * Shape::kChunkBytes;
  }
  S2U_DEVICE int* table(int c) const {
    return reinterpret_cast<int*>(shared_ + Shape::kQueryBytes + 2 * Shape::kChunkBytes) +
           c % 2 * Shape::kKeys;
  }

  // The pixels of a chunk's keys, once for all pieces of 16 bytes that are copied of them.
  S2U_DEVICE void find_keys(int c) const {
    const int real = w_.rows * w_.columns;
    for (int k = thread_; k < Shape::kKeys; k += Shape::kGroupThreads) {
      const int key = c * Shape::kKeys + k;
      table(c)[k] = key < real    ? pixel(key / w_.columns, key % w_.columns)
                    : key < keys_ ? kPadding
                                  : kNothing;
    }
  }

  S2U_DEVICE void load_keys(int c) const {
    unsigned char* to = chunk_memory(c);
    const int* pixels = table(c);
    for (int i = thread_; i < Shape::kKeys * Shape::kPieces; i += Shape::kGroupThreads) {
      const int k = i / Shape::kPieces, piece = i - k * Shape::kPieces, at = pixels[k];
      const std::uint16_t* from = static_cast<const std::uint16_t*>(t_.bias) + head_ * Shape::kHeadWidth;
      if (at >= 0) from = token(at);
      from += model_width_ + piece * 8;
      unsigned char* there = to + k * Shape::kPitch + piece * 16;
      device::copy_async_16(there, from, at != kNothing);
      device::copy_async_16(there + Shape::kKeys * Shape::kPitch, from + model_width_, at != kNothing);
    }
    device::commit_async();
  }

  // Queries by way of shared memory, pooled on the way.
  S2U_DEVICE void load_queries() const {
    const int across = w_.columns / t_.pool;
    for (int i = thread_; i < Shape::kQueries * Shape::kPieces; i += Shape::kGroupThreads) {
      const int q = i / Shape::kPieces, piece = i - q * Shape::kPieces, query = first_query_ + q;
      device::Bytes16 v = {{0, 0, 0, 0}};
      if (query < queries_) {
        const int y = query / across * t_.pool, x = query % across * t_.pool;
        v = device::load_16(token(pixel(y, x)) + piece * 8);
        if (t_.pool == 2) {
          S2U_UNROLL
          for (int j = 1; j < 4; ++j) {
            const device::Bytes16 o = device::load_16(token(pixel(y + j / 2, x + j % 2)) + piece * 8);
            S2U_UNROLL
            for (int e = 0; e < 4; ++e) v.v[e] = device::max2<E>(v.v[e], o.v[e]);
          }
        }
      }
      device::store_16(shared_ + q * Shape::kPitch + piece * 16, v);
    }
  }

  S2U_DEVICE void read_queries() {
    const unsigned char* rows = shared_ + warp_ * 16 * Shape::kPitch;
    S2U_UNROLL
    for (int s = 0; s < kFullSteps; ++s) {
      device::load_matrix_x4(q_[s], rows + lane_ % 16 * Shape::kPitch + 32 * s + lane_ / 16 * 16);
    }
    if constexpr (kHalfStep) {
      device::load_matrix_x2(q_half_, rows + lane_ % 16 * Shape::kPitch + 32 * kFullSteps);
    }
  }

  // s = q k^T of a chunk, eight keys to a tile.
  S2U_DEVICE void score(const unsigned char* keys, int tiles, float (&s)[kScoreTiles][4]) const {
    S2U_UNROLL
    for (int j = 0; j < kScoreTiles; j += 2) {
      if (j >= tiles) continue;
      const unsigned char* row = keys + (j * 8 + lane_ % 8 + lane_ / 16 * 8) * Shape::kPitch;
      S2U_UNROLL
      for (int k = 0; k < kFullSteps; ++k) {
        std::uint32_t b[4];
        device::load_matrix_x4(b, row + 32 * k + lane_ / 8 % 2 * 16);
        device::multiply_add<E>(s[j], q_[k], b[0], b[1]);
        device::multiply_add<E>(s[j + 1], q_[k], b[2], b[3]);
      }
      if constexpr (kHalfStep) {
        std::uint32_t b[2];
        device::load_matrix_x2(b, keys + (j * 8 + lane_ % 16) * Shape::kPitch + 32 * kFullSteps);
        device::multiply_add_k8<E>(s[j], q_half_[0], q_half_[1], b[0]);
        device::multiply_add_k8<E>(s[j + 1], q_half_[0], q_half_[1], b[1]);
      }
    }
  }

  // One chunk: scores to probabilities, what was added before scaled to the new maximum, values added. The
  // last chunk may hold fewer keys, and the padding's.
  template <bool kLast>
  S2U_DEVICE void attend(int c, float (&out)[kOutTiles][4], float (&top)[2], float (&sum)[2]) const {
    const int here = kLast ? keys_ - c * Shape::kKeys : Shape::kKeys;
    const int tiles = (here + 15) / 16 * 2;
    const unsigned char* keys = chunk_memory(c);
    float s[kScoreTiles][4] = {};
    score(keys, tiles, s);
    if constexpr (kLast) mask(s, here);
    float larger[2] = {top[0], top[1]};
    S2U_UNROLL
    for (int j = 0; j < kScoreTiles; ++j) {
      S2U_UNROLL
      for (int e = 0; e < 4; ++e) larger[e / 2] = device::larger(larger[e / 2], s[j][e]);
    }
    float offset[2];
    S2U_UNROLL
    for (int h = 0; h < 2; ++h) {
      larger[h] = device::larger(larger[h], device::shuffle_xor(larger[h], 1));
      larger[h] = device::larger(larger[h], device::shuffle_xor(larger[h], 2));
      const float shrink = device::exp2_of((top[h] - larger[h]) * t_.scale);
      top[h] = larger[h];
      offset[h] = -larger[h] * t_.scale;
      sum[h] *= shrink;
      S2U_UNROLL
      for (int j = 0; j < kOutTiles; ++j) {
        out[j][2 * h] *= shrink;
        out[j][2 * h + 1] *= shrink;
      }
    }
    S2U_UNROLL
    for (int j = 0; j < kScoreTiles; ++j) {
      S2U_UNROLL
      for (int e = 0; e < 4; ++e) {
        s[j][e] = device::exp2_of(device::multiply_then_add(s[j][e], t_.scale, offset[e / 2]));
        sum[e / 2] += s[j][e];
      }
    }
    add_values(keys + Shape::kKeys * Shape::kPitch, tiles, s, out);
  }

  // Of the last chunk: `here` keys, the last of which is the padding's where there is any.
  S2U_DEVICE void mask(float (&s)[kScoreTiles][4], int here) const {
    const float extra =
        w_.padding > 0 ? device::divide(device::log2_of(static_cast<float>(w_.padding)), t_.scale) : 0.0F;
    S2U_UNROLL
    for (int j = 0; j < kScoreTiles; ++j) {
      S2U_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int key = j * 8 + 2 * (lane_ % 4) + e % 2;
        if (key == here - 1) s[j][e] += extra;
        if (key >= here) s[j][e] = kLow;
      }
    }
  }

  // out += p v; the scores' fragments of two tiles are the left side's of sixteen keys.
  S2U_DEVICE void add_values(const unsigned char* values, int tiles, const float (&p)[kScoreTiles][4],
                             float (&out)[kOutTiles][4]) const {
    S2U_UNROLL
    for (int k = 0; k < Shape::kKeys / 16; ++k) {
      if (2 * k >= tiles) continue;
      const std::uint32_t a[4] = {device::pack2<E>(p[2 * k][0], p[2 * k][1]),
                                  device::pack2<E>(p[2 * k][2], p[2 * k][3]),
                                  device::pack2<E>(p[2 * k + 1][0], p[2 * k + 1][1]),
                                  device::pack2<E>(p[2 * k + 1][2], p[2 * k + 1][3])};
      const unsigned char* row = values + (k * 16 + lane_ % 16) * Shape::kPitch;
      S2U_UNROLL
      for (int j = 0; j + 1 < kOutTiles; j += 2) {
        std::uint32_t b[4];
        device::load_matrix_x4_transposed(b, row + (j + lane_ / 16) * 16);
        device::multiply_add<E>(out[j], a, b[0], b[1]);
        device::multiply_add<E>(out[j + 1], a, b[2], b[3]);
      }
      if constexpr (kOutTiles % 2 != 0) {
        std::uint32_t b[2];
        device::load_matrix_x2_transposed(b, row + (kOutTiles - 1) * 16);
        device::multiply_add<E>(out[kOutTiles - 1], a, b[0], b[1]);
      }
    }
  }

  // By way of the queries' memory, where each warp's rows are its own.
  S2U_DEVICE void store(const float (&out)[kOutTiles][4], float (&sum)[2]) const {
    unsigned char* rows = shared_ + warp_ * 16 * Shape::kPitch;
    S2U_UNROLL
    for (int h = 0; h < 2; ++h) {
      float total = sum[h] + device::shuffle_xor(sum[h], 1);
      total += device::shuffle_xor(total, 2);
      const float scale = device::divide(1.0F, total);
      S2U_UNROLL
      for (int j = 0; j < kOutTiles; ++j) {
        *reinterpret_cast<std::uint32_t*>(rows + (lane_ / 4 + 8 * h) * Shape::kPitch + 16 * j +
                                          4 * (lane_ % 4)) =
            device::pack2<E>(out[j][2 * h] * scale, out[j][2 * h + 1] * scale);
      }
    }
    device::sync_warp();
    const int across = w_.columns / t_.pool;
    for (int i = lane_; i < 16 * Shape::kPieces; i += 32) {
      const int q = i / Shape::kPieces, piece = i - q * Shape::kPieces, query = first_query_ + warp_ * 16 + q;
      if (query >= queries_) continue;
      const long long pixel =
          (static_cast<long long>(w_.picture) * (t_.height / t_.pool) + w_.y0 / t_.pool + query / across) *
              (t_.width / t_.pool) +
          w_.x0 / t_.pool + query % across;
      device::store_16(
          static_cast<std::uint16_t*>(t_.out) + pixel * model_width_ + head_ * Shape::kHeadWidth + piece * 8,
          device::load_16(rows + q * Shape::kPitch + piece * 16));
    }
  }

  const AttentionTask& t_;
  const Window& w_;
  const int model_width_, head_, first_query_, queries_, keys_, thread_, lane_, warp_;
  unsigned char* shared_;
  std::uint32_t q_[kFullSteps > 0 ? kFullSteps : 1][4], q_half_[2];
};

/// grid: (windows / groups, heads, query tiles of the largest window).
template <class Shape>
S2U_DEVICE void attention_block(const AttentionTask& t, int windows) {
  device::wait_for_previous();
  device::let_next_start();
  const int group = device::thread_index() / Shape::kGroupThreads;
  const int index = device::block_x() * Shape::kGroups + group;
  if (index >= windows) return;
  const Window window(t, index);
  WindowAttention<Shape> attention(t, window, device::block_y(), device::block_z() * Shape::kQueries,
                                   device::shared_memory() + group * Shape::kGroupBytes);
  if (attention.has_queries()) attention.run();
}

}  // namespace sam2unet::ops::cuda
