// Products on Hopper's warpgroup instructions. This file is compiled for sm_90a alone.
#include <array>

#include "ops/cuda/kernels_wgmma.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape, bool kConvolution>
__global__ void __launch_bounds__(Shape::kThreads, 2)
    warpgroup_kernel(const __grid_constant__ ProductTask task) {
  wgmma_block<Shape, kConvolution>(task);
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
          128,
          reinterpret_cast<const void*>(&warpgroup_kernel<Shape, kConvolution>)};
}

}  // namespace

std::span<const ProductKernel> warpgroup_kernels() {
  static const std::array<ProductKernel, 12> all = {
      entry<Element::bf16, 144, 3, false>(), entry<Element::bf16, 192, 4, false>(),
      entry<Element::bf16, 112, 3, false>(), entry<Element::bf16, 96, 4, false>(),
      entry<Element::bf16, 64, 4, false>(),  entry<Element::bf16, 64, 4, true>(),
      entry<Element::f16, 144, 3, false>(),  entry<Element::f16, 192, 4, false>(),
      entry<Element::f16, 112, 3, false>(),  entry<Element::f16, 96, 4, false>(),
      entry<Element::f16, 64, 4, false>(),   entry<Element::f16, 64, 4, true>()};
  return all;
}

}  // namespace sam2unet::ops::cuda
