#include "metrics/surface.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "metrics/bitmap.h"
#include "metrics/distance.h"

namespace sam2unet::metrics {

namespace {

double diagonal(const Sample& s) {
  return std::hypot(static_cast<double>(s.width), static_cast<double>(s.height));
}

// Distances of the pixels of `from` to the nearest pixel of `to`; their mean too.
double append_distances(const Bitmap& from, const Bitmap& to, std::vector<double>& out) {
  const std::vector<std::int64_t> squares = squared_distances(to);
  double sum = 0;
  std::int64_t n = 0;
  for (int y = 0; y < from.height(); ++y) {
    for (int w = 0; w < from.words(); ++w) {
      for (std::uint64_t word = from.row(y)[w]; word != 0; word &= word - 1) {
        const auto x = static_cast<std::size_t>(64 * w + std::countr_zero(word));
        const double d = std::sqrt(static_cast<double>(
            squares[static_cast<std::size_t>(y) * static_cast<std::size_t>(from.width()) + x]));
        out.push_back(d);
        sum += d;
        ++n;
      }
    }
  }
  return sum / static_cast<double>(n);
}

// numpy.percentile(values, 95)
double percentile95(std::vector<double>& values) {
  const double at = 0.95 * static_cast<double>(values.size() - 1);
  const auto k = static_cast<std::size_t>(at);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(values.begin(), nth, values.end());
  const double low = *nth;
  if (k + 1 >= values.size()) return low;
  const double high = *std::min_element(nth + 1, values.end());
  return low + (high - low) * (at - static_cast<double>(k));
}

}  // namespace

double boundary_iou(const Sample& s) {
  const int radius = std::max(1, static_cast<int>(std::nearbyint(0.02 * diagonal(s))));
  const Bitmap gt = truth_of(s);
  const Bitmap pred = predicted_at(s, s.levels.binary_cut);
  const Bitmap gt_edge = gt - erode_square(gt, radius);
  const Bitmap pred_edge = pred - erode_square(pred, radius);
  const std::int64_t either = (gt_edge | pred_edge).count();
  return either == 0 ? 0 : static_cast<double>((gt_edge & pred_edge).count()) / static_cast<double>(either);
}

SurfaceDistances surface_distances(const Sample& s) {
  const Bitmap gt = truth_of(s);
  const Bitmap pred = predicted_at(s, s.levels.binary_cut);
  if (!gt.any() && !pred.any()) return {0, 0};
  if (!gt.any() || !pred.any()) return {diagonal(s), diagonal(s)};
  const Bitmap gt_border = gt - erode_cross(gt, Outside::unset);
  const Bitmap pred_border = pred - erode_cross(pred, Outside::unset);
  std::vector<double> all;
  const double there = append_distances(pred_border, gt_border, all);
  const double back = append_distances(gt_border, pred_border, all);
  return {percentile95(all), (there + back) / 2};
}

}  // namespace sam2unet::metrics
