// Products on mma.sync: the tiles there are, and how they are started.
#include <algorithm>
#include <array>
#include <vector>

#include "ops/cuda/kernels_product.h"
#include "ops/cuda/box_product.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 512 / Shape::kThreads)
    product_kernel(const __grid_constant__ ProductTask task) {
  product_block<Shape, false>(task);
}
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 512 / Shape::kThreads)
    convolution_kernel(const __grid_constant__ ProductTasks tasks) {
  product_block<Shape, true>(tasks.tasks[device::block_z()]);
}

template <class Shape, bool kConvolution>
const void* function_of() {
  if constexpr (kConvolution) return reinterpret_cast<const void*>(&convolution_kernel<Shape>);
  if constexpr (!kConvolution) return reinterpret_cast<const void*>(&product_kernel<Shape>);
}

template <class Shape, bool kConvolution = false>
ProductKernel entry() {
  return {Shape::kElement,
          kConvolution,
          ProductWay::mma,
          Shape::kRows,
          Shape::kColumns,
          Shape::kThreads,
          Shape::kSharedBytes,
          Shape::kWarpColumns,
          Shape::kSplit,
          function_of<Shape, kConvolution>()};
}

// Large tiles for many rows; small ones with more chunks under way for few, also with their depth split; and
// what fits the 64 KB of compute capability 7.5.
template <Element E>
constexpr int kKernels = E == Element::f16 ? 17 : 16;
template <Element E>
std::array<ProductKernel, kKernels<E>> kernels_of() {
  std::array<ProductKernel, kKernels<E>> all = {
      entry<ProductShape<E, 128, 144, 4, 2, 3>>(),       entry<ProductShape<E, 128, 96, 4, 2, 3>>(),
      entry<ProductShape<E, 128, 112, 4, 2, 3>>(),      entry<ProductShape<E, 128, 64, 4, 2, 4>>(),
      entry<ProductShape<E, 64, 72, 4, 1, 5>>(),        entry<ProductShape<E, 64, 48, 4, 1, 6>>(),
      entry<ProductShape<E, 64, 56, 4, 1, 5>>(),        entry<ProductShape<E, 64, 64, 4, 1, 5>>(),
      entry<ProductShape<E, 64, 72, 4, 1, 5, 2>>(),     entry<ProductShape<E, 64, 72, 4, 1, 5, 4>>(),
      entry<ProductShape<E, 64, 64, 4, 1, 5, 2>>(),     entry<ProductShape<E, 64, 64, 4, 1, 5, 4>>(),
      entry<ProductShape<E, 64, 96, 4, 1, 5, 2>>(),      entry<ProductShape<E, 64, 96, 4, 1, 5, 4>>(),
      entry<ProductShape<E, 128, 64, 4, 2, 4>, true>(), entry<ProductShape<E, 64, 64, 4, 1, 5>, true>()};
  if constexpr (E == Element::f16) all[16] = entry<ProductShape<E, 64, 64, 4, 1, 3>>();
  return all;
}

}  // namespace

std::span<const ProductKernel> mma_kernels() {
  static const std::vector<ProductKernel> all = [] {
    const auto bf16 = kernels_of<Element::bf16>();
    const auto f16 = kernels_of<Element::f16>();
    std::vector<ProductKernel> a(bf16.begin(), bf16.end());
    a.insert(a.end(), f16.begin(), f16.end());
    return a;
  }();
  return all;
}

void launch_convolutions(const Launcher& l, const ProductKernel& k, std::span<const ProductTask> tasks) {
  ProductTasks all;
  std::copy(tasks.begin(), tasks.end(), all.tasks);
  start(l, k.function,
        dim3(blocks_for(tasks[0].columns, k.columns), blocks_for(tasks[0].rows, k.rows),
             static_cast<unsigned>(tasks.size())),
        k.threads, k.shared_bytes, all);
}

void launch_product(const Launcher& l, const ProductKernel& k, const ProductTask& task) {
  if (k.convolution) return launch_convolutions(l, k, {&task, 1});
  if (k.way == ProductWay::boxes) return launch_box_product(l, k, task);
  const unsigned split = static_cast<unsigned>(k.split);
  start_clusters(l, k.function, dim3(split * blocks_for(task.columns, k.columns), blocks_for(task.rows, k.rows)),
                 split, k.threads, k.shared_bytes, task);
}

}  // namespace sam2unet::ops::cuda
