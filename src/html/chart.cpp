#include "html/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "html/page.h"

namespace sam2unet::html {

namespace {

constexpr double kWidth = 430, kHeight = 330;
constexpr double kLeft = 54, kRight = 14, kTop = 30, kBottom = 44;
constexpr std::size_t kPointsWithDots = 40;  // longer lines are lines enough

double place_x(const Chart& c, double x) {
  return kLeft + (x - c.x_min) / (c.x_max - c.x_min) * (kWidth - kLeft - kRight);
}

double place_y(const Chart& c, double y) {
  const auto height = [&](double v) { return c.y_scale == Scale::logarithmic ? std::log10(v) : v; };
  const double part = (height(y) - height(c.y_min)) / (height(c.y_max) - height(c.y_min));
  return kHeight - kBottom - std::clamp(part, 0.0, 1.0) * (kHeight - kTop - kBottom);
}

// 1, 2 or 5 times a power of ten: at most five steps from end to end.
double step_of(double length) {
  const double power = std::pow(10.0, std::floor(std::log10(length / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (length / (factor * power) <= 5 + 1e-9) return factor * power;
  }
  return 10 * power;
}

std::vector<double> ticks(double min, double max) {
  const double step = step_of(max - min);
  std::vector<double> out;
  // Whole multiples, so that 0.6 is not 0.6000000000000001.
  for (auto n = static_cast<std::int64_t>(std::ceil(min / step - 1e-9));
       static_cast<double>(n) * step <= max + step * 1e-9; ++n)
    out.push_back(static_cast<double>(n) * step);
  return out;
}

std::vector<double> y_ticks(const Chart& c) {
  if (c.y_scale == Scale::linear) return ticks(c.y_min, c.y_max);
  if (!(c.y_min > 0)) return {};  // decades without end
  const int first = static_cast<int>(std::ceil(std::log10(c.y_min) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(c.y_max) + 1e-9));
  std::vector<double> out;
  const int step = std::max(1, (last - first) / 6);
  for (int n = first; n <= last; n += step) out.push_back(std::pow(10.0, n));
  return out;
}

std::string axes(const Chart& c) {
  std::string out;
  const double bottom = kHeight - kBottom;
  for (const double v : ticks(c.x_min, c.x_max)) {
    const double x = place_x(c, v);
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>",
                       x, bottom, kTop);
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g}</text>", x, bottom + 16, v);
  }
  for (const double v : y_ticks(c)) {
    const double y = place_y(c, v);
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{2:.1f}\" x2=\"{1:.1f}\" y2=\"{2:.1f}\"/>",
                       kLeft, kWidth - kRight, y);
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>", kLeft - 6, y + 4, v);
  }
  out += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"18\" text-anchor=\"middle\">{}</text>",
                     kWidth / 2, escaped(c.title));
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                     (kLeft + kWidth - kRight) / 2, kHeight - 10, escaped(c.x_label));
  out += fmt::format("<text transform=\"translate(13 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                     (kTop + kHeight - kBottom) / 2, escaped(c.y_label));
  return out;
}

bool is_shown(const Chart& c, const ChartLine& line, std::size_t i) {
  return std::isfinite(line.x[i]) && std::isfinite(line.y[i]) &&
         (c.y_scale == Scale::linear || line.y[i] > 0);
}

std::string curve(const Chart& c, const ChartLine& line) {
  std::string points, dots;
  std::size_t count = 0;
  for (std::size_t i = 0; i < std::min(line.x.size(), line.y.size()); ++i) {
    if (!is_shown(c, line, i)) continue;
    const double x = place_x(c, line.x[i]), y = place_y(c, line.y[i]);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\" style=\"fill:{}\"/>", x, y,
                        line_color(line.color));
    ++count;
  }
  const bool has_dots = !line.is_faint && count <= kPointsWithDots;  // a single point makes no line
  return fmt::format(
      "<polyline class=\"curve{}\" style=\"stroke:{}\" points=\"{}\"><title>{}</title></polyline>{}",
      line.is_faint ? " faint" : "", line_color(line.color), points, escaped(line.label),
      has_dots ? dots : std::string());
}

}  // namespace

void Chart::fit() {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double left = kNone, right = -kNone, low = kNone, high = -kNone;
  for (const ChartLine& line : lines) {
    for (std::size_t i = 0; i < std::min(line.x.size(), line.y.size()); ++i) {
      if (!is_shown(*this, line, i)) continue;
      left = std::min(left, line.x[i]);
      right = std::max(right, line.x[i]);
      low = std::min(low, line.y[i]);
      high = std::max(high, line.y[i]);
    }
  }
  if (left > right) {
    if (y_scale == Scale::logarithmic) y_min = 1, y_max = 10;  // zero has no place on it
    return;
  }
  x_min = left;
  x_max = right > left ? right : left + 1;
  if (y_scale == Scale::logarithmic) {
    y_min = std::pow(10.0, std::floor(std::log10(low)));
    y_max = std::pow(10.0, std::ceil(std::log10(high)));
    if (y_max <= y_min) y_max = 10 * y_min;
    return;
  }
  if (high - low < 1e-9 * std::max(1.0, std::abs(high))) {
    const double room = std::max(0.01, 0.05 * std::abs(high));
    low -= room;
    high += room;
  }
  const double step = step_of(high - low);
  y_min = std::floor(low / step) * step;
  y_max = std::ceil(high / step) * step;
}

std::string line_color(std::size_t n) {
  static constexpr std::array kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                         "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f"};
  return kColors[n % kColors.size()];
}

std::string legend(const std::vector<ChartLine>& lines) {
  std::string out = "<ul class=\"legend\">";
  for (const ChartLine& line : lines) {
    out += fmt::format("<li><span style=\"background:{}\"></span>{}</li>", line_color(line.color),
                       escaped(line.label));
  }
  return out + "</ul>";
}

std::string to_svg(const Chart& c) {
  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight,
                                escaped(c.title));
  out += axes(c);
  if (c.mark && *c.mark >= c.x_min && *c.mark <= c.x_max) {
    out += fmt::format("<line class=\"mark\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>",
                       place_x(c, *c.mark), kHeight - kBottom, kTop);
  }
  for (const bool faint : {true, false}) {
    for (const ChartLine& line : c.lines) {
      if (line.is_faint == faint) out += curve(c, line);
    }
  }
  return out + "</svg>";
}

}  // namespace sam2unet::html
