#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sam2unet::train {

AdamW::AdamW(const std::vector<ops::ParameterSet::Entry>& parameters, const AdamWOptions& options)
    : options_(options) {
  for (const auto& e : parameters) {
    const bool decays = options.decay_norms_and_biases || e.spec.role == model::Role::weight;
    slots_.push_back({e.spec.name, e.value, at::zeros_like(e.value), at::zeros_like(e.value),
                      decays ? options.weight_decay : 0.0});
  }
}

// torch/optim/adamw.py:
//   p = p (1 - lr wd);  m = lerp(m, g, 1 - b1);  v = b2 v + (1 - b2) g^2
//   p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
void AdamW::step(double lr) {
  const c10::NoGradGuard no_gradients;
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(options_.beta1, t), correction2 = 1 - std::pow(options_.beta2, t);
  for (auto& s : slots_) {
    const at::Tensor g = s.parameter.grad();
    if (!g.defined()) continue;
    s.parameter.mul_(1 - lr * s.weight_decay);
    s.mean.lerp_(g, 1 - options_.beta1);
    s.square.mul_(options_.beta2).addcmul_(g, g, 1 - options_.beta2);
    const at::Tensor denominator = s.square.sqrt().div_(std::sqrt(correction2)).add_(options_.eps);
    s.parameter.addcdiv_(s.mean, denominator, -lr / correction1);
  }
}

void AdamW::zero_grad() {
  for (auto& s : slots_) s.parameter.mutable_grad().reset();
}

double clip_gradients(const std::vector<AdamW::Slot>& slots, double largest) {
  const c10::NoGradGuard no_gradients;
  double sum = 0.0;
  for (const auto& s : slots) {
    if (s.parameter.grad().defined()) sum += s.parameter.grad().to(at::kDouble).square().sum().item<double>();
  }
  const double norm = std::sqrt(sum);
  if (largest > 0 && norm > largest) {
    for (const auto& s : slots) {
      if (s.parameter.grad().defined()) s.parameter.grad().mul_(largest / (norm + 1e-6));
    }
  }
  return norm;
}

double cosine_lr(double lr, double eta_min, int epoch, int epochs) {
  const double turn =
      std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(std::max(epochs, 1));
  return eta_min + (lr - eta_min) * (1 + std::cos(turn)) / 2;
}

}  // namespace sam2unet::train
