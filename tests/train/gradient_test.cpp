// Gradients of every operation, by input and by each parameter, against central differences in float64.
#include "train/gradient_fixture.h"

namespace sam2unet::ops {
namespace {

using test::Gradient;

TEST_F(Gradient, PatchEmbed) {
  const auto x = variable("x", {1, 16, 12, 3});
  const auto w = make.patch_embed("p", 3, 4);
  check([&] { return o.patch_embed(x, w); });
}

TEST_F(Gradient, AddPosition) {
  const auto x = variable("x", {2, 8, 12, 3});
  const auto w = make.position("t", 3, {5, 7}, 4);
  check([&] { return o.add_position(x, w); });
}

TEST_F(Gradient, LayerNorm) {
  const auto x = variable("x", {1, 2, 3, 7});
  const auto w = make.norm("n", 7);
  check([&] { return o.layer_norm(x, w); });
}

TEST_F(Gradient, LinearAndFusions) {
  const auto x = variable("x", {1, 2, 3, 5}), r = variable("r", {1, 2, 3, 4});
  const auto w = make.linear("l", 5, 4), p = make.pointwise("q", 5, 4);
  check([&] { return o.linear_gelu_add(x, w, r) + o.linear_gelu(x, p) * o.linear_add(x, w, r); });
}

TEST_F(Gradient, ReluPoolConcatUpsample) {
  const auto x = variable("x", {2, 4, 6, 3}), y = variable("y", {2, 8, 12, 2});
  check([&] { return o.upsample_behind(y, o.relu(x)); });
}

TEST_F(Gradient, MaxPoolAndUpsample) {
  const auto x = variable("x", {2, 4, 6, 3});
  check([&] { return o.upsample(o.max_pool_2x2(x), 5, 7, ops::Corners::unaligned); });
}

TEST_F(Gradient, WindowAttentionCutWindows) {
  const auto x = variable("qkv", {1, 5, 7, 12});
  const auto w = make.linear("a", 1, 12);
  // The weight takes no part in attention; it is used so that every parameter has a gradient.
  check([&] { return o.window_attention(x, w, {2, 4, 1}) + w.weight.sum(); });
}

TEST_F(Gradient, WindowAttentionPooledQueries) {
  const auto x = variable("qkv", {2, 6, 4, 12});
  const auto w = make.linear("a", 1, 12);
  check([&] { return o.window_attention(x, w, {1, 4, 2}) + w.weight.sum(); });
}

TEST_F(Gradient, WindowAttentionGlobal) {
  const auto x = variable("qkv", {2, 4, 2, 12});
  ParameterSet unused;
  const auto w = TorchWeights(source, unused, at::kDouble, at::kCPU).linear("a", 1, 12);
  check([&] { return o.window_attention(x, w, {2, 0, 2}); });
}

TEST_F(Gradient, ConvBnInference) {
  const auto x = variable("x", {2, 5, 4, 3}), r = variable("r", {2, 5, 4, 4});
  const auto w = make.conv_bn("c", "b", 3, 4, {3, 3, 3}), v = make.conv_bn("c2", "b2", 4, 4, {1, 5, 1});
  check([&] { return o.conv_bn_add_relu(o.conv_bn_relu(x, w), v, r); });
}

TEST_F(Gradient, ConvBnTraining) {
  o.training = true;
  const auto x = variable("x", {2, 5, 4, 3});
  const auto w = make.conv_bn("c", "b", 3, 4, {3, 3, 1});
  check([&] { return o.conv_bn(x, w); });
}

// Synchronised statistics over one process are the ordinary ones, gradients included.
TEST_F(Gradient, ConvBnTrainingSynchronised) {
  o.training = true;
  const auto x = variable("x", {2, 5, 4, 3});
  const auto w = make.conv_bn("c", "b", 3, 4, {3, 3, 1});
  const at::Tensor plain = o.conv_bn(x, w).detach();
  o.gather = [](const at::Tensor& own) { return own.unsqueeze(0); };
  EXPECT_LT(test::relative_error(o.conv_bn(x, w).detach(), plain), 1e-12);
  check([&] { return o.conv_bn(x, w); });
}

// Where the mean is ten thousand deviations, sums of squares would have lost float32's digits.
TEST_F(Gradient, SynchronisedMomentsDoNotCancel) {
  const at::Tensor x = variable("x", {2, 16, 16, 3}).detach().permute({0, 3, 1, 2}) + 1e4;
  const GatherRows alone = [](const at::Tensor& own) { return own.unsqueeze(0); };
  const BatchMoments wide = batch_moments(x, alone), narrow = batch_moments(x.to(at::kFloat), alone);
  EXPECT_LT(test::relative_error(narrow.variance, wide.variance), 1e-3);  // 1e4 itself has 1e-3 of float32
  EXPECT_LT(test::relative_error(wide.variance, x.var({0, 2, 3}, /*unbiased=*/false)), 1e-12);
}

// The moments of two processes' batches are those of both batches together.
TEST_F(Gradient, MomentsOfTwoProcessesAreThoseOfAll) {
  const at::Tensor x = variable("x", {5, 4, 4, 3}).detach().permute({0, 3, 1, 2});
  const at::Tensor first = x.slice(0, 0, 2), second = x.slice(0, 2) + 3;
  at::Tensor rows;
  batch_moments(second, [&](const at::Tensor& own) {
    rows = own.unsqueeze(0);
    return rows;
  });
  const BatchMoments both = batch_moments(first, [&](const at::Tensor& own) {
    return at::cat({own.unsqueeze(0), rows});
  });
  const at::Tensor all = at::cat({first, second});
  EXPECT_LT(test::relative_error(both.mean, all.mean({0, 2, 3})), 1e-12);
  EXPECT_LT(test::relative_error(both.variance, all.var({0, 2, 3}, /*unbiased=*/false)), 1e-12);
  EXPECT_EQ(both.count.item<double>(), 5 * 4 * 4);
}

// Resizes by matrix products, which are deterministic on a GPU too.
TEST_F(Gradient, DeterministicResizes) {
  const auto x = variable("x", {2, 4, 6, 3});
  const auto w = make.position("t", 3, {5, 7}, 4);
  const auto f = [&] {
    return o.upsample(o.add_position(x, w), 7, 9, ops::Corners::aligned) *
           o.upsample(x, 7, 9, ops::Corners::unaligned);
  };
  const at::Tensor plain = f().detach();
  o.deterministic = true;
  EXPECT_LT(test::relative_error(f().detach(), plain), 1e-12);
  check(f);
}

// Values, gradients and running statistics are the same bits with and without recomputing.
TEST_F(Gradient, Recomputing) {
  o.training = true;
  const auto x = variable("x", {2, 6, 4, 3}), y = variable("y", {2, 6, 4, 4});
  const auto w = make.conv_bn("c", "b", 3, 4, {3, 3, 1});
  const auto l = make.linear("l", 4, 4);
  set.set_trainable([](const model::TensorSpec&) { return true; });
  const auto pass = [&] {
    const at::Tensor a =
        o.recomputable([&](const at::Tensor& v) { return o.linear_gelu(o.conv_bn(v, w), l); }, x);
    const at::Tensor b =
        o.recomputable([&](const at::Tensor& v, const at::Tensor& u) { return v * u; }, a, y);
    b.square().sum().backward();
    std::vector<at::Tensor> out{b.detach(), x.grad(), y.grad()};
    for (const auto& e : set.entries()) {
      out.push_back(e.spec.is_buffer() ? e.value.clone() : e.value.grad());
      if (!e.spec.is_buffer()) e.value.mutable_grad().reset();
    }
    x.mutable_grad().reset();
    y.mutable_grad().reset();
    return out;
  };
  std::vector<at::Tensor> before;
  for (const auto& e : set.entries()) before.push_back(e.value.detach().clone());
  const auto kept = pass();
  for (std::size_t i = 0; i < before.size(); ++i) set.entries()[i].value.detach().copy_(before[i]);
  o.recompute = true;
  const auto again = pass();
  ASSERT_EQ(kept.size(), again.size());
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(at::equal(kept[i], again[i])) << i;
}

// Parameters before which nothing learns still get their gradients.
TEST_F(Gradient, RecomputingBehindAFrozenInput) {
  const at::Tensor x = variable("x", {1, 2, 3, 4}).detach();
  inputs.clear();
  const auto l = make.linear("l", 4, 4);
  o.recompute = true;
  check([&] { return o.recomputable([&](const at::Tensor& v) { return o.linear_gelu(v, l); }, x); });
}

TEST_F(Gradient, ConvBnFanTraining) {
  o.training = true;
  const auto x = variable("x", {2, 3, 4, 3});
  const auto w = make.conv_bn_fan({"a", "b", "c", "d", "e"}, 3, 2);
  check([&] {
    const auto y = o.conv_bn_fan(x, w);
    return o.concat(y[0], y[1], y[2], y[3]) * o.concat(y[4], y[3], y[2], y[1]);
  });
}

}  // namespace
}  // namespace sam2unet::ops
