// Products on Hopper with the copy engine. This file is compiled for sm_90a alone.
#include "ops/cuda/box_product.h"

#include <array>

#include "ops/cuda/kernels_tma.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    box_kernel(const __grid_constant__ ProductTask task, const __grid_constant__ CUtensorMap left,
               const __grid_constant__ CUtensorMap right) {
  TmaBlock<Shape>(task, &left, &right).run();
}

template <class Shape>
ProductKernel entry() {
  return {Shape::kElement,
          false,
          ProductWay::boxes,
          Shape::kRows,
          Shape::kColumns,
          Shape::kThreads,
          Shape::kSharedBytes,
          Shape::kColumns,
          1,
          reinterpret_cast<const void*>(&box_kernel<Shape>)};
}

using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                            const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                            CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// The driver's function, found through the runtime so that nothing links the driver.
Encode encoder() {
  static const Encode encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
          "looking for the driver's tensor maps");
    if (found != cudaDriverEntryPointSuccess) throw UnavailableError("the GPU's driver has no tensor maps");
    return reinterpret_cast<Encode>(function);
  }();
  return encode;
}

// [rows, columns] with a pitch, fetched in boxes of 64 columns.
CUtensorMap map_of(Element e, const void* data, int rows, int columns, int pitch, int box_rows) {
  CUtensorMap map;
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(pitch) * 2};
  const cuuint32_t box[2] = {kChunk, static_cast<cuuint32_t>(box_rows)}, steps[2] = {1, 1};
  const CUresult result = encoder()(
      &map, e == Element::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2,
      const_cast<void*>(data), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check(result == CUDA_SUCCESS ? 0 : static_cast<int>(cudaErrorInvalidValue), "describing a matrix");
  return map;
}

}  // namespace

std::span<const ProductKernel> box_kernels() {
  static const std::array<ProductKernel, 4> all = {
      entry<TmaShape<Element::bf16, 192, 3>>(), entry<TmaShape<Element::bf16, 144, 4>>(),
      entry<TmaShape<Element::f16, 192, 3>>(), entry<TmaShape<Element::f16, 144, 4>>()};
  return all;
}

void launch_box_product(const Launcher& l, const ProductKernel& k, const ProductTask& t) {
  const CUtensorMap left = map_of(k.element, t.parts[0], t.rows, t.depth, t.pitches[0], k.rows);
  const CUtensorMap right = map_of(k.element, t.weights, t.columns, t.depth, t.weights_pitch, k.columns / 2);
  const unsigned pairs = blocks_for(t.columns, k.columns) * blocks_for(t.rows, 2 * k.rows);
  start_clusters(l, k.function, dim3(2 * pairs), 2, k.threads, k.shared_bytes, t, left, right);
}

}  // namespace sam2unet::ops::cuda
