#include "metrics/s_measure.h"

#include <cmath>

#include "metrics/numpy_sum.h"

namespace sam2unet::metrics {

namespace {

__extension__ typedef __int128 Wide;

// (n * squares - a * b) / n as a double, rounded only by the division: sums of products of deviations from
// the mean.
double deviations(std::int64_t n, std::int64_t products, std::int64_t a, std::int64_t b) {
  return static_cast<double>(Wide{n} * products - Wide{a} * b) / static_cast<double>(n);
}

// Exact integer sums over a part of the picture, of v = raw grey level and g = truth (0 or 1).
struct Sums {
  std::int64_t n = 0, v = 0, vv = 0, g = 0, vg = 0;
};

// Sums of one row from x0 to x1 (at most 2^15 pixels at once, so that 32 bits hold them).
void add_row(const std::uint8_t* pred, const std::uint8_t* truth, int x0, int x1, Sums& s) {
  for (int begin = x0; begin < x1; begin += 1 << 15) {
    const int end = x1 - begin > (1 << 15) ? begin + (1 << 15) : x1;
    std::uint32_t v = 0, vv = 0, g = 0, vg = 0;
    for (int x = begin; x < end; ++x) {
      const std::uint32_t p = pred[x];
      v += p;
      vv += p * p;
      g += truth[x] & 1u;
      vg += p & truth[x];
    }
    s.v += v;
    s.vv += vv;
    s.g += g;
    s.vg += vg;
  }
  s.n += x1 - x0;
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

double region_part(const Sample& s) {
  // Centroid of the truth, plus one as in the Matlab code.
  std::int64_t sum_x = 0, sum_y = 0;
  for (int y = 0; y < s.height; ++y) {
    const std::uint8_t* t = s.truth_row(y);
    std::int64_t in_row = 0;
    for (int begin = 0; begin < s.width; begin += 1 << 12) {
      const int end = s.width - begin > (1 << 12) ? begin + (1 << 12) : s.width;
      std::uint32_t count = 0, offsets = 0;
      for (int x = begin; x < end; ++x) {
        const std::uint32_t g = t[x] & 1u;
        count += g;
        offsets += g * static_cast<std::uint32_t>(x - begin);
      }
      in_row += count;
      sum_x += offsets + std::int64_t{count} * begin;
    }
    sum_y += in_row * y;
  }
  const int cy = rounded_mean(sum_y, s.foreground) + 1;
  const int cx = rounded_mean(sum_x, s.foreground) + 1;

  Sums lt, rt, lb, rb;
  for (int y = 0; y < s.height; ++y) {
    add_row(s.prediction_row(y), s.truth_row(y), 0, cx, y < cy ? lt : lb);
    add_row(s.prediction_row(y), s.truth_row(y), cx, s.width, y < cy ? rt : rb);
  }
  const double area = static_cast<double>(s.pixels());
  const double h = s.height, w = s.width;
  const double w_lt = static_cast<double>(cx) * cy / area;
  const double w_rt = cy * (w - cx) / area;
  const double w_lb = (h - cy) * cx / area;
  const double w_rb = 1 - w_lt - w_rt - w_lb;
  return ssim(s, lt) * w_lt + ssim(s, rt) * w_rt + ssim(s, lb) * w_lb + ssim(s, rb) * w_rb;
}

}  // namespace

double s_measure(const Sample& s) {
  if (s.foreground == 0 || s.background() == 0) {
    std::int64_t sum = 0;
    for (int v = s.levels.low; v <= s.levels.high; ++v) {
      const auto i = static_cast<std::size_t>(v);
      sum += std::int64_t{v - s.levels.offset} * (s.histogram.foreground[i] + s.histogram.background[i]);
    }
    const double mean = static_cast<double>(sum) / s.levels.range / static_cast<double>(s.pixels());
    return s.foreground == 0 ? 1 - mean : mean;
  }
  const double score = object_part(s) * 0.5 + region_part(s) * 0.5;
  return score > 0 ? score : 0;
}

}  // namespace sam2unet::metrics
