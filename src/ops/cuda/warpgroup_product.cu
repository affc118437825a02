// Products on Hopper's warpgroup instructions. This file is compiled for sm_90a alone.
#include <array>

#include "ops/cuda/kernels_wgmma.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 2)
    warpgroup_kernel(const __grid_constant__ ProductTask task) {
  wgmma_block<Shape, false>(task);
}
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 2)
    warpgroup_convolution_kernel(const __grid_constant__ ProductTasks tasks) {
  wgmma_block<Shape, true>(tasks.tasks[device::block_z()]);
}

template <class Shape, bool kConvolution>
const void* function_of() {
  if constexpr (kConvolution) return reinterpret_cast<const void*>(&warpgroup_convolution_kernel<Shape>);
  if constexpr (!kConvolution) return reinterpret_cast<const void*>(&warpgroup_kernel<Shape>);
}

template <Element E, int Columns, int Stages, bool kConvolution>
ProductKernel entry() {
  using Shape = WgmmaShape<E, Columns, Stages>;
  return {E,
          kConvolution,
          ProductWay::warpgroups,
          Shape::kRows,
          Columns,
          Shape::kThreads,
          Shape::kSharedBytes,
          Shape::kWarpColumns,
          1,
          function_of<Shape, kConvolution>()};
}

}  // namespace

std::span<const ProductKernel> warpgroup_kernels() {
  static const std::array<ProductKernel, 4> all = {
      entry<Element::bf16, 144, 3, false>(), entry<Element::bf16, 64, 4, true>(),
      entry<Element::f16, 144, 3, false>(), entry<Element::f16, 64, 4, true>()};
  return all;
}

}  // namespace sam2unet::ops::cuda
