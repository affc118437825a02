// An activation [B,H,W,C] in the device's memory. Copies share the memory, which goes back to the arena with
// the last of them. Three forms cost nothing to make: some channels of another tensor (a pitch), several
// tensors beside each other (parts), and a LayerNorm that the next product will fold in (`norm`).
#pragma once

#include <vector>

#include "ops/concept.h"
#include "ops/cuda/cuda_weights.h"
#include "ops/cuda/device_arena.h"
#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

struct CudaTensor {
  Extent shape;
  Element element = Element::f32;
  std::int64_t pitch = 0;      // elements from pixel to pixel
  DeviceArena::Handle memory;  // empty where there are parts
  std::byte* data = nullptr;   // of the first channel

  std::vector<CudaTensor> parts;  // of equal width, side by side

  DeviceArena::Handle share_memory;  // what the rows' LayerNorm needs, where it is known
  RowShares shares;
  const CudaWeights::Norm* norm = nullptr;  // this tensor stands for norm(x), and `data` is x

  const Extent& extent() const { return shape; }
  bool is_dense() const { return parts.empty() && norm == nullptr && pitch == shape.c; }
};

}  // namespace sam2unet::ops::cuda
