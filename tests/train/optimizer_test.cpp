// What moves the weights, by formulas that are written out here: AdamW, clipping, the cosine, the average.
#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "train/state.h"

namespace sam2unet::train {
namespace {

// torch/optim/adamw.py's formula, value by value in double, at a rate that changes, with and without decay.
class Decay : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Optimizer, Decay, testing::Bool());

TEST_P(Decay, AdamWIsTheFormulaAtEveryRate) {
  ops::ParameterSet set;
  set.add({.name = "w", .role = model::Role::weight}, at::tensor({0.5, -1.25, 3.0}, at::kDouble));
  set.add({.name = "b", .role = model::Role::bias}, at::tensor({2.0, -0.75}, at::kDouble));
  const AdamWOptions options{
      .weight_decay = 0.3, .beta1 = 0.8, .beta2 = 0.95, .decay_norms_and_biases = GetParam()};
  AdamW optimizer(set.entries(), options);
  std::vector<double> p{0.5, -1.25, 3.0, 2.0, -0.75}, mean(5, 0.0), square(5, 0.0);
  const std::vector<double> rates{1e-2, 3e-3, 5e-2, 1e-3};
  for (std::size_t t = 0; t < rates.size(); ++t) {
    std::vector<double> gradient;
    for (std::size_t i = 0; i < p.size(); ++i)
      gradient.push_back(std::sin(static_cast<double>(3 * i + 5 * t + 1)));
    const at::Tensor all = at::tensor(gradient, at::kDouble);
    set.entries()[0].value.mutable_grad() = all.slice(0, 0, 3).clone();
    set.entries()[1].value.mutable_grad() = all.slice(0, 3, 5).clone();
    optimizer.step(rates[t]);
    const auto n = static_cast<double>(t + 1);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double g = gradient[i], decay = i < 3 || GetParam() ? 0.3 : 0.0;
      p[i] *= 1 - rates[t] * decay;
      mean[i] = 0.8 * mean[i] + 0.2 * g;
      square[i] = 0.95 * square[i] + 0.05 * g * g;
      p[i] -= rates[t] / (1 - std::pow(0.8, n)) * mean[i] /
              (std::sqrt(square[i]) / std::sqrt(1 - std::pow(0.95, n)) + options.eps);
      const at::Tensor& of = set.entries()[i < 3 ? 0 : 1].value;
      EXPECT_NEAR(of[static_cast<std::int64_t>(i < 3 ? i : i - 3)].item<double>(), p[i], 1e-14)
          << i << " of step " << t;
    }
  }
}

// torch.nn.utils.clip_grad_norm_: all gradients by min(1, largest / (norm + 1e-6)), norm over all of them.
TEST(Optimizer, GradientsAreClippedByTheirCommonNorm) {
  for (const double largest : {0.0, 2.5, 13.0, 14.0}) {
    ops::ParameterSet set;
    set.add({.name = "a"}, at::zeros({2}, at::kDouble));
    set.add({.name = "b"}, at::zeros({1}, at::kDouble));
    set.add({.name = "none"}, at::zeros({1}, at::kDouble));
    const AdamW optimizer(set.entries(), {});
    set.entries()[0].value.mutable_grad() = at::tensor({3.0, -4.0}, at::kDouble);
    set.entries()[1].value.mutable_grad() = at::tensor({12.0}, at::kDouble);
    EXPECT_DOUBLE_EQ(clip_gradients(optimizer.slots(), largest).item<double>(), 13.0);
    const double factor = largest == 0.0 ? 1.0 : std::min(1.0, largest / (13.0 + 1e-6));
    EXPECT_DOUBLE_EQ(set.entries()[0].value.grad()[0].item<double>(), 3.0 * factor) << largest;
    EXPECT_DOUBLE_EQ(set.entries()[0].value.grad()[1].item<double>(), -4.0 * factor) << largest;
    EXPECT_DOUBLE_EQ(set.entries()[1].value.grad()[0].item<double>(), 12.0 * factor) << largest;
  }
}

// CosineAnnealingLR's closed form at angles whose cosine is known.
TEST(Optimizer, CosineAnnealing) {
  constexpr double kHigh = 1e-3, kLow = 1e-7;
  EXPECT_DOUBLE_EQ(cosine_lr(kHigh, kLow, 0, 12), kHigh);
  EXPECT_NEAR(cosine_lr(kHigh, kLow, 4, 12), kLow + 0.75 * (kHigh - kLow), 1e-18);  // 60 degrees
  EXPECT_NEAR(cosine_lr(kHigh, kLow, 6, 12), (kHigh + kLow) / 2, 1e-18);
  EXPECT_NEAR(cosine_lr(kHigh, kLow, 8, 12), kLow + 0.25 * (kHigh - kLow), 1e-18);
  EXPECT_NEAR(cosine_lr(kHigh, kLow, 12, 12), kLow, 1e-18);
  EXPECT_NEAR(cosine_lr(kHigh, kLow, 3, 12), kLow + (kHigh - kLow) * (2 + std::numbers::sqrt2) / 4, 1e-18);
  EXPECT_DOUBLE_EQ(cosine_lr(kHigh, kLow, 0, 0), kHigh);
}

// average = d average + (1 - d) parameter, d = min(decay, (1 + t) / (10 + t)) for step t = 1, 2, ...
TEST(Optimizer, TheAverageForgetsFasterWhileItIsYoung) {
  ops::ParameterSet set;
  set.add({.name = "w"}, at::tensor({5.0}, at::kDouble));
  AdamW optimizer(set.entries(), {});
  Ema ema(optimizer, 0.3);
  double average = 5.0;
  for (const double now : {1.0, -2.0, 4.0, 8.0}) {
    {
      const c10::NoGradGuard no_gradients;
      at::Tensor(set.entries()[0].value).fill_(now);
    }
    optimizer.begin_step(1e-3);
    ema.begin_step(optimizer);
    ema.update(optimizer, {});
    const auto t = static_cast<double>(optimizer.steps());
    const double d = std::min(0.3, (1 + t) / (10 + t));  // 2/11, 3/12, .3, .3
    average = d * average + (1 - d) * now;
    EXPECT_NEAR(ema.averages().at(0).item<double>(), average, 1e-15) << t;
  }
}

}  // namespace
}  // namespace sam2unet::train
