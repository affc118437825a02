// Products and convolutions on matrix units: one kernel, since a convolution is a product whose left rows
// come from neighbouring pixels.
//
// A block makes a tile of kRows x kColumns. Chunks of 64 numbers of depth (128 bytes a row) travel to shared
// memory by asynchronous copies, several chunks ahead. 16-byte pieces of a row lie at piece ^ (row % 8), so
// that eight rows' same piece are in different banks, and as wgmma wants them.
#pragma once

#include "ops/cuda/device.h"
#include "ops/cuda/kernels_math.h"
#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

inline constexpr int kChunk = 64;               // numbers of depth
inline constexpr int kChunkBytes = 2 * kChunk;  // of a row

/// kRowWarps x kColumnWarps warps share a tile of kRows x kColumns. `Split` blocks of a cluster share a
/// tile's depth (compute capability 9.0): few rows make few tiles, which alone would leave a device idle.
template <Element E_, int Rows, int Columns, int RowWarps, int ColumnWarps, int Stages, int Split = 1>
struct ProductShape {
  static constexpr Element kElement = E_;
  static constexpr int kRows = Rows, kColumns = Columns, kStages = Stages;
  static constexpr int kRowWarps = RowWarps, kColumnWarps = ColumnWarps, kSplit = Split;
  static constexpr int kThreads = 32 * RowWarps * ColumnWarps;
  static constexpr int kWarpRows = Rows / RowWarps, kWarpColumns = Columns / ColumnWarps;
  static constexpr int kRowTiles = kWarpRows / 16, kColumnTiles = kWarpColumns / 8;
  static constexpr int kLeftBytes = Rows * kChunkBytes, kRightBytes = Columns * kChunkBytes;
  static constexpr int kStageBytes = kLeftBytes + kRightBytes;
  static constexpr int kOutPitch = 2 * Columns + 16;  // bytes: 16 more than a row, against bank conflicts
  static constexpr int kNormBytes = Rows * 8;         // (mean, rstd) of each row
  static constexpr int kColumnBytes = Columns * 8;    // (bias, sum of the weights) of each column
  static constexpr int kPipelineBytes =
      Stages * kStageBytes > Rows* kOutPitch ? Stages* kStageBytes : Rows* kOutPitch;
  static constexpr int kNormsAt = (kPipelineBytes + 15) / 16 * 16, kColumnsAt = kNormsAt + kNormBytes;
  static constexpr int kSharedBytes = kColumnsAt + kColumnBytes;
  static constexpr int kSumBytes = Rows * Columns * 4;
  static_assert(Split == 1 || (ColumnWarps == 1 && RowWarps % Split == 0 && kSumBytes <= kPipelineBytes));
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 8 == 0 && kLeftBytes % 1024 == 0);
  /// Of the threads that share a tile, and their numbers.
  static S2U_DEVICE void barrier() { device::sync_threads(); }
  static S2U_DEVICE int thread() { return device::thread_index(); }
};

/// Where piece `piece` (16 bytes) of row `row` of a chunk lies.
S2U_DEVICE int swizzled(int row, int piece) {
  return row * kChunkBytes + ((piece ^ (row & 7)) << 4);
}

/// Brings a tile's chunks of the left side and of the weights to shared memory.
template <class Shape, bool kConvolution>
class TileLoader {
 public:
  S2U_DEVICE TileLoader(const ProductTask& task, int first_row, int first_column)
      : t_(task),
        piece_(device::thread_index() % 8),
        row_(device::thread_index() / 8),
        first_row_(first_row),
        first_column_(first_column),
        per_tap_((task.depth + kChunk - 1) / kChunk) {
    if constexpr (kConvolution) {
      S2U_UNROLL
      for (int i = 0; i < kLeft; ++i) {
        const int m = first_row_ + row_ + i * kStep;
        const int pixel = m % (t_.height * t_.width);
        y_[i] = static_cast<short>(pixel / t_.width);
        x_[i] = static_cast<short>(pixel % t_.width);
      }
    }
  }

  S2U_DEVICE int chunks() const { return per_tap_ * t_.tap_rows * t_.tap_columns; }
  /// Steps of 16 of the chunk's depth that hold anything.
  S2U_DEVICE int steps(int chunk) const {
    const int left = t_.depth - (chunk % per_tap_) * kChunk;
    return left >= kChunk ? kChunk / 16 : (left + 15) / 16;
  }

  S2U_DEVICE void load_left(int chunk, unsigned char* stage) const {
    const int tap = kConvolution ? chunk / per_tap_ : 0;
    const int column = (chunk - tap * per_tap_) * kChunk + piece_ * 8;
    const bool is_there = column < t_.depth;
    const int part = is_there ? column / t_.part_width : 0;
    const auto* base =
        static_cast<const std::uint16_t*>(t_.parts[part]) + (is_there ? column - part * t_.part_width : 0);
    const long long pitch = t_.pitches[part];
    int dy = 0, dx = 0;
    if constexpr (kConvolution) {
      const int ty = tap / t_.tap_columns;
      dy = (ty - (t_.tap_rows - 1) / 2) * t_.dilation;
      dx = (tap - ty * t_.tap_columns - (t_.tap_columns - 1) / 2) * t_.dilation;
    }
    S2U_UNROLL
    for (int i = 0; i < kLeft; ++i) {
      const int r = row_ + i * kStep;
      if (kPartialLeft && r >= Shape::kRows) break;
      const int m = first_row_ + r;
      bool valid = is_there && m < t_.rows;
      long long source = m;
      if constexpr (kConvolution) {
        const int y = y_[i] + dy, x = x_[i] + dx;
        valid = valid && y >= 0 && y < t_.height && x >= 0 && x < t_.width;
        source += dy * t_.width + dx;
      }
      device::copy_async_16(stage + swizzled(r, piece_), valid ? base + source * pitch : base, valid);
    }
  }

  S2U_DEVICE void load_right(int chunk, unsigned char* stage) const {
    const int tap = kConvolution ? chunk / per_tap_ : 0;
    const int column = (chunk - tap * per_tap_) * kChunk + piece_ * 8;
    const bool is_there = column < t_.depth;
    const int rounded = (t_.depth + 7) / 8 * 8;
    const auto* base =
        static_cast<const std::uint16_t*>(t_.weights) + (is_there ? tap * rounded + column : 0);
    S2U_UNROLL
    for (int i = 0; i < kRight; ++i) {
      const int r = row_ + i * kStep;
      if (kPartialRight && r >= Shape::kColumns) break;
      const int n = first_column_ + r;
      const bool valid = is_there && n < t_.columns;
      device::copy_async_16(stage + Shape::kLeftBytes + swizzled(r, piece_),
                            valid ? base + static_cast<long long>(n) * t_.weights_pitch : base, valid);
    }
  }

 private:
  static constexpr int kStep = Shape::kThreads / 8;  // rows that all threads copy at once
  static constexpr int kLeft = (Shape::kRows + kStep - 1) / kStep;
  static constexpr int kRight = (Shape::kColumns + kStep - 1) / kStep;
  static constexpr bool kPartialLeft = Shape::kRows % kStep != 0;
  static constexpr bool kPartialRight = Shape::kColumns % kStep != 0;

  const ProductTask& t_;
  int piece_, row_, first_row_, first_column_, per_tap_;
  short y_[kConvolution ? kLeft : 1], x_[kConvolution ? kLeft : 1];
};

/// Mean and 1 / deviation of the tile's rows, for the fold: norms[2 r], norms[2 r + 1].
template <class Shape>
S2U_DEVICE void combine_shares(const ProductTask& t, int first_row, float* norms) {
  for (int r = Shape::thread(); r < Shape::kRows; r += Shape::kThreads) {
    const int m = first_row + r;
    if (m >= t.rows) continue;
    const RowShare* shares = t.shares.values + static_cast<long long>(m) * t.shares.count;
    float sum = 0;
    for (int i = 0; i < t.shares.count; ++i) sum += shares[i].sum;
    const float mean = sum / t.norm_width;
    float squares = 0;
    for (int i = 0; i < t.shares.count; ++i) {
      const float left = t.norm_width - static_cast<float>(i * t.shares.width);
      const float n = device::smaller(left, static_cast<float>(t.shares.width));
      const float away = shares[i].sum / n - mean;
      squares += shares[i].squares + n * away * away;
    }
    norms[2 * r] = mean;
    norms[2 * r + 1] = device::reciprocal_root(squares / t.norm_width + kNormEps);
  }
}

/// Adds the products of one step of 16 of a chunk's depth to a warp's sums, by mma.sync.
template <class Shape>
S2U_DEVICE void multiply_step(const unsigned char* stage, int step,
                              float (&sums)[Shape::kRowTiles][Shape::kColumnTiles][4]) {
  constexpr Element E = Shape::kElement;
  const int lane = device::thread_index() % 32, warp = device::thread_index() / 32;
  const int first_row = warp % Shape::kRowWarps * Shape::kWarpRows;
  const int first_column = warp / Shape::kRowWarps * Shape::kWarpColumns;
  const unsigned char* left = stage;
  const unsigned char* right = stage + Shape::kLeftBytes;
  std::uint32_t a[Shape::kRowTiles][4];
  S2U_UNROLL
  for (int i = 0; i < Shape::kRowTiles; ++i) {
    // Matrices: rows 0-7 and 8-15 of the first 8 columns, then of the second.
    device::load_matrix_x4(a[i], left + swizzled(first_row + i * 16 + lane % 16, 2 * step + lane / 16));
  }
  S2U_UNROLL
  for (int j = 0; j + 1 < Shape::kColumnTiles; j += 2) {
    // Matrices: 8 columns of the result by depths 0-7 and 8-15, then the next 8 columns.
    std::uint32_t b[4];
    device::load_matrix_x4(
        b, right + swizzled(first_column + j * 8 + lane % 8 + lane / 16 * 8, 2 * step + lane / 8 % 2));
    S2U_UNROLL
    for (int i = 0; i < Shape::kRowTiles; ++i) {
      device::multiply_add<E>(sums[i][j], a[i], b[0], b[1]);
      device::multiply_add<E>(sums[i][j + 1], a[i], b[2], b[3]);
    }
  }
  if constexpr (Shape::kColumnTiles % 2 != 0) {
    constexpr int j = Shape::kColumnTiles - 1;
    std::uint32_t b[2];
    device::load_matrix_x2(b, right + swizzled(first_column + j * 8 + lane % 8, 2 * step + lane / 8 % 2));
    S2U_UNROLL
    for (int i = 0; i < Shape::kRowTiles; ++i) device::multiply_add<E>(sums[i][j], a[i], b[0], b[1]);
  }
}

template <class Shape>
S2U_DEVICE void multiply_chunk(const unsigned char* stage, int steps,
                               float (&sums)[Shape::kRowTiles][Shape::kColumnTiles][4]) {
  if (steps == kChunk / 16) {
    S2U_UNROLL
    for (int step = 0; step < kChunk / 16; ++step) multiply_step<Shape>(stage, step, sums);
  } else {
    for (int step = 0; step < steps; ++step) multiply_step<Shape>(stage, step, sums);
  }
}

/// What the epilogue needs of the tile's columns, brought near early: each number would else be waited for.
/// columns[n] is the bias, columns[kColumns + n] the sum of the weights.
template <class Shape>
S2U_DEVICE void load_columns(const ProductTask& t, int first_column, float* columns) {
  for (int c = Shape::thread(); c < Shape::kColumns; c += Shape::kThreads) {
    const int n = first_column + c;
    columns[c] = n < t.columns ? t.bias[n] : 0.0F;
    columns[Shape::kColumns + c] = t.column_sums != nullptr && n < t.columns ? t.column_sums[n] : 0.0F;
  }
}

template <Epilogue Kind>
inline constexpr bool kAdds =
    Kind == Epilogue::add || Kind == Epilogue::gelu_add || Kind == Epilogue::add_relu;

/// Two neighbouring results of one row, rounded. `Folds`: the left side was normalised by `norm`; `columns`
/// are the first of the two's.
template <class Shape, Epilogue Kind, bool Folds>
S2U_DEVICE std::uint32_t finish_pair(float v0, float v1, const float* columns, const float* norm,
                                     std::uint32_t residual) {
  constexpr Element E = Shape::kElement;
  if constexpr (Folds) {
    v0 = norm[1] * (v0 - norm[0] * columns[Shape::kColumns]);
    v1 = norm[1] * (v1 - norm[0] * columns[Shape::kColumns + 1]);
  }
  v0 += columns[0];
  v1 += columns[1];
  if constexpr (Kind == Epilogue::gelu || Kind == Epilogue::gelu_add) {
    v0 = gelu_of<E>(v0);
    v1 = gelu_of<E>(v1);
  }
  if constexpr (kAdds<Kind>) {
    v0 += device::low_of<E>(residual);
    v1 += device::high_of<E>(residual);
  }
  if constexpr (Kind == Epilogue::relu || Kind == Epilogue::add_relu) {
    v0 = device::larger(v0, 0.0F);
    v1 = device::larger(v1, 0.0F);
  }
  return device::pack2<E>(v0, v1);
}

/// A warp's sums to the tile in shared memory. Rows and columns past the result are made of something that is
/// there, without a branch, and not copied out.
template <class Shape, Epilogue Kind, bool Folds>
S2U_DEVICE void finish_tile(const ProductTask& t, int first_row, int first_column, int row_in_tile,
                            int column_in_tile, const float (&sums)[Shape::kRowTiles][Shape::kColumnTiles][4],
                            unsigned char* tile, const float* norms, const float* columns) {
  const int lane = device::thread_index() % 32, quad_column = column_in_tile + 2 * (lane % 4);
  S2U_UNROLL
  for (int i = 0; i < Shape::kRowTiles; ++i) {
    S2U_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int r = row_in_tile + i * 16 + half * 8 + lane / 4;
      const int m = first_row + r < t.rows ? first_row + r : t.rows - 1;
      const auto* residual =
          static_cast<const std::uint16_t*>(t.residual) + static_cast<long long>(m) * t.residual_pitch;
      unsigned char* to = tile + r * Shape::kOutPitch + 2 * quad_column;
      constexpr int kAtOnce = Shape::kColumnTiles > 18 ? Shape::kColumnTiles / 2 : Shape::kColumnTiles;
      S2U_UNROLL
      for (int first = 0; first < Shape::kColumnTiles; first += kAtOnce) {
        std::uint32_t residuals[kAtOnce] = {};
        if constexpr (kAdds<Kind>) {  // all are asked for before the first is used
          S2U_UNROLL
          for (int j = 0; j < kAtOnce; ++j) {
            const int n = first_column + quad_column + (first + j) * 8;
            residuals[j] = *reinterpret_cast<const std::uint32_t*>(residual + (n < t.columns ? n : 0));
          }
        }
        S2U_UNROLL
        for (int j = 0; j < kAtOnce; ++j) {
          const int at = first + j;
          *reinterpret_cast<std::uint32_t*>(to + 16 * at) =
              finish_pair<Shape, Kind, Folds>(sums[i][at][2 * half], sums[i][at][2 * half + 1],
                                              columns + quad_column + at * 8, norms + 2 * r, residuals[j]);
        }
      }
    }
  }
}

/// The shares of a warp's rows from the tile in shared memory, `columns` of each; one or two lanes a row.
template <class Shape>
S2U_DEVICE void store_shares(const ProductTask& t, int first_row, int row_in_tile, int first_column,
                             int column_in_tile, const unsigned char* tile) {
  constexpr Element E = Shape::kElement;
  constexpr int kLanes = Shape::kWarpRows >= 32 ? 1 : 2;
  const int left = t.columns - first_column - column_in_tile;
  const int columns = left < Shape::kWarpColumns ? left : Shape::kWarpColumns;
  if (columns <= 0) return;
  const int lane = device::thread_index() % 32;
  constexpr int kAtOnce = 32 / kLanes;  // rows
  S2U_NO_UNROLL
  for (int i = 0; i < Shape::kWarpRows; i += kAtOnce) {
    const int r = row_in_tile + i + lane / kLanes, m = first_row + r;
    const unsigned char* row = tile + r * Shape::kOutPitch + 2 * column_in_tile;
    float sum = 0;
    for (int c = lane % kLanes * 2; c < columns; c += 2 * kLanes) {
      const std::uint32_t pair = *reinterpret_cast<const std::uint32_t*>(row + 2 * c);
      sum += device::low_of<E>(pair) + device::high_of<E>(pair);
    }
    if (kLanes == 2) sum += device::shuffle_xor(sum, 1);
    const float mean = sum / static_cast<float>(columns);
    float squares = 0;
    for (int c = lane % kLanes * 2; c < columns; c += 2 * kLanes) {
      const std::uint32_t pair = *reinterpret_cast<const std::uint32_t*>(row + 2 * c);
      const float low = device::low_of<E>(pair) - mean, high = device::high_of<E>(pair) - mean;
      squares += low * low + high * high;
    }
    if (kLanes == 2) squares += device::shuffle_xor(squares, 1);
    if (lane % kLanes == 0 && m < t.rows) {
      const int at = (first_column + column_in_tile) / Shape::kWarpColumns;
      t.out_shares.values[static_cast<long long>(m) * t.out_shares.count + at] = {sum, squares};
    }
  }
}

/// A tile's sums to memory: epilogue, rounding, shares of the rows, and whole rows of 16 bytes by way of
/// shared memory. All threads that hold sums; the pipeline's memory is free.
template <class Shape>
S2U_DEVICE void store_tile(const ProductTask& t, int first_row, int first_column, int row_in_tile,
                           int column_in_tile, const float (&sums)[Shape::kRowTiles][Shape::kColumnTiles][4],
                           unsigned char* tile, const float* norms, const float* columns,
                           bool is_mine = true) {
  const auto finish = [&]<Epilogue Kind, bool Folds>() {
    finish_tile<Shape, Kind, Folds>(t, first_row, first_column, row_in_tile, column_in_tile, sums, tile,
                                    norms, columns);
  };
  if (is_mine) {
    if (t.shares.values != nullptr) {
      t.epilogue == Epilogue::gelu ? finish.template operator()<Epilogue::gelu, true>()
                                   : finish.template operator()<Epilogue::none, true>();
    } else {
      switch (t.epilogue) {
        case Epilogue::none:
          finish.template operator()<Epilogue::none, false>();
          break;
        case Epilogue::gelu:
          finish.template operator()<Epilogue::gelu, false>();
          break;
        case Epilogue::relu:
          finish.template operator()<Epilogue::relu, false>();
          break;
        case Epilogue::add:
          finish.template operator()<Epilogue::add, false>();
          break;
        case Epilogue::gelu_add:
          finish.template operator()<Epilogue::gelu_add, false>();
          break;
        case Epilogue::add_relu:
          finish.template operator()<Epilogue::add_relu, false>();
          break;
      }
    }
    if (t.out_shares.values != nullptr) {
      device::sync_warp();
      store_shares<Shape>(t, first_row, row_in_tile, first_column, column_in_tile, tile);
    }
  }
  Shape::barrier();
  constexpr int kPieces = Shape::kColumns / 8;
  for (int i = Shape::thread(); i < Shape::kRows * kPieces; i += Shape::kThreads) {
    const int r = i / kPieces, piece = i - r * kPieces, m = first_row + r, n = first_column + piece * 8;
    if (m >= t.rows || n >= t.columns) continue;
    if constexpr (Shape::kSplit > 1) {  // rows whose warp's sums went to another block
      if (r / Shape::kWarpRows % Shape::kSplit != device::rank_in_cluster()) continue;
    }
    auto* out = static_cast<std::uint16_t*>(t.out) + static_cast<long long>(m) * t.out_pitch + n;
    device::store_16(out, device::load_16(tile + r * Shape::kOutPitch + 16 * piece));
  }
}

/// The sums of all blocks of a cluster, in their order, for every kSplit-th warp; whether this warp has them.
template <class Shape>
S2U_DEVICE bool gather_sums(unsigned char* shared, float (&sums)[Shape::kRowTiles][Shape::kColumnTiles][4]) {
  constexpr int kEach = Shape::kRowTiles * Shape::kColumnTiles * 4;
  const int lane = device::thread_index() % 32, warp = device::thread_index() / 32;
  float* mine = reinterpret_cast<float*>(shared) + warp * kEach * 32 + lane;
  S2U_UNROLL
  for (int i = 0; i < kEach; ++i) mine[i * 32] = (&sums[0][0][0])[i];
  device::sync_cluster();
  const bool is_mine = warp % Shape::kSplit == device::rank_in_cluster();
  if (is_mine) {
    S2U_UNROLL
    for (int i = 0; i < kEach; ++i) {
      float sum = 0;
      S2U_UNROLL
      for (int b = 0; b < Shape::kSplit; ++b) sum += device::load_from_cluster(mine + i * 32, b);
      (&sums[0][0][0])[i] = sum;
    }
  }
  device::sync_cluster();  // before the memory is used again, or its block ends
  return is_mine;
}

/// One tile. grid: (column tiles kSplit, row tiles).
template <class Shape, bool kConvolution>
S2U_DEVICE void product_block(const ProductTask& t) {
  const int first_row = device::block_y() * Shape::kRows;
  const int first_column = device::block_x() / Shape::kSplit * Shape::kColumns;
  unsigned char* shared = device::shared_memory();
  auto* norms = reinterpret_cast<float*>(shared + Shape::kNormsAt);
  auto* columns = reinterpret_cast<float*>(shared + Shape::kColumnsAt);
  const TileLoader<Shape, kConvolution> loader(t, first_row, first_column);
  const int part = Shape::kSplit > 1 ? device::block_x() % Shape::kSplit : 0;
  const int begin = loader.chunks() * part / Shape::kSplit;
  const int chunks = loader.chunks() * (part + 1) / Shape::kSplit - begin;
  constexpr int kAhead = Shape::kStages - 1;

  // Weights depend on nothing: they set out before the kernel before this one has ended.
  for (int c = 0; c < kAhead; ++c) {
    if (c < chunks) loader.load_right(begin + c, shared + c * Shape::kStageBytes);
  }
  load_columns<Shape>(t, first_column, columns);
  device::wait_for_previous();
  for (int c = 0; c < kAhead; ++c) {
    if (c < chunks) loader.load_left(begin + c, shared + c * Shape::kStageBytes);
    device::commit_async();
  }
  device::let_next_start();
  if (t.shares.values != nullptr) combine_shares<Shape>(t, first_row, norms);

  float sums[Shape::kRowTiles][Shape::kColumnTiles][4] = {};
  for (int c = 0; c < chunks; ++c) {
    device::wait_async<kAhead - 1>();
    device::sync_threads();  // chunk c has arrived for all, and nobody reads chunk c - 1 any more
    if (const int next = c + kAhead; next < chunks) {
      unsigned char* stage = shared + next % Shape::kStages * Shape::kStageBytes;
      loader.load_right(begin + next, stage);
      loader.load_left(begin + next, stage);
    }
    device::commit_async();
    multiply_chunk<Shape>(shared + c % Shape::kStages * Shape::kStageBytes, loader.steps(begin + c), sums);
  }
  device::wait_async<0>();
  device::sync_threads();
  bool is_mine = true;
  if constexpr (Shape::kSplit > 1) is_mine = gather_sums<Shape>(shared, sums);
  const int warp = device::thread_index() / 32;
  store_tile<Shape>(t, first_row, first_column, warp % Shape::kRowWarps * Shape::kWarpRows,
                    warp / Shape::kRowWarps * Shape::kWarpColumns, sums, shared, norms, columns, is_mine);
}

}  // namespace sam2unet::ops::cuda
