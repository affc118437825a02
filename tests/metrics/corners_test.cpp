// Corners that random maps seldom reach: lines and single pixels, empty quadrants, pictures of many cells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "metrics/bootstrap.h"
#include "metrics/camouflage.h"
#include "metrics/confusion.h"
#include "metrics/context.h"
#include "metrics/field.h"
#include "metrics/mirror.h"
#include "metrics/msiou.h"
#include "metrics/resize.h"
#include "metrics/s_measure.h"
#include "metrics/sample.h"
#include "metrics/size_invariant.h"
#include "support/instruction_sets.h"

namespace sam2unet::metrics {
namespace {

using testing::ElementsAre;

Image map_of(int width, const std::vector<int>& levels) {
  Image out(width, static_cast<int>(levels.size()) / width, 1);
  std::copy(levels.begin(), levels.end(), out.pixels.begin());
  return out;
}

Sample sample_of(const Image& truth) {
  Sample s;
  s.assign(Image(truth.width, truth.height, 1), truth);
  return s;
}

void fill(Image& map, int x0, int y0, int w, int h, int level = 255) {
  for (int y = y0; y < y0 + h; ++y) std::fill_n(map.row(y) + x0, w, static_cast<std::uint8_t>(level));
}

// Only 255 is a mirror, and a map's 128 is the least that is one: 3 found, 1 missed, 2 too many, 4 right.
TEST(Mirror, AccuracyAndBalancedErrorAreOfTheFourCounts) {
  const Image truth = map_of(5, {255, 255, 255, 255, 0, 0, 0, 0, 254, 254});
  const Image map = map_of(5, {128, 200, 255, 127, 0, 127, 10, 90, 128, 255});
  const MirrorScores s = mirror_scores(map, truth);
  EXPECT_DOUBLE_EQ(s.iou, 3.0 / 6);
  EXPECT_DOUBLE_EQ(s.accuracy, 3.0 / 4);
  EXPECT_DOUBLE_EQ(s.ber, 1 - (3.0 / 4 + 4.0 / 6) / 2);
}

// By chance they would agree as well: 0 / 0 is 0.
TEST(Confusion, KappaOfOneKindIsNothing) {
  for (const Confusion& c : {Confusion{9, 0, 0, 0}, Confusion{0, 0, 9, 0}})
    EXPECT_EQ(measures_of(c)[static_cast<std::size_t>(Measure::kappa)], 0);
}

// Vigna's splitmix64 of a state of its own for each seed and resample: the same intervals whichever version.
TEST(Bootstrap, EachResampleHasItsState) {
  constexpr std::size_t kImages = 11, kResamples = 4;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{3}}) {
    std::vector<std::uint16_t> want(kImages * kResamples);
    for (std::size_t r = 0; r < kResamples; ++r) {
      std::uint64_t state = seed * 0xD1342543DE82EF95U + r * 0x2545F4914F6CDD1DU;
      for (std::size_t i = 0; i < kImages; ++i) {
        std::uint64_t z = state += 0x9E3779B97F4A7C15U;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
        z = (z ^ z >> 27) * 0x94D049BB133111EBU;
        z ^= z >> 31;
        ++want[(z >> 32) * kImages / 0x100000000U * kResamples + r];
      }
    }
    EXPECT_EQ(draw_weights(kImages, kResamples, seed), want) << seed;
  }
}

// The weight of an offset, in a kernel that sums to 1.
double weight_at(const ContextKernel& k, int x, int y) {
  const int columns = 2 * k.x_radius + 1;
  return k.weights.at(static_cast<std::size_t>((y + k.y_radius) * columns + x + k.x_radius));
}

// A covariance of 0.25: exp(-(x^2 + y^2) / 0.5), 1 + 4 e^-2 + 4 e^-4 in all.
TEST(ContextKernel, OfAtMostOnePixelHasThreeRows) {
  for (const bool is_empty : {false, true}) {
    Image truth(9, 7, 1);
    truth.row(2)[5] = is_empty ? 0 : 255;
    const ContextKernel k = context_kernel(sample_of(truth));
    EXPECT_EQ(k.x_radius, 1);
    EXPECT_EQ(k.y_radius, 1);
    ASSERT_EQ(k.weights.size(), 9U);
    const double all = 1 + 4 * std::exp(-2.0) + 4 * std::exp(-4.0);
    for (int y = -1; y <= 1; ++y) {
      for (int x = -1; x <= 1; ++x)
        EXPECT_NEAR(weight_at(k, x, y), std::exp(-2.0 * (x * x + y * y)) / all, 1e-15);
    }
  }
}

// A line of whatever length and direction: a Gaussian of deviation 6 along it, 18 pixels to either side, and
// nothing beside it.
TEST(ContextKernel, OfALineIsALine) {
  struct Line {
    int dx, dy, x_radius, y_radius;
  };
  for (const Line& line :
       {Line{1, 0, 18, 0}, {0, 1, 0, 18}, {1, 1, 13, 13}, {-1, 1, 13, 13}, {1, 2, 8, 16}, {-2, 1, 16, 8}}) {
    SCOPED_TRACE(testing::Message() << line.dx << ", " << line.dy);
    Image truth(60, 50, 1);
    for (int i = 0; i < 12; ++i) truth.row(10 + line.dy * i)[30 + line.dx * i] = 255;
    const ContextKernel k = context_kernel(sample_of(truth));
    EXPECT_EQ(k.x_radius, line.x_radius);
    EXPECT_EQ(k.y_radius, line.y_radius);
    ASSERT_EQ(k.weights.size(), static_cast<std::size_t>((2 * line.x_radius + 1) * (2 * line.y_radius + 1)));
    const auto along = [&](int x, int y) {
      return x * line.dy == y * line.dx ? std::exp(-0.5 * (x * x + y * y) / 36.0) : 0.0;
    };
    double all = 0;
    for (int y = -line.y_radius; y <= line.y_radius; ++y)
      for (int x = -line.x_radius; x <= line.x_radius; ++x) all += along(x, y);
    for (int y = -line.y_radius; y <= line.y_radius; ++y) {
      for (int x = -line.x_radius; x <= line.x_radius; ++x)
        EXPECT_NEAR(weight_at(k, x, y), along(x, y) / all, 1e-5) << x << ", " << y;
    }
  }
}

// Patches of 7 pixels that begin at every third: one of the object, and one of its surroundings.
TEST(Camouflage, NeedsAPatchOfBothSides) {
  const auto is_measured = [](int x0, int y0, int w, int h) {
    Image truth(40, 31, 1);
    fill(truth, x0, y0, w, h);
    return !camouflage_degree(sample_of(truth), Image(40, 31, 3)).empty();
  };
  EXPECT_TRUE(is_measured(6, 9, 7, 7));
  EXPECT_FALSE(is_measured(6, 9, 6, 7));
  EXPECT_FALSE(is_measured(6, 9, 7, 6));
  EXPECT_FALSE(is_measured(7, 9, 7, 7));
  EXPECT_FALSE(is_measured(6, 10, 7, 7));
  EXPECT_TRUE(is_measured(33, 24, 7, 7));   // in the last rows and columns
  EXPECT_TRUE(is_measured(7, 0, 33, 31));   // 7 columns are left
  EXPECT_FALSE(is_measured(6, 0, 34, 31));  // 6 are
  EXPECT_FALSE(is_measured(0, 0, 40, 31));
  EXPECT_FALSE(is_measured(0, 0, 0, 0));
}

// The reference has no regions behind the last row or column.
TEST(SMeasure, WithoutAQuadrantIsNoNumberWhereThatIsAskedFor) {
  for (const auto& [x, y] : {std::pair(5, 1), {2, 3}, {5, 3}, {2, 1}}) {
    Image truth(6, 4, 1), map(6, 4, 1);
    truth.row(y)[x] = map.row(y)[x] = 255;
    Sample s;
    s.assign(map, truth);
    EXPECT_EQ(std::isnan(s_measure(s, 0.5, EmptyRegion::nan)), x == 5 || y == 3) << x << ", " << y;
    EXPECT_NEAR(s_measure(s), 1, 1e-12) << x << ", " << y;
    EXPECT_FALSE(std::isnan(s_measure(s, 1, EmptyRegion::zero)));
  }
}

// Of what is not a number, even outside of the mask, there is no mean: at no threshold is anything above it.
TEST(Field, ATargetBesideWhatIsNoNumberHasNoAdaptiveForeground) {
  Image truth = map_of(4, {1, 1, 0, 0});
  Field f;
  f.assign(std::vector<double>{std::numeric_limits<double>::quiet_NaN(), 1, 0.25, 0.75}, FieldType::f64,
           truth);
  const ThresholdCounts c = threshold_counts_in(f, std::vector<std::uint8_t>{0, 1, 1, 1});
  EXPECT_EQ(c.foreground, 1);
  EXPECT_EQ(c.background, 3);
  EXPECT_EQ(c.adaptive.tp + c.adaptive.fp, 0);
  EXPECT_EQ(c.adaptive.fn, 1);
  EXPECT_EQ(c.adaptive.tn, 3);
  EXPECT_EQ(c.binary.tp, 1);
  EXPECT_EQ(c.binary.fp, 1);
  EXPECT_EQ(c.binary.tn, 2);
}

// Without a target the whole picture is one: the plain error, and of F nothing.
TEST(SizeInvariant, OfAnEmptyTruthIsOfTheWholePicture) {
  Sample s;
  s.assign(map_of(4, {0, 51, 255, 102}), Image(4, 1, 1));
  const SizeInvariantResult r = size_invariant(s);
  EXPECT_DOUBLE_EQ(r.mae, (0.2 + 1 + 0.4) / 4);
  EXPECT_EQ(r.f.targets, 1);
  EXPECT_EQ(r.f.binary.fp, 1);
  EXPECT_EQ(r.f.binary.tn, 3);
  for (const double v : {r.f.sample.adp, r.f.sample.mean, r.f.sample.max, r.f.sample.bin}) EXPECT_EQ(v, 0);
  EXPECT_TRUE(target_counts(s).empty());
  EXPECT_TRUE(target_errors(s).targets.empty());
  EXPECT_EQ(target_errors(s).outside.pixels, 4);
  EXPECT_DOUBLE_EQ(target_errors(s).outside.sum, 1.6);
}

// A target of most of the picture: twice the mean is more than 1, at which what is white is foreground.
TEST(SizeInvariant, TheAdaptiveThresholdIsAtMostOne) {
  Image truth(10, 10, 1);
  fill(truth, 0, 0, 10, 8);
  Sample s;
  s.assign(truth, truth);
  EXPECT_DOUBLE_EQ(size_invariant(s).f.sample.adp, 1);
  const ThresholdCounts c = target_counts(s).at(0);
  EXPECT_EQ(c.adaptive.tp, 80);
  EXPECT_EQ(c.adaptive.fp, 0);
}

// At half the width alone, or half the height, weights are 1/2 and 1/2 in that direction.
TEST(Resize, HalfOfOneSideIsMeansOfTwo) {
  EXPECT_THAT(resize_linear(map_of(4, {10, 20, 30, 41}), 2, 1).pixels, ElementsAre(15, 36));
  EXPECT_THAT(resize_linear(map_of(1, {10, 20, 30, 41}), 1, 2).pixels, ElementsAre(15, 36));
}

// A picture of 0 and 1 with zeros around it.
struct Grid {
  int width, height;
  std::vector<int> values;
  int at(int x, int y) const {
    return x < 0 || y < 0 || x >= width || y >= height
               ? 0
               : values[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                        static_cast<std::size_t>(x)];
  }
};

// Where a Sobel response in either direction is not 0.
Grid edges_of(const Grid& m) {
  Grid out{m.width, m.height, {}};
  out.values.reserve(m.values.size());
  for (int y = 0; y < m.height; ++y) {
    for (int x = 0; x < m.width; ++x) {
      const int gx = m.at(x + 1, y - 1) + 2 * m.at(x + 1, y) + m.at(x + 1, y + 1) - m.at(x - 1, y - 1) -
                     2 * m.at(x - 1, y) - m.at(x - 1, y + 1);
      const int gy = m.at(x - 1, y + 1) + 2 * m.at(x, y + 1) + m.at(x + 1, y + 1) - m.at(x - 1, y - 1) -
                     2 * m.at(x, y - 1) - m.at(x + 1, y - 1);
      out.values.push_back(gx != 0 || gy != 0 ? 1 : 0);
    }
  }
  return out;
}

// Cells of `side` pixels, the first of which lies in the last column and row.
std::vector<bool> cells_of(const Grid& edges, int side) {
  const int columns = (edges.width + side - 1) / side, rows = (edges.height + side - 1) / side;
  std::vector<bool> out(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows));
  for (int y = 0; y < edges.height; ++y) {
    for (int x = 0; x < edges.width; ++x) {
      if (edges.at(x, y) != 0)
        out[static_cast<std::size_t>((edges.height - 1 - y) / side * columns +
                                     (edges.width - 1 - x) / side)] = true;
    }
  }
  return out;
}

double naive_msiou(const Grid& prediction, const Grid& truth) {
  const Grid ours = edges_of(prediction), theirs = edges_of(truth);
  std::vector<double> ratios;
  for (int side = 1; side <= 512; side *= 2) {
    const std::vector<bool> a = cells_of(ours, side), b = cells_of(theirs, side);
    double both = 0, all = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      both += a[i] && b[i] ? 1 : 0;
      all += b[i] ? 1 : 0;
    }
    EXPECT_LT(all, 2048);  // beyond, the reference's halves round
    ratios.push_back((both + 1) / (all + 1));
  }
  double area = 0;
  for (std::size_t i = 0; i + 1 < ratios.size(); ++i) area += (ratios[i] + ratios[i + 1]) / 2 / 9;
  return area;
}

Grid at_least(const Image& map, int cut) {
  Grid out{map.width, map.height, {}};
  for (const std::uint8_t v : map.pixels) out.values.push_back(v >= cut ? 1 : 0);
  return out;
}

// Wide, high and large pictures have several of the cells of 64 pixels and more, the last of them cut off.
TEST(Msiou, OfManyCellsIsANaiveOnes) {
  std::mt19937 random(3);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (const auto& [w, h] : {std::pair(1300, 9), {9, 1300}, {700, 580}}) {
    for (const int lowest : {0, 20}) {
      Image truth(w, h, 1), map(w, h, 1);
      fill(map, 0, 0, w, h, lowest);
      for (int i = 0; i < 10; ++i) {
        const int a = 1 + below(8), b = 1 + below(8), x = below(w - a), y = below(h - b);
        fill(truth, x, y, a, b);
        // Beside it, or only near enough for a large cell.
        const int reach = i % 2 == 0 ? 3 : 150;
        fill(map, std::clamp(x + below(reach), 0, w - a), std::clamp(y + below(reach), 0, h - b), a, b,
             60 + 20 * i);
      }
      std::vector<double> want;
      const std::vector<int> cuts{256, 0, 10, 21, 60, 61, 125, 200, 240, 241};
      for (const int cut : cuts) want.push_back(naive_msiou(at_least(map, cut), at_least(truth, 129)));
      for (const std::int64_t target : test::instruction_sets()) {
        const test::InstructionSet use(target);
        const BytePlanes planes{w, h, map.pixels.data(), w, truth.pixels.data(), w};
        const std::vector<double> got = msiou_at(planes, cuts);
        ASSERT_EQ(got.size(), cuts.size());
        for (std::size_t i = 0; i < cuts.size(); ++i)
          EXPECT_NEAR(got[i], want[i], 1e-12) << test::name_of(target) << " " << w << " " << cuts[i];
      }
    }
  }
}

// The truth's cells are added as float16 after each 8,192 pixels, row by row from the top: 2,051 in the first
// 64 rows are 2,052, and with 3 more, 2,055, 2,056. All at once they would be 2,054.
TEST(Msiou, CountsAreRoundedAfterEachBuffer) {
  Image truth(128, 128, 1);
  for (int i = 0; i < 252; ++i) truth.row(2 + i / 30 * 4)[6 + i % 30 * 4] = 255;  // 8 cells each
  for (int i = 0; i < 7; ++i) truth.row(2 + 4 * i)[0] = 255;                      // 5 at the side
  truth.row(127)[0] = 255;                                                        // 3 in the corner
  const BytePlanes planes{128, 128, truth.pixels.data(), 128, truth.pixels.data(), 128};
  const int nothing = 256;
  const auto score = [&](MsiouOptions::PlusOne plus_one) {
    return msiou_at(planes, std::span(&nothing, 1), {.levels = 2, .plus_one = plus_one}).at(0);
  };
  EXPECT_NEAR(score(MsiouOptions::PlusOne::in_double), (1.0 / 2057 + 0.5) / 2, 1e-15);
  EXPECT_NEAR(score(MsiouOptions::PlusOne::in_half), (1.0 / 2056 + 0.5) / 2, 1e-15);  // 2,057 is 2,056
}

}  // namespace
}  // namespace sam2unet::metrics
