// Outlines of connected parts by following the edges between pixels inside and outside.
#include <algorithm>
#include <cmath>
#include <utility>

#include "image/label_runs.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

enum Direction { east, south, west, north };

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
Ring simplified(Ring ring, double tolerance) {
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

// Finds the rings of one label. Pixels that touch at a corner only are kept apart.
class image::LabelRuns::Tracer {
 public:
  Tracer(const LabelRuns& map, std::uint8_t label)
      : map_(map),
        label_(label),
        seen_(static_cast<std::size_t>(map.width_) * static_cast<std::size_t>(map.height_), false) {}

  struct Start {
    std::uint32_t part = 0;
    Point at;
  };
  // One for each ring, by part; in reading order, so that of each part the outer one is the first: it holds
  // the part's topmost pixels.
  std::vector<Start> starts() {
    std::vector<Start> out;
    for (int y = 0; y < map_.height_; ++y) {
      for (std::size_t run = map_.first_run(y); run < map_.first_run(y + 1); ++run)
        if (map_.runs_[run].label == label_) add_starts(run, y, out);
    }
    std::stable_sort(out.begin(), out.end(), [](const Start& a, const Start& b) { return a.part < b.part; });
    seen_ = {};
    return out;
  }

  // Walks with the part on the right hand, from the upper left corner of `start`'s pixel to the east, until
  // it is back. `at_corner` is told each corner, and whether an upper edge begins there.
  template <class AtCorner>
  void follow(Point start, const AtCorner& at_corner) const {
    Point at = start;
    Direction d = east;
    do {
      at = step(at, d);
      Direction next = d;
      if (!ahead(at, d, 1))
        next = static_cast<Direction>((d + 1) % 4);
      else if (ahead(at, d, 0))
        next = static_cast<Direction>((d + 3) % 4);
      if (next != d) at_corner(at, next == east);
      d = next;
    } while (at != start || d != east);
  }

 private:
  bool inside(int x, int y) const {
    return x >= 0 && y >= 0 && x < map_.width_ && y < map_.height_ &&
           map_.runs_[map_.run_at(x, y)].label == label_;
  }

  // The pixel ahead to the right (side 1) or left (side 0) of somebody at corner (x, y).
  bool ahead(Point at, Direction d, int side) const {
    switch (d) {
      case east:
        return inside(at.x, at.y - (side == 1 ? 0 : 1));
      case south:
        return inside(at.x - (side == 1 ? 1 : 0), at.y);
      case west:
        return inside(at.x - 1, at.y - (side == 1 ? 1 : 0));
      default:
        return inside(at.x - (side == 1 ? 0 : 1), at.y - 1);
    }
  }

  std::vector<bool>::reference seen(Point at) {
    return seen_[static_cast<std::size_t>(at.y) * static_cast<std::size_t>(map_.width_) +
                 static_cast<std::size_t>(at.x)];
  }

  // Of the upper edges of a run, which are where what lies above is outside, those of rings not met yet.
  void add_starts(std::size_t run, int y, std::vector<Start>& out) {
    const int end = map_.end_of(run, y);
    int x = static_cast<int>(map_.runs_[run].begin);
    std::size_t above = y > 0 ? map_.run_at(x, y - 1) : 0;
    const auto is_covered = [&] { return y > 0 && map_.runs_[above].label == label_; };
    const auto end_above = [&] { return y > 0 ? map_.end_of(above, y - 1) : map_.width_; };
    while (x < end) {
      if (is_covered()) {
        x = end_above();
        ++above;
        continue;
      }
      if (!seen({x, y})) {
        seen({x, y}) = true;
        follow({x, y}, [&](Point at, bool begins_upper_edge) {
          if (begins_upper_edge) seen(at) = true;
        });
        out.push_back({map_.parts_[map_.runs_[run].part].parent, {x, y}});
      }
      while (x < end && !is_covered()) {
        x = end_above();
        ++above;
      }
    }
  }

  const LabelRuns& map_;
  const std::uint8_t label_;
  std::vector<bool> seen_;  // the first pixels of upper edges that were walked
};

void image::LabelRuns::visit(std::uint8_t label, double tolerance, const UsePart& use) const {
  Tracer tracer(*this, label);
  const auto starts = tracer.starts();
  for (std::size_t i = 0; i < starts.size();) {
    const std::uint32_t part = starts[i].part;
    Polygon polygon;
    for (bool outer = true; i < starts.size() && starts[i].part == part; ++i, outer = false) {
      Ring ring;
      tracer.follow(starts[i].at, [&](Point at, bool) { ring.push_back(at); });
      ring = simplified(std::move(ring), tolerance);
      if (outer)
        polygon.outer = std::move(ring);
      else
        polygon.holes.push_back(std::move(ring));
    }
    use(parts_[part].pixels.summary(), std::move(polygon));
  }
}

std::vector<Polygon> mask_polygons(const ImageView& mask, double tolerance) {
  if (mask.channels != 1)
    throw UsageError("the outlines of a picture with more than one channel are not defined");
  if (mask.data == nullptr || mask.width <= 0 || mask.height <= 0) return {};
  image::WantedLabels wanted{};
  wanted[1] = true;
  image::LabelRuns runs(mask.width, mask.height, wanted);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(mask.width));
  for (int y = 0; y < mask.height; ++y) {
    std::transform(mask.row(y), mask.row(y) + mask.width, row.begin(),
                   [](std::uint8_t v) { return static_cast<std::uint8_t>(v >= 128 ? 1 : 0); });
    runs.add(row.data(), nullptr);
  }
  std::vector<Polygon> out;
  runs.visit(1, tolerance, [&](const MaskSummary&, Polygon&& p) { out.push_back(std::move(p)); });
  return out;
}

}  // namespace sam2unet
