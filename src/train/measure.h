// What the memory model is checked against.
#pragma once

#include <cstdint>

#include "train/plan.h"

namespace sam2unet::train {

/// Peak of live tensor bytes over two real training steps (one at each size, where there are more) on the
/// CPU, network and optimizer included.
std::int64_t measured_peak(const model::Config& config, const Settings& settings);

}  // namespace sam2unet::train
