// What the processor's instructions can do at best, measured: the denominator of every speed we state.
#pragma once

#include "ops/lowp/instructions.h"
#include "ops/lowp/kernels.h"

namespace sam2unet::ops::lowp {

/// Operations (a multiply-add is two) of `threads` cores at once, in 1e9 per second; 0 where the processor
/// has no such instruction. Some milliseconds: the largest of several calls is the peak.
double peak_gops(Way way, int threads);

/// The largest of what a precision may use.
double peak_gops(const Numerics& numerics, int threads);

}  // namespace sam2unet::ops::lowp
