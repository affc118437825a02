#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel_support.h"
#include "ops/cuda/kernels_math.h"

namespace sam2unet::ops::cuda::test {
namespace {

std::size_t z(int i) {
  return static_cast<std::size_t>(i);
}

/// A product or convolution with all its memory, and its result by loops.
struct Product {
  Element e = Element::bf16;
  int rows = 0, columns = 0, depth = 0, parts = 1;
  int tap_rows = 1, tap_columns = 1, dilation = 1, batch = 1, height = 1, width = 1;
  Epilogue epilogue = Epilogue::none;
  bool has_residual = false;

  int taps() const { return tap_rows * tap_columns; }
  int rounded_depth() const { return (depth + 7) / 8 * 8; }

  std::vector<float> left, weights, bias, residual;
  std::vector<Halves> left_memory;
  Halves weights_memory{0}, residual_memory{0}, out{0};
  Floats bias_memory{0};
  ProductTask task;

  /// Fills everything; the memory of parts, weights and results has gaps of NaN between the rows.
  void make() {
    left = as_rounded(normal(z(rows * depth), 1), e);
    weights = as_rounded(normal(z(columns * taps() * depth), 2, 0, 0.1F), e);
    bias = normal(z(columns), 3);
    task.rows = rows;
    task.columns = columns;
    task.depth = depth;
    task.tap_rows = tap_rows;
    task.tap_columns = tap_columns;
    task.dilation = dilation;
    task.height = height;
    task.width = width;
    task.part_width = parts == 1 ? rounded_depth() : depth / parts;
    left_memory.clear();
    for (int p = 0; p < parts; p++) {
      const int pitch = task.part_width + 8 * (p + 1);
      Halves h(z(rows * pitch));
      for (int m = 0; m < rows; m++) {
        for (int k = 0; k < task.part_width; k++) {
          const int c = p * task.part_width + k;
          h[z(m * pitch + k)] = c < depth ? to_bits(left[z(m * depth + c)], e) : std::uint16_t{0};
        }
      }
      left_memory.push_back(h);
      task.pitches[p] = pitch;
    }
    for (int p = 0; p < parts; p++) task.parts[p] = left_memory[z(p)].data();
    task.weights_pitch = taps() * rounded_depth() + 8;
    weights_memory = Halves(z(columns * task.weights_pitch));
    for (int n = 0; n < columns; n++) {
      for (int i = 0; i < taps() * rounded_depth(); i++) {
        const int tap = i / rounded_depth(), k = i % rounded_depth();
        weights_memory[z(n * task.weights_pitch + i)] =
            k < depth ? to_bits(weights[z((n * taps() + tap) * depth + k)], e) : std::uint16_t{0};
      }
    }
    task.weights = weights_memory.data();
    bias_memory = Floats(bias);
    task.bias = bias_memory.data();
    task.epilogue = epilogue;
    if (has_residual) {
      residual = as_rounded(normal(z(rows * columns), 4), e);
      residual_memory = rounded(residual, e, z(columns), z(columns + 16));
      task.residual = residual_memory.data();
      task.residual_pitch = columns + 16;
    }
    task.out_pitch = columns + 24;
    out = Halves(z(rows * task.out_pitch));
    task.out = out.data();
  }

  /// Sum m, n in the order in which matrix units' steps follow each other: taps, then depth; where blocks
  /// share the depth, of their sums.
  float sum(int m, int n, int split = 1) const {
    const int pixel = m % (height * width), y0 = pixel / width, x0 = pixel % width;
    const int per_tap = (depth + 63) / 64, chunks = taps() * per_tap;
    float all = 0;
    for (int part = 0; part < split; part++) {
      float v = 0;
      for (int c = chunks * part / split; c < chunks * (part + 1) / split; c++) {
        const int tap = c / per_tap;
        const int y = y0 + (tap / tap_columns - (tap_rows - 1) / 2) * dilation;
        const int x = x0 + (tap % tap_columns - (tap_columns - 1) / 2) * dilation;
        const bool is_inside = taps() == 1 || (y >= 0 && y < height && x >= 0 && x < width);
        if (!is_inside) continue;
        const int from = taps() == 1 ? m : m - pixel + y * width + x;
        const int first = c % per_tap * 64;
        for (int k = first; k < std::min(first + 64, depth); k++) {
          v += left[z(from * depth + k)] * weights[z((n * taps() + tap) * depth + k)];
        }
      }
      all += v;
    }
    return all;
  }

  std::uint16_t wanted(int m, int n, int split) const {
    float v = sum(m, n, split) + bias[z(n)];
    if (epilogue == Epilogue::gelu || epilogue == Epilogue::gelu_add) v = gelu_in(e, v);
    if (epilogue == Epilogue::relu) v = std::fmax(v, 0.0F);
    if (has_residual) v += residual[z(m * columns + n)];
    if (epilogue == Epilogue::add_relu) v = std::fmax(v, 0.0F);
    return to_bits(v, e);
  }

  std::vector<std::uint16_t> run(const ProductKernel& kernel) {
    return in_both_orders<std::uint16_t>([&] {
      std::fill_n(out.data(), out.size(), std::uint16_t{0xffff});
      launch_product(launcher(), kernel, task);
      return out.values();
    });
  }

  /// Runs it and compares to the bit; what lies between and behind the rows is as before.
  void check(const ProductKernel& kernel) {
    make();
    emulation().large.insert(kernel.function);  // prepare_kernels' work
    const auto got = run(kernel);
    EXPECT_TRUE(out.is_intact());
    int wrong = 0;
    for (int m = 0; m < rows && wrong < 5; m++) {
      for (int n = 0; n < task.out_pitch && wrong < 5; n++) {
        const std::uint16_t want = n < columns ? wanted(m, n, kernel.split) : std::uint16_t{0xffff};
        const std::uint16_t is = got[z(m * task.out_pitch + n)];
        if (is == want || (is << 1) + (want << 1) == 0) continue;  // 0 of either sign
        ADD_FAILURE() << "row " << m << " column " << n << ": " << from_bits(is, e) << " not "
                      << from_bits(want, e);
        wrong++;
      }
    }
  }
};

std::string describe(const ProductKernel& k) {
  return std::string(k.element == Element::bf16 ? "bf16 " : "f16 ") + std::to_string(k.rows) + " x " +
         std::to_string(k.columns) + (k.convolution ? " convolution" : "") +
         (k.split > 1 ? " split " + std::to_string(k.split) : "");
}

const ProductKernel& kernel_of(Element e, int rows, int columns, bool convolution = false) {
  for (const ProductKernel& k : mma_kernels()) {
    if (k.element == e && k.rows == rows && k.columns == columns && k.convolution == convolution &&
        k.split == 1) {
      return k;
    }
  }
  throw std::out_of_range("no such kernel");
}

TEST(ProductKernels, EveryTileIsRightToTheBitWithTailsOnAllSides) {
  for (const ProductKernel& k : mma_kernels()) {
    SCOPED_TRACE(describe(k));
    Product p;
    p.e = k.element;
    p.rows = k.rows + 5;
    p.columns = k.columns + 8;
    p.depth = 3 * 64 + 24;
    if (k.convolution) {
      p.height = 7;
      p.width = p.rows / 7;
      p.rows = p.height * p.width;
      p.tap_rows = p.tap_columns = 3;
      p.depth = 72;
    }
    emulation().counters = {};
    p.check(k);
    EXPECT_EQ(emulation().counters.extra_wavefronts, 0);
    EXPECT_GT(emulation().counters.products, 0);
  }
}

TEST(ProductKernels, EveryDepth) {
  for (const int depth : {8, 16, 24, 32, 40, 56, 64, 72, 80, 96, 128, 136, 147, 192, 200, 576}) {
    SCOPED_TRACE(depth);
    Product p;
    p.rows = 70;
    p.columns = 80;
    p.depth = depth;
    p.check(kernel_of(Element::bf16, 64, 72));
  }
}

TEST(ProductKernels, FewRowsAndFewColumns) {
  for (const int rows : {1, 7, 15, 16, 17, 63, 64, 65, 121}) {
    for (const int columns : {8, 16, 48, 72, 96}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
      Product p;
      p.e = Element::f16;
      p.rows = rows;
      p.columns = columns;
      p.depth = 72;
      p.check(kernel_of(Element::f16, 64, 48));
    }
  }
}

TEST(ProductKernels, EveryEpilogue) {
  for (const Element e : {Element::bf16, Element::f16}) {
    for (const Epilogue epilogue : {Epilogue::none, Epilogue::gelu, Epilogue::relu, Epilogue::add,
                                    Epilogue::gelu_add, Epilogue::add_relu}) {
      SCOPED_TRACE(static_cast<int>(epilogue));
      Product p;
      p.e = e;
      p.rows = 150;
      p.columns = 152;
      p.depth = 144;
      p.epilogue = epilogue;
      p.has_residual = epilogue >= Epilogue::add;
      p.check(kernel_of(e, 128, 144));
      p.check(kernel_of(e, 64, 56));
    }
  }
}

TEST(ProductKernels, ColumnsFromSeveralPlaces) {
  for (const int parts : {2, 3, 4}) {
    Product p;
    p.rows = 100;
    p.columns = 64;
    p.depth = parts * 64;
    p.parts = parts;
    p.check(kernel_of(Element::bf16, 64, 64));
    p.depth = parts * 40;  // a chunk holds the end of one and the beginning of the next
    p.check(kernel_of(Element::bf16, 64, 64));
  }
}

TEST(ProductKernels, ConvolutionsOfEveryShape) {
  const struct {
    int rows, columns, dilation;
  } shapes[] = {{3, 3, 1}, {3, 3, 3}, {3, 3, 5}, {3, 3, 7}, {1, 3, 1}, {3, 1, 1},
                {1, 5, 1}, {5, 1, 1}, {1, 7, 1}, {7, 1, 1}, {1, 1, 1}};
  for (const auto& s : shapes) {
    for (const int batch : {1, 3}) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.columns) + " dilation " +
                   std::to_string(s.dilation));
      Product p;
      p.tap_rows = s.rows;
      p.tap_columns = s.columns;
      p.dilation = s.dilation;
      p.batch = batch;
      p.height = 9;
      p.width = 8;
      p.rows = batch * p.height * p.width;
      p.columns = 64;
      p.depth = 64;
      p.epilogue = Epilogue::relu;
      p.check(kernel_of(Element::bf16, 64, 64, true));
      p.depth = 128;
      p.parts = 2;
      p.check(kernel_of(Element::bf16, 128, 64, true));
    }
  }
}

TEST(ProductKernels, PicturesSmallerThanTheKernel) {
  Product p;
  p.e = Element::f16;
  p.tap_rows = p.tap_columns = 3;
  p.dilation = 7;
  p.height = p.width = 2;
  p.batch = 5;
  p.rows = 20;
  p.columns = 64;
  p.depth = 64;
  p.has_residual = true;
  p.epilogue = Epilogue::add_relu;
  p.check(kernel_of(Element::f16, 64, 64, true));
}

/// LayerNorm of the rows in double precision, then the product.
std::vector<double> norm_then_product(const Product& p, const std::vector<float>& gamma,
                                      const std::vector<float>& beta, const std::vector<float>& weights,
                                      const std::vector<float>& bias) {
  std::vector<double> out;
  for (int m = 0; m < p.rows; m++) {
    std::vector<double> x(p.left.begin() + m * p.depth, p.left.begin() + (m + 1) * p.depth);
    double mean = 0, variance = 0;
    for (const double v : x) mean += v / p.depth;
    for (const double v : x) variance += (v - mean) * (v - mean) / p.depth;
    for (int k = 0; k < p.depth; k++) {
      x[z(k)] = (x[z(k)] - mean) / std::sqrt(variance + 1e-6) * static_cast<double>(gamma[z(k)]) +
                static_cast<double>(beta[z(k)]);
    }
    for (int n = 0; n < p.columns; n++) {
      double v = static_cast<double>(bias[z(n)]);
      for (int k = 0; k < p.depth; k++) v += x[z(k)] * static_cast<double>(weights[z(n * p.depth + k)]);
      out.push_back(v);
    }
  }
  return out;
}

void check_fold(Element e, const ProductKernel& kernel, int depth, int share_width) {
  SCOPED_TRACE(describe(kernel) + " shares of " + std::to_string(share_width));
  Product p;
  p.e = e;
  p.rows = 100;
  p.columns = 136;
  p.depth = depth;
  p.make();
  // A stream that is far from 0 and has large channels, as the real one.
  p.left = normal(p.left.size(), 5, 2.0F, 1.0F);
  for (int m = 0; m < p.rows; m++) p.left[z(m * depth + 3)] *= 8;
  p.left = as_rounded(p.left, e);
  for (int m = 0; m < p.rows; m++) {
    for (int k = 0; k < depth; k++)
      p.left_memory[0][z(m * p.task.pitches[0] + k)] = to_bits(p.left[z(m * depth + k)], e);
  }
  // The norm's weight is in the product's weights, which are rounded afterwards.
  const auto gamma = normal(z(depth), 6, 1, 0.2F), beta = normal(z(depth), 7, 0, 0.2F);
  std::vector<float> sums(z(p.columns)), bias = p.bias, exact = p.weights;
  for (int n = 0; n < p.columns; n++) {
    for (int k = 0; k < depth; k++) {
      const float w = from_bits(to_bits(exact[z(n * depth + k)] * gamma[z(k)], e), e);
      bias[z(n)] += exact[z(n * depth + k)] * beta[z(k)];
      exact[z(n * depth + k)] = w / gamma[z(k)];  // what rounding left
      sums[z(n)] += w;
      p.weights_memory[z(n * p.task.weights_pitch + k)] = to_bits(w, e);
    }
  }
  for (int n = 0; n < p.columns; n++) {  // and so beta's part, of the weights that are rounded
    bias[z(n)] = p.bias[z(n)];
    for (int k = 0; k < depth; k++) bias[z(n)] += exact[z(n * depth + k)] * beta[z(k)];
  }
  const int count = (depth + share_width - 1) / share_width;
  Array<RowShare> shares(z(p.rows * count));
  for (int m = 0; m < p.rows; m++) {
    for (int i = 0; i < count; i++) {
      const int first = i * share_width, end = std::min(first + share_width, depth);
      double sum = 0, squares = 0;
      for (int k = first; k < end; k++) sum += static_cast<double>(p.left[z(m * depth + k)]);
      for (int k = first; k < end; k++)
        squares += std::pow(static_cast<double>(p.left[z(m * depth + k)]) - sum / (end - first), 2);
      shares[z(m * count + i)] = {static_cast<float>(sum), static_cast<float>(squares)};
    }
  }
  const Floats sums_memory(sums), folded_bias(bias);
  p.task.bias = folded_bias.data();
  p.task.column_sums = sums_memory.data();
  p.task.shares = {shares.data(), count, share_width};
  p.task.norm_width = static_cast<float>(depth);
  emulation().large.insert(kernel.function);
  const auto got = p.run(kernel);
  std::vector<float> values;
  for (int m = 0; m < p.rows; m++) {
    for (int n = 0; n < p.columns; n++) values.push_back(from_bits(got[z(m * p.task.out_pitch + n)], e));
  }
  EXPECT_LT(relative_error(values, norm_then_product(p, gamma, beta, exact, p.bias)), tolerance(e));
}

TEST(ProductKernels, TheNormIsFoldedIntoTheProduct) {
  for (const Element e : {Element::bf16, Element::f16}) {
    check_fold(e, kernel_of(e, 128, 144), 144, 144);
    check_fold(e, kernel_of(e, 128, 96), 144, 72);
    check_fold(e, kernel_of(e, 64, 72), 200, 72);  // the last share is narrower
    check_fold(e, kernel_of(e, 64, 48), 96, 48);
  }
}

TEST(ProductKernels, SharesOfTheResultsRowsAreWhatTheNormNeeds) {
  for (const ProductKernel& k : mma_kernels()) {
    if (k.convolution) continue;
    SCOPED_TRACE(describe(k));
    Product p;
    p.e = k.element;
    p.rows = k.rows + 3;
    p.columns = k.columns + k.share_width / 2 / 8 * 8 + 8;
    p.depth = 72;
    p.has_residual = true;
    p.epilogue = Epilogue::add;
    p.make();
    const int count = (p.columns + k.share_width - 1) / k.share_width;
    Array<RowShare> shares(z(p.rows * count));
    p.task.out_shares = {shares.data(), count, k.share_width};
    emulation().large.insert(k.function);
    const auto got = p.run(k);
    EXPECT_TRUE(shares.is_intact());
    for (int m = 0; m < p.rows; m++) {
      for (int i = 0; i < count; i++) {
        const int first = i * k.share_width, end = std::min(first + k.share_width, p.columns);
        double sum = 0, squares = 0;
        const auto value = [&](int n) {
          return static_cast<double>(from_bits(got[z(m * p.task.out_pitch + n)], p.e));
        };
        for (int n = first; n < end; n++) sum += value(n);
        for (int n = first; n < end; n++) squares += std::pow(value(n) - sum / (end - first), 2);
        const RowShare& s = shares[z(m * count + i)];
        ASSERT_NEAR(s.sum, sum, 1e-4) << m << " " << i;
        ASSERT_NEAR(s.squares, squares, 1e-5 * squares + 1e-5) << m << " " << i;
      }
    }
  }
}

// The emulator's tanh is exact; what the GPU's adds, 5e-4 of tanh, is a quarter of bf16's rounding.
TEST(ProductKernels, GeluIsTheExactOneWithin16Bits) {
  double worst = 0, worst_tanh = 0;
  for (float x = -12; x < 12; x += 1.0F / 512) {
    const double want = 0.5 * static_cast<double>(x) * std::erfc(-static_cast<double>(x) / std::sqrt(2.0));
    worst = std::max(worst, std::abs(static_cast<double>(gelu_of<Element::f16>(x)) - want));
    worst_tanh = std::max(worst_tanh, std::abs(static_cast<double>(gelu_of<Element::bf16>(x)) - want));
    EXPECT_NEAR(exact_gelu_of(x), want, 1e-6);
  }
  EXPECT_LT(worst, 2.6e-5);
  EXPECT_LT(worst_tanh, 2.6e-5);
  EXPECT_EQ(gelu_of<Element::f16>(1e6F), 1e6F);
  EXPECT_EQ(gelu_of<Element::f16>(-1e6F), 0.0F);
  EXPECT_EQ(gelu_of<Element::bf16>(1e6F), 1e6F);
  EXPECT_EQ(gelu_of<Element::bf16>(-1e6F), 0.0F);
}

template <class Check>
void plain_product(Element in, Element out, Product p, const Check& check) {
  p.e = in == Element::f32 ? Element::bf16 : in;
  p.make();
  Floats weights(z(p.columns * p.task.weights_pitch)), left(z(p.rows * (p.depth + 3))),
      result(z(p.rows * (p.columns + 1)));
  for (int n = 0; n < p.columns; n++) {
    for (int i = 0; i < p.taps() * p.rounded_depth(); i++) {
      const int tap = i / p.rounded_depth(), k = i % p.rounded_depth();
      if (k < p.depth)
        weights[z(n * p.task.weights_pitch + i)] = p.weights[z((n * p.taps() + tap) * p.depth + k)];
    }
  }
  for (int i = 0; i < p.rows * p.depth; i++)
    left[z(i / p.depth * (p.depth + 3) + i % p.depth)] = p.left[z(i)];
  Floats residual(p.residual.empty() ? std::vector<float>(1) : p.residual);
  ProductTask t = p.task;
  t.weights = weights.data();
  if (in == Element::f32) {
    t.parts[0] = left.data();
    t.pitches[0] = p.depth + 3;
    t.part_width = p.depth;
  }
  if (out == Element::f32) {
    t.out = result.data();
    t.out_pitch = p.columns + 1;
    if (p.has_residual) {
      t.residual = residual.data();
      t.residual_pitch = p.columns;
    }
  }
  launch_plain_product(launcher(), in, out, t);
  EXPECT_TRUE(result.is_intact());
  std::vector<float> got;
  for (int m = 0; m < p.rows; m++) {
    for (int n = 0; n < p.columns; n++) {
      got.push_back(out == Element::f32 ? result[z(m * (p.columns + 1) + n)]
                                        : from_bits(p.out[z(m * p.task.out_pitch + n)], in));
    }
  }
  check(p, got);
}

TEST(ProductKernels, WithoutMatrixUnits) {
  Product linear;
  linear.rows = 70;
  linear.columns = 1;
  linear.depth = 64;
  Product layer = linear;
  layer.columns = 67;
  layer.depth = 37;
  layer.has_residual = true;
  layer.epilogue = Epilogue::gelu_add;
  Product convolution = linear;
  convolution.tap_rows = convolution.tap_columns = 3;
  convolution.dilation = 2;
  convolution.height = 7;
  convolution.width = 5;
  convolution.columns = 9;
  convolution.depth = 20;
  convolution.has_residual = true;
  convolution.epilogue = Epilogue::add_relu;
  for (const Product& p : {linear, layer, convolution}) {
    const auto near = [](Element e) {
      return [e](const Product& q, const std::vector<float>& got) {
        std::vector<float> want;
        for (int m = 0; m < q.rows; m++) {
          for (int n = 0; n < q.columns; n++) {
            float v = q.sum(m, n) + q.bias[z(n)];
            if (q.epilogue == Epilogue::gelu_add) v = exact_gelu_of(v);
            if (q.has_residual) v += q.residual[z(m * q.columns + n)];
            want.push_back(q.epilogue == Epilogue::add_relu ? std::fmax(v, 0.0F) : v);
          }
        }
        EXPECT_LT(relative_error(got, want), tolerance(e));
      };
    };
    plain_product(Element::f32, Element::f32, p, near(Element::f32));
    plain_product(Element::bf16, Element::f32, p, near(Element::f32));
    plain_product(Element::f16, Element::f16, p, near(Element::f16));
    plain_product(Element::bf16, Element::bf16, p, near(Element::bf16));
  }
}

}  // namespace
}  // namespace sam2unet::ops::cuda::test
