#include "eval/report_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace sam2unet::eval {

namespace {

constexpr double kWidth = 430, kHeight = 330;
constexpr double kLeft = 48, kRight = 14, kTop = 30, kBottom = 44;

double place_x(const Chart& c, double x) {
  return kLeft + x / c.x_max * (kWidth - kLeft - kRight);
}
double place_y(double y) {
  return kHeight - kBottom - std::clamp(y, 0.0, 1.0) * (kHeight - kTop - kBottom);
}

std::string axes(const Chart& c) {
  std::string out;
  for (int k = 0; k <= 5; ++k) {
    const double part = k / 5.0;
    const double x = place_x(c, part * c.x_max), y = place_y(part);
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>",
                       x, place_y(0), place_y(1));
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{2:.1f}\" x2=\"{1:.1f}\" y2=\"{2:.1f}\"/>",
                       kLeft, kWidth - kRight, y);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:g}</text>", x,
                       place_y(0) + 16, part * c.x_max);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.1f}</text>", kLeft - 6, y + 4,
                       part);
  }
  out += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"18\" text-anchor=\"middle\">{}</text>",
                     kWidth / 2, escaped(c.title));
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                     (kLeft + kWidth - kRight) / 2, kHeight - 10, escaped(c.x_label));
  out += fmt::format("<text transform=\"translate(13 {:.1f}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                     (kTop + kHeight - kBottom) / 2, escaped(c.y_label));
  return out;
}

}  // namespace

std::string line_color(std::size_t n) {
  static constexpr std::array kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                         "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f"};
  return kColors[n % kColors.size()];
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string to_svg(const Chart& c) {
  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight,
                                escaped(c.title));
  out += axes(c);
  for (std::size_t n = 0; n < c.lines.size(); ++n) {
    const ChartLine& line = c.lines[n];
    std::string points;
    for (std::size_t i = 0; i < line.x.size(); ++i) {
      if (!std::isfinite(line.x[i]) || !std::isfinite(line.y[i])) continue;
      points += fmt::format("{:.1f},{:.1f} ", place_x(c, line.x[i]), place_y(line.y[i]));
    }
    out += fmt::format(
        "<polyline class=\"curve\" style=\"stroke:{}\" points=\"{}\"><title>{}</title></polyline>",
        line_color(n), points, escaped(line.label));
  }
  return out + "</svg>";
}

}  // namespace sam2unet::eval
