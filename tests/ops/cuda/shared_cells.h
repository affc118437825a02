// Who wrote and read each two bytes of a block's shared memory since the last barrier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sam2unet::ops::cuda::device {

/// When something happens: barriers of the block so far, of the thread's warp, and of the cluster.
struct Moment {
  int thread = 0;
  std::uint32_t block_barriers = 0, warp_barriers = 0, cluster_barriers = 0;
  bool whole_warp = false;  // on behalf of all lanes of the thread's warp
  int warp() const { return thread / 32; }
};

/// Each of the calls returns what is wrong with it, nothing where all is well.
class SharedCells {
 public:
  void reset(std::size_t bytes);

  std::string read(std::size_t offset, std::size_t bytes, const Moment& now);
  /// By all lanes of the warp at once (ldmatrix): what its lanes write later comes later.
  std::string read_by_warp(std::size_t offset, std::size_t bytes, const Moment& now);
  /// By a thread of another block of the cluster.
  std::string read_from_outside(std::size_t offset, std::size_t bytes, std::uint32_t cluster_barriers);
  std::string write(std::size_t offset, std::size_t bytes, const Moment& now);
  /// cp.async: from now until arrive() nobody may touch the bytes.
  std::string begin_copy(std::size_t offset, std::size_t bytes, const Moment& now);
  void arrive(std::size_t offset, std::size_t bytes, const Moment& now);

 private:
  static constexpr int nobody = -1, several_lanes = -2, several_warps = -3;
  struct Access {
    int thread = nobody;  // several_lanes: of `warp`
    int warp = nobody;
    std::uint32_t block_barriers = 0, warp_barriers = 0, cluster_barriers = 0;
  };
  struct Cell {
    Access writer, reader;
    std::uint32_t outside = 0;  // one more than the cluster's barriers at the last read from outside
    int copying = nobody;       // the thread whose copy is under way
  };

  static bool unordered(const Access& before, const Moment& now);
  static void remember_read(Access& reader, const Moment& now);
  std::string check_read(std::size_t offset, std::size_t bytes, const Moment& now) const;

  std::vector<Cell> cells_;
};

}  // namespace sam2unet::ops::cuda::device
