// What one way of predicting brings over another on the same pictures.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "sam2unet/class_metrics.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// The mean over the pictures of a value's difference.
struct Gain {
  std::string key;
  std::size_t pictures = 0;  ///< that have the value both ways
  double without = 0.0, with = 0.0, difference = 0.0;
  /// 95 % bootstrap interval of the difference, drawn over pairs; NaN: none.
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

/// Of every value that pictures have, in the order of their keys; those that no picture has both ways are
/// left out. Pictures pair by their ground truth. Resamples and seed are those of `with`.
SAM2UNET_API std::vector<Gain> paired_gains(const Evaluation& with, const Evaluation& without);
SAM2UNET_API std::vector<Gain> paired_gains(const ClassEvaluation& with, const ClassEvaluation& without);

}  // namespace sam2unet
