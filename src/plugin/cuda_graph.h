// Work of a GPU recorded once and repeated: one launch per picture instead of a thousand. The implementation
// is a library of its own, libsam2unet_torch_cuda.so, since it links libtorch_cuda.
#pragma once

#include <functional>

namespace sam2unet::plugin {

class CudaGraph {
 public:
  virtual ~CudaGraph() = default;
  /// Repeats the work on the same memory, on the current stream.
  virtual void replay() = 0;
};

/// The library's one function: runs `work` a few times, as libraries choose their kernels then, and records
/// it. The graph is the caller's.
using RecordCudaGraph = CudaGraph*(const std::function<void()>& work);
inline constexpr const char* kRecordCudaGraph = "sam2unet_record_cuda_graph";

}  // namespace sam2unet::plugin
