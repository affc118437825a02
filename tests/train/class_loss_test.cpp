// The class loss against plain loops, and its gradient against central differences.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "model/weight_source.h"
#include "train/class_loss.h"

namespace sam2unet::train {
namespace {

constexpr int kIgnore = 255;

at::Tensor logits_of(std::int64_t b, std::int64_t h, std::int64_t w, std::int64_t k) {
  return at::tensor(model::deterministic_values("logits", b * h * w * k), at::kDouble).reshape({b, h, w, k}) *
         4;
}

// Ids below `classes` but `absent`, a fifth of the pixels ignored; of the pictures in `whole` all pixels.
at::Tensor ids_of(std::int64_t b, std::int64_t h, std::int64_t w, std::int64_t classes, std::int64_t absent,
                  const std::set<std::int64_t>& whole) {
  const auto u = model::deterministic_values("ids", 2 * b * h * w);
  at::Tensor ids = at::zeros({b, h, w, 1}, at::kFloat);
  float* to = ids.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < b * h * w; ++i) {
    const auto at = static_cast<std::size_t>(i);
    auto id = static_cast<std::int64_t>((u[2 * at] + 1) / 2 * static_cast<double>(classes));
    if (id == absent) id = 0;
    if (u[2 * at + 1] < -0.6 || whole.contains(i / (h * w))) id = kIgnore;
    to[i] = static_cast<float>(id);
  }
  return ids;
}

// The README's words, pixel by pixel.
double by_loops(const at::Tensor& logits, const at::Tensor& ids) {
  const auto x = logits.accessor<double, 4>();
  const auto g = ids.accessor<float, 4>();
  const std::int64_t k = logits.size(3);
  std::vector<double> both(static_cast<std::size_t>(k)), mass(both), pixels(both);
  double entropy = 0, n = 0;
  for (std::int64_t b = 0; b < logits.size(0); ++b) {
    for (std::int64_t i = 0; i < logits.size(1); ++i) {
      for (std::int64_t j = 0; j < logits.size(2); ++j) {
        const auto id = static_cast<std::int64_t>(g[b][i][j][0]);
        if (id == kIgnore) continue;
        double sum = 0;
        for (std::int64_t c = 0; c < k; ++c) sum += std::exp(x[b][i][j][c]);
        for (std::int64_t c = 0; c < k; ++c) {
          const double p = std::exp(x[b][i][j][c]) / sum;
          const auto at = static_cast<std::size_t>(c);
          mass[at] += p;
          if (c != id) continue;
          both[at] += p;
          pixels[at] += 1;
          entropy -= std::log(p);
        }
        n += 1;
      }
    }
  }
  double dice = 0, present = 0;
  for (std::size_t c = 1; c < both.size(); ++c) {
    if (pixels[c] == 0) continue;
    dice += (2 * both[c] + 1) / (mass[c] + pixels[c] + 1);
    present += 1;
  }
  return (n > 0 ? entropy / n : 0) + (present > 0 ? 1 - dice / present : 0);
}

struct Case {
  const char* name;
  std::int64_t b, h, w, k, absent;
  std::set<std::int64_t> ignored_pictures;
};

class ClassLoss : public ::testing::TestWithParam<Case> {
 protected:
  at::Tensor logits() const { return logits_of(GetParam().b, GetParam().h, GetParam().w, GetParam().k); }
  at::Tensor ids() const {
    const Case& c = GetParam();
    return ids_of(c.b, c.h, c.w, c.k, c.absent, c.ignored_pictures);
  }
};
INSTANTIATE_TEST_SUITE_P(Cases, ClassLoss,
                         ::testing::Values(Case{"all present", 2, 6, 5, 4, -1, {}},
                                           Case{"an absent class", 2, 6, 5, 4, 2, {}},
                                           Case{"one picture all ignored", 2, 6, 5, 4, -1, {1}},
                                           Case{"everything ignored", 2, 4, 5, 3, -1, {0, 1}},
                                           Case{"only background", 1, 3, 3, 2, 1, {}}),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_P(ClassLoss, IsTheFormula) {
  EXPECT_NEAR(class_loss(logits(), ids(), kIgnore).item<double>(), by_loops(logits(), ids()), 1e-12);
}

TEST_P(ClassLoss, Gradient) {
  const at::Tensor x = logits().requires_grad_(true), g = ids();
  class_loss(x, g, kIgnore).backward();
  const c10::NoGradGuard no_gradients;
  const at::Tensor flat = x.view({-1}), got = x.grad().reshape({-1});
  const double scale = std::max(got.abs().max().item<double>(), 1e-3);
  const std::int64_t k = GetParam().k;
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    constexpr double h = 1e-5;
    const double value = flat[i].item<double>();
    flat[i].fill_(value + h);
    const double above = by_loops(x, g);
    flat[i].fill_(value - h);
    const double below = by_loops(x, g);
    flat[i].fill_(value);
    EXPECT_NEAR(got[i].item<double>(), (above - below) / (2 * h), 1e-7 * scale) << i;
    // What is ignored teaches nothing, to the bit.
    if (g.reshape({-1})[i / k].item<float>() == kIgnore) {
      EXPECT_EQ(got[i].item<double>(), 0.0) << i;
    }
  }
}

// Which number the ignored pixels have makes no difference: 255, another one that masks can hold, or none.
TEST_P(ClassLoss, TheIgnoredIdMayBeAnyThatIsNoClass) {
  const double wanted = by_loops(logits(), ids());
  for (const int ignore : {7, 200, 254}) {
    const at::Tensor own = at::where(ids() == kIgnore, at::full_like(ids(), ignore), ids());
    EXPECT_NEAR(class_loss(logits(), own, ignore).item<double>(), wanted, 1e-12) << ignore;
  }
}

TEST(ClassLosses, IsFiniteWhereOneClassIsCertain) {
  at::Tensor x = at::zeros({1, 2, 2, 3}, at::kFloat);
  x.select(3, 1).fill_(1e4F);
  x.requires_grad_(true);
  const at::Tensor ids = at::full({1, 2, 2, 1}, 1.0F);
  class_loss(x, ids, kIgnore).backward();
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
  EXPECT_NEAR(class_loss(x, ids, kIgnore).item<double>(), 0, 1e-6);
  EXPECT_NEAR(class_loss(x, at::zeros({1, 2, 2, 1}), kIgnore).item<double>(), 1e4, 1);
}

TEST(ClassLosses, TheTotalIsTheSumOfThreeOutputs) {
  const at::Tensor ids = ids_of(2, 4, 4, 3, -1, {});
  const model::Maps<at::Tensor> maps{logits_of(2, 4, 4, 3), logits_of(2, 4, 4, 3) * 2,
                                     logits_of(2, 4, 4, 3) * -1};
  const Losses l = class_losses(maps, ids, kIgnore);
  EXPECT_NEAR(l.out.item<double>(), by_loops(maps.out, ids), 1e-12);
  EXPECT_NEAR(l.out1.item<double>(), by_loops(*maps.out1, ids), 1e-12);
  EXPECT_NEAR(l.out2.item<double>(), by_loops(*maps.out2, ids), 1e-12);
  EXPECT_NEAR(l.total.item<double>(), (l.out + l.out1 + l.out2).item<double>(), 1e-12);
}

TEST(ClassLosses, OfBf16AreComputedInFloat32) {
  const at::Tensor x = logits_of(2, 12, 11, 4).to(at::kBFloat16), ids = ids_of(2, 12, 11, 4, -1, {});
  const double wanted = by_loops(x.to(at::kDouble), ids);
  EXPECT_NEAR(class_loss(x, ids, kIgnore).item<double>(), wanted, 2e-6 * wanted);
}

}  // namespace
}  // namespace sam2unet::train
