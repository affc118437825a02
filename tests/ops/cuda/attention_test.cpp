#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_support.h"
#include "ops/plain/plain_ops.h"

namespace sam2unet::ops::cuda::test {
namespace {

struct Case {
  int heads, head_width, height, width, window, pool = 1, batch = 1;
};

std::string describe(const Case& c, Element e) {
  return std::string(e == Element::bf16  ? "bf16"
                     : e == Element::f16 ? "f16"
                                         : "f32") +
         " heads " + std::to_string(c.heads) + " of " + std::to_string(c.head_width) + ", " +
         std::to_string(c.batch) + " of " + std::to_string(c.height) + " x " + std::to_string(c.width) +
         ", window " + std::to_string(c.window) + ", pool " + std::to_string(c.pool);
}

/// Against the meaning of the operation (ops/plain), which attends to the zero tokens of a padded window.
void check(const Case& c, Element e) {
  SCOPED_TRACE(describe(c, e));
  const int width = c.heads * c.head_width;
  const auto n = static_cast<std::size_t>(c.batch * c.height * c.width * 3 * width);
  const auto qkv = as_rounded(normal(n, 11), e);
  const auto bias = as_rounded(normal(static_cast<std::size_t>(3 * width), 12), e);
  PlainTensor x({c.batch, c.height, c.width, 3 * width});
  x.data.assign(qkv.begin(), qkv.end());
  PlainWeights::Linear layer;
  layer.bias.assign(bias.begin(), bias.end());
  PlainOps plain;
  const auto want =
      plain.window_attention(x, layer, {.heads = c.heads, .window = c.window, .q_pool = c.pool});

  Memory qkv_memory(qkv, e), bias_memory(bias, e);
  const auto got = in_both_orders<float>([&] {
    Memory out(std::vector<float>(want.data.size(), NAN), e);
    AttentionTask t;
    t.qkv = qkv_memory.data();
    t.bias = bias_memory.data();
    t.out = out.data();
    t.batch = c.batch;
    t.height = c.height;
    t.width = c.width;
    t.heads = c.heads;
    t.head_width = c.head_width;
    t.window_height = c.window > 0 ? c.window : c.height;
    t.window_width = c.window > 0 ? c.window : c.width;
    t.pool = c.pool;
    t.scale = 1.4426950408889634F / std::sqrt(static_cast<float>(c.head_width));
    launch_attention(launcher(), e, t);
    EXPECT_TRUE(out.is_intact());
    return out.values();
  });
  EXPECT_LT(relative_error(got, want.data), tolerance(e));
}

constexpr Element both[] = {Element::bf16, Element::f16};

TEST(AttentionKernels, HeadsOfEveryWidth) {
  emulation().counters = {};
  for (const Element e : both) {
    for (const int width : {16, 32, 56, 72, 96}) {
      check({2, width, 8, 8, 8}, e);
      check({2, width, 8, 8, 4, 1, 2}, e);
    }
  }
  EXPECT_EQ(emulation().counters.extra_wavefronts, 0);
}

TEST(AttentionKernels, WindowsOfEveryStage) {
  for (const Element e : both) {
    check({2, 72, 16, 16, 8}, e);     // stage 0
    check({1, 72, 16, 16, 8, 2}, e);  // the first block of stage 1: 64 keys, 16 pooled queries
    check({1, 72, 8, 8, 4, 1, 3},
          e);                       // stage 1: several windows to a block, and a last block that is not full
    check({1, 72, 8, 8, 4, 2}, e);  // stage 2's first: 16 keys, 4 queries
    check({1, 72, 28, 28, 14, 2}, e);  // stage 3's first
    check({1, 72, 14, 14, 7}, e);      // stage 3
    check({1, 96, 16, 16, 16}, e);     // 256 queries and keys: several chunks
  }
}

TEST(AttentionKernels, TheWholePictureIsAWindow) {
  for (const Element e : both) {
    check({1, 72, 22, 22, 0}, e);  // 484
    check({2, 56, 10, 6, 0, 1, 2}, e);
    check({1, 32, 1, 3, 0}, e);
    check({1, 32, 6, 10, 0, 2}, e);
  }
}

TEST(AttentionKernels, CutWindowsAttendToOneMoreKeyThatStandsForThePadding) {
  for (const Element e : both) {
    check({1, 72, 22, 22, 16}, e);  // 256, 96, 96, 36 and the extra key
    check({1, 96, 22, 22, 14}, e);
    check({2, 72, 11, 11, 8, 1, 2}, e);
    check({2, 16, 11, 11, 8}, e);
    check({1, 72, 11, 11, 7}, e);
    check({1, 56, 22, 22, 8, 2}, e);
    check({1, 72, 22, 10, 14, 2}, e);
    check({1, 32, 5, 7, 4}, e);   // 1-row windows, in the kernel of a warp to a window
    check({1, 32, 5, 7, 16}, e);  // one window, all of it cut
  }
}

TEST(AttentionKernels, AScoreFarAboveTheOthersTakesAll) {
  // Chunk after chunk with larger scores: what was summed before is scaled away without a NaN.
  const Element e = Element::bf16;
  const int tokens = 200, width = 16;
  std::vector<float> qkv(static_cast<std::size_t>(tokens * 3 * width));
  for (int i = 0; i < tokens; i++) {
    for (int c = 0; c < width; c++) {
      const auto at = static_cast<std::size_t>(i * 3 * width + c);
      qkv[at] = 8;
      qkv[at + width] = static_cast<float>(i);
      qkv[at + 2 * width] = static_cast<float>(i % 128);
    }
  }
  Memory x(qkv, e), bias(std::vector<float>(static_cast<std::size_t>(3 * width)), e);
  Memory out(std::vector<float>(static_cast<std::size_t>(tokens * width)), e);
  AttentionTask t;
  t.qkv = x.data();
  t.bias = bias.data();
  t.out = out.data();
  t.height = t.window_height = 10;
  t.width = t.window_width = 20;
  t.head_width = width;
  t.scale = 1.4426950408889634F / 4;
  launch_attention(launcher(), e, t);
  for (const float v : out.values()) EXPECT_EQ(v, 199 % 128);
}

TEST(AttentionKernels, WithoutMatrixUnits) {
  check({2, 24, 8, 8, 4}, Element::f32);
  check({1, 72, 11, 11, 8}, Element::f32);
  check({1, 256, 6, 6, 4, 2}, Element::f32);
  check({1, 40, 6, 10, 0, 2, 2}, Element::f32);
  check({2, 24, 11, 11, 8, 1, 2}, Element::bf16);  // a width that the other kernels do not take
  check({2, 8, 10, 6, 4, 2}, Element::f16);
}

}  // namespace
}  // namespace sam2unet::ops::cuda::test
