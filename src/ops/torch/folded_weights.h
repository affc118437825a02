// Packed weights for inference: in the type that is computed in, BatchNorm folded into its convolution.
#pragma once

#include "ops/torch/torch_weights.h"

namespace sam2unet::ops {

/// Makes TorchWeights' packed types from a checkpoint. Nothing is cast or reordered when they are used.
class FoldedTorchWeights {
 public:
  using PatchEmbed = TorchWeights::PatchEmbed;
  using Position = TorchWeights::Position;
  using Norm = TorchWeights::Norm;
  using Linear = TorchWeights::Linear;
  using ConvBn = TorchWeights::ConvBn;
  using ConvBnFan = TorchWeights::ConvBnFan;

  /// `type`: float64, float32 or bf16.
  FoldedTorchWeights(model::WeightSource& source, at::ScalarType type, at::Device device)
      : source_(source), type_(type), device_(device) {}

  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  at::Tensor read(const std::string& name, const Shape& shape);
  at::Tensor packed(const at::Tensor& t) const;

  model::WeightSource& source_;
  at::ScalarType type_;
  at::Device device_;
};
static_assert(WeightMaker<FoldedTorchWeights>);

}  // namespace sam2unet::ops
