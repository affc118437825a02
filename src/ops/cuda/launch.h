// Kernels as the host sees them: what runs a task, on a device and stream. No CUDA header is needed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

/// What the kernels need to know of the device.
struct DeviceLimits {
  int major = 0, minor = 0;  ///< compute capability
  int multiprocessors = 0;
  int shared_bytes = 0;  ///< most of a block
};

/// Where a kernel goes.
struct Launcher {
  DeviceLimits device;
  void* stream = nullptr;  ///< a cudaStream_t
};

/// How a product's tiles are made.
enum class ProductWay : int {
  mma,         ///< mma.sync: every device
  warpgroups,  ///< wgmma, compute capability 9.0 alone
  boxes,       ///< wgmma, and the copy engine brings the tiles; a left side in one place
};

/// One compiled product: a tile and how it is made.
struct ProductKernel {
  Element element;
  bool convolution;
  ProductWay way;
  int rows, columns, threads, shared_bytes;
  int share_width;  ///< columns of one of `out_shares`
  int split;        ///< blocks that share a tile's depth
  const void* function;
};

/// All of them, by the files they are in.
std::span<const ProductKernel> mma_kernels();
std::span<const ProductKernel> warpgroup_kernels();
std::span<const ProductKernel> box_kernels();

/// The fastest kernel for a product, by a model of how many tiles a device works on at once; nullptr where
/// none fits (float32, widths that are no multiple of 8, a device without bf16).
struct ProductSize {
  std::int64_t rows = 0;
  int columns = 0, depth = 0, taps = 1;
  bool in_one_place = true;  ///< the left side
};
const ProductKernel* choose_product(const DeviceLimits& device, Element element, const ProductSize& size);

/// Lets the device's driver know how much shared memory kernels will ask for. Once for each device.
void prepare_kernels(const DeviceLimits& device);

void launch_product(const Launcher& l, const ProductKernel& kernel, const ProductTask& task);
/// Up to kMaxTasks convolutions whose results have one size.
void launch_convolutions(const Launcher& l, const ProductKernel& kernel, std::span<const ProductTask> tasks);
/// Weights, sums and where `out` is not `in` the results in float32.
void launch_plain_product(const Launcher& l, Element in, Element out, const ProductTask& task);
/// 16-bit elements and head widths of 16, 32, 56, 72 and 96 on matrix units, others (up to 256) without.
void launch_attention(const Launcher& l, Element e, const AttentionTask& task);
/// 16-bit elements; width a multiple of 16.
void launch_adapter(const Launcher& l, Element e, const AdapterTask& task);
/// Whether a block can hold the adapter's rows.
bool fits_adapter(const DeviceLimits& device, int width);
void launch_unfold(const Launcher& l, Element e, const UnfoldTask& task);
void launch_norm(const Launcher& l, Element e, const RowsTask& task);
void launch_resize(const Launcher& l, Element e, const ResizeTask& task);
void launch_pool(const Launcher& l, Element e, const PoolTask& task);
/// `out` is another format than `in` only for copies.
void launch_elementwise(const Launcher& l, Element in, Element out, Elementwise what,
                        const ElementwiseTask& task);

}  // namespace sam2unet::ops::cuda
