// Metrics written down from the papers and the reference's documentation, pixel by pixel in double and as
// slowly as that is: independent of the fast ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::test::naive {

struct Maps {
  int w = 0, h = 0;
  std::vector<double> pred;  // normalised
  std::vector<int> gt;
  std::size_t at(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(w) + static_cast<std::size_t>(x);
  }
};

inline Maps prepare(const Image& pred, const Image& gt) {
  Maps m{pred.width, pred.height, {}, {}};
  double low = 1, high = 0;
  for (const auto v : pred.pixels) {
    m.pred.push_back(v / 255.0);
    low = std::min(low, v / 255.0);
    high = std::max(high, v / 255.0);
  }
  if (high != low) {
    for (double& p : m.pred) p = (p - low) / (high - low);
  }
  for (const auto v : gt.pixels) m.gt.push_back(v > 128 ? 1 : 0);
  return m;
}

inline double mean(const std::vector<double>& v) {
  double s = 0;
  for (const double x : v) s += x;
  return s / static_cast<double>(v.size());
}

inline double mae(const Maps& m) {
  double s = 0;
  for (std::size_t i = 0; i < m.pred.size(); ++i) s += std::abs(m.pred[i] - m.gt[i]);
  return s / static_cast<double>(m.pred.size());
}

struct Cells {
  double tp = 0, fp = 0, tn = 0, fn = 0;
};

inline Cells cells(const Maps& m, const std::vector<bool>& positive) {
  Cells c;
  for (std::size_t i = 0; i < m.gt.size(); ++i) {
    if (positive[i]) {
      (m.gt[i] != 0 ? c.tp : c.fp) += 1;
    } else {
      (m.gt[i] != 0 ? c.fn : c.tn) += 1;
    }
  }
  return c;
}

inline std::vector<bool> above_half(const Maps& m) {
  std::vector<bool> out;
  for (const double p : m.pred) out.push_back(p > 0.5);
  return out;
}

/// floor(255 p) >= threshold
inline std::vector<bool> at_threshold(const Maps& m, int threshold) {
  std::vector<bool> out;
  for (const double p : m.pred) out.push_back(std::floor(p * 255) >= threshold);
  return out;
}

inline double ratio(double a, double b) {
  return b == 0 ? 0 : a / b;
}
inline double iou(const Cells& c) {
  return ratio(c.tp, c.tp + c.fp + c.fn);
}
inline double dice(const Cells& c) {
  return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn);
}
inline double f(const Cells& c, double b2) {
  const double p = ratio(c.tp, c.tp + c.fp), r = ratio(c.tp, c.tp + c.fn);
  return ratio((1 + b2) * p * r, b2 * p + r);
}
inline double ber(const Cells& c) {
  return 1 - 0.5 * (ratio(c.tp, c.tp + c.fn) + ratio(c.tn, c.tn + c.fp));
}

/// Fan et al. 2018: mean over the pixels (less one) of (1 + alignment)^2 / 4.
inline double e(const Maps& m, const std::vector<bool>& positive) {
  const auto n = static_cast<double>(m.gt.size());
  double fg = 0, on = 0;
  for (std::size_t i = 0; i < m.gt.size(); ++i) {
    fg += m.gt[i];
    on += positive[i] ? 1 : 0;
  }
  double sum = 0;
  for (std::size_t i = 0; i < m.gt.size(); ++i) {
    const double p = positive[i] ? 1 : 0, g = m.gt[i];
    if (fg == 0) {
      sum += 1 - p;
    } else if (fg == n) {
      sum += p;
    } else {
      const double a = p - on / n, b = g - fg / n;
      const double align = 2 * a * b / (a * a + b * b + 2.220446049250313e-16);
      sum += (1 + align) * (1 + align) / 4;
    }
  }
  return sum / (n - 1 + 2.220446049250313e-16);
}

/// 2 m / (m^2 + 1 + s) of mean and standard deviation, with n - 1.
inline double object_score(const std::vector<double>& v) {
  const double m = mean(v);
  double squares = 0;
  for (const double x : v) squares += (x - m) * (x - m);
  return 2 * m / (m * m + 1 + (v.size() > 1 ? std::sqrt(squares / static_cast<double>(v.size() - 1)) : 0));
}

/// Similarity of one quadrant, columns x0..x1 and rows y0..y1 (the last ones not included).
inline double quadrant(const Maps& m, int x0, int y0, int x1, int y1) {
  std::vector<double> p, g;
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) {
      p.push_back(m.pred[m.at(x, y)]);
      g.push_back(m.gt[m.at(x, y)]);
    }
  }
  if (p.empty()) return 0;
  // A constant over a uniform truth: 1 or 0, as the last bit of numpy's mean has it; not for a naive metric
  // to say.
  const bool constant = std::adjacent_find(p.begin(), p.end(), std::not_equal_to<>()) == p.end();
  const bool uniform = std::adjacent_find(g.begin(), g.end(), std::not_equal_to<>()) == g.end();
  if (constant && uniform && p.front() != 0 && p.front() != 1)
    return std::numeric_limits<double>::quiet_NaN();
  const double x = mean(p), y = mean(g), n = static_cast<double>(p.size()) - 1 + 2.220446049250313e-16;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    xx += (p[i] - x) * (p[i] - x) / n;
    yy += (g[i] - y) * (g[i] - y) / n;
    xy += (p[i] - x) * (g[i] - y) / n;
  }
  const double alpha = 4 * x * y * xy, beta = (x * x + y * y) * (xx + yy);
  // Rounding leaves a little where nothing varies.
  if (std::abs(alpha) > 1e-12) return alpha / beta;
  return beta < 1e-12 ? 1 : 0;
}

/// Fan et al. 2017, alpha = 0.5. NaN where rounding decides.
inline double s(const Maps& m) {
  std::vector<double> fg, bg;
  double cx = 0, cy = 0;
  for (int y = 0; y < m.h; ++y) {
    for (int x = 0; x < m.w; ++x) {
      const bool on = m.gt[m.at(x, y)] != 0;
      if (on) {
        fg.push_back(m.pred[m.at(x, y)]);
        cx += x;
        cy += y;
      } else {
        bg.push_back(1 - m.pred[m.at(x, y)]);
      }
    }
  }
  if (fg.empty()) return mean(bg);
  if (bg.empty()) return mean(fg);
  const auto n = static_cast<double>(m.pred.size()), on = static_cast<double>(fg.size());
  const double object = object_score(fg) * on / n + object_score(bg) * (1 - on / n);
  const int x = static_cast<int>(std::nearbyint(cx / on)) + 1,
            y = static_cast<int>(std::nearbyint(cy / on)) + 1;
  const double region = quadrant(m, 0, 0, x, y) * x * y / n + quadrant(m, x, 0, m.w, y) * (m.w - x) * y / n +
                        quadrant(m, 0, y, x, m.h) * x * (m.h - y) / n +
                        quadrant(m, x, y, m.w, m.h) * (m.w - x) * (m.h - y) / n;
  return std::isnan(region) ? region : std::max(0.0, 0.5 * object + 0.5 * region);
}

/// Margolin et al. 2014, with the nearest foreground pixel found by looking at all of them: the smallest
/// column, then the smallest row, of those that are equally near.
inline double weighted_f(const Maps& m) {
  std::vector<std::pair<int, int>> fg;
  for (int x = 0; x < m.w; ++x) {
    for (int y = 0; y < m.h; ++y) {
      if (m.gt[m.at(x, y)] != 0) fg.emplace_back(x, y);
    }
  }
  if (fg.empty()) return 0;
  std::vector<double> error(m.pred.size()), spread(m.pred.size()), distance(m.pred.size(), 0);
  for (std::size_t i = 0; i < error.size(); ++i) spread[i] = error[i] = std::abs(m.pred[i] - m.gt[i]);
  for (int y = 0; y < m.h; ++y) {
    for (int x = 0; x < m.w; ++x) {
      if (m.gt[m.at(x, y)] != 0) continue;
      int best = std::numeric_limits<int>::max();
      for (const auto& [fx, fy] : fg) {
        const int d = (x - fx) * (x - fx) + (y - fy) * (y - fy);
        if (d >= best) continue;
        best = d;
        spread[m.at(x, y)] = error[m.at(fx, fy)];
      }
      distance[m.at(x, y)] = std::sqrt(best);
    }
  }
  double kernel[7][7], total = 0;
  for (int i = -3; i <= 3; ++i) {
    for (int j = -3; j <= 3; ++j) total += kernel[i + 3][j + 3] = std::exp(-(i * i + j * j) / 50.0);
  }
  double fg_error = 0, bg_error = 0;
  for (int y = 0; y < m.h; ++y) {
    for (int x = 0; x < m.w; ++x) {
      const double err = error[m.at(x, y)];
      if (m.gt[m.at(x, y)] == 0) {
        bg_error += err * (2 - std::exp(std::log(0.5) / 5 * distance[m.at(x, y)]));
        continue;
      }
      double smooth = 0;
      for (int i = -3; i <= 3; ++i) {
        for (int j = -3; j <= 3; ++j) {
          if (x + j < 0 || y + i < 0 || x + j >= m.w || y + i >= m.h) continue;
          smooth += kernel[i + 3][j + 3] / total * spread[m.at(x + j, y + i)];
        }
      }
      fg_error += std::min(err, smooth);
    }
  }
  const auto n = static_cast<double>(fg.size());
  const double recall = 1 - fg_error / n,
               precision = (n - fg_error) / (n - fg_error + bg_error + 2.220446049250313e-16);
  return 2 * recall * precision / (recall + precision + 2.220446049250313e-16);
}

}  // namespace sam2unet::test::naive
