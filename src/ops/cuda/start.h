// How a kernel is started, for the files that nvcc compiles.
#pragma once

#include <cuda_runtime.h>

#include "ops/cuda/launch.h"
#include "ops/cuda/runtime.h"

namespace sam2unet::ops::cuda {

/// One launch. Where the device can, the kernel's blocks may start while the one before it ends: every kernel
/// waits for that one by itself before it touches what it wrote (device.h, wait_for_previous).
template <class... Arguments>
void start_clusters(const Launcher& l, const void* function, dim3 grid, unsigned cluster, int threads,
                    int shared_bytes, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
  config.stream = static_cast<cudaStream_t>(l.stream);
  cudaLaunchAttribute attributes[2] = {};
  if (l.device.major >= 9) {
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    config.numAttrs = 1;
  }
  if (cluster > 1) {
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = cluster;
    attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
    config.numAttrs = 2;
  }
  config.attrs = attributes;
  void* pointers[] = {&arguments...};
  check(cudaLaunchKernelExC(&config, function, pointers), "starting a kernel");
}

template <class... Arguments>
void start(const Launcher& l, const void* function, dim3 grid, int threads, int shared_bytes,
           Arguments... arguments) {
  start_clusters(l, function, grid, 1, threads, shared_bytes, arguments...);
}

inline unsigned blocks_for(long long items, int each) {
  return static_cast<unsigned>((items + each - 1) / each);
}

}  // namespace sam2unet::ops::cuda
