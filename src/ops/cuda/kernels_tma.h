// Products on Hopper with tiles that the copy engine brings (TMA). What limits such products is how fast the
// second cache and the shared memory are read, so tiles are large: two warpgroups of 128 rows each, and the
// two blocks of a cluster make the same columns of two neighbouring tiles, so that each fetches half of the
// weights, which the engine writes to both. One thread starts the copies, chunks ahead of those who multiply.
// sm_90a alone.
#pragma once

#include <cuda.h>

#include "ops/cuda/kernels_wgmma.h"

namespace sam2unet::ops::cuda {

/// 256 rows: two groups of 128, of which each makes two tiles of 64.
template <Element E, int Columns, int Stages>
struct TmaShape {
  static constexpr Element kElement = E;
  static constexpr int kRows = 256, kColumns = Columns, kStages = Stages, kCluster = 2;
  static constexpr int kGroups = 2, kGroupRows = kRows / kGroups, kTiles = kGroupRows / 64;
  static constexpr int kThreads = 128 * (kGroups + 1);  // registers change hands between groups of 128
  static constexpr int kFetchRegisters = 24, kSumRegisters = 232;
  static constexpr int kLeftBytes = kRows * kChunkBytes, kRightBytes = Columns * kChunkBytes;
  static constexpr int kStageBytes = kLeftBytes + kRightBytes;
  static constexpr int kRightPart = Columns / kCluster;  // rows of the weights that a block fetches

  /// A tile of 64 rows that a group finishes.
  struct Tile : ProductShape<E, 64, Columns, 4, 1, 1> {
    static S2U_DEVICE void barrier() {
      asm volatile("bar.sync %0, 128;" ::"r"(device::thread_index() / 128 + 1) : "memory");
    }
    static S2U_DEVICE int thread() { return device::thread_index() % 128; }
  };
  struct GroupRows {
    static constexpr int kRows = kGroupRows, kThreads = 128;
    static S2U_DEVICE int thread() { return device::thread_index() % 128; }
  };
  struct BlockColumns {
    static constexpr int kColumns = Columns, kThreads = 128 * kGroups;
    static S2U_DEVICE int thread() { return device::thread_index(); }
  };
  static constexpr int kTileBytes = 64 * Tile::kOutPitch;  // in the stages' memory when they are done
  static constexpr int kNormsAt = Stages * kStageBytes;
  static constexpr int kColumnsAt = kNormsAt + kRows * 8, kBarriersAt = kColumnsAt + Columns * 8;
  static constexpr int kSharedBytes = kBarriersAt + 2 * Stages * 8;
  static_assert(kRightPart % 8 == 0 && kGroups * kTiles * kTileBytes <= kNormsAt && kSharedBytes <= 232448);
};

namespace tma {

S2U_DEVICE void init_barrier(std::uint32_t barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
S2U_DEVICE void fence_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
S2U_DEVICE void expect_bytes(std::uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
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
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
      "[%4];" ::"r"(to),
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

/// One tile. grid: (2 x pairs of row tiles x column tiles), clusters of two; columns change fastest.
template <class Shape>
class TmaBlock {
 public:
  S2U_DEVICE TmaBlock(const ProductTask& t, const CUtensorMap* left, const CUtensorMap* right)
      : t_(t),
        left_(left),
        right_(right),
        rank_(device::rank_in_cluster()),
        chunks_((t.depth + kChunk - 1) / kChunk),
        shared_(device::shared_memory()),
        stages_(device::shared_address(shared_)),
        barriers_(stages_ + Shape::kBarriersAt) {
    const int across = (t.columns + Shape::kColumns - 1) / Shape::kColumns;
    const int pair = device::block_x() / Shape::kCluster;
    first_row_ = (pair / across * Shape::kCluster + rank_) * Shape::kRows;
    first_column_ = pair % across * Shape::kColumns;
  }

  S2U_DEVICE void run() {
    if (device::thread_index() == 0) {
      for (int s = 0; s < Shape::kStages; ++s) {
        tma::init_barrier(full(s), 1);
        tma::init_barrier(empty(s), Shape::kGroups * Shape::kCluster);
      }
      tma::fence_barriers();
    }
    device::sync_cluster();
    if (device::thread_index() >= 128 * Shape::kGroups) {
      asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Shape::kFetchRegisters));
      if (device::thread_index() == 128 * Shape::kGroups) fetch();
    } else {
      asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Shape::kSumRegisters));
      multiply();
    }
    // A block's memory must stay until the other's copies and arrivals have ended.
    __syncwarp();
    device::sync_cluster();
  }

 private:
  using Sums = float[Shape::kTiles][1][Shape::kColumns / 8][4];

  S2U_DEVICE std::uint32_t full(int s) const { return barriers_ + 16 * s; }
  S2U_DEVICE std::uint32_t empty(int s) const { return barriers_ + 16 * s + 8; }

  S2U_DEVICE void fetch_right(int c) const {
    const int s = c % Shape::kStages, part = rank_ * Shape::kRightPart;
    tma::expect_bytes(full(s), Shape::kStageBytes);
    tma::load_box_for_all(stages_ + s * Shape::kStageBytes + Shape::kLeftBytes + part * kChunkBytes, right_,
                          c * kChunk, first_column_ + part, full(s), (1 << Shape::kCluster) - 1);
  }
  S2U_DEVICE void fetch_left(int c) const {
    const int s = c % Shape::kStages;
    tma::load_box(stages_ + s * Shape::kStageBytes, left_, c * kChunk, first_row_, full(s));
  }

  S2U_DEVICE void fetch() const {
    const int ahead = chunks_ < Shape::kStages ? chunks_ : Shape::kStages;
    // Weights depend on nothing: they set out before the kernel before this one has ended.
    for (int c = 0; c < ahead; ++c) fetch_right(c);
    device::wait_for_previous();
    for (int c = 0; c < ahead; ++c) fetch_left(c);
    for (int c = ahead; c < chunks_; ++c) {
      tma::wait(empty(c % Shape::kStages), (c / Shape::kStages - 1) % 2);
      fetch_right(c);
      fetch_left(c);
    }
  }

  S2U_DEVICE void multiply() {
    auto* columns = reinterpret_cast<float*>(shared_ + Shape::kColumnsAt);
    load_columns<typename Shape::BlockColumns>(t_, first_column_, columns);
    device::wait_for_previous();
    device::let_next_start();
    const int group = device::thread_index() / 128;
    const int first_row = first_row_ + group * Shape::kGroupRows;
    auto* norms = reinterpret_cast<float*>(shared_ + Shape::kNormsAt) + group * 2 * Shape::kGroupRows;
    if (t_.shares.values != nullptr) combine_shares<typename Shape::GroupRows>(t_, first_row, norms);
    Sums sums;
    S2U_UNROLL
    for (int i = 0; i < Shape::kTiles; ++i) {
      S2U_UNROLL
      for (int j = 0; j < Shape::kColumns / 8; ++j)
        sums[i][0][j][0] = sums[i][0][j][1] = sums[i][0][j][2] = sums[i][0][j][3] = 0;
    }
    for (int c = 0; c < chunks_; ++c) {
      const int s = c % Shape::kStages;
      tma::wait(full(s), c / Shape::kStages % 2);
      add_chunk(sums, shared_ + s * Shape::kStageBytes, group, t_.depth - c * kChunk);
      wgmma_wait<1>();
      if (c > 0) release((c - 1) % Shape::kStages);
    }
    wgmma_wait<0>();
    asm volatile("bar.sync 3, 256;" ::: "memory");  // the stages' memory becomes the tiles'
    S2U_UNROLL
    for (int i = 0; i < Shape::kTiles; ++i) {
      store_tile<typename Shape::Tile>(
          t_, first_row + i * 64, first_column_, device::thread_index() / 32 % 4 * 16, 0, sums[i],
          shared_ + (group * Shape::kTiles + i) * Shape::kTileBytes, norms + i * 128, columns);
    }
  }

  S2U_DEVICE void add_chunk(Sums& sums, const unsigned char* stage, int group, int numbers) const {
    const std::uint64_t left = matrix_descriptor(stage + group * Shape::kGroupRows * kChunkBytes);
    const std::uint64_t right = matrix_descriptor(stage + Shape::kLeftBytes);
    wgmma_fence();
    if (numbers > kChunk - 16) {
      S2U_UNROLL
      for (int step = 0; step < kChunk / 16; ++step) add(sums, left, right, step);
    } else {
      for (int step = 0; step < (numbers + 15) / 16; ++step) add(sums, left, right, step);
    }
    wgmma_commit();
  }
  S2U_DEVICE void add(Sums& sums, std::uint64_t left, std::uint64_t right, int step) const {
    S2U_UNROLL
    for (int i = 0; i < Shape::kTiles; ++i) {  // 64 rows of 128 bytes, in units of 16
      Wgmma<Shape::kElement, Shape::kColumns>::add(&sums[i][0][0][0], left + i * 512 + 2 * step,
                                                   right + 2 * step);
    }
  }

  // A group has read stage s: told to both blocks, whose copies write here.
  S2U_DEVICE void release(int s) const {
    const std::uint32_t lane = device::thread_index() % 128;
    if (lane < Shape::kCluster) tma::arrive_at(empty(s), lane);
  }

  const ProductTask& t_;
  const CUtensorMap *left_, *right_;
  const int rank_, chunks_;
  int first_row_, first_column_;
  unsigned char* shared_;
  const std::uint32_t stages_, barriers_;
};

}  // namespace sam2unet::ops::cuda
