// One pair by the C API of the metrics, value by value, against the definitions of docs/metrics.md written
// out.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "capi/maps.h"

namespace sam2unet {
namespace {

double ratio(double a, double b) {
  return b == 0 ? 0 : a / b;
}

// In the order of the header's enumeration.
std::array<double, 10> measures_of(const Counts& c, double beta2) {
  const auto tp = static_cast<double>(c[0]), fp = static_cast<double>(c[1]), tn = static_cast<double>(c[2]),
             fn = static_cast<double>(c[3]), n = tp + fp + tn + fn;
  const double p = ratio(tp, tp + fp), r = ratio(tp, tp + fn), specificity = ratio(tn, tn + fp),
               oa = (tp + tn) / n, q = ((tp + fp) * (tp + fn) + (tn + fn) * (tn + tp)) / (n * n);
  return {ratio((1 + beta2) * p * r, beta2 * p + r),
          p,
          r,
          ratio(fp, tn + fp),
          ratio(tp, tp + fp + fn),
          ratio(2 * tp, 2 * tp + fp + fn),
          specificity,
          1 - (r + specificity) / 2,
          oa,
          ratio(oa - q, 1 - q)};
}

const std::vector<s2u_measure> kMeasures{
    S2U_KAPPA, S2U_F_MEASURE,   S2U_PRECISION, S2U_RECALL,           S2U_FPR,      S2U_IOU,
    S2U_DICE,  S2U_SPECIFICITY, S2U_BER,       S2U_OVERALL_ACCURACY, S2U_F_MEASURE};

TEST_F(CMetrics, CountsAndMeasuresAtEachThreshold) {
  const std::vector<Counts> want = all_counts();
  std::vector<double> beta2(kMeasures.size(), 99.0);  // read for the F-measure alone
  beta2[1] = 0.3;
  beta2.back() = 1.7;
  for (s2u_pair* pair : {of_levels, of_doubles}) {
    Counts adaptive{}, binary{};
    std::vector<Counts> curve(256);
    MUST(s2u_pair_confusion(pair, adaptive.data(), binary.data(), curve[0].data()));
    EXPECT_EQ(adaptive, want[0]);
    EXPECT_EQ(binary, want[1]);
    for (std::size_t i = 0; i < 256; ++i) ASSERT_EQ(curve[i], want[2 + i]) << i;
    MUST(s2u_pair_confusion(pair, nullptr, nullptr, nullptr));
    std::vector<double> got(kMeasures.size() * kPoints);
    MUST(s2u_pair_measures(pair, kMeasures.data(), beta2.data(), kMeasures.size(), got.data()));
    for (std::size_t k = 0; k < kMeasures.size(); ++k)
      for (std::size_t at = 0; at < kPoints; ++at) {
        const auto number = static_cast<std::size_t>(kMeasures[k]);
        ASSERT_NEAR(got[k * kPoints + at], measures_of(want[at], beta2[k])[number], 1e-12)
            << number << " at " << at;
      }
    MUST(s2u_pair_measures(pair, nullptr, nullptr, 0, nullptr));
  }
  REFUSED(s2u_pair_measures(of_levels, nullptr, beta2.data(), 1, beta2.data()), S2U_INVALID_ARGUMENT,
          "the list of measures is null");
  REFUSED(s2u_pair_measures(of_levels, kMeasures.data(), nullptr, 1, beta2.data()), S2U_INVALID_ARGUMENT,
          "the list of beta2 is null");
  REFUSED(s2u_pair_measures(of_levels, kMeasures.data(), beta2.data(), 1, nullptr), S2U_INVALID_ARGUMENT,
          "the output is null");
}

// (1 + a)^2 / 4 of each pixel, a of the two demeaned maps.
double e_measure_of(const Counts& c) {
  const double n = kN, mp = static_cast<double>(c[0] + c[1]) / n, mg = static_cast<double>(c[0] + c[3]) / n;
  const auto part = [&](double p, double g) {
    const double b = p - mp, d = g - mg, a = 2 * b * d / (b * b + d * d + 2.220446049250313e-16);
    return (1 + a) * (1 + a) / 4;
  };
  return (part(1, 1) * static_cast<double>(c[0]) + part(1, 0) * static_cast<double>(c[1]) +
          part(0, 0) * static_cast<double>(c[2]) + part(0, 1) * static_cast<double>(c[3])) /
         (n - 1);
}

TEST_F(CMetrics, EMeasureAndMae) {
  const std::vector<Counts> counts = all_counts();
  double error = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) error += std::abs(values[i] - boolean[i]) / kN;
  for (s2u_pair* pair : {of_levels, of_doubles, of_floats}) {
    double adaptive = -1, mae = -1;
    std::vector<double> curve(256);
    MUST(s2u_pair_e_measure(pair, &adaptive, curve.data()));
    if (pair != of_floats) {
      EXPECT_NEAR(adaptive, e_measure_of(counts[0]), 1e-12);
      for (std::size_t i = 0; i < 256; ++i) ASSERT_NEAR(curve[i], e_measure_of(counts[2 + i]), 1e-12) << i;
    }
    MUST(s2u_pair_e_measure(pair, nullptr, nullptr));
    MUST(s2u_pair_mae(pair, &mae));
    EXPECT_NEAR(mae, error, pair == of_floats ? 1e-6 : 1e-12);
    EXPECT_EQ(static_cast<double>(static_cast<float>(mae)) == mae,
              pair == of_floats);  // floats are added as floats
  }
}

// A pair that is set again is of the new maps, however little they differ from those before.
TEST_F(CMetrics, ThePairIsThatOfTheLastMaps) {
  s2u_pair* pair = nullptr;
  MUST(s2u_pair_new(&pair));
  const auto mae = [&](const s2u_plane& prediction, const s2u_plane& of_truth) {
    double value = -1;
    EXPECT_EQ(told(s2u_pair_set(pair, &prediction, &of_truth)).code, S2U_OK);
    EXPECT_EQ(told(s2u_pair_mae(pair, &value)).code, S2U_OK);
    return value;
  };
  // Maps of one value are not stretched.
  const double share = std::accumulate(boolean.begin(), boolean.end(), 0.0) / kN;
  const auto error = [&](double v) { return share * (1 - v) + (1 - share) * v; };
  for (const int level : {101, 100, 101, 101, 102, 100}) {
    const std::vector<std::uint8_t> flat(levels.size(), static_cast<std::uint8_t>(level));
    EXPECT_NEAR(mae(plane(flat, S2U_U8), plane(truth, S2U_U8)), error(level / 255.0), 1e-12) << level;
  }
  for (const double level : {0.4, 0.3, 0.3, 0.5}) {
    const std::vector<double> flat(values.size(), level);
    EXPECT_NEAR(mae(plane(flat, S2U_F64), plane(boolean, S2U_BOOL)), error(level), 1e-12) << level;
  }
  // A truth that is a part of the one before does not fit.
  for (const auto& [width, height] : {std::pair(kW - 1, kH), {kW, kH - 1}}) {
    for (const bool is_levels : {true, false}) {
      const s2u_plane p = is_levels ? plane(levels, S2U_U8) : plane(values, S2U_F64);
      s2u_plane g = is_levels ? plane(truth, S2U_U8) : plane(boolean, S2U_BOOL);
      MUST(s2u_pair_set(pair, &p, &g));
      g.width = width;
      g.height = height;
      REFUSED(s2u_pair_set(pair, &p, &g), S2U_INVALID_ARGUMENT, "differ in size");
    }
  }
  // One pixel of the truth, at either end.
  const std::vector<std::uint8_t> none(levels.size(), 0);
  for (const std::size_t at : {std::size_t{0}, levels.size() - 1}) {
    std::vector<std::uint8_t> one(levels.size(), 0);
    EXPECT_EQ(mae(plane(none, S2U_U8), plane(one, S2U_U8)), 0.0);
    one[at] = 129;
    EXPECT_NEAR(mae(plane(none, S2U_U8), plane(one, S2U_U8)), 1.0 / kN, 1e-12);
    one[at] = 128;
    EXPECT_EQ(mae(plane(none, S2U_U8), plane(one, S2U_U8)), 0.0);
  }
  s2u_pair_free(pair);
}

// Boxes of the parts of 50 pixels and more; elsewhere both maps are nothing.
TEST_F(CMetrics, TargetsAreTheBoxesOfTheLargeParts) {
  const std::vector<Part> boxes{[](int i) { return kA.has(i); }, [](int i) { return kB.has(i); }};
  const std::vector<s2u_measure> two{S2U_RECALL, S2U_F_MEASURE};
  const std::vector<double> beta2{0.0, 0.3};
  for (s2u_pair* pair : {of_levels, of_doubles}) {
    std::size_t targets = 0;
    MUST(s2u_pair_target_count(pair, &targets));
    ASSERT_EQ(targets, 2U);
    std::vector<Counts> adaptive(2), binary(2), curve(512);
    MUST(s2u_pair_target_confusion(pair, 2, adaptive[0].data(), binary[0].data(), curve[0].data()));
    std::vector<double> measures(2 * 2 * kPoints), sums(3);
    MUST(s2u_pair_target_measures(pair, 2, two.data(), beta2.data(), 2, measures.data()));
    std::vector<std::int64_t> pixels(3);
    MUST(s2u_pair_target_errors(pair, 2, sums.data(), pixels.data()));
    double outside = 0.0;
    for (int i = 0; i < kN; ++i)
      if (!kA.has(i) && !kB.has(i))
        outside += std::abs(values[static_cast<std::size_t>(i)] - boolean[static_cast<std::size_t>(i)]);
    EXPECT_NEAR(sums[0], outside, 1e-9);
    EXPECT_EQ(pixels, (std::vector<std::int64_t>{kN - 80 - 110, 80, 110}));
    for (std::size_t k = 0; k < 2; ++k) {
      const std::vector<Counts> want = all_counts(boxes[k]);
      EXPECT_EQ(adaptive[k], want[0]);
      EXPECT_EQ(binary[k], want[1]);
      double inside = 0.0;
      for (int i = 0; i < kN; ++i)
        if (boxes[k](i)) inside += std::abs(values[static_cast<std::size_t>(i)] - 1.0);
      EXPECT_NEAR(sums[1 + k], inside, 1e-9);
      for (std::size_t i = 0; i < 256; ++i) ASSERT_EQ(curve[256 * k + i], want[2 + i]) << k << " " << i;
      for (std::size_t m = 0; m < 2; ++m)
        for (std::size_t at = 0; at < kPoints; ++at)
          ASSERT_NEAR(measures[(k * 2 + m) * kPoints + at],
                      measures_of(want[at], beta2[m])[static_cast<std::size_t>(two[m])], 1e-12);
    }
    REFUSED(s2u_pair_target_confusion(pair, 1, nullptr, nullptr, nullptr), S2U_INVALID_ARGUMENT,
            "the truth has 2 targets, not 1");
    REFUSED(s2u_pair_target_errors(pair, 3, sums.data(), pixels.data()), S2U_INVALID_ARGUMENT,
            "the truth has 2 targets, not 3");
    REFUSED(s2u_pair_target_measures(pair, 2, two.data(), beta2.data(), 2, nullptr), S2U_INVALID_ARGUMENT,
            "the output is null");
  }
}

// Squares of 8 by 8 in an order of rows: of maps of levels there may be any number, of floats 63, as many as
// a bit for each in 64 allows.
TEST_F(CMetrics, OfMoreTargetsThan63) {
  constexpr int kSide = 80;
  constexpr std::size_t kAll = std::size_t{kSide} * kSide;
  for (const std::size_t squares : {63U, 64U}) {
    std::vector<std::uint8_t> map(kAll, 0), is_truth(kAll, 0);
    std::vector<double> shares(kAll, 0.0);
    for (std::size_t k = 0; k < squares; ++k)
      for (std::size_t i = 0; i < 64; ++i) {
        const std::size_t at = (k / 8 * 10 + i / 8) * kSide + k % 8 * 10 + i % 8;
        map[at] = static_cast<std::uint8_t>(20 + 2 * k);
        is_truth[at] = 1;
      }
    map.back() = 255;  // beside all of them
    for (std::size_t i = 0; i < kAll; ++i) shares[i] = map[i] / 255.0;
    std::vector<std::uint8_t> white = is_truth;
    for (std::uint8_t& v : white) v = v != 0 ? 255 : 0;
    const auto of = [](const auto& pixels, s2u_type type) {
      s2u_plane p{};
      p.struct_size = sizeof p;
      p.data = pixels.data();
      p.type = type;
      p.width = p.height = kSide;
      p.channels = 1;
      p.stride = static_cast<std::ptrdiff_t>(kSide * sizeof pixels[0]);
      return p;
    };
    for (const bool is_levels : {true, false}) {
      const s2u_plane p = is_levels ? of(map, S2U_U8) : of(shares, S2U_F64),
                      g = is_levels ? of(white, S2U_U8) : of(is_truth, S2U_BOOL);
      MUST(s2u_pair_set(of_levels, &p, &g));
      std::size_t targets = 0;
      MUST(s2u_pair_target_count(of_levels, &targets));
      ASSERT_EQ(targets, squares);
      std::vector<double> sums(1 + squares, -1.0);
      std::vector<std::int64_t> pixels(1 + squares, -1);
      std::vector<Counts> binary(squares);
      if (squares == 64 && !is_levels) {
        const char* says = "the truth has 64 targets, and maps of floats may have 63";
        REFUSED(s2u_pair_target_errors(of_levels, squares, sums.data(), pixels.data()), S2U_INVALID_ARGUMENT,
                says);
        REFUSED(s2u_pair_target_confusion(of_levels, squares, nullptr, nullptr, nullptr),
                S2U_INVALID_ARGUMENT, says);
        continue;
      }
      MUST(s2u_pair_target_errors(of_levels, squares, sums.data(), pixels.data()));
      MUST(s2u_pair_target_confusion(of_levels, squares, nullptr, binary[0].data(), nullptr));
      EXPECT_NEAR(sums[0], 1.0, 1e-12);
      EXPECT_EQ(pixels[0], static_cast<std::int64_t>(kAll - 64 * squares));
      for (std::size_t k = 0; k < squares; ++k) {
        const double level = static_cast<double>(20 + 2 * k);
        ASSERT_NEAR(sums[1 + k], 64 * (1 - level / 255), 1e-9) << k;
        ASSERT_EQ(pixels[1 + k], 64) << k;
        const std::int64_t found = level > 127.5 ? 64 : 0;
        // Elsewhere both maps are nothing.
        ASSERT_EQ(binary[k], (Counts{found, 0, static_cast<std::int64_t>(kAll) - 64, 64 - found})) << k;
      }
    }
  }
}

// Only the mask at a threshold counts: those of the adaptive and of the binary one are on the curve.
TEST_F(CMetrics, MultiScaleIouIsThatOfTheMasks) {
  int adaptive_at = 0;
  while (all_counts()[static_cast<std::size_t>(2 + 255 - adaptive_at)] != all_counts()[0]) ++adaptive_at;
  double binary_of[3] = {}, adaptive_of[3] = {};
  std::vector<std::vector<double>> curves;
  int k = 0;
  for (s2u_pair* pair : {of_levels, of_doubles, of_floats}) {
    std::vector<double> curve(257, -1.0);
    MUST(s2u_pair_msiou(pair, 10, 0, &adaptive_of[k], &binary_of[k], curve.data()));
    EXPECT_EQ(binary_of[k], curve[128]);
    EXPECT_EQ(adaptive_of[k], curve[static_cast<std::size_t>(adaptive_at)]);
    curves.push_back(curve);
    MUST(s2u_pair_msiou(pair, 10, 1, nullptr, nullptr, nullptr));
    ++k;
  }
  EXPECT_EQ(curves[0], curves[1]);
  EXPECT_GT(curves[0][128], curves[0][255]);
  double fewer = 0.0, ten = 0.0;
  MUST(s2u_pair_msiou(of_levels, 2, 0, nullptr, &fewer, nullptr));
  MUST(s2u_pair_msiou(of_levels, 10, 0, nullptr, &ten, nullptr));
  EXPECT_NE(fewer, ten);
}

// Metrics asked for one by one are set again and again: what differs in anything is another pair.
TEST_F(CMetrics, APairIsWhatWasSetLast) {
  const auto of = [&](s2u_pair* pair) {
    double mae = -1, s = -1;
    EXPECT_EQ(told(s2u_pair_mae(pair, &mae)).code, S2U_OK);
    EXPECT_EQ(told(s2u_pair_s_measure(pair, 0.5, &s)).code, S2U_OK);
    Counts counts{};
    EXPECT_EQ(told(s2u_pair_confusion(pair, nullptr, counts.data(), nullptr)).code, S2U_OK);
    return std::tuple(mae, s, counts);
  };
  const auto levels_of = [&](s2u_pair* pair) {
    const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8);
    EXPECT_EQ(told(s2u_pair_set(pair, &p, &g)).code, S2U_OK);
    return of(pair);
  };
  const auto values_of = [&](s2u_pair* pair, int width = kW) {
    s2u_plane p = plane(values, S2U_F64), g = plane(boolean, S2U_BOOL);
    p.width = g.width = width;
    p.height = g.height = kN / width;
    p.stride = static_cast<std::ptrdiff_t>(width * sizeof(double));
    g.stride = width;
    EXPECT_EQ(told(s2u_pair_set(pair, &p, &g)).code, S2U_OK);
    return of(pair);
  };
  const auto fresh = [&](const auto& set) {
    s2u_pair* pair = nullptr;
    EXPECT_EQ(told(s2u_pair_new(&pair)).code, S2U_OK);
    const auto out = set(pair);
    s2u_pair_free(pair);
    return out;
  };
  const auto expect_both = [&] {
    EXPECT_EQ(levels_of(of_levels), fresh(levels_of));
    EXPECT_EQ(values_of(of_doubles), fresh([&](s2u_pair* p) { return values_of(p); }));
  };
  const auto first = levels_of(of_levels);
  expect_both();
  levels.back() ^= 0x55;
  values.back() = 1 - values.back();
  expect_both();
  EXPECT_NE(levels_of(of_levels), first);
  truth.back() = truth.back() > 128 ? 0 : 255;
  boolean.back() = boolean.back() != 0 ? 0 : 1;
  expect_both();
  // Of the same bytes in other rows; of the other kind; and back.
  EXPECT_EQ(values_of(of_doubles, kH), fresh([&](s2u_pair* p) { return values_of(p, kH); }));
  EXPECT_NE(values_of(of_doubles, kH), values_of(of_doubles));
  EXPECT_EQ(levels_of(of_doubles), levels_of(of_levels));
  EXPECT_EQ(values_of(of_levels), values_of(of_doubles));
  expect_both();
}

// Nothing tells a part of a uniform pair from the whole but its size.
TEST_F(CMetrics, APartOfAUniformPairIsAnother) {
  const std::vector<std::uint8_t> level(kN, 100), white(kN, 255), yes(kN, 1);
  const std::vector<double> half(kN, 0.5);
  for (const bool is_levels : {true, false}) {
    for (const auto& [width, height] : {std::pair(kW, kH), {kW / 2, kH}, {kW, kH}, {kW, kH / 2}, {kW, kH}}) {
      s2u_plane p = is_levels ? plane(level, S2U_U8) : plane(half, S2U_F64),
                g = is_levels ? plane(white, S2U_U8) : plane(yes, S2U_BOOL);
      p.width = g.width = width;
      p.height = g.height = height;
      MUST(s2u_pair_set(of_levels, &p, &g));
      Counts counts{};
      MUST(s2u_pair_confusion(of_levels, nullptr, counts.data(), nullptr));
      EXPECT_EQ(counts[0] + counts[3], width * height) << is_levels;  // all of the truth
      EXPECT_EQ(counts[1] + counts[2], 0);
    }
  }
}

// Rows may have gaps, and go upwards.
TEST_F(CMetrics, PlanesMayHaveGapsAndGoUpwards) {
  constexpr int kWide = kW + 3;
  std::vector<double> wide(std::size_t{kWide} * kH, 9.0), turned(values.size());
  std::vector<std::uint8_t> turned_levels(levels.size());
  for (int y = 0; y < kH; ++y) {
    std::copy_n(values.begin() + y * kW, kW, wide.begin() + y * kWide);
    std::copy_n(values.begin() + y * kW, kW, turned.begin() + (kH - 1 - y) * kW);
    std::copy_n(levels.begin() + y * kW, kW, turned_levels.begin() + (kH - 1 - y) * kW);
  }
  double want = 0, got = 0;
  MUST(s2u_pair_s_measure(of_doubles, 0.5, &want));
  const s2u_plane g = plane(boolean, S2U_BOOL), of_truth = plane(truth, S2U_U8);
  s2u_plane p = plane(wide, S2U_F64);
  p.stride = static_cast<std::ptrdiff_t>(kWide * sizeof(double));
  MUST(s2u_pair_set(of_floats, &p, &g));
  MUST(s2u_pair_s_measure(of_floats, 0.5, &got));
  EXPECT_EQ(got, want);
  p = plane(turned, S2U_F64);
  p.data = turned.data() + std::size_t{kW} * (kH - 1);
  p.stride = -p.stride;
  MUST(s2u_pair_set(of_floats, &p, &g));
  MUST(s2u_pair_s_measure(of_floats, 0.5, &got));
  EXPECT_EQ(got, want);
  MUST(s2u_pair_s_measure(of_levels, 0.5, &want));
  p = plane(turned_levels, S2U_U8);
  p.data = turned_levels.data() + std::size_t{kW} * (kH - 1);
  p.stride = -p.stride;
  MUST(s2u_pair_set(of_floats, &p, &of_truth));
  MUST(s2u_pair_s_measure(of_floats, 0.5, &got));
  EXPECT_EQ(got, want);
}

TEST_F(CMetrics, PlanesThatDoNotFitAreTold) {
  const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), d = plane(values, S2U_F64),
                  b = plane(boolean, S2U_BOOL);
  const auto says = [&](s2u_plane prediction, s2u_plane of_truth) {
    const Told t = told(s2u_pair_set(of_levels, &prediction, &of_truth));
    EXPECT_EQ(t.code, S2U_INVALID_ARGUMENT);
    return t.text;
  };
  const auto with = [](s2u_plane plane, const auto& change) {
    change(plane);
    return plane;
  };
  EXPECT_EQ(says(p, b), "a prediction of grey levels wants a truth of grey levels");
  EXPECT_EQ(says(d, g), "a prediction of floats wants a boolean truth");
  EXPECT_EQ(says(b, b), "the prediction must be of floats or doubles");
  EXPECT_EQ(says(p, with(d, [](auto& x) { x.stride = kW * 8; })), "the truth must be of bytes");
  EXPECT_EQ(says(with(d, [](auto& x) { x.height = kH - 1; }), b),
            "prediction and truth differ in size: resize the prediction first");
  EXPECT_EQ(says(with(p, [](auto& x) { x.width = 13, x.channels = 3; }), g),
            "the prediction has 3 channels and must have 1");
  EXPECT_EQ(says(p, with(g, [](auto& x) { x.width = 20, x.channels = 2; })),
            "the truth has 2 channels: 1, 3 for RGB, 4 for RGBA");
  EXPECT_EQ(says(with(p, [](auto& x) { x.stride = 39; }), g),
            "the prediction's stride of 39 bytes is less than a row of 40");
  EXPECT_EQ(says(with(d, [](auto& x) { x.stride = -319; }), b),
            "the prediction's stride of -319 bytes is less than a row of 320");
  const std::string limits = " pixels: at least 1x1, at most 2^28 pixels and 2^24 a side";
  EXPECT_EQ(says(with(p, [](auto& x) { x.width = (1 << 24) + 1, x.height = 1; }), g),
            "the prediction has 16777217x1" + limits);
  EXPECT_EQ(says(with(p, [](auto& x) { x.height = 0; }), g), "the prediction has 40x0" + limits);
  EXPECT_EQ(says(with(p, [](auto& x) { x.width = 0; }), g), "the prediction has 0x36" + limits);
  EXPECT_EQ(says(with(p, [](auto& x) { x.width = -1; }), g), "the prediction has -1x36" + limits);
  for (const auto& [width, height] : {std::pair(1, 1), {1, kH}, {kW, 1}}) {
    s2u_plane one = p, its = g;
    one.width = its.width = width;
    one.height = its.height = height;
    MUST(s2u_pair_set(of_levels, &one, &its));
  }
  EXPECT_EQ(says(p, with(g, [](auto& x) { x.width = 1 << 24, x.height = 17; })),
            "the truth has 16777216x17" + limits);
  EXPECT_EQ(says(with(p, [](auto& x) { x.data = nullptr; }), g), "the prediction's data is null");
  const std::string size = std::to_string(sizeof(s2u_plane));
  EXPECT_EQ(says(with(p, [](auto& x) { x.struct_size = 4; }), g),
            "the prediction: struct_size is 4 and must be sizeof(s2u_plane), " + size);
  double v = 0;
  s2u_pair* fresh = nullptr;
  MUST(s2u_pair_new(&fresh));
  REFUSED(s2u_pair_mae(fresh, &v), S2U_INVALID_ARGUMENT,
          "the pair holds nothing yet: call s2u_pair_set() first");
  s2u_pair_free(fresh);
}

}  // namespace
}  // namespace sam2unet
