#include "train/trainable_network.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace sam2unet::train {
namespace {

model::Network<ops::TorchWeights> make(const model::Config& config, model::WeightSource& source,
                                       ops::ParameterSet& set, at::ScalarType dtype, at::Device device) {
  ops::TorchWeights maker(source, set, dtype, device, config);
  auto network = model::Network<ops::TorchWeights>::make(maker, config);
  model::Network<ops::TorchWeights>::make_unused(maker, config);  // kept in the checkpoint
  return network;
}

}  // namespace

TrainableNetwork::TrainableNetwork(const model::Config& config, model::WeightSource& source, Freeze freeze,
                                   at::ScalarType dtype, at::Device device)
    : network_(make(config, source, tensors_, dtype, device)) {
  tensors_.set_trainable([&](const model::TensorSpec& spec) {
    return spec.trainable() || (freeze == Freeze::none && spec.part == model::Part::trunk);
  });
}

std::vector<ops::ParameterSet::Entry> TrainableNetwork::trainable() const {
  std::vector<ops::ParameterSet::Entry> out;
  for (const auto& e : tensors_.entries()) {
    if (e.value.requires_grad()) out.push_back(e);
  }
  return out;
}

model::Maps<at::Tensor> TrainableNetwork::forward_training(const at::Tensor& image) {
  ops_.training = true;
  return model::sam2unet(ops_, network_, image, model::Sides::wanted);
}

void TrainableNetwork::count_batches(std::int64_t n) {
  for (const auto& e : tensors_.entries()) {
    const bool is_called = config().calls_up4 || !e.spec.name.starts_with("up4.");
    if (e.spec.role == model::Role::counter && is_called) at::Tensor(e.value).add_(n);
  }
}

at::Tensor TrainableNetwork::forward_inference(const at::Tensor& image) {
  const c10::NoGradGuard no_gradients;
  ops_.training = false;
  return model::sam2unet(ops_, network_, image).out;
}

}  // namespace sam2unet::train
