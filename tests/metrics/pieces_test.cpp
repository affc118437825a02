// The pieces that metrics are made of, beside what others publish of them or what can be worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "drawn.h"
#include "metrics/bitmap.h"
#include "metrics/bootstrap.h"
#include "metrics/camouflage.h"
#include "metrics/class_counts.h"
#include "metrics/components.h"
#include "metrics/field.h"
#include "metrics/lab.h"
#include "metrics/mirror.h"
#include "metrics/msiou.h"
#include "metrics/resize.h"
#include "metrics/s_measure.h"
#include "metrics/sample.h"
#include "metrics/size_invariant.h"
#include "metrics/skeleton.h"
#include "metrics/surface.h"
#include "sam2unet/errors.h"
#include "support/instruction_sets.h"

namespace sam2unet::metrics {
namespace {

using testing::ElementsAre;

std::vector<int> flat(const Component& c) {
  return {static_cast<int>(c.area), c.box.x0, c.box.y0, c.box.x1, c.box.y1};
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const UsageError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Components, TouchAlongEdgesAndComeInTheOrderOfTheirFirstPixels) {
  // Two arms that join below, one that stays alone between them, and a pixel that touches by a corner.
  const auto parts = components4(drawn({"#..#.#...",  //
                                        "####.##.#",  //
                                        "........#",  //
                                        "..#....#.",  //
                                        ".##......",  //
                                        "##......."}));
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_THAT(flat(parts[0]), ElementsAre(6, 0, 0, 3, 1));
  EXPECT_THAT(flat(parts[1]), ElementsAre(3, 5, 0, 6, 1));
  EXPECT_THAT(flat(parts[2]), ElementsAre(2, 8, 1, 8, 2));
  EXPECT_THAT(flat(parts[3]), ElementsAre(5, 0, 3, 2, 5));
  EXPECT_THAT(flat(parts[4]), ElementsAre(1, 7, 3, 7, 3));
  EXPECT_EQ(parts[3].box.area(), 9);
  // The lower arm begins left of the upper one, and reaches further to the right.
  const auto joined = components4(drawn({"....#....",  //
                                         ".#..#...#",  //
                                         ".########"}));
  ASSERT_EQ(joined.size(), 1U);
  EXPECT_THAT(flat(joined[0]), ElementsAre(12, 1, 0, 8, 2));
  EXPECT_TRUE(components4(drawn({"..", ".."})).empty());
  // Arms that join one by one from the right: each is known by the one before it.
  const auto comb = components4(drawn({"#.#.#.#.#",  //
                                       "#.#.#.###",  //
                                       "#.#.#####",  //
                                       "#.#######",  //
                                       "#########"}));
  ASSERT_EQ(comb.size(), 1U);
  EXPECT_THAT(flat(comb[0]), ElementsAre(35, 0, 0, 8, 4));
}

TEST(Components, OfRowsOfManyWords) {
  Bitmap p(200, 9);
  p.set(63, 0);
  for (int x = 60; x <= 70; ++x) p.set(x, 2);
  for (int x = 64; x <= 127; ++x) p.set(x, 4);
  for (int x = 0; x < 200; ++x) p.set(x, 6);
  p.set(64, 8);
  p.set(127, 8);
  p.set(199, 8);
  std::vector<std::vector<int>> found;
  for (const Component& c : components4(p)) found.push_back(flat(c));
  EXPECT_THAT(found, ElementsAre(ElementsAre(1, 63, 0, 63, 0), ElementsAre(11, 60, 2, 70, 2),
                                 ElementsAre(64, 64, 4, 127, 4), ElementsAre(200, 0, 6, 199, 6),
                                 ElementsAre(1, 64, 8, 64, 8), ElementsAre(1, 127, 8, 127, 8),
                                 ElementsAre(1, 199, 8, 199, 8)));
}

// The table of scikit-image (_skeletonize_various_cy.pyx), and its loop over it.
constexpr char kScikitImage[] =
    "0001001300311013000000002020303300000000300000000000000020003022000000000000000000000000000000002000"
    "0000200020003000000030003020003100130000000100000000000000013100000000000000200000000000000023130013"
    "00000001000000000000000023010001000000003301000022002000";

Bitmap thinned(Bitmap p) {
  const auto at = [&p](int x, int y) {
    return x >= 0 && y >= 0 && x < p.width() && y < p.height() && p.at(x, y) ? 1 : 0;
  };
  for (bool removed = true; removed;) {
    removed = false;
    for (const char pass : {'1', '2'}) {
      Bitmap next(p.width(), p.height());
      for (int y = 0; y < p.height(); ++y) {
        for (int x = 0; x < p.width(); ++x) {
          if (at(x, y) == 0) continue;
          const int around = at(x - 1, y - 1) + 2 * at(x, y - 1) + 4 * at(x + 1, y - 1) + 8 * at(x + 1, y) +
                             16 * at(x + 1, y + 1) + 32 * at(x, y + 1) + 64 * at(x - 1, y + 1) +
                             128 * at(x - 1, y);
          const char goes = kScikitImage[around];
          if (goes == '3' || goes == pass) {
            removed = true;
          } else {
            next.set(x, y);
          }
        }
      }
      p = next;
    }
  }
  return p;
}

void expect_equal(const Bitmap& ours, const Bitmap& theirs) {
  for (int y = 0; y < theirs.height(); ++y) {
    for (int x = 0; x < theirs.width(); ++x) ASSERT_EQ(ours.at(x, y), theirs.at(x, y)) << x << ", " << y;
  }
}

TEST(Skeleton, IsScikitImages) {
  ASSERT_EQ(sizeof(kScikitImage), 257U);
  Bitmap all(16 * 5, 16 * 5);  // every neighbourhood of a pixel
  for (int n = 0; n < 256; ++n) {
    constexpr int kDx[] = {-1, 0, 1, 1, 1, 0, -1, -1}, kDy[] = {-1, -1, -1, 0, 1, 1, 1, 0};
    const int x = n % 16 * 5 + 2, y = n / 16 * 5 + 2;
    all.set(x, y);
    for (int k = 0; k < 8; ++k) {
      if ((n >> k & 1) != 0) all.set(x + kDx[k], y + kDy[k]);
    }
  }
  expect_equal(skeletonize(all), thinned(all));
  std::mt19937 random(5);
  for (int run = 0; run < 60; ++run) {
    SCOPED_TRACE(run);
    const auto upto = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n + 1)); };
    Bitmap p(20 + upto(120), 5 + upto(40));
    for (int blot = 0; blot < 8 + run; ++blot) {
      const int cx = upto(p.width()), cy = upto(p.height()), rx = 1 + upto(12), ry = upto(6);
      for (int y = std::max(0, cy - ry); y < std::min(p.height(), cy + ry + 1); ++y) {
        for (int x = std::max(0, cx - rx); x < std::min(p.width(), cx + rx); ++x) {
          if (upto(9) != 0) p.set(x, y);
        }
      }
    }
    expect_equal(skeletonize(p), thinned(p));
  }
}

// OpenCV's 8-bit Lab of the colours at the corners of the cube, of a grey, and of dark colours.
TEST(Lab, OfKnownColours) {
  struct Known {
    std::uint8_t rgb[3], lab[3];
  };
  for (const Known& k : std::initializer_list<Known>{{{0, 0, 0}, {0, 128, 128}},
                                                     {{255, 255, 255}, {255, 128, 128}},
                                                     {{255, 0, 0}, {136, 208, 195}},
                                                     {{0, 255, 0}, {224, 42, 211}},
                                                     {{0, 0, 255}, {82, 207, 20}},
                                                     {{0, 255, 255}, {233, 80, 114}},
                                                     {{255, 0, 255}, {154, 226, 67}},
                                                     {{255, 255, 0}, {248, 106, 223}},
                                                     {{128, 128, 128}, {137, 128, 128}},
                                                     {{4, 6, 8}, {5, 126, 127}},
                                                     {{3, 12, 5}, {7, 124, 130}},
                                                     {{40, 0, 0}, {10, 147, 134}},
                                                     {{0, 0, 30}, {2, 134, 112}},
                                                     {{17, 9, 33}, {10, 136, 115}}}) {
    Image one(1, 1, 3);
    std::copy(k.rgb, k.rgb + 3, one.pixels.begin());
    EXPECT_THAT(rgb_to_lab8(one), testing::ElementsAreArray(k.lab)) << int{k.rgb[0]} << int{k.rgb[1]};
  }
}

// The pairs of Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", table 1.
TEST(DeltaE, OfThePublishedPairs) {
  struct Known {
    double a[3], b[3], difference;
  };
  const Known pairs[] = {{{50, 2.6772, -79.7751}, {50, 0, -82.7485}, 2.0425},
                         {{50, 3.1571, -77.2803}, {50, 0, -82.7485}, 2.8615},
                         {{50, 2.8361, -74.0200}, {50, 0, -82.7485}, 3.4412},
                         {{50, -1.3802, -84.2814}, {50, 0, -82.7485}, 1},
                         {{50, -1.1848, -84.8006}, {50, 0, -82.7485}, 1},
                         {{50, -0.9009, -85.5211}, {50, 0, -82.7485}, 1},
                         {{50, 0, 0}, {50, -1, 2}, 2.3669},
                         {{50, -1, 2}, {50, 0, 0}, 2.3669},
                         {{50, 2.49, -0.001}, {50, -2.49, 0.0009}, 7.1792},
                         {{50, 2.49, -0.001}, {50, -2.49, 0.0010}, 7.1792},
                         {{50, 2.49, -0.001}, {50, -2.49, 0.0011}, 7.2195},
                         {{50, 2.49, -0.001}, {50, -2.49, 0.0012}, 7.2195},
                         {{50, -0.001, 2.49}, {50, 0.0009, -2.49}, 4.8045},
                         {{50, -0.001, 2.49}, {50, 0.0010, -2.49}, 4.8045},
                         {{50, -0.001, 2.49}, {50, 0.0011, -2.49}, 4.7461},
                         {{50, 2.5, 0}, {50, 0, -2.5}, 4.3065},
                         {{50, 2.5, 0}, {73, 25, -18}, 27.1492},
                         {{50, 2.5, 0}, {61, -5, 29}, 22.8977},
                         {{50, 2.5, 0}, {56, -27, -3}, 31.9030},
                         {{50, 2.5, 0}, {58, 24, 15}, 19.4535},
                         {{50, 2.5, 0}, {50, 3.1736, 0.5854}, 1},
                         {{50, 2.5, 0}, {50, 3.2972, 0}, 1},
                         {{50, 2.5, 0}, {50, 1.8634, 0.5757}, 1},
                         {{50, 2.5, 0}, {50, 3.2592, 0.3350}, 1},
                         {{60.2574, -34.0099, 36.2677}, {60.4626, -34.1751, 39.4387}, 1.2644},
                         {{63.0109, -31.0961, -5.8663}, {62.8187, -29.7946, -4.0864}, 1.2630},
                         {{61.2901, 3.7196, -5.3901}, {61.4292, 2.2480, -4.9620}, 1.8731},
                         {{35.0831, -44.1164, 3.7933}, {35.0232, -40.0716, 1.5901}, 1.8645},
                         {{22.7233, 20.0904, -46.6940}, {23.0331, 14.9730, -42.5619}, 2.0373},
                         {{36.4612, 47.8580, 18.3852}, {36.2715, 50.5065, 21.2231}, 1.4146},
                         {{90.8027, -2.0831, 1.4410}, {91.1528, -1.6435, 0.0447}, 1.4441},
                         {{90.9257, -0.5406, -0.9208}, {88.6381, -0.8985, -0.7239}, 1.5381},
                         {{6.7747, -0.2908, -2.4247}, {5.8714, -0.0985, -2.2286}, 0.6377},
                         {{2.0776, 0.0795, -1.1350}, {0.9033, -0.0636, -0.5514}, 0.9082}};
  for (const Known& k : pairs) {
    EXPECT_NEAR(delta_e2000(k.a, k.b), k.difference, 5e-5) << k.a[0] << ", " << k.b[1];
    EXPECT_NEAR(delta_e2000(k.b, k.a), k.difference, 5e-5) << k.a[0] << ", " << k.b[1];
  }
}

// A square of 20 pixels has no middle: OpenCV's reaches ten to one side and nine to the other.
TEST(Surroundings, OfAPixelAreASquareOf20) {
  Bitmap one(60, 50);
  one.set(30, 25);
  const Bitmap around = surroundings(one);
  for (int y = 0; y < 50; ++y) {
    for (int x = 0; x < 60; ++x) {
      EXPECT_EQ(around.at(x, y), x >= 21 && x <= 40 && y >= 16 && y <= 35 && !(x == 30 && y == 25))
          << x << ", " << y;
    }
  }
  Bitmap corners(60, 50);
  corners.set(0, 0);
  corners.set(59, 49);
  EXPECT_EQ(surroundings(corners).count(), 11 * 11 - 1 + 10 * 10 - 1);
}

// Bright rows so long that their squares pass the 32 bits in which a few thousand vectors are added: beside
// the sums of floating-point maps, one number at a time.
// A column of 7 pixels whose foreground, rows 12 to 20, holds the patch at 12, and its surroundings, rows 3
// to 30, those at 3, 21 and 24. The deviation of 3, 12, 21, 24 is the root of 67.5: of the foreground's patch
// that at 21 lies 400 * 81 / 67.5 = 480 away, that at 24 400 * 144 / 67.5 = 853.3. The latter has its
// colours, the former differs in the first row by some Lab lightness.
TEST(Camouflage, PlacesAreWeighedByTheirDeviation) {
  Image gray(156, 1, 3);
  for (int x = 0; x < 156; ++x) std::fill_n(gray.row(0) + 3 * x, 3, static_cast<std::uint8_t>(100 + x));
  const std::vector<std::uint8_t> lab = rgb_to_lab8(gray);
  const auto level = [&](int beyond) {  // of so much lightness more than 100
    for (std::size_t x = 0; x < 156; ++x)
      if (lab[3 * x] == lab[0] + beyond) return static_cast<std::uint8_t>(100 + x);
    return std::uint8_t{0};
  };
  for (const bool one_more : {false, true}) {
    Image picture(7, 34, 3), truth(7, 34, 1);
    std::fill(picture.pixels.begin(), picture.pixels.end(), std::uint8_t{100});
    std::fill(picture.row(0), picture.row(12), std::uint8_t{255});
    std::fill(truth.row(12), truth.row(21), std::uint8_t{255});
    ASSERT_TRUE(level(18) > 0 && level(7) > 0 && level(1) > 0);
    std::fill_n(picture.row(21), 3, level(18));  // 18^2 + 7^2 = 373, and 1 more is further than 853.3 - 480
    std::fill_n(picture.row(21) + 3, 3, level(7));
    if (one_more) std::fill_n(picture.row(21) + 6, 3, level(1));
    Sample s;
    s.assign(truth, truth);
    const std::vector<double> degree = camouflage_degree(s, picture);
    ASSERT_EQ(degree.size(), 7U * 34);
    for (std::size_t i = 12 * 7; i < 19 * 7; ++i) {
      if (!one_more && i < 12 * 7 + 2)
        EXPECT_LT(degree[i], 0.9) << i;
      else
        EXPECT_NEAR(degree[i], 1, 1e-12) << i;
    }
  }
}

TEST(SMeasure, OfRowsOfAMillionPixels) {
  constexpr int kWidth = 1'000'000;
  Image map(kWidth, 2, 1), truth(kWidth, 2, 1);
  std::vector<double> values;
  for (int y = 0; y < 2; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      map.row(y)[x] = static_cast<std::uint8_t>(y == 0 ? (x % 1000 == 0 ? 0 : 255) : x % 1009 * 7919 >> 8);
      truth.row(y)[x] = y == 0 && x >= 400'000 ? 255 : 0;
      values.push_back(map.row(y)[x] / 255.0);
    }
  }
  Field field;
  field.assign(values, FieldType::f64, truth);
  Sample sample;
  sample.assign(map, truth);
  const double want = s_measure(field, 0.5);
  for (const std::int64_t target : test::instruction_sets()) {
    const test::InstructionSet use(target);
    EXPECT_NEAR(s_measure(sample, 0.5, EmptyRegion::nan), want, 1e-9) << test::name_of(target);
  }
}

// splitmix64 from the state 0 gives e220a839..., 6e789e6a..., 06c45d18..., f88bb8a8..., 1b39896a...: of five
// pictures the last, the third, the first, the last and the first.
TEST(Bootstrap, DrawsBySplitmix64) {
  EXPECT_THAT(draw_weights(5, 1, 0), ElementsAre(2, 0, 1, 0, 2));
  // Another resample and another seed draw from another state.
  const auto two = draw_weights(40, 2, 0), other = draw_weights(40, 2, 1);
  std::vector<std::uint16_t> first, second;
  for (std::size_t i = 0; i < 40; ++i) {
    first.push_back(two[2 * i]);
    second.push_back(two[2 * i + 1]);
  }
  EXPECT_NE(first, second);
  EXPECT_NE(two, other);
  EXPECT_EQ(draw_weights(40, 1, 0), first);  // however many there are
}

// A pixel of the truth has eight around it where a Sobel response is not 0.
Image dots(int side, int step) {
  Image out(side, side, 1);
  for (int y = 1; y < side; y += step) {
    for (int x = 1; x < side; x += step) out.row(y)[x] = 255;
  }
  return out;
}

double nothing_found(const Image& truth, const MsiouOptions& options) {
  const BytePlanes planes{truth.width, truth.height,        truth.pixels.data(),
                          truth.width, truth.pixels.data(), truth.width};
  const int nothing = 256;
  return msiou_at(planes, std::span(&nothing, 1), options).at(0);
}

TEST(Msiou, GridsAreSpreadOverTheLevels) {
  const Image one = dots(8, 8);  // eight cells of one pixel; one cell of 8, of 16, ... of 512
  EXPECT_NEAR(nothing_found(one, {.levels = 2}), (1.0 / 9 + 1.0 / 2) / 2, 1e-15);
  // 16 dots: as many cells of 8 pixels, four of 16, one of 64.
  const Image dotted = dots(32, 8);
  EXPECT_NEAR(nothing_found(dotted, {.levels = 4}),
              ((1.0 / 129 + 1.0 / 17) + (1.0 / 17 + 1.0 / 2) + 1) / 2 / 3, 1e-15);
  // Cells of 1, 16 and 512 pixels: the half of 9 is cut off.
  EXPECT_NEAR(nothing_found(dotted, {.levels = 3}), ((1.0 / 129 + 1.0 / 5) + (1.0 / 5 + 1.0 / 2)) / 2 / 2,
              1e-15);
  // Two dots in one cell of 512 pixels, which end with the picture.
  Image wide(600, 3, 1);
  wide.row(1)[100] = wide.row(1)[450] = 255;
  EXPECT_NEAR(nothing_found(wide, {.levels = 2}), (1.0 / 17 + 1.0 / 2) / 2, 1e-15);
  EXPECT_EQ(message_of([&] { nothing_found(one, {.levels = 1}); }), "MSIoU needs two levels at least");
}

TEST(Msiou, CountsOf2048AreWhereHalvesEnd) {
  const Image truth = dots(64, 4);  // 256 dots: 2048 cells, to which a float16 cannot add 1
  EXPECT_NEAR(nothing_found(truth, {.levels = 2}), (1.0 / 2049 + 0.5) / 2, 1e-15);
  EXPECT_NEAR(nothing_found(truth, {.levels = 2, .plus_one = MsiouOptions::PlusOne::in_half}),
              (1.0 / 2048 + 0.5) / 2, 1e-15);
}

void fill(Image& map, int x0, int y0, int w, int h) {
  for (int y = y0; y < y0 + h; ++y) std::fill_n(map.row(y) + x0, w, std::uint8_t{255});
}

Sample sample_of(const Image& truth) {
  Sample s;
  s.assign(Image(truth.width, truth.height, 1), truth);
  return s;
}

TEST(SizeInvariant, TargetsHave50PixelsOrAreAllOfTheLargest) {
  const auto targets = [](std::initializer_list<int> areas) {
    Image truth(60, 20, 1);
    int y = 0;
    for (const int area : areas) fill(truth, 0, y, area, 1), y += 2;
    return count_targets(sample_of(truth));
  };
  EXPECT_EQ(targets({50, 49, 51}), 2U);
  EXPECT_EQ(targets({49, 49, 48}), 2U);
  EXPECT_EQ(targets({7}), 1U);
  EXPECT_EQ(targets({}), 0U);
}

// Boxes of 10 x 10 pixels that share one row, or one column, in which the targets stay apart: what lies in
// both counts once.
TEST(SizeInvariant, BoxesMayShareARow) {
  for (const bool turned : {false, true}) {
    for (const bool mirrored : {false, true}) {
      Image truth(20, 20, 1);
      const auto set = [&](int x, int y) {
        if (mirrored) y = 18 - y;
        (turned ? truth.row(x)[y] : truth.row(y)[x]) = 255;
      };
      for (int y = 0; y < 9; ++y)
        for (int x = 0; x < 10; ++x) set(x, y), set(x + 5, y + 10);
      set(0, 9), set(14, 9);
      const TargetErrors errors = target_errors(sample_of(truth));
      ASSERT_EQ(errors.targets.size(), 2U);
      for (const ErrorSum& target : errors.targets) EXPECT_EQ(target.pixels, 100);
      EXPECT_EQ(errors.outside.pixels, 400 - 195) << turned << mirrored;
    }
  }
}

// A target of one row in the box of another that begins beside it, in the same row.
TEST(SizeInvariant, ABoxOfOneRowMayLieInAnother) {
  for (const bool turned : {false, true}) {
    Image truth(100, 100, 1);
    const auto set = [&](int x, int y) { (turned ? truth.row(x)[y] : truth.row(y)[x]) = 255; };
    set(0, 0), set(0, 1);
    for (int x = 0; x <= 80; ++x) set(x, 2);
    for (int x = 10; x < 70; ++x) set(x, 0);
    const Sample s = sample_of(truth);
    const TargetErrors errors = target_errors(s);
    ASSERT_EQ(errors.targets.size(), 2U);
    EXPECT_EQ(errors.outside.pixels, 100 * 100 - 243);
    // The map is black. Of the pixels of the boxes 143 of 243 and 60 of 60 are wrong, and none outside.
    const double ratio = (100 * 100 - 243) / 243.0;
    EXPECT_NEAR(size_invariant(s).mae, (143 / 243.0 + 1) / (2 + ratio), 1e-12) << turned;
  }
}

// The first target's box holds the last target's. Their powers of two are added in double: 2^52 + 1 is
// exact, 2^53 + 1 is not, and from 64 targets on the reference raises.
TEST(SizeInvariant, BoxesOf54To63TargetsAreRounded) {
  for (const int count : {53, 54, 63, 64}) {
    SCOPED_TRACE(count);
    Image truth(800, 30, 1);
    fill(truth, 0, 0, 2, 20);
    fill(truth, 0, 18, 30, 2);
    for (int i = 0; i < count - 2; ++i) fill(truth, 40 + 12 * i, 0, 10, 5);
    fill(truth, 10, 8, 10, 5);
    const Sample s = sample_of(truth);
    const auto masks = target_masks(s);
    ASSERT_EQ(masks.size(), static_cast<std::size_t>(count));
    const bool rounded = count == 54 || count == 63;
    const auto pixels = [](const std::vector<std::uint8_t>& m) { return std::count(m.begin(), m.end(), 1); };
    EXPECT_EQ(pixels(masks.front()), 30 * 20 - (rounded ? 50 : 0));
    EXPECT_EQ(pixels(masks.back()), 50);
    EXPECT_EQ(pixels(masks[1]), 50);
    EXPECT_EQ(masks.front()[9 * 800 + 12], rounded ? 0 : 1);
    EXPECT_EQ(masks.back()[9 * 800 + 12], 1);
    for (const ThresholdCounts& c : target_counts(s)) {  // of the whole picture, in which the rest is black
      EXPECT_EQ(c.foreground + c.background, 800 * 30);
      for (const Confusion& m : {c.adaptive, c.binary}) EXPECT_EQ(m.tp + m.fp + m.tn + m.fn, 800 * 30);
      EXPECT_EQ(c.binary.fp, 0);
      EXPECT_EQ(c.adaptive.fn, 0);  // a threshold of 0, at which all is foreground
    }
    // The map is black: what is wrong is the truth, 94 pixels of the first box that are its own.
    const TargetErrors errors = target_errors(s);
    EXPECT_EQ(errors.targets.front().sum, rounded ? 96 : 146);
    EXPECT_EQ(errors.targets.front().pixels, rounded ? 550 : 600);
    EXPECT_EQ(errors.targets.back().sum, 50);
    EXPECT_EQ(errors.outside.sum, 0);
    EXPECT_EQ(errors.outside.pixels, 800 * 30 - 600 - 50 * (count - 2));
  }
}

// At exactly half the size four pixels are averaged, 2 added before the division.
// What is as large as the square keeps its middle.
TEST(ErodeSquare, LeavesWhatASquareFitsAround) {
  for (const auto& [w, h, left] : std::initializer_list<std::array<int, 3>>{
           {3, 3, 1}, {5, 3, 3}, {3, 5, 3}, {2, 3, 0}, {3, 2, 0}, {66, 4, 128}}) {
    const Bitmap all = inverted(Bitmap(w, h));
    EXPECT_EQ(erode_square(all, 1).count(), left) << w << "x" << h;
  }
  EXPECT_TRUE(erode_square(inverted(Bitmap(3, 3)), 1).at(1, 1));
  // Squares of more pixels than a word, and of more than two.
  for (const int radius : {31, 32, 33, 40, 63, 64, 70, 100}) {
    const Bitmap inner = erode_square(inverted(Bitmap(300, 202)), radius);
    EXPECT_EQ(inner.count(), (300 - 2 * radius) * (202 - 2 * radius)) << radius;
    EXPECT_TRUE(inner.at(radius, radius) && inner.at(299 - radius, 201 - radius)) << radius;
  }
}

// All of a picture beside its left half: what an erosion by 2 % of the diagonal takes from each, at least one
// pixel, halves to the even number.
TEST(BoundaryIou, OfTheLeftHalf) {
  struct Case {
    int width, height, radius;
  };
  for (const auto& [w, h, r] : {Case{4, 3, 1}, {48, 55, 1}, {60, 45, 2}, {100, 75, 2}, {200, 150, 5}}) {
    Image all(w, h, 1), half(w, h, 1);
    std::fill(all.pixels.begin(), all.pixels.end(), std::uint8_t{255});
    for (int y = 0; y < h; ++y) std::fill_n(half.row(y), w / 2, std::uint8_t{255});
    const int left = w / 2, inner = std::max(0, left - 2 * r) * (h - 2 * r);
    const int of_all = w * h - (w - 2 * r) * (h - 2 * r), of_half = left * h - inner;
    const int both = left * h - (left - r) * (h - 2 * r);  // but for the right edge of the half
    Sample s;
    s.assign(half, all);
    EXPECT_DOUBLE_EQ(boundary_iou(s), static_cast<double>(both) / (of_all + of_half - both)) << w << "x" << h;
  }
}

// Of equal precision and recall F is the same; the best may be at any threshold.
TEST(MirrorF, IsTheBestOfAllThresholds) {
  for (std::size_t best = 0; best < 256; ++best) {
    Curve precision, recall;
    precision.fill(0.5);
    recall.fill(0.5);
    precision[best] = recall[best] = 0.75;
    EXPECT_NEAR(mirror_f(precision, recall), 0.75, 1e-15) << best;
  }
}

TEST(Resize, HalvesByMeansOfFour) {
  Image map(4, 2, 1);
  const std::uint8_t from[] = {10, 20, 30, 41, 0, 0, 1, 1};
  std::copy(std::begin(from), std::end(from), map.pixels.begin());
  EXPECT_THAT(resize_linear(map, 2, 1).pixels, ElementsAre(8, 18));
  EXPECT_EQ(message_of([&] { resize_linear(Image(4, 2, 3), 2, 1); }),
            "only a gray map can be resized, to at least 1x1");
  EXPECT_EQ(message_of([&] { resize_linear(map, 1, 0); }), "only a gray map can be resized, to at least 1x1");
}

TEST(ClassMetrics, SumsOfPartsAreTheSumsOfTheWhole) {
  const auto one = [](int v) {
    Image out(1, 1, 1);
    out.pixels[0] = static_cast<std::uint8_t>(v);
    return out;
  };
  ClassConfusion a(2), b(2);
  EXPECT_EQ(a.add(one(1), one(0), 255).areas[1].predicted, 1);
  b.add(one(9), one(1), 255);  // no class
  b.add(one(1), one(0), 255);
  EXPECT_EQ(b.add(one(0), one(255), 255).ignored, 1);
  a.add(b);
  EXPECT_THAT(std::vector(a.counts().begin(), a.counts().end()), ElementsAre(0, 2, 0, 0, 0, 1));
  EXPECT_EQ(message_of([&] { a.add(one(0), one(2), 255); }),
            "the truth has the id 2, but there are 2 classes");
  EXPECT_EQ(message_of([&] { a.add(one(0), Image(3, 1, 1), 255); }),
            "a prediction of 1x1 pixels and a truth of 3x1: both must be ids of one size");
  EXPECT_EQ(message_of([&] { a.add(ClassConfusion(3)); }),
            "confusion matrices of different classes cannot be added");
}

}  // namespace
}  // namespace sam2unet::metrics
