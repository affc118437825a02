// The network on an NVIDIA GPU, for inference.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "api/backend.h"
#include "model/network.h"
#include "ops/cuda/cuda_ops.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cuda_plugin {

class CudaBackend final : public api::Backend {
 public:
  CudaBackend(model::WeightSource& source, const model::Config& config, const SegmenterOptions& options);
  ~CudaBackend() override;
  void run(const api::BackendInput& input, const api::UseLogits& use,
           const api::TraceValues& trace) const override;
  api::BackendInfo info() const override;

 private:
  // What one size and batch of input needs: memory on both sides, and the forward pass, recorded.
  struct Recording {
    ops::cuda::Memory host_input, input;  // [b,h,w,3] bytes, or float32 of values
    ops::cuda::Memory host_logits;        // [b,h,w,K] float32
    ops::cuda::CudaTensor logits;         // the graph's result
    std::unique_ptr<ops::cuda::Graph> graph;
  };
  // A stream with its memory. Several work at once, so that copies and small kernels of one fill what another
  // leaves idle.
  struct Session {
    explicit Session(const ops::cuda::DeviceInfo& device, ops::cuda::Element element)
        : ops(device, element) {}
    ops::cuda::CudaOps ops;
    std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t, bool>, Recording> recordings;
  };
  class Lease;

  Recording& recording(Session& session, const api::BackendInput& input) const;
  ops::cuda::CudaTensor input_tensor(Session& session, const Recording& r,
                                     const api::BackendInput& input) const;
  void trace_forward(Session& session, Recording& r, const api::BackendInput& input,
                     const api::TraceValues& trace) const;

  ops::cuda::DeviceInfo device_;
  ops::cuda::Element element_;
  ops::cuda::DeviceStore store_;
  model::Network<ops::cuda::CudaWeights> network_;
  mutable std::mutex mutex_;
  mutable std::condition_variable given_back_;
  mutable std::vector<std::unique_ptr<Session>> idle_;
  mutable int sessions_ = 0;
};

}  // namespace sam2unet::cuda_plugin
