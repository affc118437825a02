#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_support.h"
#include "ops/cuda/cuda_weights.h"
#include "ops/cuda/kernels_math.h"
#include "ops/plain/plain_ops.h"

namespace sam2unet::ops::cuda::test {
namespace {

std::size_t z(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

constexpr Element both[] = {Element::bf16, Element::f16};
constexpr Element all[] = {Element::f32, Element::bf16, Element::f16};

/// Half a unit in the last place of the format, relative.
double rounding(Element e) {
  return e == Element::bf16 ? 0.00391 : e == Element::f16 ? 0.000489 : 1e-6;
}

void expect_shares(const Array<RowShare>& shares, const std::vector<float>& rows, int width) {
  EXPECT_TRUE(shares.is_intact());
  for (std::size_t m = 0; m < shares.size(); m++) {
    double sum = 0, squares = 0;
    for (int c = 0; c < width; c++) sum += static_cast<double>(rows[m * z(width) + z(c)]);
    for (int c = 0; c < width; c++)
      squares += std::pow(static_cast<double>(rows[m * z(width) + z(c)]) - sum / width, 2);
    ASSERT_NEAR(shares[m].sum, sum, 1e-3 + 1e-6 * std::abs(sum)) << m;
    ASSERT_NEAR(shares[m].squares, squares, 2e-5 * squares) << m;
  }
}

/// x + gelu(up gelu(down x)); the hidden values are rounded, the rest is in double precision.
void check_adapter(Element e, int rows, int width, bool in_place, int multiprocessors) {
  SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(width));
  constexpr int hidden = 32;
  const auto x = as_rounded(normal(z(rows * width), 21), e);
  const auto down = as_rounded(normal(z(hidden * width), 22, 0, 0.1F), e);
  const auto up = as_rounded(normal(z(width * hidden), 23, 0, 0.1F), e);
  const auto down_bias = normal(hidden, 24), up_bias = normal(z(width), 25);
  const Halves down_memory(pack_fragments(down, width, hidden, e)),
      up_memory(pack_fragments(up, hidden, width, e));
  const Floats down_bias_memory(down_bias), up_bias_memory(up_bias);
  Array<RowShare> shares(z(rows));
  const auto got = in_both_orders<float>([&] {
    Memory in(x, e, x.size(), x.size()), out(x.size(), e);
    AdapterTask t;
    t.x = in.data();
    t.out = in_place ? in.data() : out.data();
    t.rows = rows;
    t.width = width;
    t.down = down_memory.data();
    t.up = up_memory.data();
    t.down_bias = down_bias_memory.data();
    t.up_bias = up_bias_memory.data();
    t.shares = shares.data();
    Launcher l = launcher();
    l.device.multiprocessors = multiprocessors;
    launch_adapter(l, e, t);
    EXPECT_TRUE(out.is_intact() && in.is_intact());
    return in_place ? in.values() : out.values();
  });
  std::vector<double> want;
  const auto gelu = [](double v) { return 0.5 * v * std::erfc(-v / std::sqrt(2.0)); };
  for (int m = 0; m < rows; m++) {
    double h[hidden];
    for (int j = 0; j < hidden; j++) {
      double v = static_cast<double>(down_bias[z(j)]);
      for (int k = 0; k < width; k++)
        v += static_cast<double>(x[z(m * width + k)]) * static_cast<double>(down[z(j * width + k)]);
      h[j] = static_cast<double>(from_bits(to_bits(static_cast<float>(gelu(v)), e), e));
    }
    for (int n = 0; n < width; n++) {
      double v = static_cast<double>(up_bias[z(n)]);
      for (int j = 0; j < hidden; j++) v += h[j] * static_cast<double>(up[z(n * hidden + j)]);
      want.push_back(static_cast<double>(x[z(m * width + n)]) + gelu(v));
    }
  }
  EXPECT_LT(relative_error(got, want), tolerance(e));
  expect_shares(shares, got, width);
}

TEST(RowKernels, TheAdapterIsOnePass) {
  emulation().counters = {};
  for (const Element e : both) {
    check_adapter(e, 150, 144, false, 132);  // a few rows: blocks of 16
    check_adapter(e, 150, 144, true, 1);     // many for so small a device: blocks of 64
    check_adapter(e, 70, 96, true, 1);
    check_adapter(e, 130, 112, false, 1);
    check_adapter(e, 17, 1152, true, 132);
    check_adapter(e, 5, 16, false, 132);
  }
  EXPECT_EQ(emulation().counters.extra_wavefronts, 0);
}

TEST(RowKernels, NormsAndTheirShares) {
  for (const Element e : all) {
    for (const int width : {16, 144, 37, 1152}) {
      SCOPED_TRACE(width);
      const int rows = 11, pitch = width + 8;
      auto x = normal(z(rows * width), 31, 30, 1);  // the mean is far above the deviation
      x[3] = 3;
      x = as_rounded(x, e);
      const auto weight = normal(z(width), 32, 1, 0.3F), bias = normal(z(width), 33);
      const Floats weight_memory(weight), bias_memory(bias);
      Memory in(x, e, z(width), z(pitch)), out(z(rows * (width + 3)), e);
      Array<RowShare> shares(z(rows));
      RowsTask t;
      t.x = in.data();
      t.rows = rows;
      t.width = width;
      t.pitch = pitch;
      t.shares = shares.data();
      launch_norm(launcher(), e, t);
      expect_shares(shares, x, width);
      t.shares = nullptr;
      t.out = out.data();
      t.out_pitch = width + 3;
      t.weight = weight_memory.data();
      t.bias = bias_memory.data();
      launch_norm(launcher(), e, t);
      EXPECT_TRUE(out.is_intact());
      const auto got = out.values();
      for (int m = 0; m < rows; m++) {
        double mean = 0, variance = 0;
        for (int c = 0; c < width; c++) mean += static_cast<double>(x[z(m * width + c)]) / width;
        for (int c = 0; c < width; c++)
          variance += std::pow(static_cast<double>(x[z(m * width + c)]) - mean, 2) / width;
        for (int c = 0; c < width + 3; c++) {
          const double v = static_cast<double>(got[z(m * (width + 3) + c)]);
          if (c >= width) {
            EXPECT_TRUE(std::isnan(v));
            continue;
          }
          const double want = (static_cast<double>(x[z(m * width + c)]) - mean) / std::sqrt(variance + 1e-6) *
                                  static_cast<double>(weight[z(c)]) +
                              static_cast<double>(bias[z(c)]);
          ASSERT_NEAR(v, want, rounding(e) * std::abs(want) + 1e-5);
        }
      }
    }
  }
}

void check_resize(Element e, int channels, int height, int width, int out_height, int out_width,
                  Corners corners) {
  SCOPED_TRACE(std::to_string(channels) + " channels, " + std::to_string(height) + " x " +
               std::to_string(width) + " to " + std::to_string(out_height) + " x " +
               std::to_string(out_width));
  PlainTensor x({2, height, width, channels});
  const auto values = as_rounded(normal(x.data.size(), 41), e);
  x.data.assign(values.begin(), values.end());
  PlainOps plain;
  const auto want = plain.upsample(x, out_height, out_width, corners);
  Memory in(values, e, z(channels), z(channels + 8)), out(want.data.size(), e);
  ResizeTask t;
  t.x = in.data();
  t.out = out.data();
  t.batch = 2;
  t.height = height;
  t.width = width;
  t.channels = channels;
  t.pitch = channels + 8;
  t.out_height = out_height;
  t.out_width = out_width;
  t.align_corners = corners == Corners::aligned ? 1 : 0;
  launch_resize(launcher(), e, t);
  EXPECT_TRUE(out.is_intact());
  // A place in float32 is off by some units of its last place, which for f32 is more than of a sum.
  EXPECT_LT(relative_error(out.values(), want.data), std::max(tolerance(e), 1e-5));
}

TEST(RowKernels, Resizes) {
  for (const Element e : all) {
    for (const Corners corners : {Corners::unaligned, Corners::aligned}) {
      check_resize(e, 64, 3, 5, 6, 10, corners);
      check_resize(e, 1, 11, 7, 44, 28, corners);
      check_resize(e, 5, 4, 4, 9, 13, corners);
      check_resize(e, 8, 1, 1, 4, 4, corners);
      check_resize(e, 8, 7, 5, 1, 3, corners);
    }
  }
}

TEST(RowKernels, PicturesUnfoldForThePatchEmbedding) {
  const int batch = 2, height = 12, width = 8, pitch = 152;
  std::vector<std::uint8_t> bytes(z(batch * height * width * 3));
  std::mt19937 random(51);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
  const Array<std::uint8_t> bytes_memory(bytes);
  const float mean[] = {0.485F, 0.456F, 0.406F}, deviation[] = {0.229F, 0.224F, 0.225F};
  std::vector<float> normalised(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); i++) {
    normalised[i] = (static_cast<float>(bytes[i]) / 255.0F - mean[i % 3]) / deviation[i % 3];
  }
  const Floats values_memory(normalised);
  for (const Element e : all) {
    Memory from_bytes(z(batch * 3 * 2 * pitch), e), from_values(z(batch * 3 * 2 * pitch), e);
    UnfoldTask t;
    t.batch = batch;
    t.height = height;
    t.width = width;
    t.pitch = pitch;
    t.bytes = bytes_memory.data();
    t.out = from_bytes.data();
    launch_unfold(launcher(), e, t);
    t.bytes = nullptr;
    t.values = values_memory.data();
    t.out = from_values.data();
    launch_unfold(launcher(), e, t);
    std::vector<float> want;
    for (int row = 0; row < batch * 3 * 2; row++) {
      for (int k = 0; k < pitch; k++) {
        const int y = row / 2 % 3 * 4 + k / 21 - 3, x = row % 2 * 4 + k / 3 % 7 - 3;
        const bool is_there = k < 147 && y >= 0 && y < height && x >= 0 && x < width;
        want.push_back(is_there ? normalised[z(((row / 6 * height + y) * width + x) * 3 + k % 3)] : 0.0F);
      }
    }
    EXPECT_EQ(from_bytes.values(), as_rounded(want, e));
    EXPECT_EQ(from_values.values(), as_rounded(want, e));
    EXPECT_TRUE(from_bytes.is_intact() && from_values.is_intact());
  }
}

TEST(RowKernels, PoolsByTheMaximum) {
  for (const Element e : all) {
    PlainTensor x({2, 6, 10, 7});
    const auto values = as_rounded(normal(x.data.size(), 61), e);
    x.data.assign(values.begin(), values.end());
    PlainOps plain;
    const auto want = plain.max_pool_2x2(x);
    Memory in(values, e, 7, 12), out(want.data.size(), e);
    PoolTask t;
    t.x = in.data();
    t.out = out.data();
    t.batch = 2;
    t.height = 6;
    t.width = 10;
    t.channels = 7;
    t.pitch = 12;
    launch_pool(launcher(), e, t);
    EXPECT_TRUE(out.is_intact());
    EXPECT_EQ(out.values(), std::vector<float>(want.data.begin(), want.data.end()));
  }
}

TEST(RowKernels, NumberByNumber) {
  const int rows = 5, width = 19;
  const auto a = normal(z(rows * width), 71), b = normal(z(rows * width), 72);
  const auto run = [&](Element in, Element out, Elementwise what) {
    Memory x(a, in, z(width), 24), y(b, in, z(width), 21), result(z(rows * 20), out);
    ElementwiseTask t;
    t.a = x.data();
    t.b = y.data();
    t.out = result.data();
    t.rows = rows;
    t.width = width;
    t.a_pitch = 24;
    t.b_pitch = 21;
    t.out_pitch = 20;
    launch_elementwise(launcher(), in, out, what, t);
    EXPECT_TRUE(result.is_intact());
    const auto padded = result.values();
    std::vector<float> v;
    for (int i = 0; i < rows * 20; i++) {
      if (i % 20 < width) {
        v.push_back(padded[z(i)]);
      } else {
        EXPECT_TRUE(std::isnan(padded[z(i)]));
      }
    }
    return v;
  };
  for (const Element e : all) {
    const auto x = as_rounded(a, e), y = as_rounded(b, e);
    std::vector<float> gelu, relu, sum;
    for (std::size_t i = 0; i < x.size(); i++) {
      gelu.push_back(e == Element::f32 ? exact_gelu_of(x[i]) : gelu_in(e, x[i]));
      relu.push_back(std::fmax(x[i], 0.0F));
      sum.push_back(x[i] + y[i]);
    }
    EXPECT_EQ(run(e, e, Elementwise::copy), x);
    EXPECT_EQ(run(e, e, Elementwise::gelu), as_rounded(gelu, e));
    EXPECT_EQ(run(e, e, Elementwise::relu), relu);
    EXPECT_EQ(run(e, e, Elementwise::add), as_rounded(sum, e));
    EXPECT_EQ(run(e, Element::f32, Elementwise::copy), x);
    EXPECT_EQ(run(Element::f32, e, Elementwise::copy), x);
  }
}

}  // namespace
}  // namespace sam2unet::ops::cuda::test
