// BatchNorm after a convolution is the convolution with other weights.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/weight_source.h"

namespace sam2unet::model {

/// gamma (W x - mean) / sqrt(variance + 1e-5) + beta = (s W) x + (beta - s mean): scales `weight` [out, ...]
/// and returns the bias [out].
std::vector<float> fold_batch_norm(const WeightSource& source, const std::string& bn, int out,
                                   std::span<float> weight);

/// 1x1 convolutions over one input, each with its BatchNorm folded in, as one.
struct FoldedFan {
  std::vector<float> weight, bias;  // [names out, in], [names out]
};
FoldedFan fold_fan(const WeightSource& source, std::span<const std::string> names, int in, int out);

}  // namespace sam2unet::model
