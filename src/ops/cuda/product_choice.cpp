// Which of the compiled products is fastest for a shape, by a model: tiles are made in waves of as many as
// the device holds at once, and the last wave takes as long as a full one.
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

// Microseconds of a chunk of 64 numbers of depth for one block, and how many blocks a multiprocessor works on
// at once; measured on an H200 (bench_cuda), which other devices are near enough to for a choice.
struct Pace {
  double alone;    // one block on a multiprocessor: the way of a chunk to it is not hidden
  double crowded;  // all that fit: the share of one
  int together;
};

Pace pace_of(const ProductKernel& k, const DeviceLimits& d) {
  // Multiply-adds per microsecond of a multiprocessor.
  constexpr double kMma = 1.2e6;
  const double work = 64.0 * k.rows * k.columns;
  const int fit = std::max(1, d.shared_bytes / (k.shared_bytes + 1024));
  switch (k.way) {
    case ProductWay::boxes:
      return {work / (k.columns >= 192 ? 2.25e6 : 1.7e6), work / (k.columns >= 192 ? 2.25e6 : 1.7e6), 1};
    case ProductWay::warpgroups:
      return {work / 1.0e6, work / (k.columns >= 144 ? 1.45e6 : 0.85e6), std::min(fit, 2)};
    case ProductWay::mma:
      break;
  }
  const double rate = k.rows * k.columns >= 128 * 144 ? kMma
                      : k.rows >= 128                 ? (k.columns >= 96 ? 0.85 * kMma : 0.68 * kMma)
                                                      : 0.5 * kMma;
  const int together = std::min(fit, 512 / k.threads);  // launch bounds leave room for these
  return {std::max(work / (0.7 * kMma), 0.45), work / rate, together};
}

// Microseconds of all tiles.
double cost(const ProductKernel& k, const DeviceLimits& d, const ProductSize& size) {
  const bool is_pair = k.way == ProductWay::boxes;  // two blocks, one above the other
  const std::int64_t rows = is_pair ? 2 * k.rows : k.rows;
  const std::int64_t tiles = ((size.rows + rows - 1) / rows) * ((size.columns + k.columns - 1) / k.columns);
  const std::int64_t blocks = tiles * (is_pair ? 2 : k.split);
  const Pace pace = pace_of(k, d);
  const double chunks = static_cast<double>(size.taps) * (static_cast<double>(size.depth) / 64) / k.split;
  // Beside its chunks a tile costs its results' way, about as much for each number.
  const double results = 1.6e-4 * k.rows * k.columns * (k.way == ProductWay::mma ? 1.0 : 1.4);
  const double begin = is_pair ? 5.0 : k.split > 1 ? 4.5 : 3.5;
  const std::int64_t places = std::int64_t{d.multiprocessors} * pace.together;
  const std::int64_t whole = blocks / places, rest = blocks % places;
  const double full =
      pace.together * (chunks * pace.crowded + 0.6 * results / pace.together + 0.15 * results);
  const std::int64_t most = (rest + d.multiprocessors - 1) / d.multiprocessors;  // of one multiprocessor
  const auto crowded = static_cast<double>(most);
  const double last =
      rest == 0 ? 0
                : std::max(chunks * pace.alone, crowded * chunks * pace.crowded) + crowded * 0.5 * results;
  return begin + static_cast<double>(whole) * full + last;
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
