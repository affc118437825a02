#include "metrics/distance.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace sam2unet::metrics {

namespace {

// Rows to the nearest set pixel of each column, above or below; `far` where the column has none.
std::vector<std::int32_t> column_distances(const Bitmap& sites, std::int32_t far) {
  const auto width = static_cast<std::size_t>(sites.width());
  const int height = sites.height();
  std::vector<std::int32_t> out(width * static_cast<std::size_t>(height));
  std::vector<std::int32_t> near(width, far);
  const auto sweep = [&](int y) {
    for (std::int32_t& d : near) d = std::min(d + 1, far);
    const std::uint64_t* row = sites.row(y);
    for (int w = 0; w < sites.words(); ++w) {
      for (std::uint64_t word = row[w]; word != 0; word &= word - 1) {
        near[static_cast<std::size_t>(64 * w + std::countr_zero(word))] = 0;
      }
    }
  };
  for (int y = 0; y < height; ++y) {
    sweep(y);
    std::copy(near.begin(), near.end(), out.begin() + static_cast<std::ptrdiff_t>(y) * sites.width());
  }
  std::fill(near.begin(), near.end(), far);
  for (int y = height - 1; y >= 0; --y) {
    sweep(y);
    std::int32_t* row = out.data() + static_cast<std::ptrdiff_t>(y) * sites.width();
    for (std::size_t x = 0; x < width; ++x) row[x] = std::min(row[x], near[x]);
  }
  return out;
}

}  // namespace

std::vector<double> distances(const Bitmap& from, const Bitmap& to) {
  const std::int32_t far = from.width() + from.height();  // more than any distance
  const std::vector<std::int32_t> columns = column_distances(to, far);
  std::vector<double> out;
  for (int y = 0; y < from.height(); ++y) {
    const std::int32_t* near = columns.data() + static_cast<std::ptrdiff_t>(y) * from.width();
    for (int w = 0; w < from.words(); ++w) {
      for (std::uint64_t word = from.row(y)[w]; word != 0; word &= word - 1) {
        const int x = 64 * w + std::countr_zero(word);
        // Columns further and further away, until even a site in this row would be.
        std::int64_t best = std::int64_t{near[x]} * near[x];
        for (std::int64_t k = 1; k * k < best; ++k) {
          if (x - k >= 0) best = std::min(best, std::int64_t{near[x - k]} * near[x - k] + k * k);
          if (x + k < from.width()) best = std::min(best, std::int64_t{near[x + k]} * near[x + k] + k * k);
          if (x - k < 0 && x + k >= from.width()) break;
        }
        out.push_back(std::sqrt(static_cast<double>(best)));
      }
    }
  }
  return out;
}

}  // namespace sam2unet::metrics
