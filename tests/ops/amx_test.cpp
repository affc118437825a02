// What AMX computes against what vdpbf16ps and vpdpbusd do, and against float32.
#include "core/tensor.h"
#include "ops/backends.h"

namespace sam2unet::ops {
namespace {

using lowp::LowOps;
using lowp::LowPrecision;
using lowp::LowTensor;
using lowp::LowWeights;
using lowp::Numerics;
using lowp::Way;
using test::plain_input;
using test::plain_values;
using test::to;

float round_to_bf16(float v) {
  return bf16_to_f32(f32_to_bf16(v));
}

class Amx : public ::testing::Test {
 protected:
  void SetUp() override {
    if (lowp::native_tiles(Way::amx_int8) == nullptr) GTEST_SKIP() << "this processor has no AMX";
  }
  test::RoundedWeights source;
};

// Every operation that multiplies bytes, with all else in float32.
std::vector<std::vector<float>> results_in_bytes(model::WeightSource& source, Way way, const Extent& e,
                                                 int hidden) {
  const Numerics numerics{LowPrecision::int8, Way::widened, way};
  LowWeights weights(source, numerics);
  LowOps o(numerics, 2);
  const int c = static_cast<int>(e.c);
  const auto x = to(o, plain_input("x", e));
  const auto norm = weights.norm("n", c);
  std::vector<std::vector<float>> results;
  const auto keep = [&](const LowTensor& t) {
    const auto v = plain_values(o, t);
    results.emplace_back(v.data(), v.data() + v.extent().numel());
  };
  keep(o.linear(x, weights.linear("l", c, hidden)));
  keep(o.linear_gelu(x, weights.linear("l", c, hidden)));
  keep(o.adapt(x, weights.linear("d", c, 8), weights.linear("u", 8, c)));
  keep(o.feed_forward(x, norm, weights.linear("f", c, hidden), weights.linear("g", hidden, c)));
  for (const Kernel k : {Kernel{1, 1, 1}, {3, 3, 1}, {1, 7, 1}, {3, 3, 5}})
    keep(o.conv_bn_relu(x, weights.conv_bn("c", "b", c, 24, k)));
  return results;
}

TEST_F(Amx, BytesAreSummedUpToTheSameBits) {
  // Fewer rows than a register, a few more, several blocks; channels that fill no register, one, several, and
  // more than are summed up at a time.
  for (const auto& [e, hidden] : {std::pair{Extent{1, 1, 1, 4}, 16},
                                  {Extent{1, 3, 5, 30}, 80},
                                  {Extent{2, 3, 7, 64}, 200},
                                  {Extent{1, 25, 30, 72}, 2100},
                                  {Extent{1, 4, 9, 2100}, 40}}) {
    const auto vectors = results_in_bytes(source, Way::dot_int8, e, hidden),
               registers = results_in_bytes(source, Way::amx_int8, e, hidden);
    ASSERT_EQ(vectors.size(), registers.size());
    for (std::size_t i = 0; i < vectors.size(); ++i)
      EXPECT_EQ(vectors[i], registers[i]) << i << " of " << e.h << "x" << e.w << "x" << e.c;
  }
}

// Its result is stored as bfloat16: nearly all numbers are the ones that float32 rounds to. Without the
// weights' or the activations' lower halves, a third would be others.
TEST_F(Amx, FanOfTheResidualStreamIsNearlyFloat32) {
  const Numerics numerics{LowPrecision::bf16, Way::amx_bf16, Way::widened};
  LowWeights weights(source, numerics);
  LowOps o(numerics, 2);
  PlainWeights plain_weights(source);
  PlainOps plain;
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  const auto x = plain_input("x", {1, 13, 11, 144});
  const auto got = o.conv_bn_fan(to(o, x), weights.conv_bn_fan(names, 144, 64));
  const auto want = plain.conv_bn_fan(x, plain_weights.conv_bn_fan(names, 144, 64));
  std::int64_t others = 0, all = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto values = plain_values(o, got[i]);
    const auto n = values.extent().numel();
    for (std::int64_t k = 0; k < n; ++k) {
      const float rounded = round_to_bf16(static_cast<float>(want[i].data[static_cast<std::size_t>(k)]));
      others += values.data()[k] != rounded ? 1 : 0;
    }
    all += n;
  }
  EXPECT_LT(others, all / 50) << "of " << all;
}

TEST(RoundToBf16, NearestAndTiesToEven) {
  EXPECT_EQ(round_to_bf16(1.0F), 1.0F);
  EXPECT_EQ(round_to_bf16(1.0F + 0x1p-8F), 1.0F);                // a tie, down to even
  EXPECT_EQ(round_to_bf16(1.0F + 3 * 0x1p-8F), 1.0F + 0x1p-6F);  // a tie, up to even
  EXPECT_EQ(round_to_bf16(1.0F + 0x1p-8F + 0x1p-20F), 1.0F + 0x1p-7F);
  EXPECT_EQ(round_to_bf16(-3.0F - 0x1p-9F), -3.0F);
}

}  // namespace
}  // namespace sam2unet::ops
