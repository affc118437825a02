// A network that can be trained: the one of model/network.h on LibTorch, with its tensors by name.
#pragma once

#include "model/network.h"
#include "ops/torch/torch_ops.h"
#include "train/choices.h"

namespace sam2unet::train {

class TrainableNetwork {
 public:
  /// Parameters of `dtype` on `device`. `source` names all tensors but those of up4, which it may lack.
  TrainableNetwork(const model::Config& config, model::WeightSource& source, Freeze freeze,
                   at::ScalarType dtype = at::kFloat, at::Device device = at::kCPU);

  const model::Config& config() const { return network_.config; }
  const ops::ParameterSet& tensors() const { return tensors_; }
  /// Leaves that want gradients, by name, in the order of the tensor table.
  std::vector<ops::ParameterSet::Entry> trainable() const;
  ops::TorchOps& ops() { return ops_; }

  /// [B,H,W,3] normalised -> three logit maps [B,H,W,1] with autograd, BatchNorm by the batch. Does not count
  /// it.
  model::Maps<at::Tensor> forward_training(const at::Tensor& image);
  /// Adds to every BatchNorm's count of batches, which lies on the host and which nothing computes with.
  void count_batches(std::int64_t n);
  /// The same by the running statistics and without gradients; only `out`.
  at::Tensor forward_inference(const at::Tensor& image);

 private:
  ops::ParameterSet tensors_;
  model::Network<ops::TorchWeights> network_;
  ops::TorchOps ops_;
};

}  // namespace sam2unet::train
