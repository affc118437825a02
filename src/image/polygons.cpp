// Outlines of a mask by following the edges between pixels inside and outside.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "image/outlines.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

// A gray picture and which of its values lie inside.
struct Mask {
  const ImageView& view;
  const image::InsideValues& values;
  int width = view.width, height = view.height;

  bool has(const std::uint8_t value) const { return values[value]; }
};

bool inside(const Mask& mask, int x, int y) {
  return x >= 0 && y >= 0 && x < mask.width && y < mask.height && mask.has(mask.view.row(y)[x]);
}

// Which connected part a pixel belongs to, kept as runs of pixels, so that large pictures cost little.
class Parts {
 public:
  explicit Parts(const Mask& mask) {
    std::size_t above = 0;
    for (int y = 0; y < mask.height; ++y) {
      const std::size_t first = runs_.size();
      rows_.push_back(first);
      const std::uint8_t* row = mask.view.row(y);
      for (int x = 0; x < mask.width; ++x) {
        if (!mask.has(row[x])) continue;
        const int begin = x;
        while (x < mask.width && mask.has(row[x])) ++x;
        runs_.push_back({begin, x});
        parents_.push_back(parents_.size());
      }
      join(above, first);
      above = first;
    }
    rows_.push_back(runs_.size());
  }

  std::size_t of(int x, int y) {
    const auto begin = runs_.begin() + static_cast<std::ptrdiff_t>(rows_[static_cast<std::size_t>(y)]);
    const auto end = runs_.begin() + static_cast<std::ptrdiff_t>(rows_[static_cast<std::size_t>(y) + 1]);
    const auto run = std::upper_bound(begin, end, x, [](int v, const Run& r) { return v < r.end; });
    return root(static_cast<std::size_t>(run - runs_.begin()));
  }

 private:
  struct Run {
    int begin;
    int end;
  };

  // Joins the runs of the row that begins at `above` with those from `first` on where they share a side.
  void join(std::size_t above, std::size_t first) {
    std::size_t a = above;
    std::size_t b = first;
    while (a < first && b < runs_.size()) {
      if (runs_[a].begin < runs_[b].end && runs_[b].begin < runs_[a].end) {
        const std::size_t ra = root(a);
        const std::size_t rb = root(b);
        parents_[std::max(ra, rb)] = std::min(ra, rb);
      }
      if (runs_[a].end < runs_[b].end)
        ++a;
      else
        ++b;
    }
  }

  std::size_t root(std::size_t i) {
    while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
    return i;
  }

  std::vector<Run> runs_;
  std::vector<std::size_t> rows_;  // index of each row's first run
  std::vector<std::size_t> parents_;
};

enum Direction { east, south, west, north };

// The pixel ahead to the right (side 1) or left (side 0) of somebody at corner (x, y).
bool ahead(const Mask& mask, Point at, Direction d, int side) {
  switch (d) {
    case east:
      return inside(mask, at.x, at.y - (side == 1 ? 0 : 1));
    case south:
      return inside(mask, at.x - (side == 1 ? 1 : 0), at.y);
    case west:
      return inside(mask, at.x - 1, at.y - (side == 1 ? 1 : 0));
    default:
      return inside(mask, at.x - (side == 1 ? 0 : 1), at.y - 1);
  }
}

Point step(Point at, Direction d) {
  switch (d) {
    case east:
      return {at.x + 1, at.y};
    case south:
      return {at.x, at.y + 1};
    case west:
      return {at.x - 1, at.y};
    default:
      return {at.x, at.y - 1};
  }
}

// Walks with the mask on the right hand, from the upper left corner of `start`'s pixel to the east, until it
// is back. Pixels that touch at a corner only are kept apart. `seen` marks the pixels whose upper edge was
// walked.
Ring follow(const Mask& mask, Point start, std::vector<bool>& seen) {
  Ring ring;
  Point at = start;
  Direction d = east;
  do {
    if (d == east)
      seen[static_cast<std::size_t>(at.y) * static_cast<std::size_t>(mask.width) +
           static_cast<std::size_t>(at.x)] = true;
    at = step(at, d);
    Direction next = d;
    if (!ahead(mask, at, d, 1))
      next = static_cast<Direction>((d + 1) % 4);
    else if (ahead(mask, at, d, 0))
      next = static_cast<Direction>((d + 3) % 4);
    if (next != d) ring.push_back(at);
    d = next;
  } while (at != start || d != east);
  return ring;
}

// Twice the area; positive for rings that run clockwise on the screen.
std::int64_t doubled_area(const Ring& ring) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const Point& a = ring[i];
    const Point& b = ring[(i + 1) % ring.size()];
    sum += static_cast<std::int64_t>(a.x) * b.y - static_cast<std::int64_t>(b.x) * a.y;
  }
  return sum;
}

// Of whole numbers below 2^24, so that the sum of the squares is exact. Not std::hypot: glibc 2.35 gave it a
// new version, which would be all that keeps the library from older systems.
double length_of(double dx, double dy) {
  return std::sqrt(dx * dx + dy * dy);
}

double distance_to_line(const Point& p, const Point& a, const Point& b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double length = length_of(dx, dy);
  if (length == 0.0) return length_of(p.x - a.x, p.y - a.y);
  return std::abs(dx * (p.y - a.y) - dy * (p.x - a.x)) / length;
}

// Douglas-Peucker between the first point and the one farthest from it.
Ring simplified(const Ring& ring, double tolerance) {
  if (tolerance <= 0.0 || ring.size() <= 4) return ring;
  const std::size_t n = ring.size();
  std::size_t far = 0;
  double most = -1.0;
  for (std::size_t i = 1; i < n; ++i) {
    const double d = length_of(ring[i].x - ring[0].x, ring[i].y - ring[0].y);
    if (d > most) {
      most = d;
      far = i;
    }
  }
  std::vector<bool> keep(n + 1, false);
  keep[0] = keep[far] = keep[n] = true;
  std::vector<std::pair<std::size_t, std::size_t>> open = {{0, far}, {far, n}};
  while (!open.empty()) {
    const auto [first, last] = open.back();
    open.pop_back();
    std::size_t worst = 0;
    double distance = tolerance;
    for (std::size_t i = first + 1; i < last; ++i) {
      const double d = distance_to_line(ring[i], ring[first], ring[last % n]);
      if (d > distance) {
        distance = d;
        worst = i;
      }
    }
    if (worst == 0) continue;
    keep[worst] = true;
    open.emplace_back(first, worst);
    open.emplace_back(worst, last);
  }
  Ring out;
  for (std::size_t i = 0; i < n; ++i) {
    if (keep[i]) out.push_back(ring[i]);
  }
  return out.size() >= 3 ? out : ring;  // a line is no ring
}

}  // namespace

std::vector<Polygon> mask_polygons(const ImageView& mask, double tolerance) {
  image::InsideValues values{};
  std::fill(values.begin() + 128, values.end(), true);
  return image::outlines(mask, values, tolerance);
}

std::vector<Polygon> image::outlines(const ImageView& gray, const InsideValues& values, double tolerance) {
  if (gray.channels != 1)
    throw UsageError("the outlines of a picture with more than one channel are not defined");
  if (gray.data == nullptr || gray.width <= 0 || gray.height <= 0) return {};
  const Mask mask{gray, values};
  Parts parts(mask);
  std::vector<bool> seen(static_cast<std::size_t>(mask.width) * static_cast<std::size_t>(mask.height), false);
  std::vector<Polygon> out;
  std::map<std::size_t, std::size_t> polygon_of;  // part -> index in `out`
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (!inside(mask, x, y) || inside(mask, x, y - 1)) continue;
      if (seen[static_cast<std::size_t>(y) * static_cast<std::size_t>(mask.width) +
               static_cast<std::size_t>(x)])
        continue;
      Ring ring = follow(mask, {x, y}, seen);
      // The outer ring of a part holds its topmost pixels, so it is met before the part's holes.
      const auto [it, first] = polygon_of.try_emplace(parts.of(x, y), out.size());
      const bool outer = doubled_area(ring) > 0;
      if (first) out.emplace_back();
      Polygon& polygon = out[it->second];
      if (outer)
        polygon.outer = simplified(ring, tolerance);
      else
        polygon.holes.push_back(simplified(ring, tolerance));
    }
  }
  return out;
}

}  // namespace sam2unet
