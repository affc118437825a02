// BatchNorm after a convolution is the convolution with other weights.
#pragma once

#include <string>
#include <vector>

#include "model/weight_source.h"

namespace sam2unet::model {

/// gamma (W x - mean) / sqrt(variance + 1e-5) + beta = (s W) x + (beta - s mean): scales `weight` [out, ...]
/// and returns the bias [out].
std::vector<float> fold_batch_norm(WeightSource& source, const std::string& bn, int out,
                                   std::vector<float>& weight);

}  // namespace sam2unet::model
