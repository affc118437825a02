// A prediction of floating-point values and its truth, for maps that are no 8-bit grey levels: what
// PySODMetrics computes of them, in its own arithmetic. Slower than what `Sample` does, and without its
// limits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/bitmap.h"
#include "metrics/curves.h"
#include "metrics/sample.h"

namespace sam2unet::metrics {

/// How the values came: sums, products and comparisons are rounded as numpy rounds them in that type.
enum class FieldType { f32, f64 };

struct Field {
  int width = 0;
  int height = 0;
  FieldType type = FieldType::f64;
  std::vector<double> value;  ///< [height, width]; NaN, infinities and values outside of [0, 1] are allowed
  Sample quantized;           ///< (value * 255).astype(uint8), and the truth
  double adaptive = 0;        ///< min(2 mean, 1); NaN if the mean is

  std::int64_t pixels() const { return std::int64_t{width} * height; }
  const double* row(int y) const { return value.data() + static_cast<std::ptrdiff_t>(y) * width; }
  bool truth(int x, int y) const { return quantized.truth_row(y)[x] != 0; }

  /// `value` is [height, width], of floats where the type says so; `truth` is not 0 where foreground is.
  void assign(std::span<const double> values, FieldType values_type, const ImageView& truth);
};

/// What all threshold metrics need of a picture, or of one target in it.
struct ThresholdCounts {
  LevelCounts counts;  ///< over the quantized levels
  std::int64_t foreground = 0;
  std::int64_t background = 0;
  Confusion adaptive;
  Confusion binary;
};

ThresholdCounts threshold_counts(const Sample& sample);
ThresholdCounts threshold_counts(const Field& field);

/// The field with zeros where the mask is 0: [height, width] bytes. For size-invariant measures.
ThresholdCounts threshold_counts_in(const Field& field, std::span<const std::uint8_t> mask);
/// Sum of |value - truth| where the mask is not 0 (all others add a zero to numpy's sum).
double error_sum_in(const Field& field, std::span<const std::uint8_t> mask);

/// mean(|value - truth|), a float's value where the field is of floats.
double mean_absolute_error(const Field& field);
/// In double whatever the field's type: PySODMetrics mixes types in a way that hangs on numpy's version.
double s_measure(const Field& field, double alpha);
/// 0 where the truth is empty.
double weighted_f(const Field& field, double beta);

/// The pixels where `above(value)`, as a mask.
Bitmap adaptive_mask(const Field& field);
Bitmap binary_mask(const Field& field);

}  // namespace sam2unet::metrics
