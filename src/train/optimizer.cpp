#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

namespace sam2unet::train {

// LibTorch's kernel takes a step's numbers in float32, which float64 is not served by: 3e-9 of the golden
// losses.
bool on_device(StepNumbers numbers, const at::Tensor& parameter) {
  const bool as_is = !parameter.is_cpu() && parameter.scalar_type() != at::kDouble;
  return numbers == StepNumbers::as_device ? as_is : numbers == StepNumbers::device;
}

AdamW::AdamW(const std::vector<ops::ParameterSet::Entry>& parameters, const AdamWOptions& options)
    : options_(options) {
  for (const auto& e : parameters) {
    const bool decays = options.decay_norms_and_biases || e.spec.role == model::Role::weight;
    slots_.push_back({e.spec.name, e.value, at::zeros_like(e.value), at::zeros_like(e.value),
                      decays ? options.weight_decay : 0.0});
  }
  if (!slots_.empty() && on_device(options.numbers, slots_.front().parameter)) {
    const auto number = at::TensorOptions(at::kFloat).device(slots_.front().parameter.device());
    device_lr_ = at::zeros({}, number);
    device_step_ = at::zeros({}, number);
  }
}

void AdamW::begin_step(double lr) {
  ++steps_;
  lr_ = lr;
  if (!device_lr_.defined()) return;
  device_lr_.fill_(lr);
  device_step_.fill_(static_cast<double>(steps_));
}

void AdamW::update(const at::Tensor& ok) {
  const c10::NoGradGuard no_gradients;
  if (device_lr_.defined()) {
    update_on_device(ok);
  } else if (!ok.defined() || ok.item<bool>()) {
    update_on_host();
  }
}

// Those from `at` on that have one decay and a gradient, up to `most` elements and one tensor more.
AdamW::Many AdamW::next_together(std::size_t& at, std::int64_t most) const {
  Many m;
  const double decay = slots_[at].weight_decay;
  for (std::int64_t elements = 0; at < slots_.size() && slots_[at].weight_decay == decay && elements < most;
       ++at) {
    const auto& s = slots_[at];
    if (!s.parameter.grad().defined()) continue;
    m.parameters.push_back(s.parameter);
    m.gradients.push_back(s.parameter.grad());
    m.means.push_back(s.mean);
    m.squares.push_back(s.square);
    elements += s.parameter.numel();
  }
  return m;
}

// torch/optim/adamw.py:
//   p = p (1 - lr wd);  m = lerp(m, g, 1 - b1);  v = b2 v + (1 - b2) g^2
//   p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
void AdamW::update_on_host() {
  const auto t = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(options_.beta1, t), correction2 = 1 - std::pow(options_.beta2, t);
  // Not all at a time, since their denominators exist together.
  constexpr std::int64_t kTogether = std::int64_t{1} << 23;
  std::size_t i = 0;
  while (i < slots_.size()) {
    const double decay = slots_[i].weight_decay;
    const Many m = next_together(i, kTogether);
    if (m.parameters.empty()) continue;
    at::_foreach_mul_(m.parameters, 1 - lr_ * decay);
    at::_foreach_lerp_(m.means, m.gradients, 1 - options_.beta1);
    at::_foreach_mul_(m.squares, options_.beta2);
    at::_foreach_addcmul_(m.squares, m.gradients, m.gradients, 1 - options_.beta2);
    auto denominators = at::_foreach_sqrt(m.squares);
    at::_foreach_div_(denominators, std::sqrt(correction2));
    at::_foreach_add_(denominators, options_.eps);
    at::_foreach_addcdiv_(m.parameters, m.means, denominators, -lr_ / correction1);
  }
}

// The same in one kernel for all tensors of one decay; it leaves everything alone where `found_inf` is not 0.
void AdamW::update_on_device(const at::Tensor& ok) {
  std::optional<at::Tensor> bad;
  if (ok.defined()) bad = ok.logical_not().to(at::kFloat);
  std::size_t i = 0;
  while (i < slots_.size()) {
    const double decay = slots_[i].weight_decay;
    const Many m = next_together(i, std::numeric_limits<std::int64_t>::max());
    if (m.parameters.empty()) continue;
    const std::vector<at::Tensor> steps(m.parameters.size(), device_step_);
    at::_fused_adamw_(m.parameters, m.gradients, m.means, m.squares, /*max_exp_avg_sqs=*/{}, steps,
                      device_lr_, options_.beta1, options_.beta2, decay, options_.eps, /*amsgrad=*/false,
                      /*maximize=*/false, /*grad_scale=*/{}, bad);
  }
}

void AdamW::zero_grad() {
  for (auto& s : slots_) s.parameter.mutable_grad().reset();
}

at::Tensor clip_gradients(const std::vector<AdamW::Slot>& slots, double largest) {
  const c10::NoGradGuard no_gradients;
  std::vector<at::Tensor> gradients;
  for (const auto& s : slots) {
    if (s.parameter.grad().defined()) gradients.push_back(s.parameter.grad());
  }
  if (gradients.empty()) return at::zeros({}, at::kDouble);
  at::Tensor norm = at::stack(at::_foreach_norm(gradients)).to(at::kDouble).norm();
  if (largest > 0) {
    const at::Tensor factor = (largest / (norm + 1e-6)).clamp_max(1.0);
    at::_foreach_mul_(gradients, factor.to(gradients.front().scalar_type()));
  }
  return norm;
}

double cosine_lr(double lr, double eta_min, int epoch, int epochs) {
  const double turn =
      std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(std::max(epochs, 1));
  return eta_min + (lr - eta_min) * (1 + std::cos(turn)) / 2;
}

}  // namespace sam2unet::train
