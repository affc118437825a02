#include "plugin/cuda_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>

namespace sam2unet::plugin {
namespace {

class Recorded final : public CudaGraph {
 public:
  explicit Recorded(const std::function<void()>& work) {
    // Recording is not possible on the default stream.
    const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
    const c10::cuda::CUDAStream before = c10::cuda::getCurrentCUDAStream();
    before.synchronize();
    {
      const c10::cuda::CUDAStreamGuard guard(stream);
      for (int i = 0; i < 3; ++i) work();
      stream.synchronize();
      // Other threads may go on using the device meanwhile.
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      try {
        work();
      } catch (...) {
        end_quietly();
        throw;
      }
      graph_.capture_end();
    }
    stream.synchronize();
  }
  void replay() override { graph_.replay(); }

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

}  // namespace

extern "C" __attribute__((visibility("default"))) CudaGraph* sam2unet_record_cuda_graph(
    const std::function<void()>& work) {
  return std::make_unique<Recorded>(work).release();
}

}  // namespace sam2unet::plugin
