// A step's work, recorded once and repeated: on a GPU as a CUDA graph, one launch instead of thousands.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>

namespace sam2unet::train {

class Recording {
 public:
  virtual ~Recording() = default;
  /// The work again, on the same memory, behind what the current stream was given before.
  virtual void replay() = 0;
};

class Recorder {
 public:
  virtual ~Recorder() = default;
  /// Runs `work` a few times, as libraries settle their kernels then, and records it. The work must be the
  /// same every time and keep nothing of what it allocates. Recordings of one recorder share their memory, so
  /// only one runs at a time.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& work) = 0;
};

/// CUDA graphs. It is a library of its own, beside the program, since it links libtorch_cuda; where it is
/// missing or cannot be loaded nullptr, and `why` says so.
std::unique_ptr<Recorder> make_cuda_recorder(std::string& why);

inline constexpr const char* kGraphModule = "libsam2unet-step-graph.so";
inline constexpr const char* kMakeRecorder = "sam2unet_make_step_recorder";
using MakeRecorder = Recorder*();

}  // namespace sam2unet::train
