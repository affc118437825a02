// The backend for a device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/backend.h"
#include "model/config.h"
#include "model/weight_source.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {

/// Packs all weights of `source` for `options.device`; in int8, `kept` layers stay bfloat16. UsageError or
/// UnavailableError if that cannot be had.
std::unique_ptr<Backend> make_backend(model::WeightSource& source, const model::Config& config,
                                      const SegmenterOptions& options,
                                      const std::vector<std::string>& kept = {});

}  // namespace sam2unet::api
