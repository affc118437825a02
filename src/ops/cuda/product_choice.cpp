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
  if (k.split > 1 && (d.major < 9 || size.depth < 64 * k.split * 2)) return false;
  return e != Element::bf16 || d.major >= 8;
}

// Time of all tiles, in multiply-adds of a multiprocessor at the rate of mma.sync's large tile.
double cost(const ProductKernel& k, const DeviceLimits& d, const ProductSize& size) {
  const bool is_pair = k.way == ProductWay::boxes;  // two blocks, one above the other
  const std::int64_t rows = is_pair ? 2 * k.rows : k.rows;
  const std::int64_t tiles = ((size.rows + rows - 1) / rows) * ((size.columns + k.columns - 1) / k.columns);
  const std::int64_t blocks = tiles * (is_pair ? 2 : k.split);
  const int together = is_pair ? 1
                               : std::max(1, std::min(d.shared_bytes / (k.shared_bytes + 1024),
                                                      512 / k.threads));  // launch bounds leave room for these
  // What a tile costs beside its depth: the first chunks' way, the results'. The split's sums have a further way.
  const double beside = is_pair ? 160 : 128;
  const double depth = static_cast<double>(size.depth) * size.taps / k.split;
  double tile = static_cast<double>(k.rows) * k.columns * (depth + beside) / k.rate;
  // A chunk's way to a block that is alone on its multiprocessor is not hidden: it costs some time in any case.
  constexpr double kChunkTime = 64.0 * 64 * 64;
  tile = std::max(tile, (depth / 64 + 6) * kChunkTime);
  if (k.split > 1) tile += 6 * kChunkTime;
  const std::int64_t places = std::int64_t{d.multiprocessors} * together;
  const std::int64_t whole = blocks / places, rest = blocks % places;
  const double full = static_cast<double>(whole) * together * tile;
  if (rest == 0) return full;
  const std::int64_t crowded = (rest + d.multiprocessors - 1) / d.multiprocessors;
  return full + static_cast<double>(crowded) * tile;
}

}  // namespace

const ProductKernel* choose_product(const DeviceLimits& device, Element element, const ProductSize& size) {
  if (element == Element::f32 || size.columns % 8 != 0) return nullptr;
  const ProductKernel* best = nullptr;
  double least = 0;
  for (const auto kernels : {mma_kernels(), warpgroup_kernels(), box_kernels()})
    for (const ProductKernel& k : kernels) {
      if (!fits(k, device, element, size)) continue;
      const double c = cost(k, device, size);
      if (best == nullptr || c < least) {
        best = &k;
        least = c;
      }
    }
  return best;
}

}  // namespace sam2unet::ops::cuda
