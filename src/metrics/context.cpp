#include "metrics/context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "metrics/context.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

// relevance = cv2.filter2D(gt as float32, CV_32F, K) at pred > 0; completeness = 1 - exp(-cv2.filter2D(pred,
// -1, K)). OpenCV filters float32 pictures with kernels of 130 elements or more through a DFT in double, the
// kernel rounded to float32 before and the result after; with smaller kernels it adds float32 products in the
// kernel's row-major order. Both are followed here; the DFT is replaced by a sum in double, which is the same
// but for its last bits.

#ifndef SAM2UNET_METRICS_CONTEXT_ONCE
#define SAM2UNET_METRICS_CONTEXT_ONCE
namespace sam2unet::metrics {

// A picture in double with a border as wide as the kernel's radius, mirrored without repeating the edge
// (BORDER_REFLECT_101), and zeros to the right for vector loads.
struct Bordered {
  std::ptrdiff_t stride = 0;
  std::vector<double> values;
  const double* row(int y) const {
    return values.data() + y * stride;
  }  // y counts from the border's first row
};

inline constexpr int kContextBlock = 32;  // pixels that are filtered together

}  // namespace sam2unet::metrics
#endif

HWY_BEFORE_NAMESPACE();
namespace sam2unet::metrics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// out[0..kContextBlock) = sum over the kernel of weights * picture, the block's first pixel at row y, column
// x.
void filter_block(const Bordered& picture, const ContextKernel& kernel, int y, int x, double* out) {
  const hn::ScalableTag<double> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const int rows = 2 * kernel.y_radius + 1;
  const int columns = 2 * kernel.x_radius + 1;
  for (int part = 0; part < kContextBlock; part += 4 * lanes) {
    auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
    const double* weight = kernel.weights.data();
    for (int i = 0; i < rows; ++i) {
      const double* from = picture.row(y + i) + x + part;
      for (int j = 0; j < columns; ++j, ++weight, ++from) {
        const auto w = hn::Set(d, *weight);
        sum0 = hn::MulAdd(w, hn::LoadU(d, from), sum0);
        sum1 = hn::MulAdd(w, hn::LoadU(d, from + lanes), sum1);
        sum2 = hn::MulAdd(w, hn::LoadU(d, from + 2 * lanes), sum2);
        sum3 = hn::MulAdd(w, hn::LoadU(d, from + 3 * lanes), sum3);
      }
    }
    hn::StoreU(sum0, d, out + part);
    hn::StoreU(sum1, d, out + part + lanes);
    hn::StoreU(sum2, d, out + part + 2 * lanes);
    hn::StoreU(sum3, d, out + part + 3 * lanes);
  }
}

}  // namespace sam2unet::metrics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::metrics {

HWY_EXPORT(filter_block);

namespace {

__extension__ typedef __int128 Wide;

constexpr double kAlpha = 6;
constexpr int kDftElements = 130;

struct Moments {
  std::int64_t n = 0, y = 0, x = 0, yy = 0, xx = 0, xy = 0;

  // Covariance with n - 1 in the denominator, the numerator exact.
  double covariance(std::int64_t products, std::int64_t a, std::int64_t b) const {
    return static_cast<double>(Wide{n} * products - Wide{a} * b) /
           (static_cast<double>(n) * static_cast<double>(n - 1));
  }
};

Moments moments_of(const Sample& s) {
  Moments m;
  for (int y = 0; y < s.height; ++y) {
    std::int64_t n = 0, x_sum = 0, xx = 0;
    const std::uint8_t* truth = s.truth_row(y);
    for (int x = 0; x < s.width; ++x) {
      const std::int64_t g = truth[x] & 1;
      n += g;
      x_sum += g * x;
      xx += g * x * x;
    }
    m.n += n;
    m.y += n * y;
    m.yy += n * y * y;
    m.x += x_sum;
    m.xx += xx;
    m.xy += x_sum * y;
  }
  return m;
}

// BORDER_REFLECT_101: gfedcb|abcdefgh|gfedcba, over and over for small pictures.
int reflected(int p, int length) {
  if (length == 1) return 0;
  while (p < 0 || p >= length) p = p < 0 ? -p : 2 * length - 2 - p;
  return p;
}

// value_at(x, y) with a border, over columns x0 .. x1 and rows y0 .. y1 (the last ones not included).
struct Window {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool empty() const { return x0 >= x1 || y0 >= y1; }
};

template <typename ValueAt>
Bordered bordered(const Sample& s, const Window& window, const ContextKernel& k, const ValueAt& value_at) {
  Bordered out;
  const int columns = window.x1 - window.x0 + 2 * k.x_radius;
  const int rows = window.y1 - window.y0 + 2 * k.y_radius;
  out.stride = columns + 2 * kContextBlock;
  out.values.assign(static_cast<std::size_t>(out.stride) * static_cast<std::size_t>(rows), 0);
  std::vector<int> column(static_cast<std::size_t>(columns));
  for (int x = 0; x < columns; ++x)
    column[static_cast<std::size_t>(x)] = reflected(window.x0 + x - k.x_radius, s.width);
  for (int y = 0; y < rows; ++y) {
    const int from = reflected(window.y0 + y - k.y_radius, s.height);
    double* row = out.values.data() + y * out.stride;
    for (int x = 0; x < columns; ++x) row[x] = value_at(column[static_cast<std::size_t>(x)], from);
  }
  return out;
}

// Columns and rows where the truth is not zero, widened by the kernel on all sides.
Window window_of(const Sample& s, int x_margin, int y_margin) {
  Window w{s.width, s.height, 0, 0};
  for (int y = 0; y < s.height; ++y) {
    const std::uint8_t* truth = s.truth_row(y);
    const auto* first = std::find(truth, truth + s.width, 255);
    if (first == truth + s.width) continue;
    int last = s.width - 1;
    while (truth[last] == 0) --last;
    w = {std::min(w.x0, static_cast<int>(first - truth)), std::min(w.y0, y), std::max(w.x1, last + 1), y + 1};
  }
  if (w.empty()) return w;
  return {std::max(0, w.x0 - x_margin), std::max(0, w.y0 - y_margin), std::min(s.width, w.x1 + x_margin),
          std::min(s.height, w.y1 + y_margin)};
}

// How much of the window around each pixel is set: two running sums.
std::vector<int> box_counts(const Bordered& picture, const Window& w, const ContextKernel& k) {
  const int width = w.x1 - w.x0;
  const int height = w.y1 - w.y0;
  const int all_columns = width + 2 * k.x_radius;
  std::vector<int> columns(static_cast<std::size_t>(all_columns), 0);
  std::vector<int> out(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  for (int y = 0; y < 2 * k.y_radius; ++y) {
    for (int x = 0; x < all_columns; ++x)
      columns[static_cast<std::size_t>(x)] += picture.row(y)[x] != 0 ? 1 : 0;
  }
  for (int y = 0; y < height; ++y) {
    const double* entering = picture.row(y + 2 * k.y_radius);
    for (int x = 0; x < all_columns; ++x) columns[static_cast<std::size_t>(x)] += entering[x] != 0 ? 1 : 0;
    int sum = 0;
    for (int x = 0; x < 2 * k.x_radius; ++x) sum += columns[static_cast<std::size_t>(x)];
    for (int x = 0; x < width; ++x) {
      sum += columns[static_cast<std::size_t>(x + 2 * k.x_radius)];
      out[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)] = sum;
      sum -= columns[static_cast<std::size_t>(x)];
    }
    const double* leaving = picture.row(y);
    for (int x = 0; x < all_columns; ++x) columns[static_cast<std::size_t>(x)] -= leaving[x] != 0 ? 1 : 0;
  }
  return out;
}

// OpenCV's direct float32 filter of a binary picture.
float filter_directly(const Bordered& picture, const ContextKernel& k, int y, int x) {
  float sum = 0;
  const double* weight = k.weights.data();
  for (int i = 0; i <= 2 * k.y_radius; ++i) {
    const double* row = picture.row(y + i) + x;
    for (int j = 0; j <= 2 * k.x_radius; ++j, ++weight) {
      if (row[j] != 0) sum += static_cast<float>(*weight);
    }
  }
  return sum;
}

double sum_of_predictions(const Sample& s) {
  std::int64_t sum = 0;
  for (int v = s.levels.low; v <= s.levels.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    sum += std::int64_t{v - s.levels.offset} * (s.histogram.foreground[i] + s.histogram.background[i]);
  }
  return static_cast<double>(sum) / s.levels.range;
}

// sum(relevance * pred) / (sum(pred) + eps), the relevance rounded to float32 as OpenCV returns it.
double forward_inference(const Sample& s, const ContextKernel& kernel) {
  const Window w = window_of(s, kernel.x_radius, kernel.y_radius);
  if (w.empty()) return 0;
  const Bordered truth =
      bordered(s, w, kernel, [&](int x, int y) { return s.truth_row(y)[x] != 0 ? 1.0 : 0.0; });
  ContextKernel single = kernel;
  for (double& weight : single.weights) weight = static_cast<double>(static_cast<float>(weight));
  const int area = (2 * kernel.x_radius + 1) * (2 * kernel.y_radius + 1);
  const bool direct = area < kDftElements;
  double whole = 0;
  for (const double weight : single.weights) whole += weight;
  const double inside = static_cast<double>(static_cast<float>(whole));
  const std::vector<int> covered = box_counts(truth, w, kernel);

  double total = 0;
  double block[kContextBlock];
  for (int y = w.y0; y < w.y1; ++y) {
    const std::uint8_t* pred = s.prediction_row(y);
    const int* counts = covered.data() + static_cast<std::ptrdiff_t>(y - w.y0) * (w.x1 - w.x0);
    for (int x0 = w.x0; x0 < w.x1; x0 += kContextBlock) {
      const int x1 = std::min(x0 + kContextBlock, w.x1);
      bool filtered = false;
      for (int x = x0; x < x1; ++x) {
        const double p = s.levels.value[pred[x]];
        const int count = counts[x - w.x0];
        if (p == 0 || count == 0) continue;
        double relevance = 0;
        if (direct) {
          relevance = static_cast<double>(filter_directly(truth, kernel, y - w.y0, x - w.x0));
        } else if (count == area) {
          relevance = inside;
        } else {
          if (!filtered) HWY_DYNAMIC_DISPATCH(filter_block)(truth, single, y - w.y0, x0 - w.x0, block);
          filtered = true;
          relevance = static_cast<double>(static_cast<float>(block[x - x0]));
        }
        total += relevance * p;
      }
    }
  }
  return total / (sum_of_predictions(s) + kEps);
}

// e / (e - 1) * (1 - exp(-K * pred)) over the foreground.
std::vector<double> reverse_deduction(const Sample& s, const ContextKernel& kernel) {
  std::vector<double> out(static_cast<std::size_t>(s.pixels()), 0);
  const Window w = window_of(s, 0, 0);
  if (w.empty()) return out;
  const Bordered pred =
      bordered(s, w, kernel, [&](int x, int y) { return s.levels.value[s.prediction_row(y)[x]]; });
  const double factor = std::exp(1.0) / (std::exp(1.0) - 1);
  double block[kContextBlock];
  for (int y = w.y0; y < w.y1; ++y) {
    const std::uint8_t* truth = s.truth_row(y);
    double* row = out.data() + static_cast<std::ptrdiff_t>(y) * s.width;
    for (int x0 = w.x0; x0 < w.x1; x0 += kContextBlock) {
      const int x1 = std::min(x0 + kContextBlock, w.x1);
      if (std::find(truth + x0, truth + x1, 255) == truth + x1) continue;
      HWY_DYNAMIC_DISPATCH(filter_block)(pred, kernel, y - w.y0, x0 - w.x0, block);
      for (int x = x0; x < x1; ++x) {
        if (truth[x] != 0) row[x] = factor * (1 - std::exp(-block[x - x0]));
      }
    }
  }
  return out;
}

}  // namespace

ContextKernel context_kernel(const Sample& s) {
  ContextKernel k;
  double yy = 0.25, xx = 0.25, xy = 0;
  const Moments m = moments_of(s);
  if (m.n > 1) {
    yy = m.covariance(m.yy, m.y, m.y);
    xx = m.covariance(m.xx, m.x, m.x);
    xy = m.covariance(m.xy, m.y, m.x);
    if (yy == 0) yy = kEps;
    if (xx == 0) xx = kEps;
    const Wide slant = Wide{m.n} * m.xy - Wide{m.x} * m.y;
    const Wide spread_y = Wide{m.n} * m.yy - Wide{m.y} * m.y;
    const Wide spread_x = Wide{m.n} * m.xx - Wide{m.x} * m.x;
    // On a line |correlation| is 1: compared as long doubles, as the products of exact integers may not fit.
    const auto product = static_cast<long double>(spread_y) * static_cast<long double>(spread_x);
    if (slant != 0 && static_cast<long double>(slant) * static_cast<long double>(slant) == product) {
      const double regular = 0x1p-26 * std::max(yy, xx);
      yy += regular;
      xx += regular;
    }
    const double total = std::sqrt(yy + xx);
    k.y_radius = static_cast<int>(std::nearbyint(3 * (kAlpha * std::sqrt(yy) / total)));
    k.x_radius = static_cast<int>(std::nearbyint(3 * (kAlpha * std::sqrt(xx) / total)));
    const double scale = kAlpha * kAlpha / (total * total);
    yy *= scale;
    xx *= scale;
    xy *= scale;
  }
  const double det = yy * xx - xy * xy;
  double sum = 0;
  for (int i = -k.y_radius; i <= k.y_radius; ++i) {
    for (int j = -k.x_radius; j <= k.x_radius; ++j) {
      const double form = (i * i * xx - 2.0 * i * j * xy + j * j * yy) / det;
      k.weights.push_back(std::exp(-0.5 * form));
      sum += k.weights.back();
    }
  }
  for (double& w : k.weights) w /= sum;
  return k;
}

ContextMaps context_maps(const Sample& s) {
  const ContextKernel kernel = context_kernel(s);
  return {forward_inference(s, kernel), reverse_deduction(s, kernel)};
}

double context_measure(const Sample& s, const ContextMaps& maps, double beta2,
                       std::span<const double> camouflage) {
  // sum(reverse * (gt + cd)) / (sum(gt) + sum(cd) + eps); both are zero off the foreground.
  double weighted = 0, degree = 0;
  for (std::size_t i = 0; i < maps.reverse.size(); ++i) {
    const double cd = camouflage.empty() ? 0 : camouflage[i];
    weighted += maps.reverse[i] * (1 + cd);
    degree += cd;
  }
  const double reverse = weighted / (static_cast<double>(s.foreground) + degree + kEps);
  return (1 + beta2) * maps.forward * reverse / (beta2 * maps.forward + reverse + kEps);
}

}  // namespace sam2unet::metrics
#endif  // HWY_ONCE
