// Borders of a binary picture and their polygons, to the pixel as cv2.findContours(RETR_TREE,
// CHAIN_APPROX_NONE) and cv2.approxPolyDP(closed=False) find them: the human correction effort counts what
// they return, in the order in which they return it.
#pragma once

#include <span>
#include <vector>

#include "metrics/bitmap.h"

namespace sam2unet::metrics {

struct Point {
  int x = 0, y = 0;
  bool operator==(const Point&) const = default;
};

struct Contour {
  std::vector<Point> points;  ///< pixels along the border, eight-connected
  int parent = -1;            ///< index of the contour around this one, -1 outside of everything
  bool hole = false;          ///< the border of a hole: its parent is the outer border of the part it lies in
};

/// Every border with its pixels, each contour followed by what lies inside of it; of neighbours the one that
/// was found last (further down) comes first.
std::vector<Contour> find_contours(const Bitmap& picture);

/// How many points the Douglas-Peucker polygon of an open line of different points has.
std::size_t polygon_size(std::span<const Point> line, double epsilon);

}  // namespace sam2unet::metrics
