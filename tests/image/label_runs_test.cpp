// Connected parts of maps that come row by row, beside a flood over the whole map.
#include "image/label_runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "support/pictures.h"

namespace sam2unet::image {
namespace {

// The parts of a label in reading order of their first pixels, counted by flooding.
std::vector<MaskSummary> flooded(const Image& map, std::uint8_t label, const std::vector<float>& confidence) {
  std::vector<MaskSummary> out;
  std::vector<bool> seen(map.pixels.size(), false);
  for (std::size_t first = 0; first < seen.size(); ++first) {
    if (seen[first] || map.pixels[first] != label) continue;
    int left = map.width, right = -1, top = map.height, bottom = -1;
    std::int64_t area = 0;
    double sum = 0;
    std::vector<std::size_t> open{first};
    seen[first] = true;
    while (!open.empty()) {
      const std::size_t i = open.back();
      open.pop_back();
      const int x = static_cast<int>(i) % map.width, y = static_cast<int>(i) / map.width;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
      ++area;
      if (!confidence.empty()) sum += confidence[i];
      for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
        const int nx = x + dx, ny = y + dy;
        if (nx < 0 || ny < 0 || nx >= map.width || ny >= map.height) continue;
        const auto j = static_cast<std::size_t>(ny * map.width + nx);
        if (seen[j] || map.pixels[j] != label) continue;
        seen[j] = true;
        open.push_back(j);
      }
    }
    out.push_back({{left, top, right - left + 1, bottom - top + 1}, area, sum / static_cast<double>(area)});
  }
  return out;
}

// Twice the area that a ring encloses, with the sign of its direction.
std::int64_t doubled_area(const Ring& ring) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const Point a = ring[i], b = ring[(i + 1) % ring.size()];
    sum += std::int64_t{a.x} * b.y - std::int64_t{b.x} * a.y;
  }
  return sum;
}

void compare(const Image& map, const std::vector<float>& confidence) {
  WantedLabels wanted{};
  wanted[1] = wanted[255] = true;
  LabelRuns runs(map.width, map.height, wanted);
  EXPECT_EQ(runs.width(), map.width);
  EXPECT_EQ(runs.height(), map.height);
  for (int y = 0; y < map.height; ++y) {
    EXPECT_EQ(runs.rows(), y);
    runs.add(map.row(y), confidence.empty() ? nullptr : confidence.data() + std::ptrdiff_t{y} * map.width);
  }
  for (const std::uint8_t label : {std::uint8_t{1}, std::uint8_t{255}}) {
    const std::vector<MaskSummary> want = flooded(map, label, confidence);
    std::size_t parts = 0;
    runs.visit(label, 0.0, [&](const MaskSummary& got, Polygon&& polygon) {
      ASSERT_LT(parts, want.size());
      const MaskSummary& w = want[parts++];
      EXPECT_EQ(got.area, w.area);
      EXPECT_EQ(got.box.x, w.box.x);
      EXPECT_EQ(got.box.y, w.box.y);
      EXPECT_EQ(got.box.width, w.box.width);
      EXPECT_EQ(got.box.height, w.box.height);
      EXPECT_EQ(got.mean_confidence, w.mean_confidence);
      std::int64_t enclosed = doubled_area(polygon.outer);
      EXPECT_GT(enclosed, 0);
      for (const Ring& hole : polygon.holes) enclosed += doubled_area(hole);
      EXPECT_EQ(enclosed, 2 * w.area);
    });
    EXPECT_EQ(parts, want.size());
  }
}

// Of several labels, of which one is not wanted; confidences are multiples of 1/256, whose sums are exact.
TEST(LabelRuns, PartsAreThoseOfAFlood) {
  for (const auto& [width, height] : {std::pair{31, 23}, {1, 40}, {40, 1}, {64, 50}}) {
    for (const int level : {60, 128, 200}) {  // of what is label 1
      Image map = test::picture(width, height, 1);
      std::vector<float> confidence;
      for (std::uint8_t& v : map.pixels) {
        confidence.push_back(static_cast<float>(v) / 256.0F);
        v = v < level ? 1 : v % 3 == 0 ? 2 : 255;
      }
      SCOPED_TRACE(testing::Message() << width << "x" << height << ", level " << level);
      compare(map, confidence);
      compare(map, {});  // which counts as 0
    }
  }
}

// Arms that begin apart, also below one another, and are one part in the end: each joins the earliest.
TEST(LabelRuns, ArmsThatMeetBelowAreOnePart) {
  const std::vector<const char*> rows{"#..#..#..#",  //
                                      "#.##..#.##",  //
                                      "#....##...",  //
                                      "##...#..##",  //
                                      ".#####..#.",  //
                                      "...#....#.",  //
                                      "#..######."};
  Image map(10, static_cast<int>(rows.size()), 1);
  std::vector<float> confidence;
  for (int y = 0; y < map.height; ++y) {
    for (int x = 0; x < map.width; ++x) {
      map.row(y)[x] = rows[static_cast<std::size_t>(y)][x] == '#' ? 1 : 0;
      confidence.push_back(static_cast<float>(x + 10 * y) / 128.0F);
    }
  }
  compare(map, confidence);
  EXPECT_EQ(flooded(map, 1, {}).size(), 4u);
}

}  // namespace
}  // namespace sam2unet::image
