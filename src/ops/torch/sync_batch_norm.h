// BatchNorm by the statistics of several processes' batches, as if one process had them all.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace sam2unet::ops {

/// [K] of this process -> [processes, K], in an order all agree on.
using GatherRows = std::function<at::Tensor(const at::Tensor&)>;

struct BatchMoments {
  at::Tensor mean, variance;  // [C], the variance biased
  at::Tensor count;           // [1], pixels of all processes
};

/// Of [B,C,H,W] over all processes; without gradients. Each process's mean and squared deviations from it are
/// combined, which loses nothing where the mean is large against the deviation, as sums of squares would.
BatchMoments batch_moments(const at::Tensor& planes, const GatherRows& gather);

/// (x - mean) / sqrt(variance + eps) weight + bias, with the gradients of statistics that depend on every
/// process's x. The parameters' gradients are this process's part, to be summed as all gradients are.
at::Tensor sync_batch_norm(const at::Tensor& planes, const at::Tensor& weight, const at::Tensor& bias,
                           const BatchMoments& moments, double eps, const GatherRows& gather);

}  // namespace sam2unet::ops
