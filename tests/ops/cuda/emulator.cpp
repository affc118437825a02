#include "emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "block.h"

namespace sam2unet::ops::cuda::device {
namespace {

constexpr std::size_t most_shared = 232448;  // of a block on sm_90; sm_86 and 89 have 101,376, sm_75 65,536

/// The blocks of one cluster, side by side from one sync_cluster to the next.
class Cluster {
 public:
  Cluster(const Launch& launch, const std::function<void()>& kernel) : reversed_(launch.reversed) {
    for (int i = 0; i < launch.cluster; i++) blocks_.push_back(std::make_unique<Block>(launch, kernel));
  }
  void run(int x, int y, int z) {
    const int n = static_cast<int>(blocks_.size());
    for (int i = 0; i < n; i++) blocks_[static_cast<std::size_t>(i)]->begin(n * x + i, y, z, &blocks_);
    for (Wait all = Wait::cluster; all == Wait::cluster;) {
      for (int i = 0; i < n; i++) {
        Block& block = *blocks_[static_cast<std::size_t>(reversed_ ? n - 1 - i : i)];
        const Wait what = block.proceed();
        if (i == 0) all = what;
        if (what != all)
          throw Fault(
              fmt::format("blocks of one cluster: {} at {}, another at {}", i, name_of(what), name_of(all)));
      }
      for (const auto& block : blocks_) block->pass_cluster_barrier();
    }
  }
  Counters counters() const {
    Counters all;
    for (const auto& block : blocks_) all += block->counters();
    return all;
  }

 private:
  bool reversed_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace

Counters& Counters::operator+=(const Counters& o) {
  blocks += o.blocks;
  products += o.products;
  products_k8 += o.products_k8;
  matrix_phases += o.matrix_phases;
  extra_wavefronts += o.extra_wavefronts;
  copies += o.copies;
  barriers += o.barriers;
  return *this;
}

Counters launch(const Launch& launch, const std::function<void()>& kernel) {
  const Grid g = launch.grid;
  if (launch.threads < warp_lanes || launch.threads > 1024 || launch.threads % warp_lanes != 0) {
    throw Fault(fmt::format("launch: {} threads in a block", launch.threads));
  }
  if (launch.shared_bytes > most_shared)
    throw Fault(fmt::format("launch: {} bytes of shared memory", launch.shared_bytes));
  if (g.x < 1 || g.y < 1 || g.z < 1 || g.y > 65535 || g.z > 65535) {
    throw Fault(fmt::format("launch: a grid of {} x {} x {}", g.x, g.y, g.z));
  }
  if (launch.cluster < 1 || launch.cluster > 8 || g.x % launch.cluster != 0) {
    throw Fault(fmt::format("launch: clusters of {} in a grid of {}", launch.cluster, g.x));
  }
  const int columns = g.x / launch.cluster;
  const std::int64_t clusters = std::int64_t{1} * columns * g.y * g.z;
  const auto cores = static_cast<std::int64_t>(std::max(1U, std::thread::hardware_concurrency()));
  const auto workers = std::min<std::int64_t>(launch.workers > 0 ? launch.workers : cores, clusters);

  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  Counters all;
  std::exception_ptr first;
  const auto work = [&] {
    try {
      Cluster cluster(launch, kernel);
      for (std::int64_t i = next++; i < clusters; i = next++) {
        const std::int64_t b = launch.reversed ? clusters - 1 - i : i;
        cluster.run(static_cast<int>(b % columns), static_cast<int>(b / columns % g.y),
                    static_cast<int>(b / (std::int64_t{1} * columns * g.y)));
      }
      const std::lock_guard lock(mutex);
      all += cluster.counters();
    } catch (...) {
      next = clusters;
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::int64_t i = 1; i < workers; i++) others.emplace_back(work);
    work();
  }
  if (first) std::rethrow_exception(first);
  return all;
}

int thread_index() {
  return here().lane().thread;
}
int block_x() {
  return here().index[0];
}
int block_y() {
  return here().index[1];
}
int block_z() {
  return here().index[2];
}
unsigned char* shared_memory() {
  return here().shared();
}
void sync_threads() {
  here().wait(Wait::block, 0);
}
void sync_warp() {
  here().wait(Wait::warp, 0);
}
int rank_in_cluster() {
  return here().rank();
}
void sync_cluster() {
  here().wait(Wait::cluster, 0);
}
float load_from_cluster(const float* p, int rank) {
  return here().load_from_cluster(p, rank);
}
std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(static_cast<const unsigned char*>(p) - here().shared());
}
void copy_async_16(void* shared, const void* global, bool valid) {
  here().copy(shared, global, valid);
}
void commit_async() {
  Lane& lane = here().lane();
  lane.groups.push_back(std::exchange(lane.uncommitted, {}));
}
float shuffle_xor(float v, int mask) {
  Block& block = here();
  block.lane().value = v;
  block.lane().mask = mask;
  block.wait(Wait::shuffle, 0);
  return block.lane().value;
}

namespace detail {
void wait_async(int groups) {
  here().wait_async(groups);
}
void load_matrix(std::uint32_t* r, int count, const void* row, bool transposed) {
  Block& block = here();
  block.lane().registers = r;
  block.lane().address = row;
  block.wait(Wait::matrix, static_cast<std::uint32_t>(2 * count + (transposed ? 1 : 0)));
}
void multiply_add(float* c, const std::uint32_t* a, const std::uint32_t* b, int k, Element e) {
  Block& block = here();
  Lane& lane = block.lane();
  lane.c = c;
  std::copy_n(a, k / 4, lane.a.begin());
  std::copy_n(b, k / 8, lane.b.begin());
  block.wait(Wait::product, static_cast<std::uint32_t>(k << 8) | static_cast<std::uint32_t>(e));
}
void read(const void* p, int bytes, int alignment) {
  here().read(p, bytes, alignment);
}
void write(void* p, int bytes, int alignment) {
  here().write(p, bytes, alignment);
}
}  // namespace detail

}  // namespace sam2unet::ops::cuda::device
