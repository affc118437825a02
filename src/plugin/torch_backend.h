// The network on LibTorch, for inference.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "api/backend.h"
#include "model/network.h"
#include "ops/torch/torch_ops.h"
#include "plugin/cuda_graph.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::plugin {

/// What LibTorch calls the device "cuda-torch:N" or "torch-cpu"; "cpu" and "cuda:N" are themselves.
at::Device find_torch_device(const std::string& name);

class TorchBackend final : public api::Backend {
 public:
  /// Weights go to the device once, in the type that is computed in.
  TorchBackend(model::WeightSource& source, const model::Config& config, const SegmenterOptions& options);
  void run(const api::BackendInput& input, const api::UseLogits& use,
           const api::TraceValues& trace) const override;
  api::BackendInfo info() const override;

 private:
  // Memory of one size of input and batch, and on a GPU the recorded forward pass over it; made when the size
  // is first seen.
  struct Recording {
    at::Tensor host_input,
        input;  // [b,h,w,3] float32: the caller's (pinned where there is a GPU), the device's
    at::Tensor host_logits, logits;  // [b,h,w,K] float32
    std::unique_ptr<CudaGraph> graph;
  };

  Recording& recording(const ops::Extent& input) const;
  void forward(Recording& recording) const;
  void forward_traced(Recording& recording, const api::TraceValues& trace) const;

  int threads_;
  at::Device device_;
  at::ScalarType type_;
  bool tf32_;  // of float32 products and convolutions, only the bits that tensor cores take
  model::Network<ops::TorchWeights> network_;
  mutable std::mutex mutex_;  // one picture at a time: a device is not made faster by more
  mutable std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, Recording> recordings_;
};

}  // namespace sam2unet::plugin
