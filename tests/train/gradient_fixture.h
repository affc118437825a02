// Gradients by autograd against central differences in float64.
#pragma once

#include <c10/core/GradMode.h>

#include <algorithm>
#include <functional>

#include "train/torch_support.h"

namespace sam2unet::test {

class Gradient : public ::testing::Test {
 protected:
  at::Tensor variable(const std::string& name, const ops::Extent& e) {
    auto x = to_torch(plain_input(name, e)).requires_grad_(true);
    inputs.emplace_back(name, x);
    return x;
  }

  // d/dt sum(r * f) by each element of each input and parameter: autograd's against (f(+h) - f(-h)) / 2h.
  void check(const std::function<at::Tensor()>& f) {
    set.set_trainable([](const model::TensorSpec&) { return true; });
    for (const auto& e : set.entries()) {
      if (!e.spec.is_buffer()) inputs.emplace_back(e.spec.name, e.value);
    }
    const auto loss = [&] {
      const at::Tensor y = f();
      const auto r = model::deterministic_values("direction", y.numel());
      return (y.reshape({-1}) * at::tensor(r, at::kDouble)).sum();
    };
    loss().backward();
    const c10::NoGradGuard no_gradients;
    for (auto& [name, x] : inputs) {
      ASSERT_TRUE(x.grad().defined()) << name;
      const at::Tensor flat = x.view({-1}), got = x.grad().reshape({-1});
      const double scale = got.abs().max().item<double>();
      const std::int64_t n = flat.numel(), every = std::max<std::int64_t>(1, n / 40);
      for (std::int64_t i = 0; i < n; i += every) {
        constexpr double h = 1e-5;
        const double value = flat[i].item<double>();
        flat[i].fill_(value + h);
        const double above = loss().item<double>();
        flat[i].fill_(value - h);
        const double below = loss().item<double>();
        flat[i].fill_(value);
        EXPECT_NEAR(got[i].item<double>(), (above - below) / (2 * h), 1e-7 * std::max(1.0, scale))
            << name << "[" << i << "]";
      }
    }
  }

  model::DeterministicWeights source;
  ops::ParameterSet set;
  ops::TorchWeights make{source, set, at::kDouble, at::kCPU};
  ops::TorchOps o;
  std::vector<std::pair<std::string, at::Tensor>> inputs;
};

}  // namespace sam2unet::test
