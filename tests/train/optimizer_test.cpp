// What moves the weights, by formulas that are written out here: AdamW, clipping, the cosine, the average.
#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
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

// Parameters that no gradient came to stay, with their moments, wherever they stand among the others: here in
// the middle of those of one decay, and all of those of another.
TEST(Optimizer, WhatHasNoGradientStaysAsItIs) {
  for (const StepNumbers numbers : {StepNumbers::host, StepNumbers::device}) {
    ops::ParameterSet set;
    const std::vector<model::Role> roles{model::Role::weight, model::Role::weight, model::Role::weight,
                                         model::Role::bias,   model::Role::weight, model::Role::bias};
    const std::vector<bool> has{true, false, true, false, true, true};
    for (std::size_t i = 0; i < roles.size(); ++i)
      set.add({.name = std::string(1, static_cast<char>('a' + i)), .role = roles[i]},
              at::ones({2}, at::kFloat));
    AdamW optimizer(set.entries(),
                    {.weight_decay = 0.5, .decay_norms_and_biases = false, .numbers = numbers});
    for (std::size_t i = 0; i < roles.size(); ++i)
      if (has[i]) set.entries()[i].value.mutable_grad() = at::full({2}, i % 2 == 0 ? 2.0 : -2.0);
    optimizer.step(0.1);
    EXPECT_EQ(optimizer.steps(), 1);
    for (std::size_t i = 0; i < roles.size(); ++i) {
      SCOPED_TRACE(i);
      const auto& s = optimizer.slots()[i];
      // The first step is of the rate's size, against the gradient, behind the decay of 0.1 * 0.5.
      const double decayed = roles[i] == model::Role::weight ? 0.95 : 1.0;
      const double wanted = !has[i] ? 1.0 : decayed - (i % 2 == 0 ? 0.1 : -0.1);
      for (std::int64_t k = 0; k < 2; ++k) {
        EXPECT_NEAR(s.parameter[k].item<float>(), wanted, has[i] ? 1e-6 : 0.0);
        EXPECT_NEAR(s.mean[k].item<float>(), !has[i] ? 0.0 : i % 2 == 0 ? 0.2 : -0.2, 1e-7);
        EXPECT_NEAR(s.square[k].item<float>(), has[i] ? 4e-3 : 0.0, 1e-8);
      }
    }
    optimizer.zero_grad();
    for (const auto& s : optimizer.slots()) EXPECT_FALSE(s.parameter.grad().defined()) << s.name;
    optimizer.step(0.1);  // of nothing
    EXPECT_EQ(optimizer.steps(), 2);
    EXPECT_NEAR(optimizer.slots()[0].parameter[0].item<float>(), 0.85, 1e-6);
  }
}

TEST(Optimizer, OfNoGradientsTheNormIsNothing) {
  ops::ParameterSet set;
  set.add({.name = "a"}, at::ones({2}, at::kFloat));
  const AdamW optimizer(set.entries(), {});
  EXPECT_EQ(clip_gradients(optimizer.slots(), 1.0).item<double>(), 0.0);
}

// What changes from step to step lies where the parameters do; of float64 it stays on the host, since
// LibTorch's kernel would round it to float32.
TEST(Optimizer, NumbersLieWhereTheParametersDo) {
  const at::Tensor host = at::zeros({1}, at::kFloat);
  const auto there = at::TensorOptions(at::kMeta);
  const at::Tensor device = at::empty({1}, there.dtype(at::kFloat)),
                   wide = at::empty({1}, there.dtype(at::kDouble));
  EXPECT_FALSE(on_device(StepNumbers::as_device, host));
  EXPECT_TRUE(on_device(StepNumbers::as_device, device));
  EXPECT_FALSE(on_device(StepNumbers::as_device, wide));
  for (const at::Tensor& t : {host, device, wide}) {
    EXPECT_FALSE(on_device(StepNumbers::host, t));
    EXPECT_TRUE(on_device(StepNumbers::device, t));
  }
}

// Tensors are taken some at a time, up to eight million elements: none is forgotten behind a large one.
TEST(Optimizer, BehindALargeTensorTheOthersAreNotForgotten) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 23;
  ops::ParameterSet set;
  set.add({.name = "large"}, at::zeros({kLarge}, at::kFloat));
  set.add({.name = "small"}, at::zeros({2}, at::kFloat));
  set.add({.name = "last"}, at::zeros({3}, at::kFloat));
  AdamW optimizer(set.entries(), {.weight_decay = 0, .numbers = StepNumbers::host});
  Ema ema(optimizer, 0.5);
  for (const auto& e : set.entries()) e.value.mutable_grad() = at::ones_like(e.value);
  optimizer.begin_step(0.25);
  ema.begin_step(optimizer);
  optimizer.update({});
  ema.update(optimizer, {});
  for (std::size_t i = 0; i < 3; ++i) {
    const at::Tensor &p = optimizer.slots()[i].parameter, &average = ema.averages()[i];
    EXPECT_NEAR(p.min().item<float>(), -0.25, 1e-6) << i;
    EXPECT_NEAR(p.max().item<float>(), -0.25, 1e-6) << i;
    EXPECT_NEAR(average.min().item<float>(), -0.25 * 9 / 11, 1e-6) << i;  // of the first step 9/11
    EXPECT_NEAR(average.max().item<float>(), -0.25 * 9 / 11, 1e-6) << i;
  }
}

}  // namespace
}  // namespace sam2unet::train
