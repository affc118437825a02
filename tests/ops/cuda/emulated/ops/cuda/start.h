// Takes the place of src/ops/cuda/start.h: a C++ compiler reads the .cu files themselves, and a launch runs
// on the emulator, with the grid, threads and shared memory that the real one would have.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "emulator.h"
#include "ops/cuda/launch.h"
#include "sam2unet/errors.h"

#define __global__
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
  explicit dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  unsigned x, y, z;
};

namespace sam2unet::ops::cuda {

/// What the launches of this process did so far, and how the next ones run.
struct Emulation {
  device::Counters counters;
  bool reversed = false;
  int multiprocessors = 4;
  int launches = 0;
  std::set<const void*> large;  ///< kernels that were allowed more than 48 KB of shared memory
  std::vector<std::function<void()>>* recording = nullptr;
};
Emulation& emulation();

/// Done now, or noted where a graph is being recorded.
void start_work(std::function<void()> work);

template <class... Arguments>
void start_clusters(const Launcher& l, const void* function, dim3 grid, unsigned cluster, int threads,
                    int shared_bytes, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared_bytes > l.device.shared_bytes) {
    throw device::Fault("a launch with more shared memory than there is");
  }
  if (shared_bytes > 48 * 1024 && !emulation().large.contains(function)) {
    throw device::Fault("a launch with more than 48 KB of shared memory that the driver was not told of");
  }
  device::Launch launch;
  launch.grid = {static_cast<int>(grid.x), static_cast<int>(grid.y), static_cast<int>(grid.z)};
  launch.threads = threads;
  launch.cluster = static_cast<int>(cluster);
  if (cluster > 1 && l.device.major < 9) throw device::Fault("a launch of clusters on a device without them");
  launch.shared_bytes = static_cast<std::size_t>(shared_bytes);
  const auto kernel = reinterpret_cast<void (*)(Arguments...)>(const_cast<void*>(function));
  start_work([=]() mutable {
    launch.reversed = emulation().reversed;
    emulation().counters += device::launch(launch, [&] { kernel(arguments...); });
    emulation().launches++;
  });
}

template <class... Arguments>
void start(const Launcher& l, const void* function, dim3 grid, int threads, int shared_bytes,
           Arguments... arguments) {
  start_clusters(l, function, grid, 1, threads, shared_bytes, arguments...);
}

inline unsigned blocks_for(long long items, int each) {
  return static_cast<unsigned>((items + each - 1) / each);
}

void check(int error, const char* what);

}  // namespace sam2unet::ops::cuda

inline constexpr int cudaFuncAttributeMaxDynamicSharedMemorySize = 8;
inline int cudaFuncSetAttribute(const void* function, int, int) {
  sam2unet::ops::cuda::emulation().large.insert(function);
  return 0;
}
