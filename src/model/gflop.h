// How much work a network is at a size of input.
#pragma once

#include "model/network.h"
#include "ops/counting_ops.h"

namespace sam2unet::model {

/// Operations in 1e9, a multiply-add as two, without padding. `input` [b,h,w,3].
inline double network_gflop(const Config& config, const ops::Extent& input) {
  ops::CountingWeights weights;
  ops::CountingOps counter;
  const auto net = Network<ops::CountingWeights>::make(weights, config);
  sam2unet(counter, net, ops::Counted{input});
  return 2e-9 * counter.multiply_adds();
}

}  // namespace sam2unet::model
