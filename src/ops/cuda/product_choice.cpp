// Which of the compiled products is fastest for a shape, by a model: tiles are made in waves of as many as the
// device holds at once, and the last wave takes as long as a full one.
#include <algorithm>

#include "ops/cuda/launch.h"

namespace sam2unet::ops::cuda {
namespace {

bool fits(const ProductKernel& k, const DeviceLimits& d, Element e, const ProductSize& size) {
  if (k.element != e || k.convolution != (size.taps > 1) || k.shared_bytes > d.shared_bytes) return false;
  if (k.way != ProductWay::mma && !(d.major == 9 && d.minor == 0)) return false;
  if (k.way == ProductWay::boxes && !size.in_one_place) return false;
  return e != Element::bf16 || d.major >= 8;
}

// Time of all tiles, in an arbitrary unit: multiply-adds of a multiprocessor at mma.sync's rate.
double cost(const ProductKernel& k, const DeviceLimits& d, std::int64_t rows, int columns, int depth) {
  const std::int64_t tiles =
      ((rows + k.rows - 1) / k.rows) * ((columns + k.columns - 1) / k.columns);
  const int by_memory = std::max(1, d.shared_bytes / (k.shared_bytes + 1024));
  const int by_threads = std::max(1, 65536 / (k.registers * k.threads));
  const int together = std::min(by_memory, by_threads);
  const std::int64_t places = std::int64_t{d.multiprocessors} * together;
  const std::int64_t whole = tiles / places, rest = tiles % places;
  // Small tiles read more of shared memory for each multiply-add.
  const double rate = k.way != ProductWay::mma ? 1.6 : k.rows * k.columns >= 128 * 64 ? 1.0 : 0.8;
  const double tile = static_cast<double>(k.rows) * k.columns * (depth + 96) / rate;
  // Tiles share a multiprocessor's units; alone on it, one cannot use them fully.
  const double full = static_cast<double>(whole) * together * tile;
  if (rest == 0) return full;
  const std::int64_t crowded = (rest + d.multiprocessors - 1) / d.multiprocessors;
  return full + std::max(1.5, static_cast<double>(crowded)) * tile;
}

}  // namespace

const ProductKernel* choose_product(const DeviceLimits& device, Element element, const ProductSize& size) {
  if (element == Element::f32 || size.columns % 8 != 0) return nullptr;
  const ProductKernel* best = nullptr;
  double least = 0;
  for (const auto kernels : {mma_kernels(), warpgroup_kernels(), box_kernels()})
    for (const ProductKernel& k : kernels) {
      if (!fits(k, device, element, size)) continue;
      const double c = cost(k, device, size.rows, size.columns, size.depth * size.taps);
      if (best == nullptr || c < least) {
        best = &k;
        least = c;
      }
    }
  return best;
}

}  // namespace sam2unet::ops::cuda
