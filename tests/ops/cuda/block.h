// One thread block of a launch, whose lanes are fibers: what of emulator.h a lane or a warp does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator.h"
#include "fiber.h"
#include "shared_cells.h"

namespace sam2unet::ops::cuda::device {

inline constexpr int warp_lanes = 32;

/// What a lane has stopped at.
enum class Wait : std::uint8_t { none, block, cluster, warp, shuffle, matrix, product, ended };
const char* name_of(Wait w);

/// 16 bytes of a cp.async under way.
struct Copy {
  unsigned char* to;
  const void* from;  // nullptr: zeros
};

struct Lane {
  int thread = 0;
  Wait wait = Wait::none;
  std::uint32_t variant = 0;  // what must be the same for all lanes at an operation
  // The operation's operands.
  float value = 0;
  int mask = 0;
  std::uint32_t* registers = nullptr;
  const void* address = nullptr;
  float* c = nullptr;
  std::array<std::uint32_t, 4> a{};
  std::array<std::uint32_t, 2> b{};
  std::vector<Copy> uncommitted;
  std::deque<std::vector<Copy>> groups;
  std::exception_ptr thrown;
};

/// One block at a time; a worker of the machine has as many of these as a cluster has blocks.
class Block {
 public:
  Block(const Launch& launch, const std::function<void()>& kernel);
  void begin(int x, int y, int z, std::vector<std::unique_ptr<Block>>* cluster);
  /// Runs to the next sync_cluster, or to the end: what all threads wait for then.
  Wait proceed();
  void pass_cluster_barrier();
  const Counters& counters() const { return counters_; }

  Lane& lane() { return *lane_; }
  std::array<int, 3> index{};
  unsigned char* shared() { return shared_; }
  int rank() const { return index[0] % launch_.cluster; }
  /// Leaves the current lane until its warp, or block, is there.
  void wait(Wait what, std::uint32_t variant);
  [[noreturn]] void fault(const Lane& lane, const std::string& what) const;
  void read(const void* p, int bytes, int alignment);
  void write(void* p, int bytes, int alignment);
  void copy(void* to, const void* from, bool valid);
  void wait_async(int groups);
  float load_from_cluster(const float* p, int rank);
  bool is_shared(const void* p) const;

 private:
  static void lane_body(void* self);
  Moment moment(const Lane& lane) const;
  void check_alignment(const void* p, int alignment, const char* what) const;
  std::size_t offset(const void* p, int bytes, const Lane& lane, const char* what) const;
  Wait run_warps();
  Wait run_warp(int warp);
  Wait meeting(int warp) const;
  void compute(int warp, Wait what);
  void shuffle(Lane* lanes);
  void load_matrices(Lane* lanes);
  void read_row(const Lane& lane, std::uint32_t (&words)[4]);
  void count_banks(const Lane* rows);
  void multiply(Lane* lanes);
  void check_end(int warp) const;

  const Launch& launch_;
  const std::function<void()>& kernel_;
  std::unique_ptr<std::byte[]> stacks_;
  std::vector<Fiber> fibers_;
  std::vector<Lane> lanes_;
  std::vector<std::uint32_t> warp_barriers_;
  std::uint32_t barriers_ = 0, cluster_barriers_ = 0;
  std::vector<std::unique_ptr<Block>>* cluster_ = nullptr;
  bool has_ended_ = false;
  std::vector<unsigned char> memory_;
  unsigned char* shared_ = nullptr;
  SharedCells cells_;
  Lane* lane_ = nullptr;
  Counters counters_;
};

/// The one whose lane is running on this thread; Fault where there is none.
Block& here();

}  // namespace sam2unet::ops::cuda::device
