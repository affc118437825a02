// The library's own backends, as what Segmenter and verify run where no other device was asked for.
#pragma once

#include <memory>

#include "api/backend.h"
#include "model/config.h"
#include "model/weight_source.h"

namespace sam2unet::api {

/// float32.
std::unique_ptr<Backend> make_cpu_backend(model::WeightSource& source, const model::Config& config,
                                          int threads);
/// bfloat16 or int8, by the fastest instructions of this processor.
std::unique_ptr<Backend> make_low_backend(model::WeightSource& source, const model::Config& config,
                                          int threads, Precision precision);

}  // namespace sam2unet::api
