#include "image/imagenet.h"

#include <cstddef>

namespace sam2unet {

const std::array<std::array<float, 256>, 3>& imagenet_levels() {
  static const auto levels = [] {
    std::array<std::array<float, 256>, 3> table{};
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t v = 0; v < 256; ++v) {
        table[c][v] = (static_cast<float>(v) / 255.0F - kImagenetMean[c]) / kImagenetDeviation[c];
      }
    return table;
  }();
  return levels;
}

}  // namespace sam2unet
