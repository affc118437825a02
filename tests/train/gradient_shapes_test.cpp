// Gradients of single operations over odd shapes, and of windows of every kind; with gradient_test.cpp every
// member of ops/concept.h is covered.
#include <tuple>

#include "train/gradient_fixture.h"

namespace sam2unet::ops {
namespace {

using test::Gradient;

TEST_F(Gradient, LinearAlone) {
  const auto x = variable("x", {1, 3, 5, 7});
  const auto w = make.linear("l", 7, 3);
  check([&] { return o.linear(x, w); });
}

TEST_F(Gradient, PointwiseToOneChannel) {
  const auto x = variable("x", {2, 1, 3, 5});
  const auto w = make.pointwise("p", 5, 1);
  check([&] { return o.linear(x, w); });
}

TEST_F(Gradient, GeluReluAdd) {
  const auto x = variable("x", {1, 3, 5, 3}), y = variable("y", {1, 3, 5, 3});
  check([&] { return o.add(o.gelu(x), o.relu(y)) * o.add(x, y); });
}

TEST_F(Gradient, ConcatOfTwoAndFour) {
  const auto a = variable("a", {1, 3, 5, 1}), b = variable("b", {1, 3, 5, 4});
  check([&] { return o.concat(o.concat(a, b), b, a, o.gelu(b)) * 1.5; });
}

TEST_F(Gradient, AddPositionCutTile) {
  const auto x = variable("x", {1, 5, 7, 2});
  const auto w = make.position("t", 2, {3, 2}, 4);
  check([&] { return o.add_position(x, w); });
}

TEST_F(Gradient, UpsampleBothWays) {
  const auto x = variable("x", {2, 3, 5, 2});
  check([&] {
    return o.upsample(x, 7, 11, ops::Corners::aligned) * o.upsample(x, 7, 11, ops::Corners::unaligned) +
           o.upsample(o.upsample(x, 1, 1, ops::Corners::aligned), 7, 11, ops::Corners::unaligned);
  });
}

TEST_F(Gradient, UpsampleBehindOddSizes) {
  const auto skip = variable("s", {1, 5, 9, 2}), x = variable("x", {1, 3, 4, 3});
  check([&] { return o.upsample_behind(skip, x); });
}

TEST_F(Gradient, LayerNormOfOneAndOddChannels) {
  const auto x = variable("x", {1, 1, 3, 13});
  const auto w = make.norm("n", 13);
  check([&] { return o.layer_norm(x, w); });
}

// Kernels of the RFB, and the fused spellings, by the batch's statistics.
TEST_F(Gradient, ConvBnKernelsTraining) {
  o.training = true;
  const auto x = variable("x", {2, 5, 4, 2}), r = variable("r", {2, 5, 4, 3});
  const auto across = make.conv_bn("c1", "b1", 2, 3, {1, 7, 1}),
             down = make.conv_bn("c2", "b2", 3, 3, {7, 1, 1}),
             spread = make.conv_bn("c3", "b3", 3, 3, {3, 3, 2});
  check([&] { return o.conv_bn_add_relu(o.conv_bn_relu(o.conv_bn(x, across), down), spread, r); });
}

TEST_F(Gradient, ConvBnFanInference) {
  const auto x = variable("x", {1, 3, 2, 3});
  const auto w = make.conv_bn_fan({"a", "b", "c", "d", "e"}, 3, 2);
  check([&] {
    const auto y = o.conv_bn_fan(x, w);
    return o.concat(y[0], y[1], y[2], y[3]) * o.concat(y[4], y[3], y[2], y[1]);
  });
}

// Height, width, heads, window, q_pool.
class WindowGradient : public Gradient,
                       public ::testing::WithParamInterface<std::tuple<int, int, int, int, int>> {};

TEST_P(WindowGradient, Attention) {
  const auto [height, width, heads, window, pool] = GetParam();
  const int dim = 2 * heads;
  const auto x = variable("qkv", {2, height, width, 3 * dim});
  const auto w = make.linear("a", 1, 3 * dim);
  // The weight takes no part in attention; neither does the bias where no window is cut.
  const AttentionGeometry geometry{heads, window, pool};
  check([&] { return o.window_attention(x, w, geometry) + w.weight.sum() + w.bias.sum(); });
}

INSTANTIATE_TEST_SUITE_P(Kinds, WindowGradient,
                         ::testing::Values(std::tuple{8, 4, 1, 4, 1},   // whole windows
                                           std::tuple{7, 5, 3, 4, 1},   // cut on both sides, three heads
                                           std::tuple{3, 5, 2, 8, 1},   // a window larger than the picture
                                           std::tuple{8, 6, 2, 4, 2},   // queries pooled, cut on one side
                                           std::tuple{6, 10, 3, 4, 2},  // queries pooled, cut on both
                                           std::tuple{2, 2, 1, 8, 2},  // one pooled query, nearly all padding
                                           std::tuple{3, 5, 2, 0, 1},  // global
                                           std::tuple{4, 6, 3, 0, 2}));  // global, queries pooled

}  // namespace
}  // namespace sam2unet::ops
