// The fast metrics against naive ones on random small maps, and what must hold whatever the maps are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "metrics/dataset.h"
#include "metrics/mirror.h"
#include "metrics/scorer.h"
#include "metrics/surface.h"
#include "naive.h"
#include "sam2unet/errors.h"

namespace sam2unet::metrics {
namespace {

using test::naive::Maps;

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}
  int upto(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n + 1)); }

  /// Blocks of a few pixels in few or many grey levels.
  Image map(int w, int h) {
    const int block = 1 + upto(5), levels = 1 + upto(3) * upto(80);
    Image m(w, h, 1);
    const unsigned salt = random_();
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        std::mt19937 cell(salt + static_cast<unsigned>(x / block) * 7919u +
                          static_cast<unsigned>(y / block) * 104729u);
        m.row(y)[x] = static_cast<std::uint8_t>(cell() % static_cast<unsigned>(levels + 1) * 255u /
                                                static_cast<unsigned>(levels));
      }
    }
    return m;
  }
  Image mask(int w, int h) {
    Image m = map(w, h);
    for (auto& v : m.pixels) v = v > 127 ? 255 : 0;
    return m;
  }

 private:
  std::mt19937 random_;
};

Image inverted(Image m) {
  for (auto& v : m.pixels) v = static_cast<std::uint8_t>(255 - v);
  return m;
}

Image filled(int w, int h, int value) {
  Image m(w, h, 1);
  std::fill(m.pixels.begin(), m.pixels.end(), static_cast<std::uint8_t>(value));
  return m;
}

TEST(Naive, RandomMaps) {
  Scorer scorer;
  int undecided = 0;  // by arithmetic without rounding
  for (unsigned seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const int w = 1 + maker.upto(70), h = 1 + maker.upto(30);
    const Image pred = maker.map(w, h), gt = maker.mask(w, h);
    const ImageScores s = scorer.score(pred, gt);
    const Maps m = test::naive::prepare(pred, gt);
    EXPECT_NEAR(s.mae, test::naive::mae(m), 1e-12);
    const double structure = test::naive::s(m);
    if (!std::isnan(structure)) {
      EXPECT_NEAR(s.s, structure, 1e-9);
    }
    undecided += std::isnan(structure) ? 1 : 0;
    EXPECT_NEAR(s.weighted_f, test::naive::weighted_f(m), 1e-11);
    const auto half = test::naive::cells(m, test::naive::above_half(m));
    EXPECT_NEAR(s.measures[static_cast<std::size_t>(Measure::iou)].bin, test::naive::iou(half), 1e-12);
    EXPECT_NEAR(s.measures[static_cast<std::size_t>(Measure::fm)].bin, test::naive::f(half, 0.3), 1e-12);
    double e_sum = 0, e_max = 0, dice = 0, f1_max = 0, ber = 0;
    for (int t = 0; t < 256; ++t) {
      const auto on = test::naive::at_threshold(m, t);
      const auto c = test::naive::cells(m, on);
      const double e = test::naive::e(m, on);
      e_sum += e;
      e_max = std::max(e_max, e);
      dice += test::naive::dice(c) / 256;
      f1_max = std::max(f1_max, test::naive::f(c, 1));
      ber += test::naive::ber(c) / 256;
    }
    EXPECT_NEAR(s.e_mean, e_sum / 256, 1e-9 * std::max(1.0, e_sum));
    EXPECT_NEAR(s.e_max, e_max, 1e-9 * std::max(1.0, e_max));
    EXPECT_NEAR(s.measures[static_cast<std::size_t>(Measure::dice)].mean, dice, 1e-12);
    EXPECT_NEAR(s.measures[static_cast<std::size_t>(Measure::f1)].max, f1_max, 1e-12);
    EXPECT_NEAR(s.measures[static_cast<std::size_t>(Measure::ber)].mean, ber, 1e-12);
  }
  EXPECT_LT(undecided, 20);
}

// Distances between borders by looking at all pairs.
TEST(Naive, SurfaceDistances) {
  for (unsigned seed = 0; seed < 120; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const int w = 1 + maker.upto(80), h = 1 + maker.upto(20);
    const Image a = maker.mask(w, h), b = maker.mask(w, h);
    const auto border = [&](const Image& m) {
      std::vector<std::pair<int, int>> out;
      const auto on = [&](int x, int y) { return x >= 0 && y >= 0 && x < w && y < h && m.row(y)[x] != 0; };
      for (int y = 0; y < h; ++y) {
        for (int x = 0; x < w; ++x) {
          if (on(x, y) && !(on(x - 1, y) && on(x + 1, y) && on(x, y - 1) && on(x, y + 1)))
            out.emplace_back(x, y);
        }
      }
      return out;
    };
    // A constant prediction is not normalised, so 255 stays 1 and 0 stays 0.
    const auto p = border(a), g = border(b);
    Sample s;
    s.assign(a, b);
    const SurfaceDistances ours = surface_distances(s);
    if (p.empty() || g.empty()) {
      EXPECT_EQ(ours.hd95, p.empty() && g.empty() ? 0 : std::hypot(w, h));
      EXPECT_EQ(ours.assd, p.empty() && g.empty() ? 0 : std::hypot(w, h));
      continue;
    }
    std::vector<double> all;
    double sum = 0;
    for (const auto& [from, to] : {std::pair{&p, &g}, std::pair{&g, &p}}) {
      for (const auto& [x, y] : *from) {
        double best = 1e9;
        for (const auto& [u, v] : *to) best = std::min(best, std::hypot(x - u, y - v));
        all.push_back(best);
        sum += best;
      }
    }
    std::sort(all.begin(), all.end());
    const double at = 0.95 * static_cast<double>(all.size() - 1);
    const auto k = static_cast<std::size_t>(at);
    const double next = all[std::min(k + 1, all.size() - 1)];
    EXPECT_NEAR(ours.assd, sum / static_cast<double>(all.size()), 1e-9);
    EXPECT_NEAR(ours.hd95, all[k] + (next - all[k]) * (at - static_cast<double>(k)), 1e-9);
  }
}

// The columns next to a site hold none: nothing on the way may stop the search.
TEST(SurfaceDistances, OfOppositeCorners) {
  for (const auto& [w, h] : {std::pair{20, 10}, std::pair{10, 20}, std::pair{70, 70}}) {
    Image a(w, h, 1), b(w, h, 1);
    a.pixels.front() = 255;
    b.pixels.back() = 255;
    Sample s;
    s.assign(a, b);
    EXPECT_NEAR(surface_distances(s).hd95, std::hypot(w - 1, h - 1), 1e-12) << w;
    EXPECT_NEAR(surface_distances(s).assd, std::hypot(w - 1, h - 1), 1e-12) << w;
  }
}

TEST(Naive, BoundaryIou) {
  for (unsigned seed = 0; seed < 120; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const int w = 1 + maker.upto(140), h = 1 + maker.upto(90);
    const Image a = maker.mask(w, h), b = maker.mask(w, h);
    const int d = std::max(1, static_cast<int>(std::nearbyint(0.02 * std::hypot(w, h))));
    const auto edge = [&](const Image& m, int x, int y) {
      if (m.row(y)[x] == 0) return false;
      for (int v = y - d; v <= y + d; ++v) {
        for (int u = x - d; u <= x + d; ++u) {
          if (u < 0 || v < 0 || u >= w || v >= h || m.row(v)[u] == 0) return true;
        }
      }
      return false;
    };
    double both = 0, either = 0;
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        const bool p = edge(a, x, y), g = edge(b, x, y);
        both += p && g ? 1 : 0;
        either += p || g ? 1 : 0;
      }
    }
    Sample s;
    s.assign(a, b);
    EXPECT_EQ(boundary_iou(s), either == 0 ? 0 : both / either);
  }
}

// misc.py's cal_precision_recall and compute_iou, threshold by threshold over the pixels.
TEST(Naive, MirrorProtocol) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const int w = 1 + maker.upto(40), h = 1 + maker.upto(40);
    const Image pred = maker.map(w, h), gt = maker.map(w, h);
    const MirrorScores s = mirror_scores(pred, gt);
    const auto [low, high] = std::minmax_element(pred.pixels.begin(), pred.pixels.end());
    double inter = 0, either = 0, mae = 0;
    std::vector<int> level;
    for (std::size_t i = 0; i < pred.pixels.size(); ++i) {
      const bool p = pred.pixels[i] >= 127.5, g = gt.pixels[i] == 255;
      inter += p && g ? 1 : 0;
      either += p || g ? 1 : 0;
      const float v = *high == *low
                          ? static_cast<float>(pred.pixels[i]) / 255.0F
                          : static_cast<float>(pred.pixels[i] - *low) / static_cast<float>(*high - *low);
      mae += std::abs(v - (g ? 1.0F : 0.0F));
      level.push_back(static_cast<int>(255.0F * v));
    }
    EXPECT_EQ(s.iou, either == 0 ? 0 : inter / either);
    EXPECT_NEAR(s.mae, mae / static_cast<double>(pred.pixels.size()), 1e-6);
    Curve precision, recall;
    mirror_curves(s.counts, precision, recall);
    for (const int t : {0, 1, 77, 128, 254, 255}) {
      double hit = 0, found = 0, all = 0;
      for (std::size_t i = 0; i < level.size(); ++i) {
        const bool g = gt.pixels[i] == 255, p = level[i] / 255.0 > t / 255.0;
        hit += p && g ? 1 : 0;
        found += p ? 1 : 0;
        all += g ? 1 : 0;
      }
      EXPECT_NEAR(precision[static_cast<std::size_t>(t)], (hit + 1e-4) / (found + 1e-4), 1e-15);
      EXPECT_NEAR(recall[static_cast<std::size_t>(t)], (hit + 1e-4) / (all + 1e-4), 1e-15);
    }
  }
}

// Without a range a map stays as it is, over 255.
TEST(Naive, MirrorProtocolOfAConstantMap) {
  Image gt = filled(4, 3, 0);
  gt.row(1)[2] = gt.row(2)[0] = 255;
  for (int v = 0; v < 256; ++v) {
    const MirrorScores s = mirror_scores(filled(4, 3, static_cast<std::uint8_t>(v)), gt);
    const auto level = static_cast<std::size_t>(255.0F * (static_cast<float>(v) / 255.0F));
    EXPECT_EQ(s.counts.foreground.at(level), 2u) << v;
    EXPECT_EQ(s.counts.background.at(level), 10u) << v;
    EXPECT_NEAR(s.mae, (2.0 * (255 - v) + 10.0 * v) / 255 / 12, 1e-6) << v;
  }
}

// An object far to one side, and errors everywhere: rows of many vectors, long ways to the nearest
// foreground, along the rows and across them.
TEST(Naive, FarFromTheObject) {
  Scorer scorer;
  for (unsigned seed = 0; seed < 24; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const int length = 330 + maker.upto(60), breadth = 12 + maker.upto(8);
    const bool is_wide = seed % 2 == 0;
    const int w = is_wide ? length : breadth, h = is_wide ? breadth : length;
    const Image pred = maker.map(w, h);
    Image gt = filled(w, h, 0);
    const int place = seed / 2 % 3 == 0 ? 0 : seed / 2 % 3 == 1 ? length - 9 : maker.upto(length - 9);
    for (int i = 0; i < 6; ++i) {
      for (int k = 0; k < 9; ++k) {
        (is_wide ? gt.row(3 + i)[place + k] : gt.row(place + k)[3 + i]) = 255;
      }
    }
    const ImageScores s = scorer.score(pred, gt);
    const Maps m = test::naive::prepare(pred, gt);
    EXPECT_NEAR(s.s, test::naive::s(m), 1e-9);
    EXPECT_NEAR(s.weighted_f, test::naive::weighted_f(m), 1e-11);
  }
}

TEST(Properties, PerfectPrediction) {
  Scorer scorer;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const Image gt = maker.mask(2 + maker.upto(60), 2 + maker.upto(60));
    const ImageScores s = scorer.score(gt, gt);
    if (s.empty_truth || s.binary.fp + s.binary.tn == 0) continue;
    EXPECT_NEAR(s.s, 1, 1e-9);
    EXPECT_EQ(s.mae, 0);
    EXPECT_NEAR(s.weighted_f, 1, 1e-12);
    EXPECT_EQ(s.measures[static_cast<std::size_t>(Measure::iou)].bin, 1);
    EXPECT_NEAR(s.e_max,
                static_cast<double>(s.width) * s.height / (static_cast<double>(s.width) * s.height - 1),
                1e-9);
    EXPECT_EQ(s.hce, 0);
    EXPECT_NEAR(s.msiou.bin, 1, 1e-3);  // counts beyond 2,048 are float16 in the reference
    EXPECT_EQ(s.simae, 0);
    EXPECT_EQ(s.boundary_iou, 1);
    EXPECT_EQ(s.hd95, 0);
    EXPECT_EQ(s.assd, 0);
    EXPECT_EQ(s.mirror.iou, 1);
    EXPECT_EQ(s.mirror.mae, 0);
  }
}

TEST(Properties, InvertedPrediction) {
  Scorer scorer;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    const Image gt = maker.mask(2 + maker.upto(60), 2 + maker.upto(60));
    const ImageScores s = scorer.score(inverted(gt), gt);
    if (s.empty_truth || s.binary.fp + s.binary.tn == 0) continue;
    EXPECT_EQ(s.mae, 1);
    EXPECT_EQ(s.measures[static_cast<std::size_t>(Measure::iou)].bin, 0);
    EXPECT_EQ(s.measures[static_cast<std::size_t>(Measure::oa)].bin, 0);
    EXPECT_EQ(s.measures[static_cast<std::size_t>(Measure::ber)].bin, 1);
    EXPECT_LT(s.s, 0.5);
    EXPECT_LE(s.measures[static_cast<std::size_t>(Measure::kappa)].bin, 0);
  }
}

// A picture turned by 180 degrees or mirrored has the same values, but for those in which the reference
// breaks ties by position (weighted F, effort) or pads on one side (S's quadrants, MSIoU's grids).
TEST(Properties, SymmetryOfTheOrderFreeMetrics) {
  Scorer scorer;
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Maker maker(seed);
    Image pred = maker.map(1 + maker.upto(60), 1 + maker.upto(60));
    Image gt = maker.mask(pred.width, pred.height);
    const ImageScores a = scorer.score(pred, gt);
    std::reverse(pred.pixels.begin(), pred.pixels.end());
    std::reverse(gt.pixels.begin(), gt.pixels.end());
    const ImageScores b = scorer.score(pred, gt);
    EXPECT_EQ(a.mae, b.mae);
    EXPECT_EQ(a.e_mean, b.e_mean);
    EXPECT_EQ(a.boundary_iou, b.boundary_iou);
    EXPECT_NEAR(a.assd, b.assd, 1e-12);
    EXPECT_NEAR(a.simae, b.simae, 1e-12);
    EXPECT_NEAR(a.cm, b.cm, 1e-6);  // relevance is rounded to float32
    for (std::size_t m = 0; m < kMeasures; ++m) EXPECT_EQ(a.measures[m].mean, b.measures[m].mean);
  }
}

// Painting more of the object into the prediction never makes these worse.
TEST(Properties, MoreOfTheObjectIsBetter) {
  Scorer scorer;
  Image gt(90, 70, 1), pred(90, 70, 1);
  for (int y = 15; y < 55; ++y) {
    for (int x = 20; x < 75; ++x) gt.row(y)[x] = 255;
  }
  double iou = -1, wf = -1, s_measure = -1, cm = -1, mae = 2, hd = 1e9;
  for (int columns = 5; columns <= 55; columns += 5) {
    for (int y = 15; y < 55; ++y) {
      for (int x = 20; x < 20 + columns; ++x) pred.row(y)[x] = 255;
    }
    const ImageScores s = scorer.score(pred, gt);
    EXPECT_GT(s.measures[static_cast<std::size_t>(Measure::iou)].bin, iou);
    EXPECT_GT(s.weighted_f, wf);
    EXPECT_GT(s.s, s_measure);
    EXPECT_GT(s.cm, cm);
    EXPECT_LT(s.mae, mae);
    EXPECT_LT(s.hd95, hd);
    iou = s.measures[static_cast<std::size_t>(Measure::iou)].bin;
    wf = s.weighted_f;
    s_measure = s.s;
    cm = s.cm;
    mae = s.mae;
    hd = s.hd95;
  }
  EXPECT_EQ(iou, 1);
}

// Nothing is NaN or infinite, whatever the maps, but the camouflage measure that was not asked for.
TEST(Properties, EverythingIsDefined) {
  Scorer scorer;
  const auto check = [&](const Image& pred, const Image& gt) {
    for (const Value& v : image_values(scorer.score(pred, gt))) {
      EXPECT_TRUE(v.key == "CCM" || std::isfinite(v.value)) << v.key;
    }
  };
  for (const int p : {0, 1, 128, 129, 255}) {
    for (const int g : {0, 128, 129, 255}) {
      for (const auto& [w, h] :
           {std::pair{1, 1}, {1, 2}, {2, 1}, {1, 300}, {300, 1}, {2, 2}, {64, 3}, {65, 64}}) {
        SCOPED_TRACE(testing::Message() << p << " for " << g << ", " << w << "x" << h);
        check(filled(w, h, p), filled(w, h, g));
        Image one = filled(w, h, 0);
        one.pixels.back() = 255;
        check(filled(w, h, p), one);
        check(one, filled(w, h, g));
        check(one, one);
      }
    }
  }
}

TEST(Properties, OnePixel) {
  Scorer scorer;
  const ImageScores hit = scorer.score(filled(1, 1, 255), filled(1, 1, 255));
  EXPECT_EQ(hit.s, 1);
  EXPECT_EQ(hit.mae, 0);
  EXPECT_NEAR(hit.weighted_f, 1, 1e-15);
  EXPECT_EQ(hit.e_max, 0x1p52);  // the reference divides by pixels - 1 + eps
  EXPECT_EQ(hit.measures[static_cast<std::size_t>(Measure::iou)].bin, 1);
  const ImageScores miss = scorer.score(filled(1, 1, 0), filled(1, 1, 255));
  EXPECT_EQ(miss.mae, 1);
  EXPECT_EQ(miss.hd95, std::sqrt(2.0));
}

// Diagonal points have a singular covariance, for which the reference raises.
TEST(Properties, ContextMeasureOfALine) {
  Scorer scorer;
  Image gt = filled(40, 40, 0);
  for (int i = 5; i < 35; ++i) gt.row(i)[i] = 255;
  const ImageScores perfect = scorer.score(gt, gt);
  EXPECT_GT(perfect.cm, 0.5);
  EXPECT_LE(perfect.cm, 1);
  EXPECT_EQ(scorer.score(filled(40, 40, 0), gt).cm, 0);
}

TEST(Properties, LargePictures) {
  // 8,000 x 6,000: every count, index and sum is beyond what small pictures need. A disc, predicted 40 pixels
  // off.
  const int w = 8000, h = 6000;
  Image gt(w, h, 1), pred(w, h, 1);
  const auto disc = [&](Image& m, int cx) {
    for (int y = 1500; y < 4500; ++y) {
      const int half = static_cast<int>(std::sqrt(1500.0 * 1500 - (y - 3000.0) * (y - 3000.0)));
      std::fill(m.row(y) + cx - half, m.row(y) + cx + half, std::uint8_t{255});
    }
  };
  disc(gt, 4000);
  disc(pred, 4040);
  Scorer scorer;
  const ImageScores s = scorer.score(pred, gt);
  const auto n = static_cast<double>(s.binary.tp + s.binary.fn);
  EXPECT_NEAR(n, 3.14159265 * 1500 * 1500, 2e4);
  EXPECT_NEAR(s.mae * w * h, static_cast<double>(s.binary.fp + s.binary.fn), 1e-3);
  EXPECT_NEAR(s.measures[static_cast<std::size_t>(Measure::iou)].bin, 0.9666, 1e-3);
  EXPECT_NEAR(s.hd95, 40, 1);
  EXPECT_GT(s.s, 0.95);
  EXPECT_GT(s.weighted_f, 0.9);
  for (const Value& v : image_values(s)) {
    EXPECT_TRUE(v.key == "CCM" || std::isfinite(v.value)) << v.key;
  }
}

TEST(Properties, SizesAndChannelsMustFit) {
  Scorer scorer;
  EXPECT_THROW(scorer.score(filled(3, 4, 0), filled(4, 3, 0)), UsageError);
  EXPECT_THROW(scorer.score(Image(4, 3, 3), filled(4, 3, 0)), UsageError);
  EXPECT_THROW(scorer.score(Image(0, 0, 1), Image(0, 0, 1)), UsageError);
  const Image small(2, 2, 3);
  const ImageView view = small;
  EXPECT_THROW(scorer.score(filled(4, 3, 0), filled(4, 3, 0), &view), UsageError);
}

}  // namespace
}  // namespace sam2unet::metrics
