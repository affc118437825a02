// Low precision where tensors are views of others, are shared, or come in many parts; and its fused
// operations with few rows and many.
#include <array>
#include <string>
#include <vector>

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
using test::relative_error;
using test::to;

class LowOperations : public ::testing::Test {
 protected:
  double error(LowOps& o, const LowTensor& got, const PlainTensor& want) {
    return relative_error(o.to_f32(got), want);
  }
  test::RoundedWeights source;
  PlainWeights plain_weights{source};
  PlainOps plain;
};

// The five parts of a fan are views of one tensor, whose values stay what they are whatever is made of them.
TEST_F(LowOperations, ViewsAreReadWhereTheyLie) {
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  const Extent e{2, 4, 6, 24};
  const auto x = plain_input("x", e);
  const auto p = plain.conv_bn_fan(x, plain_weights.conv_bn_fan(names, 24, 10));
  const Numerics numerics{LowPrecision::bf16, Way::widened, Way::widened};  // activations are float32
  for (const int threads : {1, 2}) {
    LowWeights weights(source, numerics);
    LowOps o(numerics, threads);
    const auto f = o.conv_bn_fan(to(o, x), weights.conv_bn_fan(names, 24, 10));
    constexpr double kRounding = 3e-5;  // GELU's short formula
    EXPECT_LT(error(o, o.relu(f[1]), plain.relu(p[1])), kRounding);
    EXPECT_LT(error(o, o.gelu(f[2]), plain.gelu(p[2])), kRounding);
    EXPECT_LT(error(o, o.add(f[0], f[3]), plain.add(p[0], p[3])), kRounding);
    EXPECT_LT(error(o, o.add(f[4], f[4]), plain.add(p[4], p[4])), kRounding);
    EXPECT_LT(error(o, o.max_pool_2x2(f[2]), plain.max_pool_2x2(p[2])), kRounding);
    EXPECT_LT(
        error(o, o.upsample(f[3], 8, 18, Corners::aligned), plain.upsample(p[3], 8, 18, Corners::aligned)),
        kRounding);
    const auto two = o.concat(f[4], f[1]);
    const auto plain_two = plain.concat(p[4], p[1]);
    EXPECT_EQ(two.parts(), 2U);
    EXPECT_LT(error(o, two, plain_two), kRounding);
    EXPECT_LT(error(o, o.layer_norm(two, weights.norm("n", 20)),
                    plain.layer_norm(plain_two, plain_weights.norm("n", 20))),
              kRounding);
    EXPECT_LT(error(o, o.max_pool_2x2(two), plain.max_pool_2x2(plain_two)), kRounding);
    EXPECT_LT(error(o, o.upsample(two, 5, 7, Corners::unaligned),
                    plain.upsample(plain_two, 5, 7, Corners::unaligned)),
              kRounding);
    EXPECT_LT(error(o, o.relu(two), plain.relu(plain_two)), kRounding);
    EXPECT_LT(error(o, o.add(two, two), plain.add(plain_two, plain_two)), kRounding);
    EXPECT_LT(error(o, o.linear(two, weights.linear("l", 20, 7)),
                    plain.linear(plain_two, plain_weights.linear("l", 20, 7))),
              kRounding);
    // Four are views, a fifth is one too many.
    const auto four = o.concat(f[0], f[1], f[2], f[3]);
    EXPECT_EQ(four.parts(), 4U);
    EXPECT_LT(error(o, four, plain.concat(p[0], p[1], p[2], p[3])), kRounding);
    const auto five = o.concat(four, f[4]);
    EXPECT_EQ(five.parts(), 1U);
    EXPECT_LT(error(o, five, plain.concat(plain.concat(p[0], p[1], p[2], p[3]), p[4])), kRounding);
    for (std::size_t i = 0; i < f.size(); ++i) EXPECT_LT(error(o, f[i], p[i]), kRounding) << i;
  }
}

// What somebody else still looks at is not written over.
TEST_F(LowOperations, SharedTensorsStayAsTheyAre) {
  const Numerics numerics{LowPrecision::bf16, Way::widened, Way::widened};
  LowWeights weights(source, numerics);
  LowOps o(numerics, 2);
  const auto x = plain_input("x", {1, 4, 4, 16});
  const auto kept = to(o, x);
  const auto w = weights.linear("l", 16, 16);
  const auto table = weights.position("t", 16, {7, 5}, 4);
  o.relu(kept);
  o.gelu(kept);
  o.add(kept, kept);
  o.add_position(kept, table);
  o.linear_add(kept, w, kept);
  o.linear_gelu_add(kept, w, kept);
  o.adapt(kept, weights.linear("d", 16, 4), weights.linear("u", 4, 16));
  o.feed_forward(kept, weights.norm("n", 16), weights.linear("f", 16, 32), weights.linear("g", 32, 16));
  EXPECT_LT(error(o, kept, x), 1e-7);
  // Of its own memory the result is made: nothing is copied.
  auto own = to(o, x);
  const float* at = own.data();
  const auto result = o.relu(std::move(own));
  EXPECT_EQ(result.data(), at);
}

// Activations of two types are concatenated as float32.
TEST_F(LowOperations, TypesMeetInFloat) {
  const Numerics numerics{LowPrecision::bf16, Way::dot_bf16, Way::widened};  // for its activations alone
  LowWeights weights(source, numerics);
  LowOps o(numerics, 2);
  const auto x = plain_input("x", {2, 3, 4, 6});
  const auto norm = o.layer_norm(to(o, x), weights.norm("n", 6));
  EXPECT_EQ(norm.type(), lowp::Element::bf16);
  const auto plain_norm = plain.layer_norm(x, plain_weights.norm("n", 6));
  const auto both = o.concat(to(o, x), norm, to(o, x));
  EXPECT_EQ(both.type(), lowp::Element::f32);
  EXPECT_LT(error(o, both, plain.concat(x, plain_norm, x)), 4e-3);
  EXPECT_LT(error(o, o.add(to(o, x), norm), plain.add(x, plain_norm)), 4e-3);
  EXPECT_LT(error(o, o.add(norm, to(o, x)), plain.add(plain_norm, x)), 4e-3);
  EXPECT_LT(
      error(o, o.upsample(norm, 6, 8, Corners::aligned), plain.upsample(plain_norm, 6, 8, Corners::aligned)),
      8e-3);
  EXPECT_LT(error(o, o.max_pool_2x2(norm), plain.max_pool_2x2(plain_norm)), 4e-3);
}

// Adapters and feed-forward layers: a row, less than a tile, several blocks on each way of sharing them out.
TEST_F(LowOperations, FusedLayersOfFewRowsAndMany) {
  struct Case {
    Numerics numerics;
    double tolerance;
  };
  const std::vector<Case> cases = {{{LowPrecision::bf16, Way::widened, Way::widened}, 2e-4},
                                   {{LowPrecision::int8, Way::widened, Way::widened}, 2e-2},
                                   {{LowPrecision::bf16, Way::dot_bf16, Way::widened}, 1e-2},
                                   {{LowPrecision::int8, Way::dot_bf16, Way::dot_int8}, 2e-2},
                                   {{LowPrecision::int8, Way::amx_bf16, Way::amx_int8}, 2e-2}};
  for (const std::int64_t pixels : {1, 5, 191, 193, 800}) {
    const auto x = plain_input("x", {1, 1, pixels, 20});
    const auto adapted = plain.adapt(x, plain_weights.linear("d", 20, 6), plain_weights.linear("u", 6, 20));
    const auto fed = plain.feed_forward(x, plain_weights.norm("n", 20), plain_weights.linear("f", 20, 70),
                                        plain_weights.linear("g", 70, 20));
    for (const Case& c : cases) {
      if (c.numerics.bf16 != Way::widened && lowp::native_tiles(c.numerics.bf16) == nullptr) continue;
      if (c.numerics.int8 != Way::widened && lowp::native_tiles(c.numerics.int8) == nullptr) continue;
      LowWeights weights(source, c.numerics);
      const auto down = weights.linear("d", 20, 6), up = weights.linear("u", 6, 20),
                 first = weights.linear("f", 20, 70), second = weights.linear("g", 70, 20);
      const auto norm = weights.norm("n", 20);
      for (const int threads : {1, 2, 3}) {
        LowOps o(c.numerics, threads);
        EXPECT_LT(error(o, o.adapt(to(o, x), down, up), adapted), c.tolerance) << pixels << " on " << threads;
        EXPECT_LT(error(o, o.feed_forward(to(o, x), norm, first, second), fed), c.tolerance)
            << pixels << " on " << threads;
      }
    }
  }
}

}  // namespace
}  // namespace sam2unet::ops
