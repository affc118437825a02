// The structure loss against plain loops, and its gradient against central differences.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/weight_source.h"
#include "train/loss.h"

namespace sam2unet::train {
namespace {

at::Tensor values(const std::string& name, std::int64_t b, std::int64_t h, std::int64_t w) {
  return at::tensor(model::deterministic_values(name, b * h * w), at::kDouble).reshape({b, h, w, 1});
}

// train.py:31-42, and the paper's BCE where it is asked for.
double by_loops(const at::Tensor& logits, const at::Tensor& mask, Bce bce) {
  const std::int64_t b = mask.size(0), h = mask.size(1), w = mask.size(2);
  const auto x = logits.accessor<double, 4>(), m = mask.accessor<double, 4>();
  double entropy_mean = 0.0, sum = 0.0;
  std::vector<double> weighted;
  for (std::int64_t n = 0; n < b; ++n) {
    double weights = 0.0, entropies = 0.0, inter = 0.0, both = 0.0;
    for (std::int64_t i = 0; i < h; ++i) {
      for (std::int64_t j = 0; j < w; ++j) {
        double around = 0.0;
        for (std::int64_t y = std::max<std::int64_t>(0, i - 15); y <= std::min(h - 1, i + 15); ++y)
          for (std::int64_t z = std::max<std::int64_t>(0, j - 15); z <= std::min(w - 1, j + 15); ++z)
            around += m[n][y][z][0] / (31 * 31);
        const double t = m[n][i][j][0], weight = 1 + 5 * std::abs(around - t);
        const double p = 1 / (1 + std::exp(-x[n][i][j][0]));
        const double entropy = -t * std::log(p) - (1 - t) * std::log(1 - p);
        entropy_mean += entropy / static_cast<double>(b * h * w);
        weights += weight;
        entropies += weight * entropy;
        inter += p * t * weight;
        both += (p + t) * weight;
      }
    }
    weighted.push_back(entropies / weights);
    sum += 1 - (inter + 1) / (both - inter + 1);
  }
  double out = sum / static_cast<double>(b);
  if (bce == Bce::effective) return out + entropy_mean;
  for (const double v : weighted) out += v / static_cast<double>(b);
  return out;
}

class StructureLoss : public ::testing::TestWithParam<Bce> {};
INSTANTIATE_TEST_SUITE_P(BothKinds, StructureLoss, ::testing::Values(Bce::effective, Bce::weighted));

TEST_P(StructureLoss, IsTheFormula) {
  for (const auto& [b, h, w] : {std::tuple{2, 40, 35}, {3, 5, 7}, {1, 1, 1}}) {
    const at::Tensor x = values("logits", b, h, w) * 4, mask = (values("mask", b, h, w) + 1) / 2;
    EXPECT_NEAR(structure_loss(x, mask, GetParam()).item<double>(), by_loops(x, mask, GetParam()), 1e-12);
    const at::Tensor hard = (mask > 0.5).to(at::kDouble);
    EXPECT_NEAR(structure_loss(x, hard, GetParam()).item<double>(), by_loops(x, hard, GetParam()), 1e-12);
  }
}

TEST_P(StructureLoss, Gradient) {
  const at::Tensor x = (values("logits", 2, 9, 7) * 4).requires_grad_(true),
                   mask = (values("mask", 2, 9, 7) + 1) / 2;
  structure_loss(x, mask, GetParam()).backward();
  const c10::NoGradGuard no_gradients;
  const at::Tensor flat = x.view({-1}), got = x.grad().reshape({-1});
  const double scale = got.abs().max().item<double>();
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    constexpr double h = 1e-5;
    const double value = flat[i].item<double>();
    flat[i].fill_(value + h);
    const double above = structure_loss(x, mask, GetParam()).item<double>();
    flat[i].fill_(value - h);
    const double below = structure_loss(x, mask, GetParam()).item<double>();
    flat[i].fill_(value);
    EXPECT_NEAR(got[i].item<double>(), (above - below) / (2 * h), 1e-7 * scale) << i;
  }
}

}  // namespace
}  // namespace sam2unet::train
