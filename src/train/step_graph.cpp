// libsam2unet-step-graph.so: recorder.h by CUDA graphs.
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/torch/captured_graph.h"
#include "train/recorder.h"

namespace sam2unet::train {
namespace {

class Graph final : public Recording {
 public:
  Graph(c10::MempoolId_t pool, const std::function<void()>& work) : graph_(pool, work) {}
  void replay() override { graph_.replay(); }

 private:
  ops::CapturedGraph graph_;
};

class CudaRecorder final : public Recorder {
 public:
  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
    constexpr int kTimesBefore = 2;
    for (int i = 0; i < kTimesBefore; ++i) work();
    stream.synchronize();
    // What the work took so far goes back, or the graph's memory would come on top of it.
    c10::cuda::CUDACachingAllocator::emptyCache();
    return std::make_unique<Graph>(pool_, work);
  }

 private:
  c10::MempoolId_t pool_ = at::cuda::graph_pool_handle();
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Recorder* sam2unet_make_step_recorder() {
  return std::make_unique<CudaRecorder>().release();
}

}  // namespace sam2unet::train
