// Products on Hopper with tiles that the copy engine brings (TMA). What limits such products is how fast the second
// cache is read, so tiles are large, and the two blocks of a cluster make the same columns of two neighbouring
// tiles: each fetches half of the weights, which the engine writes to both. Blocks stay and take tile after
// tile, and the thread that starts the copies is chunks ahead of those who multiply. sm_90a alone.
#pragma once

#include <cuda.h>

#include "ops/cuda/kernels_wgmma.h"

namespace sam2unet::ops::cuda {

/// How two warpgroups divide the work.
enum class Groups {
  together,   ///< a tile of 256 rows, half to each
  alternate,  ///< tiles of 128 rows in turn: while one finishes a tile, the matrix units work for the other
};

/// A group's 128 rows are two tiles of 64.
template <Element E, Groups How, int Columns, int Stages>
struct TmaShape {
  static constexpr Element kElement = E;
  static constexpr bool kAlternate = How == Groups::alternate;
  static constexpr int kRows = kAlternate ? 128 : 256, kColumns = Columns, kStages = Stages, kCluster = 2;
  static constexpr int kGroups = 2, kGroupRows = 128, kTiles = kGroupRows / 64;
  static constexpr int kReaders = kAlternate ? 1 : kGroups;  // of a stage
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
  static constexpr int kTileBytes = 64 * Tile::kOutPitch;
  static constexpr int kTilesAt = Stages * kStageBytes, kNormsAt = kTilesAt + kGroups * kTileBytes;
  static constexpr int kBarriersAt = kNormsAt + kGroups * kGroupRows * 8;
  static constexpr int kSharedBytes = kBarriersAt + 2 * Stages * 8;
  static_assert(kRightPart % 8 == 0 && kSharedBytes <= 232448);
};

namespace tma {

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

/// grid: blocks, in clusters of two; as many as the device holds at once.
template <class Shape>
class TmaBlock {
 public:
  S2U_DEVICE TmaBlock(const ProductTask& t, const CUtensorMap* left, const CUtensorMap* right)
      : t_(t),
        left_(left),
        right_(right),
        rank_(device::rank_in_cluster()),
        across_((t.columns + Shape::kColumns - 1) / Shape::kColumns),
        tiles_((t.rows + Shape::kCluster * Shape::kRows - 1) / (Shape::kCluster * Shape::kRows) * across_),
        chunks_((t.depth + kChunk - 1) / kChunk),
        shared_(device::shared_memory()),
        stages_(device::shared_address(shared_)),
        barriers_(stages_ + Shape::kBarriersAt) {}

  S2U_DEVICE void run() {
    if (device::thread_index() == 0) {
      for (int s = 0; s < Shape::kStages; ++s) {
        tma::init_barrier(full(s), 1);
        tma::init_barrier(empty(s), Shape::kReaders * Shape::kCluster);
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
  S2U_DEVICE std::uint32_t full(int s) const { return barriers_ + 16 * s; }
  S2U_DEVICE std::uint32_t empty(int s) const { return barriers_ + 16 * s + 8; }
  S2U_DEVICE int first_tile() const { return device::block_x() / Shape::kCluster; }
  S2U_DEVICE int next_tile(int tile) const { return tile + static_cast<int>(gridDim.x) / Shape::kCluster; }
  S2U_DEVICE int row_of(int tile) const {
    return (tile / across_ * Shape::kCluster + rank_) * Shape::kRows;
  }
  S2U_DEVICE int column_of(int tile) const { return tile % across_ * Shape::kColumns; }

  S2U_DEVICE void fetch_right(int tile, int c, int s) const {
    tma::expect_bytes(full(s), Shape::kStageBytes);
    tma::load_box_for_all(
        stages_ + s * Shape::kStageBytes + Shape::kLeftBytes + rank_ * Shape::kRightPart * kChunkBytes, right_,
        c * kChunk, column_of(tile) + rank_ * Shape::kRightPart, full(s), (1 << Shape::kCluster) - 1);
  }
  S2U_DEVICE void fetch_left(int tile, int c, int s) const {
    tma::load_box(stages_ + s * Shape::kStageBytes, left_, c * kChunk, row_of(tile), full(s));
  }

  S2U_DEVICE void fetch() const {
    // Weights depend on nothing: the first set out before the kernel before this one has ended.
    const int early = chunks_ < Shape::kStages ? chunks_ : Shape::kStages;
    const bool has_tile = first_tile() < tiles_;
    for (int c = 0; has_tile && c < early; ++c) fetch_right(first_tile(), c, c);
    device::wait_for_previous();
    int filled = 0;  // stages so far
    for (int tile = first_tile(); tile < tiles_; tile = next_tile(tile)) {
      for (int c = 0; c < chunks_; ++c, ++filled) {
        const int s = filled % Shape::kStages, turn = filled / Shape::kStages;
        if (turn > 0) tma::wait(empty(s), (turn - 1) % 2);
        if (filled >= early) fetch_right(tile, c, s);
        fetch_left(tile, c, s);
      }
    }
  }

  S2U_DEVICE void multiply() {
    device::wait_for_previous();
    device::let_next_start();
    // By a shuffle, so that the compiler knows that a warp is of one group: wgmma may not be in doubt.
    const int group = __shfl_sync(0xffffffffU, device::thread_index() / 128, 0);
    auto* norms = reinterpret_cast<float*>(shared_ + Shape::kNormsAt) + group * 2 * Shape::kGroupRows;
    if (Shape::kAlternate && group == 1) give_turn(0);
    int used = Shape::kAlternate ? group * chunks_ : 0;  // stages so far, those of the other group's tiles too
    int tile = Shape::kAlternate && group == 1 ? next_tile(first_tile()) : first_tile();
    for (; tile < tiles_; tile = next_tile(tile)) {
      const int first_row = row_of(tile) + (Shape::kAlternate ? 0 : group * Shape::kGroupRows);
      float sums[Shape::kTiles][1][Shape::kColumns / 8][4];
      S2U_UNROLL
      for (int i = 0; i < Shape::kTiles; ++i) {
        S2U_UNROLL
        for (int j = 0; j < Shape::kColumns / 8; ++j)
          sums[i][0][j][0] = sums[i][0][j][1] = sums[i][0][j][2] = sums[i][0][j][3] = 0;
      }
      if constexpr (Shape::kAlternate) wait_for_turn(group);
      for (int c = 0; c < chunks_; ++c, ++used) {
        const int s = used % Shape::kStages;
        tma::wait(full(s), used / Shape::kStages % 2);
        add_chunk(sums, shared_ + s * Shape::kStageBytes, Shape::kAlternate ? 0 : group, t_.depth - c * kChunk);
        if (c == 0 && t_.shares.values != nullptr)
          combine_shares<typename Shape::GroupRows>(t_, first_row, norms);
        wgmma_wait<1>();
        if (c > 0) release((used - 1) % Shape::kStages);
      }
      if constexpr (Shape::kAlternate) give_turn(1 - group);
      wgmma_wait<0>();
      release((used - 1) % Shape::kStages);
      unsigned char* staging = shared_ + Shape::kTilesAt + group * Shape::kTileBytes;
      S2U_UNROLL
      for (int i = 0; i < Shape::kTiles; ++i) {
        Shape::Tile::barrier();  // norms are there, and the tile before has left the staging memory
        store_tile<typename Shape::Tile>(t_, first_row + i * 64, column_of(tile),
                                         device::thread_index() / 32 % 4 * 16, 0, sums[i], staging,
                                         norms + i * 128);
      }
      if constexpr (Shape::kAlternate) {
        tile = next_tile(tile);
        used += chunks_;
      }
    }
  }

  S2U_DEVICE void add_chunk(float (&sums)[Shape::kTiles][1][Shape::kColumns / 8][4],
                            const unsigned char* stage, int group, int numbers) const {
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
  S2U_DEVICE void add(float (&sums)[Shape::kTiles][1][Shape::kColumns / 8][4], std::uint64_t left,
                      std::uint64_t right, int step) const {
    S2U_UNROLL
    for (int i = 0; i < Shape::kTiles; ++i) {  // 64 rows of 128 bytes, in units of 16
      Wgmma<Shape::kElement, Shape::kColumns>::add(&sums[i][0][0][0], left + i * 512 + 2 * step,
                                                   right + 2 * step);
    }
  }

  // Groups multiply one after the other: a stage's barrier only tells odd turns from even ones, so nobody may
  // wait for one further ahead than the next.
  S2U_DEVICE static void wait_for_turn(int group) {
    asm volatile("bar.sync %0, 256;" ::"r"(group + 4) : "memory");
  }
  S2U_DEVICE static void give_turn(int group) {
    asm volatile("bar.arrive %0, 256;" ::"r"(group + 4) : "memory");
  }

  // A group has read stage s: told to both blocks, whose copies write here.
  S2U_DEVICE void release(int s) const {
    const std::uint32_t lane = device::thread_index() % 128;
    if (lane < Shape::kCluster) tma::arrive_at(empty(s), lane);
  }

  const ProductTask& t_;
  const CUtensorMap *left_, *right_;
  const int rank_, across_, tiles_, chunks_;
  unsigned char* shared_;
  const std::uint32_t stages_, barriers_;
};

}  // namespace sam2unet::ops::cuda
