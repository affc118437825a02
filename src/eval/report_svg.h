// Line charts as SVG text.
#pragma once

#include <string>
#include <vector>

namespace sam2unet::eval {

struct ChartLine {
  std::string label;
  std::vector<double> x, y;
};

struct Chart {
  std::string title, x_label, y_label;
  double x_max = 1;  ///< the axes start at 0; y ends at 1
  std::vector<ChartLine> lines;
};

std::string to_svg(const Chart& chart);

/// The colour of the n-th line or method, of a palette that colour-blind readers can tell apart.
std::string line_color(std::size_t n);

/// For text between tags and in attributes.
std::string escaped(const std::string& text);

}  // namespace sam2unet::eval
