// Context measure (Wang et al., arXiv 2512.07076), as PySODMetrics' context_measure.py, class ContextMeasure.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "metrics/sample.h"

namespace sam2unet::metrics {

/// beta^2 of the context measure and of its camouflage variant.
inline constexpr double kContextBeta2 = 1.0;
inline constexpr double kCamouflageBeta2 = 1.2;
inline constexpr double kContextAlpha = 6;

/// The Gaussian that has the shape of the truth: [2 y_radius + 1, 2 x_radius + 1], summing to 1.
struct ContextKernel {
  int y_radius = 1;
  int x_radius = 1;
  std::vector<double> weights;
};

/// Where the foreground lies on a slanted line its covariance is singular and the reference raises; here
/// 2^-26 of the larger variance is added to both variances.
ContextKernel context_kernel(const Sample& sample, double alpha = kContextAlpha);

/// The two maps from which the measure is made; both are kept because the camouflage variant needs them
/// again.
struct ContextMaps {
  double forward = 0;           ///< sum(forward * pred) / (sum(pred) + eps)
  std::vector<double> reverse;  ///< [height, width] completeness over the foreground, 0 elsewhere
};

/// The normalised prediction [height, width] and its sum.
struct PredictionValues {
  int width = 0;
  std::vector<double> values;
  double sum = 0;
  const double* row(int y) const { return values.data() + static_cast<std::ptrdiff_t>(y) * width; }
};
PredictionValues prediction_values(const Sample& sample);

/// Of the sample only the truth is read.
ContextMaps context_maps(const Sample& sample, const PredictionValues& prediction,
                         double alpha = kContextAlpha);

/// `camouflage` is empty or the camouflage degree [height, width], which is zero outside of the foreground.
double context_measure(const Sample& sample, const ContextMaps& maps, double beta2,
                       std::span<const double> camouflage);

}  // namespace sam2unet::metrics
