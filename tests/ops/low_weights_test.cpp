// What becomes of weights in low precision: which are stored how, their scales and sums; and what is said of
// the instructions. Small cases worked out by hand, on the plain backend too.
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "ops/backends.h"
#include "support/instruction_sets.h"

namespace sam2unet::ops {
namespace {

using lowp::Element;
using lowp::LowOps;
using lowp::LowPrecision;
using lowp::LowWeights;
using lowp::Matrix;
using lowp::Numerics;
using lowp::Storage;
using lowp::Way;
using testing::ElementsAre;
using testing::HasSubstr;

/// Tensors of given values; of all other names zeros.
class Given : public model::WeightSource {
 public:
  using WeightSource::read;
  explicit Given(std::map<std::string, std::vector<float>> values) : values_(std::move(values)) {}
  void read(const std::string& name, const Shape&, std::int64_t first, std::span<float> out) const override {
    const auto it = values_.find(name);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = it == values_.end() ? 0.0F : it->second.at(static_cast<std::size_t>(first) + i);
  }

 private:
  std::map<std::string, std::vector<float>> values_;
};

constexpr Numerics kBytes{LowPrecision::int8, Way::widened, Way::widened};

// The largest weight of a row is 127 steps, whatever its sign; a row of zeros has none.
TEST(LowWeights, ScalesAndSumsOfEachColumn) {
  Given source({{"l.weight", {1.27F, -0.5F, 0.004F, -2.54F, 1.0F, 0.03F, 0, 0, 0}}, {"l.bias", {1, 2, 3}}});
  LowWeights weights(source, kBytes);
  const Matrix m = weights.linear("l", 3, 3);
  EXPECT_EQ(m.storage, Storage::int8);
  EXPECT_FLOAT_EQ(m.column_scale.at(0), 0.01F);
  EXPECT_FLOAT_EQ(m.column_scale.at(1), 0.02F);
  EXPECT_EQ(m.column_scale.at(2), 0.0F);
  EXPECT_FLOAT_EQ(m.column_sum.at(0), 0.01F * (127 - 50 + 0));
  EXPECT_FLOAT_EQ(m.column_sum.at(1), 0.02F * (-127 + 50 + 2));  // 1.5 steps are 2
  EXPECT_EQ(m.column_sum.at(2), 0.0F);
  EXPECT_THAT((std::vector(m.bias.begin(), m.bias.begin() + 3)), ElementsAre(1, 2, 3));
}

TEST(LowWeights, WhichLayersBearWhat) {
  Given source({});
  LowWeights bytes(source, kBytes, {"encoder.blocks.1", "up"});
  const auto storage = [&](const char* name) { return bytes.linear(name, 4, 4).storage; };
  EXPECT_EQ(storage("encoder.blocks.1.attn.proj"), Storage::bf16);
  EXPECT_EQ(storage("encoder.blocks.10.attn.proj"), Storage::int8);
  EXPECT_EQ(storage("encoder.blocks.1"), Storage::int8);  // a group's layers have names behind its own
  EXPECT_EQ(storage("the.encoder.blocks.1.x"), Storage::int8);
  EXPECT_EQ(bytes.conv_bn("up.conv", "b", 4, 4, {3, 3, 1}).storage, Storage::bf16);
  EXPECT_EQ(bytes.conv_bn("down.conv", "b", 4, 4, {3, 3, 1}).storage, Storage::int8);
  EXPECT_EQ(bytes.pointwise("head", 4, 4).storage, Storage::bf16);
  EXPECT_EQ(bytes.patch_embed("p", 3, 4).storage, Storage::f32);
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  EXPECT_EQ(bytes.conv_bn_fan(names, 4, 4).storage, Storage::f32);
  // Only attention and convolutions take rounded activations.
  LowWeights halves(source, {LowPrecision::bf16, Way::dot_bf16, Way::widened});
  const Element activations = Numerics{LowPrecision::bf16, Way::dot_bf16, Way::widened}.activations();
  EXPECT_EQ(activations, Element::bf16);
  EXPECT_EQ(halves.linear("x.qkv", 4, 4).result, Element::bf16);
  EXPECT_EQ(halves.linear("x.qkvs", 4, 4).result, Element::f32);
  EXPECT_EQ(halves.conv_bn("c", "b", 4, 4, {}).result, Element::bf16);
  EXPECT_EQ(halves.pointwise("h", 4, 4).result, Element::f32);
}

TEST(LowWeights, WhatIsConcatenatedComesInEqualParts) {
  Given source({});
  LowWeights weights(source, kBytes);
  const auto sources = [&](int in, int out) { return weights.conv_bn("c", "b", in, out, {3, 3, 1}).sources; };
  EXPECT_EQ(sources(64, 64), 1);
  EXPECT_EQ(sources(128, 64), 2);
  EXPECT_EQ(sources(256, 64), 4);
  EXPECT_EQ(sources(320, 64), 1);
  EXPECT_EQ(sources(96, 64), 1);
  EXPECT_EQ(sources(32, 64), 1);
}

// BatchNorm of a variance beside which 1e-5 counts: (x - 2) / sqrt(2e-5) * 3 + 5.
TEST(LowWeights, BatchNormsFeelTheEpsilonOnEveryBackend) {
  Given source({{"c.weight", {1.0F}},
                {"b.weight", {3.0F}},
                {"b.bias", {5.0F}},
                {"b.running_mean", {2.0F}},
                {"b.running_var", {1e-5F}}});
  const double wanted = (2.001 - 2.0) / std::sqrt(2e-5) * 3 + 5;
  PlainTensor x({1, 1, 1, 1});
  x.data = {2.001};
  PlainWeights plain_weights(source);
  PlainOps plain;
  EXPECT_NEAR(plain.conv_bn(x, plain_weights.conv_bn("c", "b", 1, 1, {})).data.at(0), wanted, 1e-6);
  CpuWeights cpu_weights(source);
  CpuOps cpu(1);
  EXPECT_NEAR(cpu.conv_bn(test::to(cpu, x), cpu_weights.conv_bn("c", "b", 1, 1, {})).data()[0], wanted, 2e-3);
}

// LayerNorm by the definition of every backend: +-a / sqrt(a^2 + 1e-6).
TEST(LowWeights, PlainNormsFeelTheEpsilon) {
  Given source({{"n.weight", {1, 2}}, {"n.bias", {0.5F, 0}}});
  PlainWeights weights(source);
  PlainOps o;
  PlainTensor x({1, 1, 1, 2});
  x.data = {1e-3, -1e-3};
  const auto y = o.layer_norm(x, weights.norm("n", 2));
  EXPECT_NEAR(y.data.at(0), 1 / std::sqrt(2.0) + 0.5, 1e-9);
  EXPECT_NEAR(y.data.at(1), -2 / std::sqrt(2.0), 1e-9);
}

// Whole numbers that bytes hold exactly: the product is exact, whichever way it is multiplied and however
// many rows there are.
TEST(LowWeights, AProductOfBytesIsExactWhereBytesAre) {
  std::vector<float> matrix;
  for (int n = 0; n < 70; ++n)
    for (int k = 0; k < 5; ++k)
      matrix.push_back(k == 0 ? 127.0F : static_cast<float>((n * 3 + k * 5) % 9 - 4));
  std::vector<float> bias;
  for (int n = 0; n < 70; ++n) bias.push_back(static_cast<float>(n));
  Given source({{"l.weight", matrix}, {"l.bias", bias}});
  for (const Way way : {Way::widened, Way::dot_int8, Way::amx_int8}) {
    if (way != Way::widened && lowp::native_tiles(way) == nullptr) continue;
    const Numerics numerics{LowPrecision::int8, Way::widened, way};
    LowWeights weights(source, numerics);
    const auto w = weights.linear("l", 5, 70);
    for (const std::int64_t pixels : {1, 6, 7, 33, 500}) {
      LowOps o(numerics, 2);
      PlainTensor x({1, 1, pixels, 5});
      for (std::int64_t m = 0; m < pixels; ++m)  // from -55 to 200: steps of 1
        for (int k = 0; k < 5; ++k)
          x.data[static_cast<std::size_t>(m * 5 + k)] = k == 3   ? -55.0
                                                        : k == 4 ? 200.0
                                                                 : static_cast<double>((m * 7 + k * 11) % 40);
      const auto y = o.linear(test::to(o, x), w);
      const auto values = o.to_f32(y);
      for (std::int64_t m = 0; m < pixels; ++m)
        for (int n = 0; n < 70; ++n) {
          double sum = n;
          for (int k = 0; k < 5; ++k)
            sum += x.data[static_cast<std::size_t>(m * 5 + k)] *
                   static_cast<double>(matrix[static_cast<std::size_t>(n * 5 + k)]);
          ASSERT_NEAR(values.data()[m * 70 + n], sum, 0.02) << m << " " << n;
        }
    }
  }
}

// Each picture of a batch has steps of its own, and 0 around it is 0: a picture of tens beside one of
// thousands comes out as if it were alone.
TEST(LowWeights, AConvolutionOfBytesKnowsItsEdges) {
  Given source(
      {{"c.weight", std::vector<float>(9, 1.0F)}, {"b.weight", {1}}, {"b.running_var", {1.0F - 1e-5F}}});
  for (const Way way : {Way::widened, Way::dot_int8, Way::amx_int8}) {
    if (way != Way::widened && lowp::native_tiles(way) == nullptr) continue;
    const Numerics numerics{LowPrecision::int8, Way::widened, way};
    LowWeights weights(source, numerics);
    LowOps o(numerics, 2);
    PlainTensor x({2, 3, 4, 1});
    for (std::size_t i = 0; i < 24; ++i) x.data[i] = i < 12 ? static_cast<double>(i % 5) * 51 - 102 : 25500.0;
    const auto values = o.to_f32(o.conv_bn(test::to(o, x), weights.conv_bn("c", "b", 1, 1, {3, 3, 1})));
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t y = 0; y < 3; ++y)
        for (std::int64_t at = 0; at < 4; ++at) {
          double sum = 0;
          for (std::int64_t v = std::max<std::int64_t>(y - 1, 0); v <= std::min<std::int64_t>(y + 1, 2); ++v)
            for (std::int64_t u = std::max<std::int64_t>(at - 1, 0); u <= std::min<std::int64_t>(at + 1, 3);
                 ++u)
              sum += x.data[static_cast<std::size_t>((b * 3 + v) * 4 + u)];
          EXPECT_NEAR(values.data()[(b * 3 + y) * 4 + at], sum, b == 0 ? 0.7 : 70.0)
              << b << " " << y << " " << at;
        }
  }
}

// --- instructions

TEST(LowInstructions, WhatIsSaidOfThem) {
  const auto words = [](LowPrecision p, Way bf16, Way int8) { return lowp::words_of({p, bf16, int8}); };
  constexpr auto bf16 = LowPrecision::bf16, int8 = LowPrecision::int8;
  EXPECT_EQ(words(bf16, Way::amx_bf16, Way::amx_int8), "bf16 by AMX");
  EXPECT_EQ(words(bf16, Way::dot_bf16, Way::dot_int8), "bf16 by AVX512-BF16");
  EXPECT_EQ(words(bf16, Way::widened, Way::dot_int8),
            "bf16 weights, float32 multiply-adds: this processor has no faster instruction for bf16");
  EXPECT_EQ(words(int8, Way::widened, Way::amx_int8), "int8 by AMX");
  EXPECT_EQ(words(int8, Way::amx_bf16, Way::dot_int8), "int8 by AVX512-VNNI");
  EXPECT_EQ(
      words(int8, Way::amx_bf16, Way::widened),
      "int8 without instructions for it on this processor: no faster than f32, in a quarter of the memory");
}

// What restricts the other kernels restricts these; what there is is used, the best last.
TEST(LowInstructions, WhatThereIsIsUsed) {
  EXPECT_TRUE(lowp::may_use(Way::widened));
  const auto sets = sam2unet::test::instruction_sets();
  {
    const sam2unet::test::InstructionSet baseline(sets.back());
    const bool is_poor = (sets.back() & HWY_AVX3_DL) == 0;
    for (const auto precision : {LowPrecision::bf16, LowPrecision::int8}) {
      const Numerics n = lowp::roughest_numerics(precision);
      EXPECT_EQ(n.precision, precision);
      EXPECT_EQ(n.bf16 == Way::widened && n.int8 == Way::widened, is_poor || !lowp::may_use(Way::dot_int8));
    }
  }
  const Numerics all = lowp::roughest_numerics(LowPrecision::int8);
  if ((hwy::SupportedTargets() & HWY_AVX3_DL) == 0)
    GTEST_SKIP() << "SKIPPED: a processor of the years before";
  EXPECT_EQ(all.int8, lowp::may_use(Way::amx_int8)   ? Way::amx_int8
                      : lowp::may_use(Way::dot_int8) ? Way::dot_int8
                                                     : Way::widened);
  EXPECT_EQ(all.bf16, lowp::may_use(Way::amx_bf16)   ? Way::amx_bf16
                      : lowp::may_use(Way::dot_bf16) ? Way::dot_bf16
                                                     : Way::widened);
}

TEST(LowInstructions, SizesOfPanels) {
  // 3 units of 70 columns, which are 80 in whole vectors.
  EXPECT_EQ(lowp::panel_bytes(Way::widened, Storage::f32, 3, 70), 3 * 80 * 4);
  EXPECT_EQ(lowp::panel_bytes(Way::widened, Storage::bf16, 3, 70), 3 * 80 * 2);
  EXPECT_EQ(lowp::panel_bytes(Way::widened, Storage::int8, 3, 64), 3 * 64);
  EXPECT_EQ(lowp::panel_bytes(Way::dot_bf16, Storage::bf16, 3, 1), 3 * 16 * 4);
  EXPECT_EQ(lowp::panel_bytes(Way::dot_int8, Storage::int8, 3, 16), 3 * 16 * 4);
  for (const auto& [way, channels, rows] : {std::tuple{Way::widened, 1, 6},
                                            {Way::dot_bf16, 2, 6},
                                            {Way::dot_int8, 4, 6},
                                            {Way::amx_bf16, 2, 32},
                                            {Way::amx_int8, 4, 32}}) {
    EXPECT_EQ(lowp::unit_of(way), channels);
    EXPECT_EQ(lowp::rows_of(way), rows);
  }
}

}  // namespace
}  // namespace sam2unet::ops
