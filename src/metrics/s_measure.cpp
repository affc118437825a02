#include "metrics/s_measure.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "metrics/s_measure.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "metrics/numpy_sum.h"

#ifndef SAM2UNET_METRICS_S_MEASURE_ONCE
#define SAM2UNET_METRICS_S_MEASURE_ONCE
namespace sam2unet::metrics {

// Exact integer sums over a part of the picture, of v = raw grey level and g = truth (0 or 1).
struct Sums {
  std::int64_t n = 0, v = 0, vv = 0, g = 0, vg = 0;
};

}  // namespace sam2unet::metrics
#endif

HWY_BEFORE_NAMESPACE();
namespace sam2unet::metrics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Adds a row from column x0 to x1, all but n. Rows are read in whole vectors from their first column on,
// which end with the stride.
void add_row(const std::uint8_t* pred, const std::uint8_t* truth, int x0, int x1, Sums& s) {
#if HWY_TARGET == HWY_SCALAR
  for (int x = x0; x < x1; ++x) {
    s.v += pred[x];
    s.vv += pred[x] * pred[x];
    s.g += truth[x] & 1;
    s.vg += pred[x] & truth[x];
  }
#else
  const hn::ScalableTag<std::uint8_t> d8;
  const hn::Repartition<std::int16_t, decltype(d8)> d16;
  const hn::Repartition<std::int32_t, decltype(d8)> d32;
  const hn::Repartition<std::uint64_t, decltype(d8)> d64;
  const hn::Half<decltype(d8)> d8_half;
  const int lanes = static_cast<int>(hn::Lanes(d8));
  const auto one = hn::Set(d8, 1);
  // A vector adds at most 4 * 255^2 to a lane of 32 bits; a row may have 2^24 columns.
  constexpr int kVectors = 1 << 13;
  for (int begin = x0 / lanes * lanes; begin < x1; begin += kVectors * lanes) {
    auto v = hn::Zero(d64), g = hn::Zero(d64), vg = hn::Zero(d64);
    auto vv0 = hn::Zero(d32), vv1 = hn::Zero(d32);
    const int end = std::min(x1, begin + kVectors * lanes);
    for (int x = begin; x < end; x += lanes) {
      auto valid = hn::FirstN(d8, static_cast<std::size_t>(std::min(lanes, x1 - x)));
      if (x < x0) valid = hn::AndNot(hn::FirstN(d8, static_cast<std::size_t>(x0 - x)), valid);
      const auto p = hn::IfThenElseZero(valid, hn::LoadU(d8, pred + x));
      const auto t = hn::IfThenElseZero(valid, hn::LoadU(d8, truth + x));
      v = hn::Add(v, hn::SumsOf8(p));
      g = hn::Add(g, hn::SumsOf8(hn::And(t, one)));
      vg = hn::Add(vg, hn::SumsOf8(hn::And(t, p)));
      const auto low = hn::PromoteTo(d16, hn::LowerHalf(d8_half, p));
      const auto high = hn::PromoteTo(d16, hn::UpperHalf(d8_half, p));
      vv0 = hn::ReorderWidenMulAccumulate(d32, low, low, vv0, vv1);
      vv0 = hn::ReorderWidenMulAccumulate(d32, high, high, vv0, vv1);
    }
    const auto total = [&](auto sum) HWY_ATTR {
      return static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d64, sum)));
    };
    s.v += total(v);
    s.g += total(g);
    s.vg += total(vg);
    // The 32-bit sums are positive and below 2^31: their even and odd lanes as 64 bits.
    for (const auto half : {vv0, vv1}) {
      const auto pairs = hn::BitCast(d64, half);
      s.vv += total(hn::Add(hn::And(pairs, hn::Set(d64, 0xFFFFFFFFu)), hn::ShiftRight<32>(pairs)));
    }
  }
#endif
}

// Foreground pixels of a row, and the sum of their columns. The row's padding is zero.
void locate_row(const std::uint8_t* truth, int width, std::int64_t& count, std::int64_t& columns) {
  count = columns = 0;
#if HWY_TARGET == HWY_SCALAR
  for (int x = 0; x < width; ++x) {
    count += truth[x] & 1;
    columns += (truth[x] & 1) * x;
  }
#else
  const hn::ScalableTag<std::uint8_t> d8;
  const hn::Repartition<std::uint64_t, decltype(d8)> d64;
  const int lanes = static_cast<int>(hn::Lanes(d8));
  const auto one = hn::Set(d8, 1);
  const auto place = hn::Iota(d8, 0);
  // With c[j] pixels in vector j of J: sum of j c[j] = J * total - sum of the running totals.
  auto total = hn::Zero(d64), running = hn::Zero(d64), inside = hn::Zero(d64);
  int vectors = 0;
  for (int x = 0; x < width; x += lanes, ++vectors) {
    const auto t = hn::LoadU(d8, truth + x);
    total = hn::Add(total, hn::SumsOf8(hn::And(t, one)));
    running = hn::Add(running, total);
    inside = hn::Add(inside, hn::SumsOf8(hn::And(t, place)));
  }
  const auto sum = [&](auto v)
                       HWY_ATTR { return static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d64, v))); };
  count = sum(total);
  columns = (vectors * count - sum(running)) * lanes + sum(inside);
#endif
}

}  // namespace sam2unet::metrics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::metrics {

HWY_EXPORT(add_row);
HWY_EXPORT(locate_row);

namespace {

__extension__ typedef __int128 Wide;

// (n * squares - a * b) / n as a double, rounded only by the division: sums of products of deviations from
// the mean.
double deviations(std::int64_t n, std::int64_t products, std::int64_t a, std::int64_t b) {
  return static_cast<double>(Wide{n} * products - Wide{a} * b) / static_cast<double>(n);
}

// score = 2 mean / (mean^2 + 1 + std + eps), std with N - 1, of x = level / range.
double object_score(std::int64_t n, std::int64_t sum, std::int64_t squares, double range) {
  const double mean = static_cast<double>(sum) / range / static_cast<double>(n);
  const double std =
      n > 1 ? std::sqrt(deviations(n, squares, sum, sum) / static_cast<double>(n - 1)) / range : 0;
  return 2 * mean / (mean * mean + 1 + std + kEps);
}

double object_part(const Sample& s) {
  const Levels& l = s.levels;
  // Foreground: x = (v - offset) / range. Background: 1 - x = (offset + range - v) / range.
  std::int64_t fg = 0, fg2 = 0, bg = 0, bg2 = 0;
  for (int v = l.low; v <= l.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const std::int64_t up = v - l.offset;
    const std::int64_t down = l.range - up;
    fg += up * s.histogram.foreground[i];
    fg2 += up * up * s.histogram.foreground[i];
    bg += down * s.histogram.background[i];
    bg2 += down * down * s.histogram.background[i];
  }
  const double mean = static_cast<double>(s.foreground) / static_cast<double>(s.pixels());
  const double fg_score = object_score(s.foreground, fg, fg2, l.range);
  const double bg_score = object_score(s.background(), bg, bg2, l.range);
  return fg_score * mean + bg_score * (1 - mean);
}

// A quadrant whose truth is uniform has alpha = 0 exactly, and the score is 1 where beta, (x^2 + y^2)(sigma_x
// + sigma_y), is exactly 0 too, else 0. For a constant prediction c that hangs on whether numpy's mean of c
// is c.
double uniform_truth_score(const Sample& sample, const Sums& s) {
  const std::int64_t level = s.v / s.n;
  if (s.v != level * s.n || s.vv != level * level * s.n) return 0;  // not constant
  const double c = sample.levels.value[static_cast<std::size_t>(level)];
  const double mean = numpy_sum<double>([c](std::int64_t) { return c; }, s.n) / static_cast<double>(s.n);
  return mean == c ? 1 : 0;
}

double ssim(const Sample& sample, const Sums& s) {
  if (s.n == 0) return 0;
  if (s.g == 0 || s.g == s.n) return uniform_truth_score(sample, s);
  const double n = static_cast<double>(s.n);
  const double r = sample.levels.range;
  const double x = (static_cast<double>(s.v) - static_cast<double>(sample.levels.offset) * n) / r / n;
  const double y = static_cast<double>(s.g) / n;
  const double xx = deviations(s.n, s.vv, s.v, s.v) / (r * r);
  const double yy = deviations(s.n, s.g, s.g, s.g);
  const double xy = deviations(s.n, s.vg, s.v, s.g) / r;
  const double sigma_x = xx / (n - 1 + kEps);
  const double sigma_y = yy / (n - 1 + kEps);
  const double sigma_xy = xy / (n - 1 + kEps);
  const double alpha = 4 * x * y * sigma_xy;
  const double beta = (x * x + y * y) * (sigma_x + sigma_y);
  if (alpha != 0) return alpha / (beta + kEps);
  return beta == 0 ? 1 : 0;
}

// numpy's round of a mean: half to even.
int rounded_mean(std::int64_t sum, std::int64_t count) {
  return static_cast<int>(std::nearbyint(static_cast<double>(sum) / static_cast<double>(count)));
}

double region_part(const Sample& s, EmptyRegion empty) {
  // Centroid of the truth, plus one as in the Matlab code.
  std::int64_t sum_x = 0, sum_y = 0;
  for (int y = 0; y < s.height; ++y) {
    std::int64_t in_row = 0, columns = 0;
    HWY_DYNAMIC_DISPATCH(locate_row)(s.truth_row(y), s.width, in_row, columns);
    sum_x += columns;
    sum_y += in_row * y;
  }
  const int cy = rounded_mean(sum_y, s.foreground) + 1;
  const int cx = rounded_mean(sum_x, s.foreground) + 1;

  Sums lt, rt, lb, rb;
  const auto add = [](const std::uint8_t* pred, const std::uint8_t* truth, int x0, int x1, Sums& sums) {
    HWY_DYNAMIC_DISPATCH(add_row)(pred, truth, x0, x1, sums);
  };
  for (int y = 0; y < s.height; ++y) {
    add(s.prediction_row(y), s.truth_row(y), 0, cx, y < cy ? lt : lb);
    add(s.prediction_row(y), s.truth_row(y), cx, s.width, y < cy ? rt : rb);
  }
  for (Sums* part : {&lt, &rt}) part->n = std::int64_t{cy} * (part == &lt ? cx : s.width - cx);
  for (Sums* part : {&lb, &rb}) part->n = std::int64_t{s.height - cy} * (part == &lb ? cx : s.width - cx);
  if (empty == EmptyRegion::nan && (cy == s.height || cx == s.width))
    return std::numeric_limits<double>::quiet_NaN();
  const double area = static_cast<double>(s.pixels());
  const double h = s.height, w = s.width;
  const double w_lt = static_cast<double>(cx) * cy / area;
  const double w_rt = cy * (w - cx) / area;
  const double w_lb = (h - cy) * cx / area;
  const double w_rb = 1 - w_lt - w_rt - w_lb;
  return ssim(s, lt) * w_lt + ssim(s, rt) * w_rt + ssim(s, lb) * w_lb + ssim(s, rb) * w_rb;
}

}  // namespace

double s_measure(const Sample& s, double alpha, EmptyRegion empty) {
  if (s.foreground == 0 || s.background() == 0) {
    std::int64_t sum = 0;
    for (int v = s.levels.low; v <= s.levels.high; ++v) {
      const auto i = static_cast<std::size_t>(v);
      sum += std::int64_t{v - s.levels.offset} * (s.histogram.foreground[i] + s.histogram.background[i]);
    }
    const double mean = static_cast<double>(sum) / s.levels.range / static_cast<double>(s.pixels());
    return s.foreground == 0 ? 1 - mean : mean;
  }
  const double score = object_part(s) * alpha + region_part(s, empty) * (1 - alpha);
  return score < 0 ? 0 : score;
}

}  // namespace sam2unet::metrics
#endif  // HWY_ONCE
