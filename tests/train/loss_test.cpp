// The losses against plain loops, and their gradients against central differences.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "model/weight_source.h"
#include "train/loss.h"

namespace sam2unet::train {
namespace {

at::Tensor values(const std::string& name, std::int64_t b, std::int64_t h, std::int64_t w) {
  return at::tensor(model::deterministic_values(name, b * h * w), at::kDouble).reshape({b, h, w, 1});
}

// A picture of logits x and mask m, by the formulas.
struct Picture {
  at::TensorAccessor<double, 3> x, m;  // [H,W,1]
  std::int64_t h, w;

  double p(std::int64_t i, std::int64_t j) const { return 1 / (1 + std::exp(-x[i][j][0])); }
  double entropy(std::int64_t i, std::int64_t j) const {
    const double t = m[i][j][0];
    return -t * std::log(p(i, j)) - (1 - t) * std::log(1 - p(i, j));
  }
  // train.py:32: a 31x31 mean that counts the zeros around the picture.
  double weight(std::int64_t i, std::int64_t j) const {
    double around = 0.0;
    for (std::int64_t y = std::max<std::int64_t>(0, i - 15); y <= std::min(h - 1, i + 15); ++y)
      for (std::int64_t z = std::max<std::int64_t>(0, j - 15); z <= std::min(w - 1, j + 15); ++z)
        around += m[y][z][0] / (31 * 31);
    return 1 + 5 * std::abs(around - m[i][j][0]);
  }
  template <class F>
  double sum(F f) const {
    double out = 0.0;
    for (std::int64_t i = 0; i < h; ++i)
      for (std::int64_t j = 0; j < w; ++j) out += f(i, j);
    return out;
  }
  double mean_entropy() const {
    return sum([&](auto i, auto j) { return entropy(i, j); }) / static_cast<double>(h * w);
  }
};

double structure(const Picture& q, const LossOptions& o) {
  bool has_foreground = o.kind == LossKind::structure;
  q.sum([&](auto i, auto j) { return has_foreground = has_foreground || q.m[i][j][0] > 0.5, 0.0; });
  const auto of_side = [&](double v) { return has_foreground ? v : 1 - v; };
  const double inter =
      q.sum([&](auto i, auto j) { return of_side(q.p(i, j)) * of_side(q.m[i][j][0]) * q.weight(i, j); });
  const double both =
      q.sum([&](auto i, auto j) { return (of_side(q.p(i, j)) + of_side(q.m[i][j][0])) * q.weight(i, j); });
  const double wbce = q.sum([&](auto i, auto j) { return q.weight(i, j) * q.entropy(i, j); }) /
                      q.sum([&](auto i, auto j) { return q.weight(i, j); });
  return (o.bce == Bce::effective ? q.mean_entropy() : wbce) + 1 - (inter + 1) / (both - inter + 1);
}

double dice_bce(const Picture& q) {
  const double inter = q.sum([&](auto i, auto j) { return q.p(i, j) * q.m[i][j][0]; });
  const double both = q.sum([&](auto i, auto j) { return q.p(i, j) + q.m[i][j][0]; });
  return q.mean_entropy() + 1 - (2 * inter + 1) / (both + 1);
}

// torchvision.ops.sigmoid_focal_loss with its defaults, alpha .25 and gamma 2, and reduction mean.
double focal(const Picture& q) {
  return q.sum([&](auto i, auto j) {
    const double t = q.m[i][j][0], p = q.p(i, j), right = p * t + (1 - p) * (1 - t);
    return (0.25 * t + 0.75 * (1 - t)) * std::pow(1 - right, 2) * q.entropy(i, j);
  }) / static_cast<double>(q.h * q.w);
}

double by_loops(const at::Tensor& logits, const at::Tensor& mask, const LossOptions& o) {
  const auto x = logits.accessor<double, 4>(), m = mask.accessor<double, 4>();
  double out = 0.0;
  for (std::int64_t n = 0; n < mask.size(0); ++n) {
    const Picture q{x[n], m[n], mask.size(1), mask.size(2)};
    out += o.kind == LossKind::dice_bce ? dice_bce(q)
           : o.kind == LossKind::focal  ? focal(q)
                                        : structure(q, o);
  }
  return out / static_cast<double>(mask.size(0));
}

class Loss : public ::testing::TestWithParam<LossOptions> {};
INSTANTIATE_TEST_SUITE_P(AllKinds, Loss,
                         ::testing::Values(LossOptions{LossKind::structure, Bce::effective},
                                           LossOptions{LossKind::structure, Bce::weighted},
                                           LossOptions{LossKind::structure_empty, Bce::effective},
                                           LossOptions{LossKind::structure_empty, Bce::weighted},
                                           LossOptions{LossKind::dice_bce}, LossOptions{LossKind::focal}),
                         [](const auto& p) {
                           std::string name(name_of(p.param.kind));
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name + "_" + std::string(name_of(p.param.bce));
                         });

// Soft, hard, one picture of several empty, and one that is more background than foreground everywhere.
std::vector<at::Tensor> masks(std::int64_t b, std::int64_t h, std::int64_t w) {
  const at::Tensor soft = (values("mask", b, h, w) + 1) / 2;
  at::Tensor empty = (soft > 0.5).to(at::kDouble);
  empty[0].zero_();
  at::Tensor faint = soft.clone();
  faint[0] *= 0.4;
  return {soft, (soft > 0.5).to(at::kDouble), empty, faint};
}

TEST_P(Loss, IsTheFormula) {
  for (const auto& [b, h, w] : {std::tuple{2, 40, 35}, {3, 5, 7}, {1, 1, 1}}) {
    const at::Tensor x = values("logits", b, h, w) * 4;
    for (const auto& mask : masks(b, h, w))
      EXPECT_NEAR(map_loss(x, mask, GetParam()).item<double>(), by_loops(x, mask, GetParam()), 1e-12);
  }
}

TEST_P(Loss, Gradient) {
  for (const auto& mask : masks(2, 9, 7)) {
    const at::Tensor x = (values("logits", 2, 9, 7) * 4).requires_grad_(true);
    map_loss(x, mask, GetParam()).backward();
    const c10::NoGradGuard no_gradients;
    const at::Tensor flat = x.view({-1}), got = x.grad().reshape({-1});
    const double scale = got.abs().max().item<double>();
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
      constexpr double h = 1e-5;
      const double value = flat[i].item<double>();
      flat[i].fill_(value + h);
      const double above = map_loss(x, mask, GetParam()).item<double>();
      flat[i].fill_(value - h);
      const double below = map_loss(x, mask, GetParam()).item<double>();
      flat[i].fill_(value);
      EXPECT_NEAR(got[i].item<double>(), (above - below) / (2 * h), 1e-7 * scale) << i;
    }
  }
}

// 352x352 without foreground. The reference's IoU term is next to 1 whether a hundredth or half of the
// picture is taken for foreground, so nothing is gained by mending it; the background's IoU falls as the
// error does.
TEST(StructureLossWithoutForeground, FallsWithTheFalsePositives) {
  const at::Tensor mask = at::zeros({1, 352, 352, 1}, at::kDouble);
  const auto iou_term = [&](double p, LossKind kind) {
    const at::Tensor x = at::full_like(mask, std::log(p / (1 - p)));
    return map_loss(x, mask, {kind}).item<double>() + std::log(1 - p);  // less the cross-entropy
  };
  EXPECT_GT(iou_term(0.01, LossKind::structure), 0.999);
  EXPECT_GT(iou_term(0.5, LossKind::structure), 0.999);
  for (const double p : {0.5, 0.1, 0.01, 0.001})
    EXPECT_NEAR(iou_term(p, LossKind::structure_empty), p, 1e-5) << p;
}

// Where there is foreground in every picture the two are one, to the bit.
TEST(StructureLossWithoutForeground, ChangesNothingElsewhere) {
  const at::Tensor x = values("logits", 2, 40, 35) * 4, mask = masks(2, 40, 35)[1];
  for (const Bce bce : {Bce::effective, Bce::weighted}) {
    EXPECT_EQ(map_loss(x, mask, {LossKind::structure_empty, bce}).item<double>(),
              map_loss(x, mask, {LossKind::structure, bce}).item<double>());
  }
}

// Logits that saturate the sigmoid, and masks of one kind: nothing is infinite or no number.
TEST_P(Loss, IsFiniteAtTheExtremes) {
  for (const float logit : {-500.0F, 0.0F, 500.0F}) {
    for (const double level : {0.0, 1.0}) {
      const at::Tensor x = at::full({2, 9, 7, 1}, logit, at::kFloat).requires_grad_(true);
      const at::Tensor loss = map_loss(x, at::full({2, 9, 7, 1}, level, at::kFloat), GetParam());
      loss.backward();
      EXPECT_TRUE(std::isfinite(loss.item<double>())) << logit << " " << level;
      EXPECT_TRUE(x.grad().isfinite().all().item<bool>()) << logit << " " << level;
    }
  }
}

// train.py:76: each of the three outputs is compared with the mask, and the losses are added.
TEST_P(Loss, TheTotalIsTheSumOfThreeOutputs) {
  const at::Tensor mask = masks(2, 9, 7)[2], x = values("logits", 2, 9, 7) * 4;
  const Losses l = map_losses({x, x * 2, x * -1}, mask, GetParam());
  EXPECT_NEAR(l.out.item<double>(), by_loops(x, mask, GetParam()), 1e-12);
  EXPECT_NEAR(l.out1.item<double>(), by_loops(x * 2, mask, GetParam()), 1e-12);
  EXPECT_NEAR(l.out2.item<double>(), by_loops(x * -1, mask, GetParam()), 1e-12);
  EXPECT_NEAR(l.total.item<double>(), (l.out + l.out1 + l.out2).item<double>(), 1e-12);
}

// Of bf16 logits nothing but the logits is rounded: what is computed of them is what float32 computes.
TEST_P(Loss, OfBf16IsComputedInFloat32) {
  const at::Tensor x = (values("logits", 2, 40, 35) * 4).to(at::kBFloat16),
                   mask = masks(2, 40, 35)[1].to(at::kFloat);
  const double wanted = by_loops(x.to(at::kDouble), mask.to(at::kDouble), GetParam());
  EXPECT_NEAR(map_loss(x, mask, GetParam()).item<double>(), wanted, 2e-6 * wanted);
  const Losses l = map_losses({x, x, x}, mask, GetParam());
  EXPECT_NEAR(l.total.item<double>(), 3 * wanted, 6e-6 * wanted);
}

// A pixel is foreground where it is more that than background: a mask of halves has none.
TEST(StructureLossWithoutForeground, AHalfIsNoForeground) {
  const at::Tensor x = values("logits", 1, 9, 7) * 4;
  for (const double level : {0.5, 0.501}) {
    const at::Tensor mask = at::full({1, 9, 7, 1}, level, at::kDouble);
    const LossOptions empty{LossKind::structure_empty}, usual{LossKind::structure};
    EXPECT_NEAR(map_loss(x, mask, empty).item<double>(), by_loops(x, mask, empty), 1e-12);
    EXPECT_EQ(
        std::abs(map_loss(x, mask, empty).item<double>() - map_loss(x, mask, usual).item<double>()) < 1e-9,
        level > 0.5);
  }
}

}  // namespace
}  // namespace sam2unet::train
