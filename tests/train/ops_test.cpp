// Every operation on LibTorch against naive loops in double precision.
#include <tuple>

#include "ops/torch/device.h"
#include "ops/torch/folded_weights.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "train/torch_support.h"

namespace sam2unet::ops {
namespace {

using test::plain_input;
using test::relative_error;
using test::to_torch;

struct Type {
  at::ScalarType compute;
  double tolerance;
};

class TorchConformance : public ::testing::TestWithParam<Type> {
 protected:
  at::Tensor input(const PlainTensor& x) const { return to_torch(x).to(GetParam().compute); }
  void expect_close(const at::Tensor& got, const PlainTensor& want) const {
    EXPECT_EQ(got.scalar_type(), GetParam().compute);
    EXPECT_LT(relative_error(got, want), GetParam().tolerance);
  }

  model::DeterministicWeights source;
  ParameterSet set;
  PlainWeights pw{source};
  TorchWeights tw{source, set, GetParam().compute == at::kDouble ? at::kDouble : at::kFloat, at::kCPU};
  PlainOps plain;
  TorchOps torch;
};

INSTANTIATE_TEST_SUITE_P(Types, TorchConformance,
                         ::testing::Values(Type{at::kDouble, 1e-12}, Type{at::kFloat, 5e-6},
                                           Type{at::kBFloat16, 4e-2}),
                         [](const auto& type) { return std::string(c10::toString(type.param.compute)); });

TEST_P(TorchConformance, PatchEmbedAndPosition) {
  const auto x = plain_input("x", {2, 64, 96, 3});
  const auto y = plain.patch_embed(x, pw.patch_embed("p", 3, 16));
  expect_close(torch.patch_embed(input(x), tw.patch_embed("p", 3, 16)), y);
  expect_close(torch.add_position(input(y), tw.position("t", 16, {7, 5}, 8)),
               plain.add_position(y, pw.position("t", 16, {7, 5}, 8)));
}

TEST_P(TorchConformance, NormLinearElementwise) {
  const auto x = plain_input("x", {2, 3, 5, 33}), r = plain_input("r", {2, 3, 5, 33});
  expect_close(torch.layer_norm(input(x), tw.norm("n", 33)), plain.layer_norm(x, pw.norm("n", 33)));
  expect_close(torch.linear(input(x), tw.linear("l", 33, 47)), plain.linear(x, pw.linear("l", 33, 47)));
  expect_close(torch.linear(input(x), tw.pointwise("q", 33, 1)), plain.linear(x, pw.pointwise("q", 33, 1)));
  expect_close(torch.gelu(input(x)), plain.gelu(x));
  expect_close(torch.relu(input(x)), plain.relu(x));
  expect_close(torch.add(input(x), input(r)), plain.add(x, r));
  expect_close(torch.concat(input(x), input(r)), plain.concat(x, r));
}

TEST_P(TorchConformance, WindowAttention) {
  struct Case {
    Extent e;  // c = 3 x dim
    AttentionGeometry g;
  };
  const Case cases[] = {
      {{2, 16, 8, 3 * 16}, {1, 8, 1}},    // whole windows
      {{1, 11, 11, 3 * 48}, {2, 7, 1}},   // cut on both sides
      {{1, 3, 5, 3 * 30}, {3, 8, 1}},     // a window larger than the picture
      {{2, 5, 3, 3 * 72}, {2, 0, 1}},     // global
      {{1, 22, 22, 3 * 32}, {2, 14, 2}},  // queries pooled in cut windows
      {{2, 8, 12, 3 * 24}, {1, 8, 2}},    // cut on one side
      {{1, 6, 4, 3 * 24}, {1, 0, 2}},     // queries pooled over the whole picture
      {{1, 2, 2, 3 * 5}, {1, 16, 2}},     // one pooled query, nearly all padding
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.g.window);
    const auto x = plain_input("qkv", c.e);
    const int n = static_cast<int>(c.e.c);
    expect_close(torch.window_attention(input(x), tw.linear("a", 8, n), c.g),
                 plain.window_attention(x, pw.linear("a", 8, n), c.g));
  }
}

TEST_P(TorchConformance, PoolAndUpsample) {
  const auto x = plain_input("x", {2, 6, 10, 19});
  expect_close(torch.max_pool_2x2(input(x)), plain.max_pool_2x2(x));
  for (const Corners corners : {Corners::aligned, Corners::unaligned}) {
    for (const auto& [h, w] : {std::pair{12, 20}, {24, 40}, {7, 11}, {1, 1}}) {
      expect_close(torch.upsample(input(x), h, w, corners), plain.upsample(x, h, w, corners));
    }
  }
}

TEST_P(TorchConformance, ConvBn) {
  const auto x = plain_input("x", {2, 11, 5, 24});
  for (const Kernel k : {Kernel{3, 3, 1}, {1, 7, 1}, {5, 1, 1}, {3, 3, 7}}) {
    expect_close(torch.conv_bn(input(x), tw.conv_bn("c", "b", 24, 16, k)),
                 plain.conv_bn(x, pw.conv_bn("c", "b", 24, 16, k)));
  }
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  const auto got = torch.conv_bn_fan(input(x), tw.conv_bn_fan(names, 24, 16));
  const auto want = plain.conv_bn_fan(x, pw.conv_bn_fan(names, 24, 16));
  for (std::size_t i = 0; i < got.size(); ++i) expect_close(got[i], want[i]);
}

// Weights packed for inference: BatchNorm folded, everything in the type that is computed in.
TEST_P(TorchConformance, FoldedWeights) {
  const auto type = GetParam().compute;
  FoldedTorchWeights folded(source, type, at::kCPU);
  const auto x = plain_input("x", {2, 11, 5, 24});
  for (const Kernel k : {Kernel{3, 3, 1}, {1, 7, 1}, {5, 1, 1}, {3, 3, 7}}) {
    const auto w = folded.conv_bn("c", "b", 24, 16, k);
    EXPECT_EQ(w.weight.scalar_type(), type);
    expect_close(torch.conv_bn(input(x), w), plain.conv_bn(x, pw.conv_bn("c", "b", 24, 16, k)));
  }
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  const auto got = torch.conv_bn_fan(input(x), folded.conv_bn_fan(names, 24, 16));
  const auto want = plain.conv_bn_fan(x, pw.conv_bn_fan(names, 24, 16));
  for (std::size_t i = 0; i < got.size(); ++i) expect_close(got[i], want[i]);
  expect_close(torch.linear(input(x), folded.pointwise("q", 24, 3)),
               plain.linear(x, pw.pointwise("q", 24, 3)));
  expect_close(torch.layer_norm(input(x), folded.norm("n", 24)), plain.layer_norm(x, pw.norm("n", 24)));
  const auto picture = plain_input("p", {1, 64, 96, 3});
  const auto y = plain.patch_embed(picture, pw.patch_embed("p", 3, 16));
  expect_close(torch.patch_embed(input(picture), folded.patch_embed("p", 3, 16)), y);
  expect_close(torch.add_position(input(y), folded.position("t", 16, {7, 5}, 8)),
               plain.add_position(y, pw.position("t", 16, {7, 5}, 8)));
}

// Gradients through BatchNorm are small differences of sums over all pixels, so the sums must be good.
TEST(TorchPrecision, ConvBnGradientsInFloat32) {
  const auto gradient = [](at::ScalarType type) {
    model::DeterministicWeights source;
    ParameterSet set;
    TorchWeights make(source, set, type, at::kCPU);
    const auto w = make.conv_bn("c", "b", 8, 16, {1, 1, 1});
    TorchOps o;
    o.training = true;
    const at::Tensor x = to_torch(plain_input("x", {2, 88, 88, 8})).to(type).requires_grad_(true);
    const at::Tensor y = o.conv_bn(x, w);
    const at::Tensor direction = 1 + 0.001 * to_torch(plain_input("direction", {2, 88, 88, 16}));
    (y * direction.to(type)).sum().backward();
    return x.grad().to(at::kDouble);
  };
  EXPECT_LT(relative_error(gradient(at::kFloat), gradient(at::kDouble)), 2e-3);
}

// While training, BatchNorm is (x - mean) / sqrt(variance + 1e-5) of the batch, and moves its running values.
TEST_P(TorchConformance, ConvBnTrains) {
  const auto x = plain_input("x", {2, 6, 5, 24});
  auto w = pw.conv_bn("c", "b", 24, 16, {3, 3, 1});
  auto unit = w;  // the convolution alone
  unit.gamma.assign(16, 1.0);
  unit.beta.assign(16, 0.0);
  unit.mean.assign(16, 0.0);
  unit.variance.assign(16, 1.0 - 1e-5);
  const auto y = plain.conv_bn(x, unit);
  const auto n = static_cast<double>(y.extent.pixels());
  auto moved = w;
  for (std::size_t c = 0; c < 16; ++c) {
    double mean = 0.0, square = 0.0;
    for (std::size_t i = c; i < y.data.size(); i += 16) mean += y.data[i] / n;
    for (std::size_t i = c; i < y.data.size(); i += 16) square += (y.data[i] - mean) * (y.data[i] - mean);
    w.mean[c] = mean;
    w.variance[c] = square / n;
    moved.mean[c] = 0.9 * moved.mean[c] + 0.1 * mean;
    moved.variance[c] = 0.9 * moved.variance[c] + 0.1 * square / (n - 1);
  }
  torch.training = true;
  expect_close(torch.conv_bn(input(x), tw.conv_bn("c", "b", 24, 16, {3, 3, 1})), plain.conv_bn(x, w));
  torch.training = false;
  const at::Tensor mean = *set.find("b.running_mean"), variance = *set.find("b.running_var");
  const double tolerance = GetParam().compute == at::kBFloat16 ? 1e-2 : GetParam().tolerance;
  EXPECT_LT(relative_error(mean, at::tensor(moved.mean, at::kDouble)), tolerance);
  EXPECT_LT(relative_error(variance, at::tensor(moved.variance, at::kDouble)), tolerance);
  // Counted by outcomes, on the host (TrainableNetwork::count_batches).
  EXPECT_EQ(set.find("b.num_batches_tracked")->item<std::int64_t>(), 0);
}

// The fan is one BatchNorm; its five parts' statistics are the named buffers.
TEST_P(TorchConformance, FanMovesEachPartsStatistics) {
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  const auto x = input(plain_input("x", {2, 6, 5, 24}));
  ParameterSet alone;
  TorchWeights single(source, alone, tw.conv_bn("z", "z", 1, 1, {}).weight.scalar_type(), at::kCPU);
  torch.training = true;
  const auto fan = torch.conv_bn_fan(x, tw.conv_bn_fan(names, 24, 16));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto part = torch.conv_bn(x, single.conv_bn(names[i] + ".conv", names[i] + ".bn", 24, 16, {}));
    EXPECT_LT(relative_error(fan[i], part.to(at::kDouble)), GetParam().tolerance);
    for (const char* buffer : {".bn.running_mean", ".bn.running_var"}) {
      EXPECT_LT(relative_error(*set.find(names[i] + buffer), alone.find(names[i] + buffer)->to(at::kDouble)),
                GetParam().tolerance);
    }
  }
}

// In the words of whoever asks, who may be no program with options.
TEST(TorchDevices, AreSaidAsTheCallerSaysThem) {
  EXPECT_TRUE(find_device("cpu", "x").is_cpu());
  for (const char* name : {"", "gpu", "CPU", "cpu:0", "cuda0", "cuda:", "cuda:x", "cuda:-1", "cuda:1x",
                           "cuda:99999999999", "cudax1"}) {
    EXPECT_EQ(test::message_of<UsageError>([&] { find_device(name, "device='" + std::string(name) + "'"); }),
              "device='" + std::string(name) + "': must be cpu, cuda or cuda:N");
  }
}

}  // namespace
}  // namespace sam2unet::ops
