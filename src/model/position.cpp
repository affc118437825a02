#include "model/position.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sam2unet::model {

std::vector<float> position_values(const PositionEmbedding& w, std::int64_t height, std::int64_t width) {
  using Index = std::int64_t;
  struct Taps {
    std::array<Index, 4> at;
    std::array<double, 4> weight;
  };
  const auto cubic = [](Index out, Index in_size, Index out_size) {
    constexpr double a = -0.75;
    const double source =
        (static_cast<double>(out) + 0.5) * static_cast<double>(in_size) / static_cast<double>(out_size) - 0.5;
    const auto base = static_cast<Index>(std::floor(source));
    Taps t{};
    for (Index i = 0; i < 4; ++i) {
      const double d = std::abs(source - static_cast<double>(base - 1 + i));
      const double v =
          d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
      t.at[static_cast<std::size_t>(i)] = std::clamp<Index>(base - 1 + i, 0, in_size - 1);
      t.weight[static_cast<std::size_t>(i)] = v;
    }
    return t;
  };
  std::vector<float> table(static_cast<std::size_t>(height * width * w.dim));  // [H,W,C]
  for (Index y = 0; y < height; ++y) {
    const Taps v = cubic(y, w.size[0], height);
    for (Index x = 0; x < width; ++x) {
      const Taps h = cubic(x, w.size[1], width);
      float* out = table.data() + (y * width + x) * w.dim;
      for (Index c = 0; c < w.dim; ++c) {
        double sum =
            w.window_part[static_cast<std::size_t>((c * w.window + y % w.window) * w.window + x % w.window)];
        for (std::size_t j = 0; j < 4; ++j)
          for (std::size_t i = 0; i < 4; ++i) {
            sum += v.weight[j] * h.weight[i] *
                   w.background[static_cast<std::size_t>((c * w.size[0] + v.at[j]) * w.size[1] + h.at[i])];
          }
        out[c] = static_cast<float>(sum);
      }
    }
  }
  return table;
}

}  // namespace sam2unet::model
