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
  // Many tensors at a time, which on a GPU is one kernel; not all, since their denominators exist together.
  constexpr std::int64_t kTogether = std::int64_t{1} << 23;
  std::size_t i = 0;
  while (i < slots_.size()) {
    const double decay = slots_[i].weight_decay;
    std::vector<at::Tensor> parameters, gradients, means, squares;
    std::int64_t elements = 0;
    for (; i < slots_.size() && slots_[i].weight_decay == decay && elements < kTogether; ++i) {
      const auto& s = slots_[i];
      if (!s.parameter.grad().defined()) continue;
      parameters.push_back(s.parameter);
      gradients.push_back(s.parameter.grad());
      means.push_back(s.mean);
      squares.push_back(s.square);
      elements += s.parameter.numel();
    }
    if (parameters.empty()) continue;
    at::_foreach_mul_(parameters, 1 - lr * decay);
    at::_foreach_lerp_(means, gradients, 1 - options_.beta1);
    at::_foreach_mul_(squares, options_.beta2);
    at::_foreach_addcmul_(squares, gradients, gradients, 1 - options_.beta2);
    auto denominators = at::_foreach_sqrt(squares);
    at::_foreach_div_(denominators, std::sqrt(correction2));
    at::_foreach_add_(denominators, options_.eps);
    at::_foreach_addcdiv_(parameters, means, denominators, -lr / correction1);
  }
}

void AdamW::zero_grad() {
  for (auto& s : slots_) s.parameter.mutable_grad().reset();
}

double clip_gradients(const std::vector<AdamW::Slot>& slots, double largest) {
  const c10::NoGradGuard no_gradients;
  std::vector<at::Tensor> gradients;
  for (const auto& s : slots) {
    if (s.parameter.grad().defined()) gradients.push_back(s.parameter.grad());
  }
  if (gradients.empty()) return 0.0;
  const double norm = at::stack(at::_foreach_norm(gradients)).to(at::kDouble).norm().item<double>();
  if (largest > 0 && norm > largest) at::_foreach_mul_(gradients, largest / (norm + 1e-6));
  return norm;
}

double cosine_lr(double lr, double eta_min, int epoch, int epochs) {
  const double turn =
      std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(std::max(epochs, 1));
  return eta_min + (lr - eta_min) * (1 + std::cos(turn)) / 2;
}

}  // namespace sam2unet::train
