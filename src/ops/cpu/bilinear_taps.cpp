#include <algorithm>

#include "ops/cpu/kernels.h"

namespace sam2unet::ops::kernels {

// torch.nn.functional.interpolate(mode="bilinear"), aten/src/ATen/native/UpSample.h:
// area_pixel_compute_source_index
std::vector<BilinearTap> bilinear_taps(std::int64_t in, std::int64_t out, Corners corners) {
  std::vector<BilinearTap> taps(static_cast<std::size_t>(out));
  for (std::int64_t i = 0; i < out; ++i) {
    double source = 0.0;
    if (corners == Corners::aligned) {
      if (out > 1)
        source = static_cast<double>(i) * static_cast<double>(in - 1) / static_cast<double>(out - 1);
    } else {
      source = std::max(
          0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5);
    }
    const auto first = std::min(static_cast<std::int64_t>(source), in - 1);
    taps[static_cast<std::size_t>(i)] = {static_cast<std::int32_t>(first),
                                         static_cast<std::int32_t>(std::min(first + 1, in - 1)),
                                         static_cast<float>(source - static_cast<double>(first))};
  }
  return taps;
}

}  // namespace sam2unet::ops::kernels
