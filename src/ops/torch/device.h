// The processor that tensors live on, by the name users give it.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>

#include <optional>
#include <string>

namespace sam2unet::ops {

/// "cpu", "cuda" (the first GPU) or "cuda:N"; loads LibTorch's CUDA library where it is asked for. UsageError
/// for another name, UnavailableError that says what this machine lacks. Messages begin with `called`, as
/// whoever asked would say it.
c10::Device find_device(const std::string& name, const std::string& called);

/// As long as it lives, this thread's work on a GPU goes to a stream of its own: the default one cannot be
/// recorded. Nothing on the CPU.
class OwnStream {
 public:
  explicit OwnStream(c10::Device device);

 private:
  std::optional<c10::StreamGuard> guard_;
};

}  // namespace sam2unet::ops
