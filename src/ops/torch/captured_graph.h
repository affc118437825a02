// A CUDA graph of LibTorch's, for the modules that link its CUDA library.
#pragma once

#include <ATen/cuda/CUDAGraph.h>

#include <functional>

namespace sam2unet::ops {

/// `work` of the current stream, which may not be the default one, recorded with its memory in `pool` ({0,
/// 0}: a pool of its own). Other threads may go on using the device meanwhile.
class CapturedGraph {
 public:
  CapturedGraph(c10::MempoolId_t pool, const std::function<void()>& work) {
    graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      end_quietly();
      throw;
    }
    graph_.capture_end();
  }
  void replay() { graph_.replay(); }

 private:
  // A stream that records cannot be used for anything else.
  void end_quietly() {
    try {
      graph_.capture_end();
    } catch (...) {
    }
  }

  at::cuda::CUDAGraph graph_;
};

}  // namespace sam2unet::ops
