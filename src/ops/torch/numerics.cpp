#include "ops/torch/numerics.h"

#include <ATen/Context.h>

#include <cstdlib>

namespace sam2unet::ops {

// Products go through LibTorch's older setter, which keeps its two records of them equal: where they differ,
// some of its versions refuse to compute.
void set_float32_numerics(bool tf32) {
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(tf32);
  context.setAllowTF32CuDNN(tf32);
}

void use_deterministic_algorithms() {
  // cuBLAS is deterministic with a workspace of fixed size only; read when it starts.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

}  // namespace sam2unet::ops
