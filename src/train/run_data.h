// What a run learns from, checked, and alike on all processes.
#pragma once

#include "model/config.h"
#include "train/data.h"
#include "train/parallel.h"

namespace sam2unet::train {

struct RunData {
  Data pairs;
  std::string fingerprint;  ///< of the names of all pictures, in their order
};

/// Finds and checks the pictures of the settings. Collective: every process looks for itself, and UsageError
/// says where what they keep, or their settings, differ.
RunData checked_data(const Settings& settings, const model::Config& config, const Notes& note, Group& group,
                     const ClassTable* classes = nullptr);

}  // namespace sam2unet::train
