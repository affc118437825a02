// Products on Hopper with tiles that the copy engine brings (TMA): one thread of a warp of its own starts the
// copies, several chunks ahead, and two warpgroups multiply. Two blocks of a cluster, above each other, make
// the same columns: each fetches half of the weights' tile and the engine writes it to both, since what limits
// such products is how fast the second cache is read. sm_90a alone.
#pragma once

#include <cuda.h>

#include "ops/cuda/kernels_wgmma.h"

namespace sam2unet::ops::cuda {

/// Two groups of RowTiles x 64 rows.
template <Element E, int RowTiles, int Columns, int Stages, int BlocksPerUnit>
struct TmaShape : ProductShape<E, 128 * RowTiles, Columns, 8, 1, Stages> {
  using Base = ProductShape<E, 128 * RowTiles, Columns, 8, 1, Stages>;
  static constexpr int kCluster = 2, kBlocksPerUnit = BlocksPerUnit;
  static constexpr int kRowTileStride = 64;
  static constexpr int kAllThreads = Base::kThreads + 128;  // registers change hands between groups of 128
  static constexpr int kFetchRegisters = 24, kSumRegisters = BlocksPerUnit == 2 ? 112 : 232;
  static constexpr int kBarrierBytes = 2 * Stages * 8;
  static constexpr int kBarriersAt = Base::kSharedBytes;
  static constexpr int kSharedBytes = Base::kSharedBytes + kBarrierBytes;
  static constexpr int kRightPart = Columns / kCluster;  // rows of the weights that a block fetches
  static_assert(kRightPart % 8 == 0);
  static S2U_DEVICE void barrier() { asm volatile("bar.sync 1, %0;" ::"n"(Base::kThreads) : "memory"); }
};

namespace tma {

S2U_DEVICE std::uint32_t rank_in_cluster() {
  std::uint32_t r;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
  return r;
}
S2U_DEVICE void sync_cluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
S2U_DEVICE void init_barrier(std::uint32_t barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
S2U_DEVICE void fence_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
S2U_DEVICE void expect_bytes(std::uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
S2U_DEVICE void wait(std::uint32_t barrier, int parity) {
  std::uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
  }
}
/// Arrives at the same barrier of block `rank` of the cluster.
S2U_DEVICE void arrive_at(std::uint32_t barrier, std::uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n}" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
/// A box of the map's at column x, row y; what lies outside is 0.
S2U_DEVICE void load_box(std::uint32_t to, const CUtensorMap* map, int x, int y, std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::
          "r"(to),
      "l"(map), "r"(x), "r"(y), "r"(barrier)
      : "memory");
}
/// The same to the same place of every block in `mask`, whose barriers are told.
S2U_DEVICE void load_box_for_all(std::uint32_t to, const CUtensorMap* map, int x, int y,
                                 std::uint32_t barrier, std::uint16_t mask) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(x), "r"(y), "r"(barrier), "h"(mask)
      : "memory");
}

}  // namespace tma

/// grid: (column tiles, row tiles rounded up to the cluster), clusters of (1, 2).
template <class Shape>
class TmaBlock {
 public:
  S2U_DEVICE TmaBlock(const ProductTask& t, const CUtensorMap* left, const CUtensorMap* right)
      : t_(t),
        left_(left),
        right_(right),
        first_row_(device::block_y() * Shape::kRows),
        first_column_(device::block_x() * Shape::kColumns),
        chunks_((t.depth + kChunk - 1) / kChunk),
        shared_(device::shared_memory()),
        stages_(device::shared_address(shared_)),
        barriers_(stages_ + Shape::kBarriersAt) {}

  S2U_DEVICE void run() {
    if (device::thread_index() == 0) {
      for (int s = 0; s < Shape::kStages; ++s) {
        tma::init_barrier(full(s), 1);
        tma::init_barrier(empty(s), 2 * Shape::kCluster);
      }
      tma::fence_barriers();
    }
    tma::sync_cluster();
    if (device::thread_index() >= Shape::kThreads) {
      asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Shape::kFetchRegisters));
      if (device::thread_index() == Shape::kThreads) fetch();
    } else {
      asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Shape::kSumRegisters));
      multiply();
    }
    // A block's memory must stay until the other's copies and arrivals have ended.
    __syncwarp();
    tma::sync_cluster();
  }

 private:
  S2U_DEVICE std::uint32_t full(int s) const { return barriers_ + 16 * s; }
  S2U_DEVICE std::uint32_t empty(int s) const { return barriers_ + 16 * s + 8; }

  S2U_DEVICE void fetch_right(int c, std::uint32_t rank) const {
    const int s = c % Shape::kStages;
    tma::expect_bytes(full(s), Shape::kStageBytes);
    tma::load_box_for_all(stages_ + s * Shape::kStageBytes + Shape::kLeftBytes +
                              rank * Shape::kRightPart * kChunkBytes,
                          right_, c * kChunk, first_column_ + rank * Shape::kRightPart, full(s),
                          (1 << Shape::kCluster) - 1);
  }
  S2U_DEVICE void fetch_left(int c) const {
    const int s = c % Shape::kStages;
    tma::load_box(stages_ + s * Shape::kStageBytes, left_, c * kChunk, first_row_, full(s));
    if constexpr (Shape::kRows > 128) {  // a box has at most 256 rows
      static_assert(Shape::kRows == 256);
    }
  }

  S2U_DEVICE void fetch() const {
    const std::uint32_t rank = tma::rank_in_cluster();
    const int ahead = chunks_ < Shape::kStages ? chunks_ : Shape::kStages;
    // Weights depend on nothing: they set out before the kernel before this one has ended.
    for (int c = 0; c < ahead; ++c) fetch_right(c, rank);
    device::wait_for_previous();
    for (int c = 0; c < ahead; ++c) fetch_left(c);
    for (int c = ahead; c < chunks_; ++c) {
      tma::wait(empty(c % Shape::kStages), (c / Shape::kStages - 1) % 2);
      fetch_right(c, rank);
      fetch_left(c);
    }
  }

  S2U_DEVICE void multiply() {
    device::wait_for_previous();
    device::let_next_start();
    auto* norms = reinterpret_cast<float*>(shared_ + (Shape::kPipelineBytes + 15) / 16 * 16);
    if (t_.shares.values != nullptr) combine_shares<Shape>(t_, first_row_, norms);
    constexpr int kTiles = Shape::kRowTiles;
    float sums[kTiles][Shape::kColumnTiles][4];
    S2U_UNROLL
    for (int i = 0; i < kTiles; ++i) {
      S2U_UNROLL
      for (int j = 0; j < Shape::kColumnTiles; ++j)
        sums[i][j][0] = sums[i][j][1] = sums[i][j][2] = sums[i][j][3] = 0;
    }
    const int group = device::thread_index() / 128;
    for (int c = 0; c < chunks_; ++c) {
      const int s = c % Shape::kStages;
      tma::wait(full(s), c / Shape::kStages % 2);
      const unsigned char* stage = shared_ + s * Shape::kStageBytes;
      const std::uint64_t left = matrix_descriptor(stage + group * kTiles * 64 * kChunkBytes);
      const std::uint64_t right = matrix_descriptor(stage + Shape::kLeftBytes);
      const int numbers = t_.depth - c * kChunk;
      wgmma_fence();
      if (numbers > kChunk - 16) {
        S2U_UNROLL
        for (int step = 0; step < kChunk / 16; ++step) add(sums, left, right, step);
      } else {
        for (int step = 0; step < (numbers + 15) / 16; ++step) add(sums, left, right, step);
      }
      wgmma_commit();
      wgmma_wait<1>();
      if (c > 0) release((c - 1) % Shape::kStages);
    }
    wgmma_wait<0>();
    Shape::barrier();  // the pipeline's memory becomes the tile's
    store_tile<Shape>(t_, first_row_, first_column_,
                      group * kTiles * 64 + device::thread_index() / 32 % 4 * 16, 0, sums, shared_, norms);
  }

  S2U_DEVICE void add(float (&sums)[Shape::kRowTiles][Shape::kColumnTiles][4], std::uint64_t left,
                      std::uint64_t right, int step) const {
    S2U_UNROLL
    for (int i = 0; i < Shape::kRowTiles; ++i) {  // 64 rows of 128 bytes, in units of 16
      Wgmma<Shape::kElement, Shape::kColumns>::add(&sums[i][0][0], left + i * 512 + 2 * step, right + 2 * step);
    }
  }

  // A group has read chunk s: told to both blocks, whose copies write here.
  S2U_DEVICE void release(int s) const {
    const std::uint32_t lane = device::thread_index() % 128;
    if (lane < Shape::kCluster) tma::arrive_at(empty(s), lane);
  }

  const ProductTask& t_;
  const CUtensorMap *left_, *right_;
  const int first_row_, first_column_, chunks_;
  unsigned char* shared_;
  const std::uint32_t stages_, barriers_;
};

}  // namespace sam2unet::ops::cuda
