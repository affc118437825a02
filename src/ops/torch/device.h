// The processor that tensors live on, by the name users give it.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace sam2unet::ops {

/// "cpu", "cuda" (the first GPU) or "cuda:N"; loads LibTorch's CUDA library where it is asked for. UsageError
/// for another name, UnavailableError that says what this machine lacks.
c10::Device find_device(const std::string& name);

}  // namespace sam2unet::ops
