#include "ops/torch/folded_weights.h"

#include <ATen/ATen.h>

namespace sam2unet::ops {

at::Tensor FoldedTorchWeights::read(const std::string& name, const Shape& shape) {
  const auto values = source_.read(name, shape);
  // from_blob does not write; the values are copied.
  return at::from_blob(const_cast<float*>(values.data()),
                       std::vector<std::int64_t>(shape.begin(), shape.end()), at::kFloat)
      .to(at::kDouble);
}

// Kernels in the order of the activations, [N,kh,kw,K] in memory.
at::Tensor FoldedTorchWeights::packed(const at::Tensor& t) const {
  const auto format = t.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  return t.to(at::TensorOptions(type_).device(device_), /*non_blocking=*/false, /*copy=*/true, format);
}

FoldedTorchWeights::PatchEmbed FoldedTorchWeights::patch_embed(const std::string& name, int in, int out) {
  return {packed(read(name + ".weight", {out, in, 7, 7})), packed(read(name + ".bias", {out}))};
}

// The position is interpolated for each size of picture, in float32 at least.
FoldedTorchWeights::Position FoldedTorchWeights::position(const std::string& prefix, int dim,
                                                          std::array<int, 2> size, int window) {
  const auto options = at::TensorOptions(type_ == at::kDouble ? at::kDouble : at::kFloat).device(device_);
  return {read(prefix + ".pos_embed", {1, dim, size[0], size[1]}).to(options),
          read(prefix + ".pos_embed_window", {1, dim, window, window}).to(options)};
}

FoldedTorchWeights::Norm FoldedTorchWeights::norm(const std::string& name, int dim) {
  return {packed(read(name + ".weight", {dim})), packed(read(name + ".bias", {dim}))};
}

FoldedTorchWeights::Linear FoldedTorchWeights::linear(const std::string& name, int in, int out) {
  return {packed(read(name + ".weight", {out, in})), packed(read(name + ".bias", {out}))};
}

FoldedTorchWeights::Linear FoldedTorchWeights::pointwise(const std::string& name, int in, int out) {
  return {packed(read(name + ".weight", {out, in, 1, 1}).reshape({out, in})),
          packed(read(name + ".bias", {out}))};
}

// gamma (W x - mean) / sqrt(variance + eps) + beta = (s W) x + (beta - s mean), s = gamma / sqrt(variance +
// eps)
FoldedTorchWeights::ConvBn FoldedTorchWeights::conv_bn(const std::string& conv, const std::string& bn, int in,
                                                       int out, Kernel kernel) {
  const at::Tensor scale =
      read(bn + ".weight", {out}) * at::rsqrt(read(bn + ".running_var", {out}) + kBatchEps);
  const at::Tensor shift = read(bn + ".bias", {out}) - scale * read(bn + ".running_mean", {out});
  const at::Tensor weight =
      read(conv + ".weight", {out, in, kernel.h, kernel.w}) * scale.reshape({out, 1, 1, 1});
  return {kernel, packed(weight), {}, packed(shift)};
}

FoldedTorchWeights::ConvBnFan FoldedTorchWeights::conv_bn_fan(const std::array<std::string, kFan>& names,
                                                              int in, int out) {
  std::vector<at::Tensor> weights, biases;
  for (const auto& name : names) {
    const ConvBn part = conv_bn(name + ".conv", name + ".bn", in, out, {});
    weights.push_back(part.weight);
    biases.push_back(part.bias);
  }
  return {{}, {}, {}, {{}, packed(at::cat(weights)), {}, packed(at::cat(biases))}};
}

}  // namespace sam2unet::ops
