#include "metrics/context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "metrics/context.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>

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

// Pixels that are filtered together: a loaded vector serves four rows, each with another row of the kernel.
inline constexpr int kTileRows = 4;
inline constexpr int kTileColumns = 16;

// A kernel with three rows of zeros above and below.
struct PaddedKernel {
  int rows = 0, columns = 0;  // without the padding
  std::vector<double> weights;
};

}  // namespace sam2unet::metrics
#endif

HWY_BEFORE_NAMESPACE();
namespace sam2unet::metrics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// out[kTileRows][kTileColumns] = sum over the kernel of weights * picture, the tile's first pixel at row y,
// column x.
void filter_tile(const Bordered& picture, const PaddedKernel& kernel, int y, int x, double* out) {
  const hn::ScalableTag<double> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const std::ptrdiff_t row = kernel.columns;
  for (int part = 0; part < kTileColumns; part += 2 * lanes) {
    auto a0 = hn::Zero(d), a1 = hn::Zero(d), b0 = hn::Zero(d), b1 = hn::Zero(d);
    auto c0 = hn::Zero(d), c1 = hn::Zero(d), d0 = hn::Zero(d), d1 = hn::Zero(d);
    for (int r = 0; r < kernel.rows + kTileRows - 1; ++r) {
      const double* from = picture.row(y + r) + x + part;
      const double* weight = kernel.weights.data() + (r + kTileRows - 1) * row;  // the kernel's row r
      for (int j = 0; j < kernel.columns; ++j, ++from, ++weight) {
        const auto v0 = hn::LoadU(d, from), v1 = hn::LoadU(d, from + lanes);
        const auto wa = hn::Set(d, weight[0]), wb = hn::Set(d, weight[-row]);
        const auto wc = hn::Set(d, weight[-2 * row]), wd = hn::Set(d, weight[-3 * row]);
        a0 = hn::MulAdd(wa, v0, a0);
        a1 = hn::MulAdd(wa, v1, a1);
        b0 = hn::MulAdd(wb, v0, b0);
        b1 = hn::MulAdd(wb, v1, b1);
        c0 = hn::MulAdd(wc, v0, c0);
        c1 = hn::MulAdd(wc, v1, c1);
        d0 = hn::MulAdd(wd, v0, d0);
        d1 = hn::MulAdd(wd, v1, d1);
      }
    }
    double* to = out + part;
    hn::StoreU(a0, d, to);
    hn::StoreU(a1, d, to + lanes);
    hn::StoreU(b0, d, to + kTileColumns);
    hn::StoreU(b1, d, to + kTileColumns + lanes);
    hn::StoreU(c0, d, to + 2 * kTileColumns);
    hn::StoreU(c1, d, to + 2 * kTileColumns + lanes);
    hn::StoreU(d0, d, to + 3 * kTileColumns);
    hn::StoreU(d1, d, to + 3 * kTileColumns + lanes);
  }
}

// to[k] += factor * from[k] for k < count.
void add_scaled(const double* from, double factor, int count, double* to) {
  const hn::ScalableTag<double> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto f = hn::Set(d, factor);
  int k = 0;
  for (; k + lanes <= count; k += lanes) {
    hn::StoreU(hn::MulAdd(f, hn::LoadU(d, from + k), hn::LoadU(d, to + k)), d, to + k);
  }
  for (; k < count; ++k) to[k] += factor * from[k];
}

}  // namespace sam2unet::metrics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::metrics {

HWY_EXPORT(filter_tile);
HWY_EXPORT(add_scaled);

namespace {

__extension__ typedef __int128 Wide;

constexpr std::size_t kDftElements = 130;

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
  out.stride = columns + 2 * kTileColumns;
  out.values.assign(static_cast<std::size_t>(out.stride) * static_cast<std::size_t>(rows + kTileRows), 0);
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

// The kernel over the truth at every pixel of the window, in double. The truth is 0 and 1, so a row of it is
// a few steps up and down; under one row of the kernel a step at column p adds sum(k[j], j >= p - x) at
// column x, which is 0 up to the kernel's radius before p and the row's whole sum from the radius after it
// on.
std::vector<double> relevance_map(const Sample& s, const Window& w, const ContextKernel& k) {
  const int width = w.x1 - w.x0;
  const int height = w.y1 - w.y0;
  const int radius = k.x_radius;
  const auto row_size = static_cast<std::size_t>(width);
  std::vector<double> out(row_size * static_cast<std::size_t>(height), 0);
  std::vector<double> whole((row_size + 1) * static_cast<std::size_t>(height),
                            0);  // steps of the rows' whole sums
  // tails[i][t] = sum(k[i][j], j >= radius - t)
  const int columns = 2 * radius + 1;
  std::vector<double> tails(k.weights.size());
  for (std::size_t i = 0; i < tails.size(); i += static_cast<std::size_t>(columns)) {
    double sum = 0;
    for (int t = 0; t < columns; ++t) {
      sum += k.weights[i + static_cast<std::size_t>(columns - 1 - t)];
      tails[i + static_cast<std::size_t>(t)] = sum;
    }
  }
  for (int r = w.y0 - k.y_radius; r < w.y1 + k.y_radius; ++r) {
    const std::uint8_t* truth = s.truth_row(reflected(r, s.height));
    bool before = false;
    for (int p = -radius; p < width + radius; ++p) {
      const bool now = truth[reflected(w.x0 + p, s.width)] != 0;
      if (now == before) continue;
      before = now;
      const double step = now ? 1 : -1;
      const int first = std::max(0, p - radius);  // columns that see a part of the row of the kernel
      const int last = std::min(width, p + radius);
      for (int i = std::max(-k.y_radius, r - (w.y1 - 1)); i <= std::min(k.y_radius, r - w.y0); ++i) {
        const auto y = static_cast<std::size_t>(r - i - w.y0);
        const double* tail = tails.data() + static_cast<std::ptrdiff_t>(i + k.y_radius) * columns;
        if (first < last) {
          HWY_DYNAMIC_DISPATCH(add_scaled)
          (tail + (first - (p - radius)), step, last - first, out.data() + y * row_size + first);
        }
        if (p + radius < width) {
          whole[y * (row_size + 1) + static_cast<std::size_t>(std::max(0, p + radius))] +=
              step * tail[columns - 1];
        }
      }
    }
  }
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    double sum = 0;
    for (std::size_t x = 0; x < row_size; ++x) {
      sum += whole[y * (row_size + 1) + x];
      out[y * row_size + x] += sum;
    }
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
double forward_inference(const Sample& s, const PredictionValues& pred_values, const ContextKernel& kernel) {
  const Window w = window_of(s, kernel.x_radius, kernel.y_radius);
  if (w.empty()) return 0;
  ContextKernel single = kernel;
  for (double& weight : single.weights) weight = static_cast<double>(static_cast<float>(weight));
  const std::vector<double> map = relevance_map(s, w, single);
  const bool direct = kernel.weights.size() < kDftElements;
  Bordered truth;
  if (direct)
    truth = bordered(s, w, kernel, [&](int x, int y) { return s.truth_row(y)[x] != 0 ? 1.0 : 0.0; });

  constexpr double kNothing = 1e-12;  // no weight under a set pixel
  double total = 0;
  for (int y = w.y0; y < w.y1; ++y) {
    const double* pred = pred_values.row(y);
    const double* row = map.data() + static_cast<std::ptrdiff_t>(y - w.y0) * (w.x1 - w.x0);
    double in_row = 0;
    for (int x = w.x0; x < w.x1; ++x) {
      float relevance = static_cast<float>(row[x - w.x0]);
      if (direct && row[x - w.x0] > kNothing) relevance = filter_directly(truth, kernel, y - w.y0, x - w.x0);
      in_row += static_cast<double>(relevance) * pred[x];
    }
    total += in_row;
  }
  return total / (pred_values.sum + kEps);
}

PaddedKernel padded(const ContextKernel& k) {
  PaddedKernel out{2 * k.y_radius + 1, 2 * k.x_radius + 1, {}};
  const std::size_t margin = (kTileRows - 1) * static_cast<std::size_t>(out.columns);
  out.weights.assign(k.weights.size() + 2 * margin, 0);
  std::copy(k.weights.begin(), k.weights.end(), out.weights.begin() + static_cast<std::ptrdiff_t>(margin));
  return out;
}

// e / (e - 1) * (1 - exp(-K * pred)) over the foreground.
std::vector<double> reverse_deduction(const Sample& s, const PredictionValues& pred_values,
                                      const ContextKernel& kernel) {
  std::vector<double> out(static_cast<std::size_t>(s.pixels()), 0);
  const Window w = window_of(s, 0, 0);
  if (w.empty()) return out;
  const Bordered pred = bordered(s, w, kernel, [&](int x, int y) { return pred_values.row(y)[x]; });
  const PaddedKernel weights = padded(kernel);
  const double factor = std::exp(1.0) / (std::exp(1.0) - 1);
  double tile[kTileRows * kTileColumns];
  for (int y0 = w.y0; y0 < w.y1; y0 += kTileRows) {
    const int y1 = std::min(y0 + kTileRows, w.y1);
    for (int x0 = w.x0; x0 < w.x1; x0 += kTileColumns) {
      const int x1 = std::min(x0 + kTileColumns, w.x1);
      bool any = false;
      for (int y = y0; y < y1; ++y)
        any = any || std::memchr(s.truth_row(y) + x0, 255, static_cast<std::size_t>(x1 - x0)) != nullptr;
      if (!any) continue;
      HWY_DYNAMIC_DISPATCH(filter_tile)(pred, weights, y0 - w.y0, x0 - w.x0, tile);
      for (int y = y0; y < y1; ++y) {
        double* row = out.data() + static_cast<std::ptrdiff_t>(y) * s.width;
        for (int x = x0; x < x1; ++x) {
          if (s.truth_row(y)[x] == 0) continue;
          row[x] = factor * (1 - std::exp(-tile[(y - y0) * kTileColumns + x - x0]));
        }
      }
    }
  }
  return out;
}

}  // namespace

PredictionValues prediction_values(const Sample& s) {
  PredictionValues out{s.width, {}, sum_of_predictions(s)};
  out.values.reserve(static_cast<std::size_t>(s.pixels()));
  for (int y = 0; y < s.height; ++y) {
    const std::uint8_t* row = s.prediction_row(y);
    for (int x = 0; x < s.width; ++x) out.values.push_back(s.levels.value[row[x]]);
  }
  return out;
}

ContextKernel context_kernel(const Sample& s, double alpha) {
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
    k.y_radius = static_cast<int>(std::nearbyint(3 * (alpha * std::sqrt(yy) / total)));
    k.x_radius = static_cast<int>(std::nearbyint(3 * (alpha * std::sqrt(xx) / total)));
    const double scale = alpha * alpha / (total * total);
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

ContextMaps context_maps(const Sample& s, const PredictionValues& prediction, double alpha) {
  const ContextKernel kernel = context_kernel(s, alpha);
  return {forward_inference(s, prediction, kernel), reverse_deduction(s, prediction, kernel)};
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
