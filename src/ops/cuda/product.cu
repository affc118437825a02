// Products on mma.sync: the tiles there are, and how they are started.
#include <array>

#include "ops/cuda/kernels_product.h"
#include "ops/cuda/box_product.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape, bool kConvolution>
__global__ void __launch_bounds__(Shape::kThreads, 512 / Shape::kThreads)
    product_kernel(const __grid_constant__ ProductTask task) {
  product_block<Shape, kConvolution>(task);
}

template <class Shape, bool kConvolution>
ProductKernel entry() {
  return {Shape::kElement,      kConvolution,        ProductWay::mma,
          Shape::kRows,         Shape::kColumns,     Shape::kThreads,
          Shape::kSharedBytes,  Shape::kWarpColumns, 128,
          reinterpret_cast<const void*>(&product_kernel<Shape, kConvolution>)};
}

template <Element E>
std::array<ProductKernel, 10> kernels_of() {
  return {entry<ProductShape<E, 128, 144, 4, 2, 3>, false>(), entry<ProductShape<E, 128, 96, 4, 2, 3>, false>(),
          entry<ProductShape<E, 128, 112, 4, 2, 3>, false>(), entry<ProductShape<E, 128, 64, 4, 2, 3>, false>(),
          entry<ProductShape<E, 64, 72, 4, 1, 3>, false>(),   entry<ProductShape<E, 64, 48, 4, 1, 3>, false>(),
          entry<ProductShape<E, 64, 56, 4, 1, 3>, false>(),   entry<ProductShape<E, 64, 64, 4, 1, 3>, false>(),
          entry<ProductShape<E, 128, 64, 4, 2, 3>, true>(),   entry<ProductShape<E, 64, 64, 4, 1, 3>, true>()};
}

}  // namespace

std::span<const ProductKernel> mma_kernels() {
  static const std::array<ProductKernel, 20> all = [] {
    std::array<ProductKernel, 20> a;
    const auto bf16 = kernels_of<Element::bf16>(), f16 = kernels_of<Element::f16>();
    for (std::size_t i = 0; i < 10; ++i) {
      a[i] = bf16[i];
      a[10 + i] = f16[i];
    }
    return a;
  }();
  return all;
}

void launch_product(const Launcher& l, const ProductKernel& k, const ProductTask& task) {
  if (k.way == ProductWay::boxes) return launch_box_product(l, k, task);
  start(l, k.function, dim3(blocks_for(task.columns, k.columns), blocks_for(task.rows, k.rows)), k.threads,
        k.shared_bytes, task);
}

}  // namespace sam2unet::ops::cuda
