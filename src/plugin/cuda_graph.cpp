#include "plugin/cuda_graph.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>
#include <optional>

#include "ops/torch/captured_graph.h"

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
      graph_.emplace(c10::MempoolId_t{0, 0}, work);
    }
    stream.synchronize();
  }
  void replay() override { graph_->replay(); }

 private:
  std::optional<ops::CapturedGraph> graph_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) CudaGraph* sam2unet_record_cuda_graph(
    const std::function<void()>& work) {
  return std::make_unique<Recorded>(work).release();
}

}  // namespace sam2unet::plugin
