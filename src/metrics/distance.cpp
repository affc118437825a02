#include "metrics/distance.h"

#include <algorithm>
#include <limits>

namespace sam2unet::metrics {

namespace {

// Where the parabola with its lowest point at b becomes the lower one than a's, a < b (Felzenszwalb and
// Huttenlocher).
double crossing(std::int64_t a, std::int64_t fa, std::int64_t b, std::int64_t fb) {
  return static_cast<double>((fb + b * b) - (fa + a * a)) / static_cast<double>(2 * (b - a));
}

// Lower envelope of the parabolas (x - i)^2 + f[i], over those i that have a site in their column.
void transform_row(std::vector<std::int64_t>& f, std::int64_t none, std::vector<std::int64_t>& at,
                   std::vector<double>& from, std::vector<std::int64_t>& out) {
  at.clear();
  from.clear();
  const auto n = static_cast<std::int64_t>(f.size());
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t height = f[static_cast<std::size_t>(i)];
    if (height == none) continue;
    double start = -std::numeric_limits<double>::infinity();
    while (!at.empty()) {
      start = crossing(at.back(), f[static_cast<std::size_t>(at.back())], i, height);
      if (start > from.back()) break;
      at.pop_back();
      from.pop_back();
      start = -std::numeric_limits<double>::infinity();
    }
    at.push_back(i);
    from.push_back(start);
  }
  std::size_t k = 0;
  for (std::int64_t x = 0; x < n; ++x) {
    while (k + 1 < at.size() && from[k + 1] < static_cast<double>(x)) ++k;
    const std::int64_t d = x - at[k];
    out[static_cast<std::size_t>(x)] = d * d + f[static_cast<std::size_t>(at[k])];
  }
}

}  // namespace

std::vector<std::int64_t> squared_distances(const Bitmap& sites) {
  const auto width = static_cast<std::size_t>(sites.width());
  const auto height = static_cast<std::size_t>(sites.height());
  const auto none = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> out(width * height);
  // Distances along the columns, first to the site above, then to the nearer one.
  std::vector<std::int64_t> near(width, none);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      if (sites.at(static_cast<int>(x), static_cast<int>(y))) {
        near[x] = 0;
      } else if (near[x] != none) {
        ++near[x];
      }
      out[y * width + x] = near[x];
    }
  }
  std::vector<std::int64_t> f(width), row(width), at;
  std::vector<double> from;
  std::fill(near.begin(), near.end(), none);
  for (std::size_t y = height; y-- > 0;) {
    for (std::size_t x = 0; x < width; ++x) {
      if (sites.at(static_cast<int>(x), static_cast<int>(y))) {
        near[x] = 0;
      } else if (near[x] != none) {
        ++near[x];
      }
      const std::int64_t d = std::min(out[y * width + x], near[x]);
      f[x] = d == none ? none : d * d;
    }
    transform_row(f, none, at, from, row);
    std::copy(row.begin(), row.end(), out.begin() + static_cast<std::ptrdiff_t>(y * width));
  }
  return out;
}

}  // namespace sam2unet::metrics
