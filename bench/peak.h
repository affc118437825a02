// The processor's fused multiply-add peak, measured: the denominator of every speed we state.
#pragma once

namespace sam2unet::bench {

/// Floating-point operations in fused multiply-adds of `threads` cores at once, in 1e9 per second.
double peak_gflops(int threads);

}  // namespace sam2unet::bench
