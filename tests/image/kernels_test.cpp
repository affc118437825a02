// The vector kernels by themselves, of every length and on every instruction set of this machine, beside
// their definitions one number at a time.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "image/imagenet.h"
#include "image/resample_kernels.h"
#include "image/sample_kernels.h"
#include "support/instruction_sets.h"

namespace sam2unet::image {
namespace {

constexpr std::uint8_t kGuard = 0xA5;

void on_every_set(const std::function<void()>& check) {
  for (const auto set : test::instruction_sets()) {
    SCOPED_TRACE(hwy::TargetName(set));
    const test::InstructionSet use(set);
    check();
  }
}

using Bytes = std::vector<std::uint8_t>;

Bytes noise(std::size_t count, std::mt19937& random) {
  Bytes out(count);
  for (auto& v : out) v = static_cast<std::uint8_t>(random() >> 24);
  return out;
}

// Weights of an overshooting filter, of which one in three is large, so that both ends are cut. Five of them
// stay within the 32 bits of a sum, as Pillow's do.
std::vector<std::int32_t> some_weights(std::size_t count, std::mt19937& random) {
  std::vector<std::int32_t> out(count);
  for (auto& w : out) {
    w = static_cast<std::int32_t>(random() % (1U << 20)) - (1 << 18);
    if (random() % 3 == 0) w = w < 0 ? -(3 << 19) : 3 << 19;
  }
  return out;
}

// The sum in 64 bits, rounded to the nearest (halves up) and cut to 0..255.
std::uint8_t rounded(std::int64_t sum) {
  const std::int64_t shifted = sum + (std::int64_t{1} << 21);
  const std::int64_t v = shifted >= 0 ? shifted / (1 << 22) : -((-shifted + (1 << 22) - 1) / (1 << 22));
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(v, 0, 255));
}

TEST(ResampleKernels, ColumnsOfEveryLength) {
  std::mt19937 random(1);
  for (std::size_t count = 1; count <= 140; ++count) {
    const int taps = static_cast<int>(1 + count % 5);
    std::vector<Bytes> rows;
    std::vector<const std::uint8_t*> pointers;
    for (int t = 0; t < taps; ++t) rows.push_back(noise(count, random));
    for (const Bytes& row : rows) pointers.push_back(row.data());
    const auto weights = some_weights(static_cast<std::size_t>(taps), random);
    Bytes want(count + 64, kGuard);
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t sum = 0;
      for (std::size_t t = 0; t < rows.size(); ++t) sum += std::int64_t{rows[t][i]} * weights[t];
      want[i] = rounded(sum);
    }
    on_every_set([&] {
      Bytes out(count + 64, kGuard);
      resample_vertical(pointers.data(), weights.data(), taps, count, out.data());
      ASSERT_EQ(out, want) << count;
    });
  }
}

// Each pixel of the result from another place, with another number of pixels, none of them included.
TEST(ResampleKernels, RowsOfEveryWidth) {
  std::mt19937 random(2);
  for (const int channels : {1, 3, 4}) {
    for (int width = 1; width <= 40; width += width < 20 ? 1 : 5) {
      const int size = 1 + static_cast<int>(random() % 45);
      constexpr std::size_t kStride = 4;
      const auto weights = some_weights(static_cast<std::size_t>(size) * kStride, random);
      std::vector<int> bounds;
      for (int x = 0; x < size; ++x) {
        const int first = static_cast<int>(random() % static_cast<unsigned>(width));
        bounds.push_back(first);
        bounds.push_back(static_cast<int>(random() % static_cast<unsigned>(std::min(4, width - first) + 1)));
      }
      std::vector<Bytes> rows;
      const auto in_bytes = static_cast<std::size_t>(width * channels),
                 out_bytes = static_cast<std::size_t>(size * channels);
      for (int r = 0; r < kRowsAtOnce; ++r) rows.push_back(noise(in_bytes, random));
      on_every_set([&] {
        std::vector<Bytes> out(kRowsAtOnce, Bytes(out_bytes + 64, kGuard));
        std::array<const std::uint8_t*, kRowsAtOnce> from{};
        std::array<std::uint8_t*, kRowsAtOnce> to{};
        for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
          from[r] = rows[r].data();
          to[r] = out[r].data();
        }
        // Nothing beyond what is asked for.
        const std::size_t needed = resample_scratch_bytes(width, channels);
        Bytes scratch(needed + 64, kGuard);
        resample_horizontal(from.data(), width, channels, {size, kStride, bounds.data(), weights.data()},
                            to.data(), scratch.data());
        EXPECT_EQ(std::count(scratch.begin() + static_cast<std::ptrdiff_t>(needed), scratch.end(), kGuard),
                  64);
        for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
          Bytes want(out_bytes + 64, kGuard);
          for (std::size_t i = 0; i < out_bytes; ++i) {
            const std::size_t x = i / static_cast<std::size_t>(channels),
                              c = i % static_cast<std::size_t>(channels);
            std::int64_t sum = 0;
            for (std::size_t t = 0; t < static_cast<std::size_t>(bounds[2 * x + 1]); ++t) {
              const std::size_t pixel = static_cast<std::size_t>(bounds[2 * x]) + t;
              sum += std::int64_t{rows[r][pixel * static_cast<std::size_t>(channels) + c]} *
                     weights[x * kStride + t];
            }
            want[i] = rounded(sum);
          }
          ASSERT_EQ(out[r], want) << channels << " channels, " << width << " to " << size << ", row " << r;
        }
      });
    }
  }
}

// Bilinear with 8 bits of fraction: first along the row, then between the rows, rounded each time; a colour
// map in 1/65536 that is cut off, and to 0..255.
std::array<int, 4> mixed(const std::vector<std::uint32_t>& pixels, int stride, std::int64_t x,
                         std::int64_t y) {
  const auto at = static_cast<std::size_t>((y / 65536) * stride + x / 65536);
  const int wx = static_cast<int>(x % 65536 / 256), wy = static_cast<int>(y % 65536 / 256);
  std::array<int, 4> out{};
  for (std::size_t c = 0; c < 4; ++c) {
    const auto value = [&](std::size_t i) { return static_cast<int>(pixels[i] >> (8 * c) & 255U); };
    const auto mix = [](int a, int b, int w) { return (a * (256 - w) + b * w + 128) / 256; };
    const auto below = at + static_cast<std::size_t>(stride);
    out[c] = mix(mix(value(at), value(at + 1), wx), mix(value(below), value(below + 1), wx), wy);
  }
  return out;
}

TEST(SampleKernels, SlantedRowsToTheBit) {
  constexpr int kSide = 48;
  std::mt19937 random(3);
  std::vector<std::uint32_t> pixels(kSide * kSide);
  for (auto& p : pixels) p = static_cast<std::uint32_t>(random());
  ColourMap colour;
  colour.factors = {{{90000, 3000, -20000}, {-40000, 70000, 500}, {7, -4000, 65536}}};
  colour.constant = -9 * 65536 + 12345;
  for (std::size_t count = 0; count <= 37; ++count) {
    const SlantedRow row{pixels.data(), kSide, 20 * 65536 + 40000, 3 * 65536 + 777, -31000, 61000, count};
    on_every_set([&] {
      std::vector<float> image(3 * count + 8, -7.0F), mask(count + 8, -7.0F);
      sample_slanted(row, colour, image.data(), mask.data());
      for (std::size_t i = 0; i < count; ++i) {
        const auto k = static_cast<std::int64_t>(i);
        const auto in = mixed(pixels, kSide, row.x + k * row.step_x, row.y + k * row.step_y);
        for (std::size_t c = 0; c < 3; ++c) {
          const auto& m = colour.factors[c];
          const std::int64_t sum = std::int64_t{m[0]} * in[0] + std::int64_t{m[1]} * in[1] +
                                   std::int64_t{m[2]} * in[2] + colour.constant;
          const auto level =
              static_cast<std::size_t>(std::clamp<std::int64_t>(sum < 0 ? 0 : sum / 65536, 0, 255));
          ASSERT_EQ(image[3 * i + c], imagenet_levels()[c][level])
              << i << " of " << count << ", channel " << c;
        }
        ASSERT_EQ(mask[i], static_cast<float>(in[3]) / 255.0F) << i << " of " << count;
      }
      EXPECT_EQ(std::count(image.begin(), image.end(), -7.0F), 8) << count;
      EXPECT_EQ(std::count(mask.begin(), mask.end(), -7.0F), 8) << count;
    });
  }
}

// Of the colours of every level at once, and nothing behind the last.
TEST(SampleKernels, NormalisedRowsOfEveryLength) {
  for (std::size_t pixels = 0; pixels <= 70; ++pixels) {
    Bytes rgb(3 * pixels + 1);
    for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 89 + pixels);
    on_every_set([&] {
      std::vector<float> out(3 * pixels + 8, -7.0F), gray(pixels + 8, -7.0F);
      normalise_rgb(rgb.data(), pixels, out.data());
      normalise_gray(rgb.data(), pixels, gray.data());
      for (std::size_t i = 0; i < 3 * pixels; ++i) ASSERT_EQ(out[i], imagenet_levels()[i % 3][rgb[i]]) << i;
      for (std::size_t i = 0; i < pixels; ++i) ASSERT_EQ(gray[i], static_cast<float>(rgb[i]) / 255.0F) << i;
      EXPECT_EQ(std::count(out.begin(), out.end(), -7.0F), 8) << pixels;
      EXPECT_EQ(std::count(gray.begin(), gray.end(), -7.0F), 8) << pixels;
    });
  }
}

}  // namespace
}  // namespace sam2unet::image
