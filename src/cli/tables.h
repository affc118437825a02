// Columns of text.
#pragma once

#include <string>
#include <vector>

namespace sam2unet::cli {

using Row = std::vector<std::string>;

/// Rows of equally many cells on standard output: the first column to the left, the others to the right.
void print_table(const std::vector<Row>& rows);

/// Three digits, or "-" where there is no number.
std::string number(double value);

}  // namespace sam2unet::cli
