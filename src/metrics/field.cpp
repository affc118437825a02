#include "metrics/field.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "metrics/distance.h"
#include "metrics/numpy_sum.h"

namespace sam2unet::metrics {

namespace {

// numpy's sum over all pixels of what `at` gives, in the field's type.
template <typename At>
double sum_over(const Field& f, const At& at) {
  if (f.type == FieldType::f32) {
    return static_cast<double>(
        numpy_sum<float>([&](std::int64_t i) { return static_cast<float>(at(i)); }, f.pixels()));
  }
  return numpy_sum<double>(at, f.pixels());
}

double rounded(const Field& f, double v) {
  return f.type == FieldType::f32 ? static_cast<double>(static_cast<float>(v)) : v;
}

// float -> uint8 as compilers for x86-64 do it in numpy: truncated to 32 bits, of which the lowest eight
// stay.
std::uint8_t truncated(double v) {
  if (!(std::abs(v) < 2147483648.0)) return 0;
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(v));
}

// min(2 mean, 1) as Python's min: the mean if it is no number.
double adaptive_threshold(const Field& f, double sum) {
  const double twice = 2 * rounded(f, sum / static_cast<double>(f.pixels()));
  return twice > 1 ? 1 : twice;
}

template <typename Predicted>
Bitmap mask_where(const Field& f, const Predicted& predicted) {
  Bitmap out(f.width, f.height);
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      if (predicted(f.row(y)[x])) out.set(x, y);
    }
  }
  return out;
}

void count(Confusion& c, bool predicted, bool truth) {
  std::int64_t& n = predicted ? (truth ? c.tp : c.fp) : (truth ? c.fn : c.tn);
  ++n;
}

// |value - truth| of every pixel, in the field's type. [height, width]
std::vector<double> errors_of(const Field& f) {
  std::vector<double> out;
  out.reserve(f.value.size());
  for (int y = 0; y < f.height; ++y) {
    const std::uint8_t* truth = f.quantized.truth_row(y);
    for (int x = 0; x < f.width; ++x)
      out.push_back(std::abs(rounded(f, f.row(y)[x] - (truth[x] != 0 ? 1 : 0))));
  }
  return out;
}

// A rectangle of the picture: columns x0 to x1 and rows y0 to y1, the last ones not included.
struct Part {
  int x0, y0, x1, y1;
  std::int64_t size() const { return std::int64_t{x1 - x0} * (y1 - y0); }
};

// mean 2 / (mean^2 + 1 + std + eps) over the pixels of one kind, std with N - 1.
double object_score(const std::vector<double>& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  const auto at = [&](std::int64_t i) { return x[static_cast<std::size_t>(i)]; };
  const double mean = numpy_sum<double>(at, n) / static_cast<double>(n);
  double std = 0;
  if (n > 1) {
    const double squares =
        numpy_sum<double>([&](std::int64_t i) { return (at(i) - mean) * (at(i) - mean); }, n);
    std = std::sqrt(squares / static_cast<double>(n - 1));
  }
  return 2 * mean / (mean * mean + 1 + std + kEps);
}

double ssim(const Field& f, const Part& part) {
  const std::int64_t n = part.size();
  if (n == 0) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> pred, truth;
  pred.reserve(static_cast<std::size_t>(n));
  truth.reserve(static_cast<std::size_t>(n));
  for (int y = part.y0; y < part.y1; ++y) {
    const std::uint8_t* g = f.quantized.truth_row(y);
    pred.insert(pred.end(), f.row(y) + part.x0, f.row(y) + part.x1);
    for (int x = part.x0; x < part.x1; ++x) truth.push_back(g[x] != 0 ? 1.0 : 0.0);
  }
  const auto sum = [n](const auto& at) {
    return numpy_sum<double>([&](std::int64_t i) { return at(static_cast<std::size_t>(i)); }, n);
  };
  const auto count = static_cast<double>(n);
  const double x = sum([&](std::size_t i) { return pred[i]; }) / count;
  const double y = sum([&](std::size_t i) { return truth[i]; }) / count;
  const double below = count - 1 + kEps;
  const double sigma_x = sum([&](std::size_t i) { return (pred[i] - x) * (pred[i] - x); }) / below;
  const double sigma_y = sum([&](std::size_t i) { return (truth[i] - y) * (truth[i] - y); }) / below;
  const double sigma_xy = sum([&](std::size_t i) { return (pred[i] - x) * (truth[i] - y); }) / below;
  const double alpha = 4 * x * y * sigma_xy;
  const double beta = (x * x + y * y) * (sigma_x + sigma_y);
  if (alpha != 0) return alpha / (beta + kEps);
  return beta == 0 ? 1 : 0;
}

double region_score(const Field& f) {
  std::int64_t sum_x = 0, sum_y = 0;
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      sum_x += f.truth(x, y) ? x : 0;
      sum_y += f.truth(x, y) ? y : 0;
    }
  }
  const auto foreground = static_cast<double>(f.quantized.foreground);
  const int cx = static_cast<int>(std::nearbyint(static_cast<double>(sum_x) / foreground)) + 1;
  const int cy = static_cast<int>(std::nearbyint(static_cast<double>(sum_y) / foreground)) + 1;
  const double w = f.width, h = f.height, area = w * h;
  const double w_lt = cx * cy / area, w_rt = cy * (w - cx) / area, w_lb = (h - cy) * cx / area;
  const double w_rb = 1 - w_lt - w_rt - w_lb;
  return ssim(f, {0, 0, cx, cy}) * w_lt + ssim(f, {cx, 0, f.width, cy}) * w_rt +
         ssim(f, {0, cy, cx, f.height}) * w_lb + ssim(f, {cx, cy, f.width, f.height}) * w_rb;
}

// Rows to the nearest foreground above (the pixel itself included) and below; `far` where there is none.
struct VerticalDistances {
  std::vector<int> above, below;
};

VerticalDistances vertical_distances(const Field& f, int far) {
  const auto width = static_cast<std::size_t>(f.width);
  VerticalDistances out;
  out.above.assign(width * static_cast<std::size_t>(f.height), far);
  out.below = out.above;
  for (int y = 0; y < f.height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t i = static_cast<std::size_t>(y) * width + x;
      if (f.truth(static_cast<int>(x), y)) {
        out.above[i] = 0;
      } else if (y > 0) {
        out.above[i] = std::min(far, out.above[i - width] + 1);
      }
    }
  }
  for (int y = f.height - 1; y >= 0; --y) {
    for (std::size_t x = 0; x < width; ++x) {
      const std::size_t i = static_cast<std::size_t>(y) * width + x;
      if (f.truth(static_cast<int>(x), y)) {
        out.below[i] = 0;
      } else if (y + 1 < f.height) {
        out.below[i] = std::min(far, out.below[i + width] + 1);
      }
    }
  }
  return out;
}

// E on foreground; on background at most sqrt(18) from it, which is what the 7x7 filter sees, the E of the
// nearest foreground pixel: of several the one of the smallest column, then row, as SciPy's feature transform
// has it.
std::vector<double> spread_errors(const Field& f, const std::vector<double>& errors) {
  constexpr int kReach = 4;
  const VerticalDistances vertical = vertical_distances(f, kReach + 1);
  std::vector<double> out = errors;
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      if (f.truth(x, y)) continue;
      const auto row = static_cast<std::ptrdiff_t>(y) * f.width;
      int best = 2 * (kReach + 1) * (kReach + 1), from_x = -1, from_y = -1;
      for (int dx = std::max(-kReach, -x); dx <= std::min(kReach, f.width - 1 - x); ++dx) {
        const auto i = static_cast<std::size_t>(row + x + dx);
        const int up = vertical.above[i], down = vertical.below[i];
        const int dy = std::min(up, down);
        if (dy > kReach || dx * dx + dy * dy >= best) continue;
        best = dx * dx + dy * dy;
        from_x = x + dx;
        from_y = up <= down ? y - up : y + down;
      }
      if (from_x >= 0)
        out[static_cast<std::size_t>(row + x)] =
            errors[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(from_y) * f.width + from_x)];
    }
  }
  return out;
}

// fspecial('gaussian', 7, 5) as the product of two of these.
std::array<double, 7> gaussian() {
  std::array<double, 7> g{};
  double sum = 0;
  for (int k = 0; k < 7; ++k) sum += g[static_cast<std::size_t>(k)] = std::exp(-(k - 3) * (k - 3) / 50.0);
  for (double& v : g) v /= sum;
  return g;
}

// The 7x7 filter with zeros outside.
std::vector<double> filtered(const std::vector<double>& in, int width, int height) {
  const std::array<double, 7> g = gaussian();
  const double* centre = g.data() + 3;
  const auto at = [&](int x, int y) {
    return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(y) * width + x);
  };
  std::vector<double> rows(in.size(), 0), out(in.size(), 0);
  for (int y = 0; y < height; ++y) {
    for (int k = -3; k <= 3; ++k) {
      const double weight = centre[k];
      for (int x = std::max(0, -k); x < std::min(width, width - k); ++x)
        rows[at(x, y)] += weight * in[at(x + k, y)];
    }
  }
  for (int y = 0; y < height; ++y) {
    for (int k = std::max(-3, -y); k <= std::min(3, height - 1 - y); ++k) {
      const double weight = centre[k];
      for (int x = 0; x < width; ++x) out[at(x, y)] += weight * rows[at(x, y + k)];
    }
  }
  return out;
}

}  // namespace

void Field::assign(std::span<const double> values, FieldType values_type, const ImageView& truth_plane) {
  width = truth_plane.width;
  height = truth_plane.height;
  type = values_type;
  value.assign(values.begin(), values.end());
  Image levels(width, height, 1), mask(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      levels.row(y)[x] = truncated(rounded(*this, row(y)[x] * 255));
      mask.row(y)[x] = truth_plane.row(y)[x] != 0 ? 255 : 0;
    }
  }
  quantized.assign(levels, mask);
  adaptive = adaptive_threshold(
      *this, sum_over(*this, [&](std::int64_t i) { return value[static_cast<std::size_t>(i)]; }));
}

ThresholdCounts threshold_counts(const Sample& s) {
  return {quantized_counts(s.histogram, s.levels), s.foreground, s.background(),
          confusion_at(s.histogram, s.levels.adaptive_cut), confusion_at(s.histogram, s.levels.binary_cut)};
}

ThresholdCounts threshold_counts(const Field& f) {
  ThresholdCounts out;
  out.counts = {f.quantized.histogram.foreground, f.quantized.histogram.background};
  out.foreground = f.quantized.foreground;
  out.background = f.quantized.background();
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      const double v = f.row(y)[x];
      count(out.adaptive, v >= f.adaptive, f.truth(x, y));
      count(out.binary, v > 0.5, f.truth(x, y));
    }
  }
  return out;
}

ThresholdCounts threshold_counts_in(const Field& f, std::span<const std::uint8_t> mask) {
  const auto value = [&](std::int64_t i) {
    const auto k = static_cast<std::size_t>(i);
    return mask[k] != 0 ? f.value[k] : 0 * f.value[k];
  };
  const double threshold = adaptive_threshold(f, sum_over(f, value));
  ThresholdCounts out;
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      const std::int64_t i = std::int64_t{y} * f.width + x;
      const double v = value(i);
      const bool inside = mask[static_cast<std::size_t>(i)] != 0;
      const bool truth = inside && f.truth(x, y);
      const std::uint8_t level = inside ? f.quantized.prediction_row(y)[x] : std::uint8_t{0};
      ++(truth ? out.counts.foreground : out.counts.background)[level];
      ++(truth ? out.foreground : out.background);
      count(out.adaptive, v >= threshold, truth);
      count(out.binary, v > 0.5, truth);
    }
  }
  return out;
}

double error_sum_in(const Field& f, std::span<const std::uint8_t> mask) {
  const std::vector<double> errors = errors_of(f);
  return sum_over(f, [&](std::int64_t i) {
    const auto k = static_cast<std::size_t>(i);
    return mask[k] != 0 ? errors[k] : std::abs(0 * f.value[k]);
  });
}

double mean_absolute_error(const Field& f) {
  const std::vector<double> errors = errors_of(f);
  const double sum = sum_over(f, [&](std::int64_t i) { return errors[static_cast<std::size_t>(i)]; });
  return rounded(f, sum / static_cast<double>(f.pixels()));
}

double s_measure(const Field& f, double alpha) {
  const std::int64_t foreground = f.quantized.foreground, background = f.quantized.background();
  const auto n = static_cast<double>(f.pixels());
  if (foreground == 0 || background == 0) {
    const double mean =
        numpy_sum<double>([&](std::int64_t i) { return f.value[static_cast<std::size_t>(i)]; }, f.pixels()) /
        n;
    return foreground == 0 ? 1 - mean : mean;
  }
  std::vector<double> front, back;
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      if (f.truth(x, y)) {
        front.push_back(f.row(y)[x]);
      } else {
        back.push_back(1 - f.row(y)[x]);
      }
    }
  }
  const double share = static_cast<double>(foreground) / n;
  const double object = object_score(front) * share + object_score(back) * (1 - share);
  const double score = object * alpha + region_score(f) * (1 - alpha);
  return score < 0 ? 0 : score;
}

double weighted_f(const Field& f, double beta) {
  if (f.quantized.foreground == 0) return 0;
  const std::vector<double> errors = errors_of(f);
  const std::vector<double> around = filtered(spread_errors(f, errors), f.width, f.height);
  const Bitmap truth = truth_of(f.quantized);
  const std::vector<double> distance = distances(inverted(truth), truth);
  double front = 0, back = 0;
  std::size_t next = 0;
  for (int y = 0; y < f.height; ++y) {
    for (int x = 0; x < f.width; ++x) {
      const auto i = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(y) * f.width + x);
      const double e = errors[i], smooth = rounded(f, around[i]);
      if (f.truth(x, y)) {
        front += smooth < e ? smooth : e;
      } else {
        back += e * (2 - std::exp(std::log(0.5) / 5 * distance[next++]));
      }
    }
  }
  const auto n = static_cast<double>(f.quantized.foreground);
  const double true_positive = n - front;
  const double recall = 1 - front / n;
  const double precision = true_positive / (true_positive + back + kEps);
  return (1 + beta) * recall * precision / (recall + beta * precision + kEps);
}

Bitmap adaptive_mask(const Field& f) {
  return mask_where(f, [&](double v) { return v >= f.adaptive; });
}

Bitmap binary_mask(const Field& f) {
  return mask_where(f, [](double v) { return v > 0.5; });
}

}  // namespace sam2unet::metrics
