// The metrics of `eval` on the validation pictures.
#pragma once

#include <filesystem>
#include <limits>

#include "train/dataset.h"
#include "train/network.h"

namespace sam2unet::train {

/// Means over the pictures; NaN where nothing was validated.
struct Validation {
  double mae = std::numeric_limits<double>::quiet_NaN();
  double s_measure = std::numeric_limits<double>::quiet_NaN();
  double weighted_f = std::numeric_limits<double>::quiet_NaN();
};

/// Predicts each picture, and scores the map at the ground truth's own size. The first few are written to
/// `pictures` as picture, ground truth and prediction side by side.
Validation validate(TrainableNetwork& net, const std::vector<Pair>& pairs, int size, at::ScalarType type,
                    at::Device device, const std::filesystem::path& pictures);

}  // namespace sam2unet::train
