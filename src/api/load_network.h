// A network of one of the project's own backends for the processor.
#pragma once

#include <utility>

#include "model/config.h"
#include "model/network.h"
#include "model/weight_source.h"
#include "ops/cpu/pack_queue.h"

namespace sam2unet::api {

/// Its weights are read and packed on all cores. `arguments`: what Weights wants between source and queue.
template <class Weights, class... Arguments>
model::Network<Weights> load_network(const model::Config& config, const model::WeightSource& source,
                                     Arguments&&... arguments) {
  config.validate();
  ops::PackQueue queue;
  Weights weights(source, std::forward<Arguments>(arguments)..., &queue);
  auto network = model::Network<Weights>::make(weights, config);
  queue.run();
  return network;
}

}  // namespace sam2unet::api
