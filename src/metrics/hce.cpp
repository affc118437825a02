#include "metrics/hce.h"

#include <bit>
#include <cstdlib>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "metrics/bitmap.h"
#include "metrics/skeleton.h"

namespace sam2unet::metrics {

namespace {

constexpr int kRelax = 5;
constexpr double kEpsilon = 2.0;

using Boundary = std::vector<cv::Point>;

cv::Mat unpacked(const Bitmap& bits) {
  cv::Mat out(bits.height(), bits.width(), CV_8U, cv::Scalar(0));
  for (int y = 0; y < bits.height(); ++y) {
    std::uint8_t* row = out.ptr(y);
    for (int w = 0; w < bits.words(); ++w) {
      for (std::uint64_t word = bits.row(y)[w]; word != 0; word &= word - 1)
        row[64 * w + std::countr_zero(word)] = 1;
    }
  }
  return out;
}

bool touching(const cv::Point& a, const cv::Point& b) {
  const int dx = std::abs(a.x - b.x);
  const int dy = std::abs(a.y - b.y);
  return (dx == 1 && dy == 0) || (dx == 0 && dy == 1) || (dx == 1 && dy == 1);
}

// The stretches of one contour that lie on the condition and were not visited before. The first and the last
// are one where the contour closes between them.
std::vector<Boundary> stretches(const Boundary& contour, const Bitmap& condition, Bitmap& visited) {
  std::vector<Boundary> found;
  bool open = false;
  for (const cv::Point& p : contour) {
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
int effort(const Bitmap& mask, const Bitmap& condition) {
  if (!mask.any()) return 0;
  std::vector<Boundary> contours;
  std::vector<cv::Vec4i> hierarchy;  // next, previous, child, parent
  cv::findContours(unpacked(mask), contours, hierarchy, cv::RETR_TREE, cv::CHAIN_APPROX_NONE);
  const Bitmap near = dilate_cross(condition);
  Bitmap visited(mask.width(), mask.height());
  // A contour without parent, or whose parent is the contour of a hole, is the outside of a region; the
  // others are holes and belong to the region of their parent. Parents may come later, so levels are found by
  // walking up.
  std::vector<char> independent(contours.size(), 1);
  int points = 0;
  int regions = 0;
  for (std::size_t i = 0; i < contours.size(); ++i) {
    int depth = 0;
    for (int parent = hierarchy[i][3]; parent >= 0; parent = hierarchy[static_cast<std::size_t>(parent)][3])
      ++depth;
    const bool hole = depth % 2 == 1;
    const auto region = hole ? static_cast<std::size_t>(hierarchy[i][3]) : i;
    regions += hole ? 0 : 1;
    for (const Boundary& boundary : stretches(contours[i], near, visited)) {
      if (independent[region] != 0) --regions;
      independent[region] = 0;
      Boundary polygon;
      cv::approxPolyDP(boundary, polygon, kEpsilon, false);
      points += static_cast<int>(polygon.size());
    }
  }
  return points + regions;
}

}  // namespace

double human_correction_effort(const Sample& sample) {
  const Bitmap gt = truth_of(sample);
  const Bitmap pred = predicted_at(sample, sample.levels.binary_cut);
  const Bitmap tp = gt & pred;
  const Bitmap fp = pred - tp;
  const Bitmap fn = gt - tp;
  Bitmap eroded_union = gt | pred;
  for (int i = 0; i < kRelax; ++i) eroded_union = erode_cross(eroded_union, Outside::set);

  // False positives and negatives that are not just a shifted border.
  Bitmap relaxed_fp = fp & eroded_union;
  for (int i = 0; i < kRelax; ++i) relaxed_fp = dilate_cross(relaxed_fp) - gt;
  relaxed_fp = fp & relaxed_fp;
  Bitmap relaxed_fn = fn & eroded_union;
  for (int i = 0; i < kRelax; ++i) relaxed_fn = dilate_cross(relaxed_fn) - pred;
  relaxed_fn = fn & relaxed_fn;
  // Missing parts of the structure count however thin they are.
  relaxed_fn = relaxed_fn | (skeletonize(gt) - tp);

  const int fp_effort = effort(relaxed_fp, tp | relaxed_fn);
  const int fn_effort = effort(relaxed_fn, inverted(tp | relaxed_fp | relaxed_fn));
  return fp_effort + fn_effort;
}

}  // namespace sam2unet::metrics
