// The product of kernels_product.h by Hopper's warpgroup instructions: the same tiles, copies and epilogues,
// but the matrix units read both sides from shared memory by themselves. sm_90a alone.
#pragma once

#include "ops/cuda/kernels_product.h"
#include "ops/cuda/wgmma_shapes.h"

namespace sam2unet::ops::cuda {

/// 8 warps, two groups of 64 rows each.
template <Element E, int Columns, int Stages>
using WgmmaShape = ProductShape<E, 128, Columns, 8, 1, Stages>;

/// A matrix of 64 x 16 (or N x 16) numbers in a tile of swizzled 128-byte rows, for wgmma: address / 16, the
/// distance of groups of eight rows / 16, and the 128-byte swizzle (PTX ISA, "Matrix descriptor").
S2U_DEVICE std::uint64_t matrix_descriptor(const unsigned char* tile) {
  const std::uint64_t address = (device::shared_address(tile) & 0x3ffffU) >> 4;
  return address | (std::uint64_t{1} << 16) | (std::uint64_t{1024 >> 4} << 32) | (std::uint64_t{1} << 62);
}

S2U_DEVICE void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
S2U_DEVICE void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N>
S2U_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
/// What this thread's copies wrote may be read by the matrix units once a barrier is passed.
S2U_DEVICE void fence_for_matrix_units() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

template <class Shape, bool kConvolution>
S2U_DEVICE void wgmma_block(const ProductTask& t) {
  const int first_row = device::block_y() * Shape::kRows, first_column = device::block_x() * Shape::kColumns;
  unsigned char* shared = device::shared_memory();
  auto* norms = reinterpret_cast<float*>(shared + Shape::kNormsAt);
  auto* columns = reinterpret_cast<float*>(shared + Shape::kColumnsAt);
  const TileLoader<Shape, kConvolution> loader(t, first_row, first_column);
  const int chunks = loader.chunks();
  // The chunk before the one at hand may still be read when the next copies start, so they stay clear of it.
  constexpr int kAhead = Shape::kStages - 2;

  for (int c = 0; c < kAhead; ++c) {
    if (c < chunks) loader.load_right(c, shared + c * Shape::kStageBytes);
  }
  load_columns<Shape>(t, first_column, columns);
  device::wait_for_previous();
  for (int c = 0; c < kAhead; ++c) {
    if (c < chunks) loader.load_left(c, shared + c * Shape::kStageBytes);
    device::commit_async();
  }
  device::let_next_start();
  if (t.shares.values != nullptr) combine_shares<Shape>(t, first_row, norms);

  float sums[1][Shape::kColumnTiles][4];
  S2U_UNROLL
  for (int j = 0; j < Shape::kColumnTiles; ++j)
    sums[0][j][0] = sums[0][j][1] = sums[0][j][2] = sums[0][j][3] = 0;
  const int group_offset = device::thread_index() / 128 * 64 * kChunkBytes;
  for (int c = 0; c < chunks; ++c) {
    device::wait_async<kAhead - 1>();
    fence_for_matrix_units();
    device::sync_threads();  // chunk c has arrived for all; all have finished chunk c - 2
    if (const int next = c + kAhead; next < chunks) {
      unsigned char* stage = shared + next % Shape::kStages * Shape::kStageBytes;
      loader.load_right(next, stage);
      loader.load_left(next, stage);
    }
    device::commit_async();
    const unsigned char* stage = shared + c % Shape::kStages * Shape::kStageBytes;
    const std::uint64_t left = matrix_descriptor(stage + group_offset);
    const std::uint64_t right = matrix_descriptor(stage + Shape::kLeftBytes);
    const int steps = loader.steps(c);
    wgmma_fence();
    for (int step = 0; step < steps; ++step) {  // 16 numbers are 32 bytes
      Wgmma<Shape::kElement, Shape::kColumns>::add(&sums[0][0][0], left + 2 * step, right + 2 * step);
    }
    wgmma_commit();
    wgmma_wait<1>();
  }
  wgmma_wait<0>();
  device::wait_async<0>();
  device::sync_threads();
  store_tile<Shape>(t, first_row, first_column, device::thread_index() / 32 * 16, 0, sums, shared, norms,
                    columns);
}

}  // namespace sam2unet::ops::cuda
