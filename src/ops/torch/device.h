// The processor that tensors live on, by the name users give it.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace sam2unet::ops {

/// "cpu", "cuda" (the first GPU) or "cuda:N"; loads LibTorch's CUDA library where it is asked for. UsageError
/// for another name, UnavailableError that says what this machine lacks. Messages begin with `called`, or
/// with what training's users typed: "--device NAME".
c10::Device find_device(const std::string& name, const std::string& called = {});

}  // namespace sam2unet::ops
