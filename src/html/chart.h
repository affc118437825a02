// Line charts as SVG text.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sam2unet::html {

struct ChartLine {
  std::string label;
  std::vector<double> x, y;  ///< points that are no numbers are left out
  std::size_t color = 0;     ///< of line_color
  bool is_faint = false;     ///< thin and pale, behind what matters
};

enum class Scale { linear, logarithmic };

struct Chart {
  std::string title, x_label, y_label;
  double x_min = 0, x_max = 1;
  double y_min = 0, y_max = 1;
  Scale y_scale = Scale::linear;
  std::optional<double> mark = std::nullopt;  ///< an upright line at this x
  std::vector<ChartLine> lines = {};

  /// Widens the axes to all points, with round ends; where there are none to be shown y stays as it is, a
  /// logarithmic one is a decade.
  void fit();
};

std::string to_svg(const Chart& chart);

/// The colour of the n-th line, of a palette that colour-blind readers can tell apart.
std::string line_color(std::size_t n);

/// What the lines are, by colour: a list of labels.
std::string legend(const std::vector<ChartLine>& lines);

}  // namespace sam2unet::html
