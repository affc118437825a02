#include "ops/torch/torch_weights.h"

#include <ATen/ATen.h>

#include "sam2unet/errors.h"

namespace sam2unet::ops {
namespace {

using model::Role;

std::vector<std::int64_t> sizes(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

}  // namespace

void ParameterSet::add(model::TensorSpec spec, at::Tensor value) {
  index_[spec.name] = entries_.size();
  entries_.push_back({std::move(spec), std::move(value)});
}

const at::Tensor* ParameterSet::find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second].value;
}

at::Tensor TorchWeights::take(const std::string& name, const Shape& shape, Role role) {
  const auto values = source_.read(name, shape);
  // from_blob does not write; the values are copied.
  const at::Tensor view = at::from_blob(const_cast<float*>(values.data()), sizes(shape), at::kFloat);
  at::Tensor value = view.to(options_, /*non_blocking=*/false, /*copy=*/true);
  set_.add({name, shape, role, model::part_of(name, config_)}, value);
  return value;
}

TorchWeights::PatchEmbed TorchWeights::patch_embed(const std::string& name, int in, int out) {
  return {take(name + ".weight", {out, in, 7, 7}, Role::weight), take(name + ".bias", {out}, Role::bias)};
}

TorchWeights::Position TorchWeights::position(const std::string& prefix, int dim, std::array<int, 2> size,
                                              int window) {
  return {take(prefix + ".pos_embed", {1, dim, size[0], size[1]}, Role::position),
          take(prefix + ".pos_embed_window", {1, dim, window, window}, Role::position)};
}

TorchWeights::Norm TorchWeights::norm(const std::string& name, int dim) {
  return {take(name + ".weight", {dim}, Role::norm_weight), take(name + ".bias", {dim}, Role::bias)};
}

TorchWeights::Linear TorchWeights::linear(const std::string& name, int in, int out) {
  return {take(name + ".weight", {out, in}, Role::weight), take(name + ".bias", {out}, Role::bias)};
}

TorchWeights::Linear TorchWeights::pointwise(const std::string& name, int in, int out) {
  return {take(name + ".weight", {out, in, 1, 1}, Role::weight), take(name + ".bias", {out}, Role::bias)};
}

TorchWeights::BatchNorm TorchWeights::batch_norm(const std::string& name, int out) {
  BatchNorm n{take(name + ".weight", {out}, Role::norm_weight), take(name + ".bias", {out}, Role::bias),
              take(name + ".running_mean", {out}, Role::running_mean),
              take(name + ".running_var", {out}, Role::running_var), at::Tensor()};
  const std::string counter = name + ".num_batches_tracked";
  n.batches = at::zeros({}, at::TensorOptions(at::kLong));
  // Old and converted files may lack the counter, which nothing computes with.
  try {
    n.batches.fill_(static_cast<std::int64_t>(source_.read(counter, {})[0]));
  } catch (const WeightsError&) {
  }
  set_.add({counter, {}, Role::counter, model::part_of(counter, config_)}, n.batches);
  return n;
}

TorchWeights::ConvBn TorchWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                           Kernel kernel) {
  auto weight = take(conv + ".weight", {out, in, kernel.h, kernel.w}, Role::weight);
  return {kernel, std::move(weight), batch_norm(bn, out)};
}

TorchWeights::ConvBnFan TorchWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in,
                                                  int out) {
  ConvBnFan fan{{}, at::zeros({kFan * out}, options_), at::zeros({kFan * out}, options_)};
  for (std::size_t i = 0; i < fan.parts.size(); ++i) {
    auto& part = fan.parts[i];
    part = conv_bn(names[i] + ".conv", names[i] + ".bn", in, out, {});
    const auto share = [&](const at::Tensor& whole, at::Tensor& piece) {
      const at::Tensor slice = whole.narrow(0, static_cast<std::int64_t>(i) * out, out);
      slice.copy_(piece);
      piece.set_data(slice);  // the ParameterSet holds the same tensor object
    };
    share(fan.mean, part.norm.mean);
    share(fan.variance, part.norm.variance);
  }
  return fan;
}

}  // namespace sam2unet::ops
