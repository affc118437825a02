#include "api/picture.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/rows.h"
#include "ops/cpu/threads.h"
#include "sam2unet/errors.h"

namespace sam2unet::api {

void check_picture(const ImageView& picture) {
  if (picture.data == nullptr || picture.width < 1 || picture.height < 1 ||
      (picture.channels != 1 && picture.channels != 3 && picture.channels != 4) ||
      picture.stride < static_cast<std::ptrdiff_t>(picture.width) * picture.channels) {
    throw UsageError(fmt::format(
        "picture of {}x{} with {} channels and stride {}: needs at least one pixel, 1, 3 or 4 channels, "
        "and a stride of whole rows",
        picture.width, picture.height, picture.channels, picture.stride));
  }
}

void finish_rows(const PlacedLogits& logits, Activation activation, int first, int last, int threads,
                 float* out) {
  const int width = logits.placement.picture_width;
  const std::int64_t plane = static_cast<std::int64_t>(last - first) * width;
  const Taps taps(logits.placement);
  ops::parallel_rows(threads, last - first, [&](std::int64_t begin, std::int64_t end) {
    auto resizers = resizers_of(logits, taps.vertical, taps.horizontal);
    for (std::int64_t row = begin; row < end; ++row) {
      float* to = out + row * width;
      for (int k = 0; k < logits.channels; ++k)
        resizers[static_cast<std::size_t>(k)].resize(first + static_cast<int>(row), to + k * plane);
      activate({to, logits.channels, plane, width}, activation);
    }
  });
}

void finish_ids(const PlacedLogits& logits, int first, int last, int threads, std::uint8_t* ids,
                float* confidence) {
  const int width = logits.placement.picture_width;
  const Taps taps(logits.placement);
  ops::parallel_rows(threads, last - first, [&](std::int64_t begin, std::int64_t end) {
    auto resizers = resizers_of(logits, taps.vertical, taps.horizontal);
    std::vector<float> rows(static_cast<std::size_t>(width) * static_cast<std::size_t>(logits.channels));
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::size_t k = 0; k < resizers.size(); ++k) {
        resizers[k].resize(first + static_cast<int>(row), rows.data() + k * static_cast<std::size_t>(width));
      }
      decide_of_logits({rows.data(), logits.channels, width, width}, ids + row * width,
                       confidence + row * width);
    }
  });
}

Range range_of(std::span<const float> map) {
  if (map.empty()) return {};
  const auto [low, high] = std::minmax_element(map.begin(), map.end());
  return {*low, *high};
}

void stretch(std::span<float> map, const Range& range) {
  const float least = range.min, extent = range.max - range.min + 1e-8F;
  for (float& v : map) v = (v - least) / extent;
}

}  // namespace sam2unet::api
