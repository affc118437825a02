// What `Precision::automatic` means for given weights on this processor.
#pragma once

#include <string>
#include <vector>

#include "api/device.h"
#include "model/gates.h"
#include "ops/lowp/instructions.h"

namespace sam2unet::api {

struct PrecisionChoice {
  Precision precision = Precision::f32;  ///< in effect
  std::vector<std::string> kept;         ///< of int8: layers that stay bfloat16
  std::string why;                       ///< where `automatic` was asked for, in words
};

/// What this processor computes a low precision with.
struct Processor {
  ops::lowp::Numerics bf16 = ops::lowp::best_numerics(ops::lowp::LowPrecision::bf16);
  ops::lowp::Numerics int8 = ops::lowp::best_numerics(ops::lowp::LowPrecision::int8);
};

/// UsageError as `precision_on`.
PrecisionChoice choose_precision(DeviceKind device, Precision wanted, const model::StoredGates& stored,
                                 const Processor& processor = {});

}  // namespace sam2unet::api
