#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {

void prepare_kernels(const DeviceLimits& device) {
  const auto allow = [&](std::span<const ProductKernel> kernels) {
    for (const ProductKernel& k : kernels) {
      if (k.shared_bytes > device.shared_bytes || (k.way != ProductWay::mma && device.major != 9)) continue;
      check(cudaFuncSetAttribute(k.function, cudaFuncAttributeMaxDynamicSharedMemorySize, k.shared_bytes),
            "preparing products");
    }
  };
  allow(mma_kernels());
  allow(warpgroup_kernels());
  allow(box_kernels());
}

}  // namespace sam2unet::ops::cuda
