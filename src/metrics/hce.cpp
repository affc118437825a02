#include "metrics/hce.h"

#include <cmath>
#include <cstdlib>
#include <vector>

#include "metrics/bitmap.h"
#include "metrics/contours.h"
#include "metrics/skeleton.h"

namespace sam2unet::metrics {

namespace {

bool touching(Point a, Point b) {
  return a != b && std::abs(a.x - b.x) <= 1 && std::abs(a.y - b.y) <= 1;
}

using Boundary = std::vector<Point>;

// The stretches of one contour that lie on the condition and were not visited before. The first and the last
// are one where the contour closes between them.
std::vector<Boundary> stretches(const Boundary& contour, const Bitmap& condition, Bitmap& visited) {
  std::vector<Boundary> found;
  bool open = false;
  for (const Point& p : contour) {
    if (!condition.at(p.x, p.y) || visited.at(p.x, p.y)) {
      open = false;
      continue;
    }
    if (!open) found.emplace_back();
    open = true;
    found.back().push_back(p);
    visited.set(p.x, p.y);
  }
  if (found.size() > 1 && touching(found.front().front(), found.back().back())) {
    found.back().insert(found.back().end(), found.front().rbegin(), found.front().rend());
    found.erase(found.begin());
  }
  return found;
}

// Control points of the boundaries next to `condition`, plus one for each region of `mask` that has no such
// boundary.
int effort(const Bitmap& mask, const Bitmap& condition, double epsilon) {
  if (!mask.any()) return 0;
  const std::vector<Contour> contours = find_contours(mask);
  const Bitmap near = dilate_cross(condition);
  Bitmap visited(mask.width(), mask.height());
  // A hole belongs to the region of its parent, which stands before it.
  std::vector<char> independent(contours.size(), 1);
  int points = 0;
  int regions = 0;
  for (std::size_t i = 0; i < contours.size(); ++i) {
    const Contour& contour = contours[i];
    const std::size_t region = contour.hole ? static_cast<std::size_t>(contour.parent) : i;
    regions += contour.hole ? 0 : 1;
    for (const Boundary& boundary : stretches(contour.points, near, visited)) {
      if (independent[region] != 0) --regions;
      independent[region] = 0;
      points += static_cast<int>(polygon_size(boundary, epsilon));
    }
  }
  return points + regions;
}

}  // namespace

double human_correction_effort(const Bitmap& pred, const Bitmap& gt, const HceOptions& options) {
  const Bitmap tp = gt & pred;
  const Bitmap fp = pred - tp;
  const Bitmap fn = gt - tp;
  Bitmap eroded_union = gt | pred;
  for (int i = 0; i < options.relax; ++i) eroded_union = erode_cross(eroded_union, Outside::set);

  // False positives and negatives that are not just a shifted border.
  Bitmap relaxed_fp = fp & eroded_union;
  for (int i = 0; i < options.relax; ++i) relaxed_fp = dilate_cross(relaxed_fp) - gt;
  relaxed_fp = fp & relaxed_fp;
  Bitmap relaxed_fn = fn & eroded_union;
  for (int i = 0; i < options.relax; ++i) relaxed_fn = dilate_cross(relaxed_fn) - pred;
  relaxed_fn = fn & relaxed_fn;
  // Missing parts of the structure count however thin they are.
  relaxed_fn = relaxed_fn | (skeletonize(gt) - tp);

  const int fp_effort = effort(relaxed_fp, tp | relaxed_fn, options.epsilon);
  const int fn_effort = effort(relaxed_fn, inverted(tp | relaxed_fp | relaxed_fn), options.epsilon);
  return fp_effort + fn_effort;
}

}  // namespace sam2unet::metrics
