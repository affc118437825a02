#include "train/multi_scale.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "sam2unet/errors.h"

namespace sam2unet::train {

std::vector<int> training_sizes(int size, const std::vector<double>& scales) {
  if (scales.empty()) return {size};
  std::vector<int> out;
  for (const double scale : scales) {
    const double sides = std::nearbyint(size * scale / 32);  // ties to even, the default rounding
    if (!(sides >= 1)) throw UsageError(fmt::format("--multi-scale {}: of {} that is no size", scale, size));
    out.push_back(static_cast<int>(sides) * 32);
  }
  return out;
}

at::Tensor at_size(const at::Tensor& batch, int size) {
  if (batch.size(1) == size && batch.size(2) == size) return batch;
  return at::upsample_bilinear2d(batch.permute({0, 3, 1, 2}), {size, size}, /*align_corners=*/true)
      .permute({0, 2, 3, 1})
      .contiguous();
}

at::Tensor ids_at_size(const at::Tensor& ids, int size) {
  if (ids.size(1) == size && ids.size(2) == size) return ids;
  // Pixel centres, as resize_nearest.
  return at::_upsample_nearest_exact2d(ids.permute({0, 3, 1, 2}), {size, size})
      .permute({0, 2, 3, 1})
      .contiguous();
}

}  // namespace sam2unet::train
