#include "metrics/contours.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace sam2unet::metrics {

namespace {

// Neighbours counter-clockwise from the right, y pointing down.
constexpr std::array<Point, 8> kAround = {
    {{1, 0}, {1, -1}, {0, -1}, {-1, -1}, {-1, 0}, {-1, 1}, {0, 1}, {1, 1}}};

// Border following after Suzuki and Abe (1985), algorithm 1, as OpenCV has it. Pixels are 0 and 1 at first; a
// border's pixels get its number, negative where the pixel to the right was seen to be outside. One row and
// column of zeros lie around the picture.
class Follower {
 public:
  explicit Follower(const Bitmap& picture)
      : width_(picture.width()), stride_(picture.width() + 2), height_(picture.height()) {
    label_.assign(static_cast<std::size_t>(stride_) * static_cast<std::size_t>(height_ + 2), 0);
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) at(x, y) = picture.at(x, y) ? 1 : 0;
    }
  }

  /// Borders in the order in which their first pixels come.
  std::vector<Contour> borders() {
    for (int y = 0; y < height_; ++y) scan_row(y);
    return std::move(found_);
  }

 private:
  std::int32_t& at(int x, int y) {
    return label_[static_cast<std::size_t>(y + 1) * static_cast<std::size_t>(stride_) +
                  static_cast<std::size_t>(x + 1)];
  }

  void scan_row(int y) {
    std::int32_t last_border = 0;  // label of the last border pixel passed in this row
    for (int x = 0; x <= width_; ++x) {
      const std::int32_t before = at(x - 1, y);
      const std::int32_t here = at(x, y);
      if (before == here) continue;
      const bool outer = before == 0 && here == 1;
      const bool hole = !outer && here == 0 && before >= 1;
      if (hole && before > 1) last_border = before;
      if (outer || hole) {
        add_border(outer ? x : x - 1, y, hole, last_border);
        last_border = at(outer ? x : x - 1, y);
      }
      const std::int32_t now = at(x, y);
      if (now != 0 && now != 1) last_border = now;
    }
  }

  void add_border(int x, int y, bool hole, std::int32_t last_border) {
    const int index = static_cast<int>(found_.size());
    int parent = last_border == 0 ? -1 : std::abs(last_border) - kFirst;
    // Beside a border of the same kind both have the same parent.
    if (parent >= 0 && found_[static_cast<std::size_t>(parent)].hole == hole)
      parent = found_[static_cast<std::size_t>(parent)].parent;
    found_.push_back({{}, parent, hole});
    follow({x, y}, hole, kFirst + index, found_.back().points);
  }

  void follow(Point start, bool hole, std::int32_t number, std::vector<Point>& points) {
    const unsigned first = hole ? 0 : 4;
    unsigned s = first;
    Point last;  // the border's last pixel, clockwise from the side that lies outside
    do {
      s = (s - 1) & 7;
      last = {start.x + kAround[s].x, start.y + kAround[s].y};
    } while (at(last.x, last.y) == 0 && s != first);
    if (s == first) {
      at(start.x, start.y) = -number;
      points.push_back(start);
      return;
    }
    for (Point here = start;;) {
      const unsigned from = s;
      Point next;
      do {
        ++s;
        next = {here.x + kAround[s & 7].x, here.y + kAround[s & 7].y};
      } while (at(next.x, next.y) == 0);
      s &= 7;
      std::int32_t& label = at(here.x, here.y);
      if (s - 1 < from) {  // the search went past the pixel to the right
        label = -number;
      } else if (label == 1) {
        label = number;
      }
      points.push_back(here);
      if (next == start && here == last) return;
      here = next;
      s = (s + 4) & 7;
    }
  }

  static constexpr std::int32_t kFirst = 2;  // number of the first border
  int width_, stride_, height_;
  std::vector<std::int32_t> label_;
  std::vector<Contour> found_;
};

double squared_length(Point a) {
  return static_cast<double>(a.x) * a.x + static_cast<double>(a.y) * a.y;
}

Point difference(Point a, Point b) {
  return {a.x - b.x, a.y - b.y};
}

double cross(Point a, Point b) {
  return static_cast<double>(a.x) * b.y - static_cast<double>(a.y) * b.x;
}

// Points that are kept: from each stretch that is near enough to its chord its first point, and the very last
// one.
std::vector<Point> douglas_peucker(std::span<const Point> line, double square) {
  std::vector<Point> kept;
  std::vector<std::pair<std::size_t, std::size_t>> stack{{0, line.size() - 1}};
  while (!stack.empty()) {
    const auto [begin, end] = stack.back();
    stack.pop_back();
    const Point chord = difference(line[end], line[begin]);
    double farthest = 0;
    std::size_t split = begin;
    for (std::size_t i = begin + 1; i < end; ++i) {
      const double distance = std::abs(cross(chord, difference(line[i], line[begin])));
      if (distance <= farthest) continue;
      farthest = distance;
      split = i;
    }
    if (farthest * farthest <= square * squared_length(chord)) {
      kept.push_back(line[begin]);
    } else {
      stack.emplace_back(split, end);
      stack.emplace_back(begin, split);
    }
  }
  kept.push_back(line.back());
  return kept;
}

}  // namespace

std::vector<Contour> find_contours(const Bitmap& picture) {
  std::vector<Contour> found = Follower(picture).borders();
  // The order of the tree: children behind their parent, those found last first.
  std::vector<std::vector<int>> children(found.size() + 1);
  for (std::size_t i = 0; i < found.size(); ++i)
    children[static_cast<std::size_t>(found[i].parent + 1)].push_back(static_cast<int>(i));
  std::vector<Contour> out;
  out.reserve(found.size());
  std::vector<int> place(found.size());
  std::vector<int> waiting = children[0];
  while (!waiting.empty()) {
    const auto i = static_cast<std::size_t>(waiting.back());
    waiting.pop_back();
    place[i] = static_cast<int>(out.size());
    out.push_back(std::move(found[i]));
    if (out.back().parent >= 0) out.back().parent = place[static_cast<std::size_t>(out.back().parent)];
    waiting.insert(waiting.end(), children[i + 1].begin(), children[i + 1].end());
  }
  return out;
}

std::size_t polygon_size(std::span<const Point> line, double epsilon) {
  if (line.size() < 2) return line.size();
  const double square = epsilon * epsilon;
  const std::vector<Point> polygon = douglas_peucker(line, square);
  // OpenCV's last stage: points on almost straight lines go, two at a time at most, horizontal and vertical
  // lines excepted.
  std::size_t count = polygon.size();
  Point start = polygon[0];
  Point point = polygon[1];
  for (std::size_t i = 1; i + 1 < polygon.size() && count > 2; ++i) {
    const Point end = polygon[i + 1];
    const Point chord = difference(end, start);
    const double distance = cross(difference(point, start), chord);
    const Point before = difference(point, start), after = difference(end, point);
    const double forward = static_cast<double>(before.x) * after.x + static_cast<double>(before.y) * after.y;
    if (distance * distance <= 0.5 * square * squared_length(chord) && chord.x != 0 && chord.y != 0 &&
        forward >= 0) {
      --count;
      start = end;
      if (i + 2 < polygon.size()) point = polygon[i + 2];
      ++i;
      continue;
    }
    start = point;
    point = end;
  }
  return count;
}

}  // namespace sam2unet::metrics
