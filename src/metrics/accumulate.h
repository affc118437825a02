// A picture's scores as one row of numbers whose weighted sum over pictures holds every value of the data
// set. That makes a resampled data set a matrix product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "metrics/record.h"
#include "metrics/value_table.h"

namespace sam2unet::metrics {

/// Columns of a row.
std::size_t row_size();
/// Writes the row of one picture.
void fill_row(const ImageScores& scores, std::span<double> row);
/// Values in the order of value_table() from the sum of rows; NaN where nothing was computed.
std::vector<double> values_of(std::span<const double> sum);
/// Mean curve over the pictures from the sum of rows, entry i for the threshold 255 - i.
std::vector<double> mean_curve(std::span<const double> sum, CurveOf curve, std::size_t index);

/// sums[r] += weights[i * resamples + r] * rows[i] for the resamples from r0 to r1 (the last not included).
/// rows is [images, row_size()], weights [images, resamples], sums [r1 - r0, row_size()].
void add_weighted(std::span<const double> rows, std::span<const std::uint16_t> weights, std::size_t resamples,
                  std::size_t r0, std::size_t r1, std::span<double> sums);

}  // namespace sam2unet::metrics
