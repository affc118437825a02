#include "metrics/surface.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "metrics/bitmap.h"
#include "metrics/distance.h"

namespace sam2unet::metrics {

namespace {

double diagonal(const Sample& s) {
  const double w = s.width, h = s.height;
  return std::sqrt(w * w + h * h);
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
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
  std::vector<double> there = distances(pred_border, gt_border);
  const std::vector<double> back = distances(gt_border, pred_border);
  there.insert(there.end(), back.begin(), back.end());
  const double assd = mean_of(there);
  return {percentile95(there), assd};
}

}  // namespace sam2unet::metrics
