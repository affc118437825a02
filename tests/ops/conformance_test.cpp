// Every operation of the vocabulary on the CPU backend against naive double-precision loops, over odd shapes.
#include <tuple>

#include "ops/backends.h"
#include "support/instruction_sets.h"

namespace sam2unet::ops {
namespace {

using test::plain_input;
using test::relative_error;
using test::to_cpu;

struct Setting {
  int threads;
  std::int64_t instructions;
};

class Conformance : public ::testing::TestWithParam<Setting> {
 protected:
  sam2unet::test::InstructionSet instructions{GetParam().instructions};
  model::DeterministicWeights source;
  PlainWeights plain_weights{source};
  CpuWeights cpu_weights{source};
  PlainOps plain;
  CpuOps cpu{GetParam().threads};
};

// Alone, the usual two, and more than there is work for, on the best instruction set (Highway's lowest bit);
// and two on every other.
std::vector<Setting> settings() {
  const auto sets = sam2unet::test::instruction_sets();
  std::vector<Setting> out{{1, sets[0]}, {2, sets[0]}, {5, sets[0]}};
  for (std::size_t i = 1; i < sets.size(); ++i) out.push_back({2, sets[i]});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Settings, Conformance, ::testing::ValuesIn(settings()), [](const auto& s) {
  return sam2unet::test::name_of(s.param.instructions) + "x" + std::to_string(s.param.threads);
});

TEST_P(Conformance, PatchEmbed) {
  for (const Extent e : {Extent{1, 32, 32, 3}, Extent{2, 64, 96, 3}, Extent{1, 160, 32, 3}}) {
    for (const int n : {16, 96, 112}) {
      const auto x = plain_input("x", e);
      EXPECT_LT(relative_error(cpu.patch_embed(to_cpu(cpu, x), cpu_weights.patch_embed("p", 3, n)),
                               plain.patch_embed(x, plain_weights.patch_embed("p", 3, n))),
                2e-6);
    }
  }
}

TEST_P(Conformance, AddPosition) {
  for (const Extent e : {Extent{1, 8, 8, 16}, Extent{2, 24, 40, 24}, Extent{1, 88, 88, 16}}) {
    const auto x = plain_input("x", e);
    const int c = static_cast<int>(e.c);
    EXPECT_LT(relative_error(cpu.add_position(to_cpu(cpu, x), cpu_weights.position("t", c, {7, 5}, 8)),
                             plain.add_position(x, plain_weights.position("t", c, {7, 5}, 8))),
              1e-6);
  }
}

TEST_P(Conformance, LayerNorm) {
  for (const std::int64_t c : {1, 3, 16, 17, 96, 112, 144, 575, 1152}) {
    const auto x = plain_input("x", {2, 3, 5, c});
    const int n = static_cast<int>(c);
    EXPECT_LT(relative_error(cpu.layer_norm(to_cpu(cpu, x), cpu_weights.norm("n", n)),
                             plain.layer_norm(x, plain_weights.norm("n", n))),
              4e-6)
        << c;
  }
}

TEST_P(Conformance, LinearAndItsFusions) {
  for (const auto& [pixels, k, n] :
       {std::tuple{1, 96, 288}, {7, 16, 3}, {121, 33, 47}, {484, 64, 1}, {35, 144, 32}}) {
    const auto x = plain_input("x", {1, 1, pixels, k});
    const auto r = plain_input("r", {1, 1, pixels, n});
    const auto w = cpu_weights.linear("l", k, n);
    const auto pw = plain_weights.linear("l", k, n);
    const auto cx = to_cpu(cpu, x);
    EXPECT_LT(relative_error(cpu.linear(cx, w), plain.linear(x, pw)), 2e-6) << n;
    EXPECT_LT(relative_error(cpu.linear_gelu(cx, w), plain.linear_gelu(x, pw)), 2e-6) << n;
    EXPECT_LT(relative_error(cpu.linear_add(cx, w, to_cpu(cpu, r)), plain.linear_add(x, pw, r)), 2e-6) << n;
    EXPECT_LT(relative_error(cpu.linear_gelu_add(cx, w, to_cpu(cpu, r)), plain.linear_gelu_add(x, pw, r)),
              2e-6)
        << n;
  }
}

TEST_P(Conformance, Elementwise) {
  const auto x = plain_input("x", {2, 3, 5, 7}), y = plain_input("y", {2, 3, 5, 7});
  EXPECT_LT(relative_error(cpu.gelu(to_cpu(cpu, x)), plain.gelu(x)), 1e-6);
  EXPECT_LT(relative_error(cpu.relu(to_cpu(cpu, x)), plain.relu(x)), 1e-7);
  EXPECT_LT(relative_error(cpu.add(to_cpu(cpu, x), to_cpu(cpu, y)), plain.add(x, y)), 1e-6);
}

TEST_P(Conformance, WindowAttention) {
  struct Case {
    Extent e;  // c = 3 x dim
    AttentionGeometry g;
  };
  const Case cases[] = {
      {{1, 8, 8, 3 * 16}, {1, 8, 1}},     // whole windows
      {{2, 16, 8, 3 * 96}, {1, 8, 1}},    //
      {{1, 11, 11, 3 * 48}, {2, 7, 1}},   // windows cut on both sides
      {{2, 22, 22, 3 * 64}, {4, 14, 1}},  //
      {{1, 3, 5, 3 * 30}, {3, 8, 1}},     // a window larger than the picture
      {{1, 22, 22, 3 * 56}, {1, 0, 1}},   // global
      {{2, 5, 3, 3 * 72}, {2, 0, 1}},     //
      {{1, 22, 22, 3 * 32}, {2, 14, 2}},  // queries pooled in cut windows
      {{2, 8, 12, 3 * 24}, {1, 8, 2}},    //
      {{1, 6, 4, 3 * 24}, {1, 0, 2}},     // queries pooled over the whole picture
      {{1, 2, 2, 3 * 5}, {1, 16, 2}},     // one pooled query, nearly all padding
  };
  for (const auto& c : cases) {
    const auto x = plain_input("qkv", c.e);
    const int n = static_cast<int>(c.e.c);
    EXPECT_LT(relative_error(cpu.window_attention(to_cpu(cpu, x), cpu_weights.linear("a", 8, n), c.g),
                             plain.window_attention(x, plain_weights.linear("a", 8, n), c.g)),
              2e-6)
        << "window " << c.g.window << " of " << c.e.h << "x" << c.e.w;
  }
}

TEST_P(Conformance, MaxPool) {
  for (const Extent e : {Extent{1, 2, 2, 1}, Extent{2, 6, 10, 19}, Extent{1, 44, 44, 96}}) {
    const auto x = plain_input("x", e);
    EXPECT_LT(relative_error(cpu.max_pool_2x2(to_cpu(cpu, x)), plain.max_pool_2x2(x)), 1e-7);
  }
}

TEST_P(Conformance, ConvBnAndItsFusions) {
  for (const Extent e :
       {Extent{1, 3, 3, 64}, Extent{2, 11, 5, 64}, Extent{1, 22, 22, 64}, Extent{1, 1, 2, 128}}) {
    for (const Kernel k :
         {Kernel{3, 3, 1}, {1, 3, 1}, {3, 1, 1}, {1, 7, 1}, {7, 1, 1}, {3, 3, 3}, {3, 3, 5}, {3, 3, 7}}) {
      const auto x = plain_input("x", e), r = plain_input("r", {e.b, e.h, e.w, 64});
      const auto w = cpu_weights.conv_bn("c", "b", static_cast<int>(e.c), 64, k);
      const auto pw = plain_weights.conv_bn("c", "b", static_cast<int>(e.c), 64, k);
      const auto cx = to_cpu(cpu, x);
      EXPECT_LT(relative_error(cpu.conv_bn(cx, w), plain.conv_bn(x, pw)), 2e-6);
      EXPECT_LT(relative_error(cpu.conv_bn_relu(cx, w), plain.conv_bn_relu(x, pw)), 2e-6);
      EXPECT_LT(relative_error(cpu.conv_bn_add_relu(cx, w, to_cpu(cpu, r)), plain.conv_bn_add_relu(x, pw, r)),
                2e-6);
    }
  }
}

TEST_P(Conformance, ConvBnFan) {
  const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
  for (const Extent e : {Extent{1, 2, 3, 16}, Extent{2, 11, 11, 96}}) {
    const auto x = plain_input("x", e);
    const int k = static_cast<int>(e.c);
    const auto got = cpu.conv_bn_fan(to_cpu(cpu, x), cpu_weights.conv_bn_fan(names, k, 64));
    const auto want = plain.conv_bn_fan(x, plain_weights.conv_bn_fan(names, k, 64));
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_LT(relative_error(got[i], want[i]), 2e-6) << i;
  }
}

TEST_P(Conformance, Concat) {
  const auto a = plain_input("a", {2, 3, 5, 7}), b = plain_input("b", {2, 3, 5, 16}),
             c = plain_input("c", {2, 3, 5, 1});
  EXPECT_LT(relative_error(cpu.concat(to_cpu(cpu, a), to_cpu(cpu, b)), plain.concat(a, b)), 1e-7);
  EXPECT_LT(relative_error(cpu.concat(to_cpu(cpu, a), to_cpu(cpu, b), to_cpu(cpu, c), to_cpu(cpu, a)),
                           plain.concat(a, b, c, a)),
            1e-7);
}

TEST_P(Conformance, Upsample) {
  for (const bool align : {false, true}) {
    for (const Extent e :
         {Extent{1, 1, 1, 1}, Extent{2, 3, 5, 1}, Extent{1, 11, 11, 64}, Extent{1, 2, 7, 19}}) {
      const auto x = plain_input("x", e);
      EXPECT_LT(relative_error(cpu.upsample(to_cpu(cpu, x), 2 * e.h, 2 * e.w, align),
                               plain.upsample(x, 2 * e.h, 2 * e.w, align)),
                1e-6);
      EXPECT_LT(relative_error(cpu.upsample(to_cpu(cpu, x), 37, 5, align), plain.upsample(x, 37, 5, align)),
                1e-6);
    }
  }
  const auto skip = plain_input("s", {2, 6, 10, 64}), x = plain_input("x", {2, 3, 5, 64});
  EXPECT_LT(
      relative_error(cpu.upsample_behind(to_cpu(cpu, skip), to_cpu(cpu, x)), plain.upsample_behind(skip, x)),
      1e-6);
}

}  // namespace
}  // namespace sam2unet::ops
