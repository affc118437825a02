#include "model/int8.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/text.h"
#include "sam2unet/errors.h"

namespace sam2unet::model {

std::vector<float> row_scales(const std::vector<float>& values, std::size_t rows, std::string_view name) {
  std::vector<float> scales(rows, 1.0F);
  const std::size_t n = rows == 0 ? 0 : values.size() / rows;
  for (std::size_t r = 0; r < rows; ++r) {
    float largest = 0.0F;
    for (std::size_t i = r * n; i < (r + 1) * n; ++i) {
      if (!std::isfinite(values[i])) {
        throw WeightsError(fmt::format("tensor {} holds {}; int8 needs finite weights",
                                       formats::printable(name), values[i]));
      }
      largest = std::max(largest, std::abs(values[i]));
    }
    // Below the smallest normal number there is nothing left to scale.
    if (largest / 127.0F >= 0x1p-126F) scales[r] = largest / 127.0F;
  }
  return scales;
}

std::int8_t quantised(float value, float scale) {
  return static_cast<std::int8_t>(std::clamp(std::nearbyint(value / scale), -127.0F, 127.0F));
}

void RoundedWeights::read(const std::string& name, const Shape& shape, std::int64_t first,
                          std::span<float> values) const {
  if (shape.rank() < 2 || name.ends_with("pos_embed") || name.ends_with("pos_embed_window"))
    return source_.read(name, shape, first, values);
  const auto all = source_.read(name, shape);
  const auto rows = static_cast<std::size_t>(shape[0]);
  const auto scales = row_scales(all, rows, name);
  const std::size_t n = all.size() / rows;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t at = static_cast<std::size_t>(first) + i;
    values[i] = static_cast<float>(quantised(all[at], scales[at / n])) * scales[at / n];
  }
}

}  // namespace sam2unet::model
