#include "tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace sam2unet::cli {
namespace {

// Characters, not bytes: UTF-8's continuation bytes take no room.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

enum class Align { left, right };

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::size_t own = width_of(text);
  const std::string fill(width > own ? width - own : 0, ' ');
  return align == Align::left ? text + fill : fill + text;
}

}  // namespace

void print_table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c)
      line += (c == 0 ? "" : "  ") + padded(row[c], widths[c], c == 0 ? Align::left : Align::right);
    while (!line.empty() && line.back() == ' ') line.pop_back();
    std::printf("%s\n", line.c_str());
  }
}

std::string number(double v) {
  if (!std::isfinite(v)) return "-";
  char text[400];
  std::snprintf(text, sizeof text, "%.3f", v);
  return text;
}

}  // namespace sam2unet::cli
