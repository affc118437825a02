// Borders, the polygons that are made of them, and the effort that is counted by them, worked out by hand.
#include "metrics/contours.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "drawn.h"
#include "metrics/bitmap.h"
#include "metrics/hce.h"

namespace sam2unet::metrics {
namespace {

using testing::ElementsAre;

std::string told(const Contour& c) {
  return std::string(c.hole ? "hole" : "outer") + " in " + std::to_string(c.parent) + ", " +
         std::to_string(c.points.size()) + " from " + std::to_string(c.points[0].x) + " " +
         std::to_string(c.points[0].y);
}

// Behind each border what lies in it; of those in one place the last that was found comes first.
TEST(Contours, AreATree) {
  const auto found = find_contours(drawn({"#########..#",  //
                                          "#.......#...",  //
                                          "#.###.#.#.##",  //
                                          "#.#.#...#.##",  //
                                          "#.###...#...",  //
                                          "#.......#...",  //
                                          "#########..."}));
  std::vector<std::string> out;
  for (const Contour& c : found) out.push_back(told(c));
  EXPECT_THAT(out, ElementsAre("outer in -1, 4 from 10 2",  // the square
                               "outer in -1, 1 from 11 0",  // the pixel
                               "outer in -1, 28 from 0 0",  // the frame: 2 * 9 + 2 * 5
                               "hole in 2, 24 from 0 1",    // which is inside without its corners
                               "outer in 3, 1 from 6 2",    // the pixel in it
                               "outer in 3, 8 from 2 2",    // the ring in it
                               "hole in 5, 4 from 2 3"));
}

// Down along the left side, as OpenCV walks: the first pixel, and round to the one beside it.
TEST(Contours, WalkAroundFromTheFirstPixel) {
  const auto square = find_contours(drawn({"....", ".##.", ".##.", "...."}));
  ASSERT_EQ(square.size(), 1U);
  EXPECT_EQ(square[0].points, (std::vector<Point>{{1, 1}, {1, 2}, {2, 2}, {2, 1}}));
  // A line is walked there and back.
  const auto line = find_contours(drawn({"###"}));
  ASSERT_EQ(line.size(), 1U);
  EXPECT_EQ(line[0].points, (std::vector<Point>{{0, 0}, {1, 0}, {2, 0}, {1, 0}}));
  // Corners touch.
  EXPECT_EQ(find_contours(drawn({"#.", ".#"})).size(), 1U);
  EXPECT_TRUE(find_contours(Bitmap(3, 2)).empty());
}

// Corners that lie more than two pixels from the line of those beside them.
TEST(PolygonSize, KeepsWhatIsFarFromItsChord) {
  EXPECT_EQ(polygon_size({}, 2), 0U);
  EXPECT_EQ(polygon_size(std::vector<Point>{{5, 5}}, 2), 1U);
  EXPECT_EQ(polygon_size(std::vector<Point>{{5, 5}, {9, 5}}, 2), 2U);
  for (const int height : {1, 2, 3}) {
    EXPECT_EQ(polygon_size(std::vector<Point>{{0, 0}, {10, height}, {20, 0}}, 2), height > 2 ? 3U : 2U);
    EXPECT_EQ(polygon_size(std::vector<Point>{{0, 0}, {height, 10}, {0, 20}}, 2), height > 2 ? 3U : 2U);
  }
  EXPECT_EQ(polygon_size(std::vector<Point>{{0, 0}, {10, 3}, {20, 0}}, 3), 2U);
  EXPECT_EQ(polygon_size(std::vector<Point>{{0, 0}, {0, 10}, {10, 10}, {10, 0}}, 2), 4U);
}

std::vector<Point> turned(std::vector<Point> line) {
  for (Point& p : line) std::swap(p.x, p.y);
  return line;
}

// At last what lies within two pixels, over the root of 2, of its neighbours' line goes, unless that is level
// or upright.
TEST(PolygonSize, LeavesOutWhatIsAlmostStraight) {
  // (25, 31) is the farthest of all, and 1 above the line of its neighbours, which is level.
  const std::vector<Point> level{{0, 0}, {10, 30}, {25, 31}, {40, 30}, {50, 0}};
  // 0.5 above one that is not; and 3 above.
  const std::vector<Point> slanted{{0, 0}, {10, 30}, {25, 31}, {40, 31}, {50, 0}};
  const std::vector<Point> bent{{0, 0}, {10, 28}, {25, 32}, {40, 29}, {50, 0}};
  // Two of them, with a corner between that stays.
  const std::vector<Point> two{{0, 0}, {10, 30}, {30, 31}, {60, 31}, {95, 16}, {110, 8}, {100, 0}};
  for (const bool turn : {false, true}) {
    const auto size = [&](const std::vector<Point>& line) {
      return polygon_size(turn ? turned(line) : line, 2);
    };
    EXPECT_EQ(size(level), 5U) << turn;
    EXPECT_EQ(size(slanted), 4U) << turn;
    EXPECT_EQ(size(bent), 5U) << turn;
    EXPECT_EQ(size(two), 5U) << turn;
  }
}

void fill(Bitmap& p, int x0, int y0, int w, int h) {
  for (int y = y0; y < y0 + h; ++y) {
    for (int x = x0; x < x0 + w; ++x) p.set(x, y);
  }
}

// One region around several objects is no region of its own for any of them: as many points as around each.
TEST(Hce, ARegionIsCountedOnceHoweverManyHolesItHas) {
  const auto effort = [](int objects) {
    Bitmap truth(150, 60), map(150, 60);
    fill(map, 5, 5, 140, 50);
    for (int i = 0; i < objects; ++i) fill(truth, 25 + 40 * i, 25, 10, 10);
    return human_correction_effort(map, truth);
  };
  EXPECT_EQ(effort(0), 1);  // to be deleted with a click
  EXPECT_GE(effort(1), 4);
  EXPECT_EQ(effort(2), 2 * effort(1));
  EXPECT_EQ(effort(3), 3 * effort(1));
}

// What was found too much is a click each, what was not found is drawn around, each by itself.
TEST(Hce, RegionsOfTheirOwnAreAClickEach) {
  Bitmap truth(120, 60), map(120, 60);
  fill(truth, 10, 20, 20, 20);
  const double drawn_around = human_correction_effort(map, truth);
  EXPECT_GE(drawn_around, 4);  // a corner each
  EXPECT_EQ(human_correction_effort(truth, map), 1);
  fill(truth, 50, 20, 20, 20);
  EXPECT_EQ(human_correction_effort(map, truth), 2 * drawn_around);
  EXPECT_EQ(human_correction_effort(truth, map), 2);
  EXPECT_EQ(human_correction_effort(truth, truth), 0);
  fill(map, 8, 18, 24, 24);
  fill(map, 53, 23, 14, 14);
  const double shifted = human_correction_effort(map, truth);
  Bitmap other = map;
  fill(other, 90, 20, 20, 20);
  EXPECT_EQ(human_correction_effort(other, truth), shifted + 1);
}

}  // namespace
}  // namespace sam2unet::metrics
