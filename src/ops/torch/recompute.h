// Parts of the network whose intermediate values are computed again for the gradients instead of being kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace sam2unet::ops {

using Part = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

/// part(inputs), of which only the inputs are kept. The gradients, by the inputs and by every parameter that
/// the part uses, come from calling `again` with the same inputs in the backward pass; `again` must give the
/// same values and have no lasting effects. One or two inputs.
at::Tensor recomputed(const Part& part, const Part& again, const std::vector<at::Tensor>& inputs);

}  // namespace sam2unet::ops
