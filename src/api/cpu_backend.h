// The library's own backends, as what Segmenter and verify run where no other device was asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/backend.h"
#include "model/config.h"
#include "model/weight_source.h"
#include "ops/lowp/instructions.h"

namespace sam2unet::api {

/// How the device cpu's threads are shared out.
struct ThreadShares {
  int streams = 1;  ///< passes at a time
  int threads = 0;  ///< of each; 0 means all cores
};
/// `options` have a precision that is in effect.
ThreadShares thread_shares(const SegmenterOptions& options);

/// float32.
std::unique_ptr<Backend> make_cpu_backend(model::WeightSource& source, const model::Config& config,
                                          const ThreadShares& shares);
/// Of bf16 and int8.
inline ops::lowp::LowPrecision low_precision(Precision precision) {
  return precision == Precision::int8 ? ops::lowp::LowPrecision::int8 : ops::lowp::LowPrecision::bf16;
}
/// bfloat16 or int8; `kept` as LowWeights has it.
std::unique_ptr<Backend> make_low_backend(model::WeightSource& source, const model::Config& config,
                                          const ThreadShares& shares, const ops::lowp::Numerics& numerics,
                                          const std::vector<std::string>& kept = {});

}  // namespace sam2unet::api
