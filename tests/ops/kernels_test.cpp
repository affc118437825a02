// The kernels by themselves, on every instruction set of this machine: rounding to the bit, tails of every
// length, what is written behind a row and what is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "ops/cpu/kernels.h"
#include "ops/lowp/kernels.h"
#include "support/instruction_sets.h"

namespace sam2unet::ops {
namespace {

using lowp::Element;
using lowp::RowTarget;
using lowp::RowView;
using lowp::Storage;
using testing::ElementsAre;
using Index = std::int64_t;

void on_every_set(const std::function<void()>& f) {
  for (const std::int64_t set : sam2unet::test::instruction_sets()) {
    const sam2unet::test::InstructionSet use(set);
    SCOPED_TRACE(sam2unet::test::name_of(set));
    f();
  }
}

constexpr std::uint8_t kGuard = 0xA5;

// Rows of so many elements with a few bytes around each; kernels read whole vectors behind the last.
template <typename T>
struct Rows {
  Rows(Index rows, Index c, Index gap = 5)
      : stride((c + gap) * Index{sizeof(T)}), bytes(static_cast<std::size_t>(rows * stride) + 256) {
    std::fill(bytes.begin(), bytes.end(), std::byte{kGuard});
  }
  T* row(Index r) { return reinterpret_cast<T*>(bytes.data() + r * stride); }
  std::vector<T> values(Index r, Index n) { return {row(r), row(r) + n}; }
  RowView view(Element type) const { return {bytes.data(), stride, type}; }
  RowTarget target(Element type) { return {bytes.data(), stride, type}; }
  bool is_untouched(Index r, Index from) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(row(r) + from);
    const auto* end = reinterpret_cast<const std::uint8_t*>(bytes.data() + (r + 1) * stride);
    return std::all_of(p, end, [](std::uint8_t v) { return v == kGuard; });
  }
  Index stride;
  std::vector<std::byte> bytes;
};

// --- conversions

struct Rounded {
  std::uint32_t from;
  std::uint16_t to;
};
// Half of the last place goes to the even neighbour; what is larger than all goes to infinity.
constexpr Rounded kRounded[] = {{0x3F800000, 0x3F80}, {0x3F807FFF, 0x3F80}, {0x3F808000, 0x3F80},
                                {0x3F808001, 0x3F81}, {0x3F818000, 0x3F82}, {0x3F817FFF, 0x3F81},
                                {0xBF818000, 0xBF82}, {0xBF808000, 0xBF80}, {0x7F7FFFFF, 0x7F80},
                                {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x00000000, 0x0000},
                                {0x80000000, 0x8000}, {0x00000001, 0x0000}, {0x00018000, 0x0002},
                                {0x3FFF8000, 0x4000}, {0x7FC00000, 0x7FC0}};

TEST(Kernels, BfloatsAreTheNearestAndTiesAreEven) {
  on_every_set([] {
    for (Index n = 1; n <= 40; ++n) {
      Rows<float> from(2, n);
      for (Index r = 0; r < 2; ++r)
        for (Index i = 0; i < n; ++i)
          from.row(r)[i] =
              std::bit_cast<float>(kRounded[static_cast<std::size_t>(r + i) % std::size(kRounded)].from);
      Rows<std::uint16_t> to(2, n + 3);
      lowp::convert_rows(from.view(Element::f32), 2, n, n + 3, to.target(Element::bf16));
      Rows<float> back(2, n + 3);
      lowp::convert_rows(to.view(Element::bf16), 2, n + 3, n + 3, back.target(Element::f32));
      for (Index r = 0; r < 2; ++r) {
        for (Index i = 0; i < n; ++i) {
          const std::uint16_t wanted = kRounded[static_cast<std::size_t>(r + i) % std::size(kRounded)].to;
          ASSERT_EQ(to.row(r)[i], wanted) << i << " of " << n;
          ASSERT_EQ(std::bit_cast<std::uint32_t>(back.row(r)[i]), std::uint32_t{wanted} << 16);
        }
        EXPECT_THAT(std::vector(to.row(r) + n, to.row(r) + n + 3), ElementsAre(0, 0, 0));
        EXPECT_TRUE(to.is_untouched(r, n + 3)) << n;
        EXPECT_TRUE(back.is_untouched(r, n + 3)) << n;
      }
      Rows<float> same(2, n + 2);
      lowp::convert_rows(from.view(Element::f32), 2, n, n + 2, same.target(Element::f32));
      EXPECT_EQ(std::memcmp(same.row(1), from.row(1), static_cast<std::size_t>(n) * 4), 0);
      EXPECT_EQ(same.row(1)[n + 1], 0.0F);
      EXPECT_TRUE(same.is_untouched(1, n + 2));
    }
  });
}

// 1 + 2^-8 is between 1 and 1 + 2^-7: even is 1, and 2^-8 is left over, exactly.
TEST(Kernels, WhatRoundingLeavesOverIsKept) {
  on_every_set([] {
    for (const Index n : {1, 16, 19, 37}) {
      Rows<float> from(2, n);
      for (Index r = 0; r < 2; ++r)
        for (Index i = 0; i < n; ++i) from.row(r)[i] = i % 2 == 0 ? 1.00390625F : -3.01171875F;
      Rows<std::uint16_t> high(2, n + 2), low(2, n + 2);
      lowp::split_rows(from.view(Element::f32), 2, n, n + 2, high.target(Element::bf16),
                       low.target(Element::bf16));
      for (Index r = 0; r < 2; ++r)
        for (Index i = 0; i < n + 2; ++i) {
          const bool is_padding = i >= n;
          ASSERT_EQ(high.row(r)[i], is_padding ? 0 : i % 2 == 0 ? 0x3F80 : 0xC041) << i;  // -3.015625
          ASSERT_EQ(low.row(r)[i], is_padding ? 0 : i % 2 == 0 ? 0x3B80 : 0x3B80) << i;   // 2^-8 both
        }
      EXPECT_TRUE(high.is_untouched(1, n + 2));
      EXPECT_TRUE(low.is_untouched(1, n + 2));
    }
  });
}

// --- LayerNorm: of +-a the mean is 0 and the variance a^2, beside which 1e-6 counts where a is 1e-3

TEST(Kernels, NormsOfSmallValuesFeelTheEpsilon) {
  on_every_set([] {
    for (const Index n : {2, 16, 18, 34}) {
      std::vector<float> gamma(static_cast<std::size_t>(n) + 64), beta(gamma.size());
      for (Index i = 0; i < n; ++i) {
        gamma[static_cast<std::size_t>(i)] = static_cast<float>(1 + i % 3);
        beta[static_cast<std::size_t>(i)] = static_cast<float>(i % 5) / 4;
      }
      Rows<float> from(3, n, 0);
      for (Index i = 0; i < n; ++i) {
        from.row(0)[i] = i % 2 == 0 ? 1e-3F : -1e-3F;
        from.row(1)[i] = i % 2 == 0 ? 7.0F : 3.0F;
        from.row(2)[i] = 0.5F;  // of no deviation
      }
      const auto wanted = [&](Index r, Index i) {
        const double sign = i % 2 == 0 ? 1.0 : -1.0;
        const double normed = r == 0   ? sign / std::sqrt(2.0)
                              : r == 1 ? sign * 2.0 / std::sqrt(4.0 + 1e-6)
                                       : 0.0;
        return normed * gamma[static_cast<std::size_t>(i)] + beta[static_cast<std::size_t>(i)];
      };
      Rows<float> plain(3, n, 0), low(3, n + 1);
      kernels::layer_norm(from.row(0), gamma.data(), beta.data(), 3, n, plain.row(0));
      lowp::norm_rows(from.view(Element::f32), gamma.data(), beta.data(), 3, n, n + 1,
                      low.target(Element::f32));
      Rows<std::uint16_t> rounded(3, n + 1);
      lowp::norm_rows(from.view(Element::f32), gamma.data(), beta.data(), 3, n, n + 1,
                      rounded.target(Element::bf16));
      for (Index r = 0; r < 3; ++r) {
        for (Index i = 0; i < n; ++i) {
          EXPECT_NEAR(plain.row(r)[i], wanted(r, i), 3e-6) << r << " " << i << " of " << n;
          EXPECT_NEAR(low.row(r)[i], wanted(r, i), 3e-6) << r << " " << i << " of " << n;
          EXPECT_NEAR(std::bit_cast<float>(std::uint32_t{rounded.row(r)[i]} << 16), wanted(r, i), 0.016);
        }
        EXPECT_EQ(low.row(r)[n], 0.0F);
        EXPECT_EQ(rounded.row(r)[n], 0);
        EXPECT_TRUE(low.is_untouched(r, n + 1));
      }
      EXPECT_TRUE(plain.is_untouched(2, n));
    }
  });
}

// --- int8

// The least is 0 and the most 255, wherever in the row they stand; here a step is 2.
TEST(Kernels, BytesOfARowReachFrom0To255) {
  on_every_set([] {
    for (Index n = 2; n <= 36; ++n) {
      Rows<float> from(2, n);
      for (Index r = 0; r < 2; ++r)
        for (Index i = 0; i < n; ++i)
          from.row(r)[i] = -10.0F + static_cast<float>(i % 4) * 1.0F;  // steps of 0, 0.5, 1, 1.5
      from.row(0)[0] = 500.0F;
      from.row(1)[n - 1] = 500.0F;
      if (n > 2) from.row(0)[n - 1] = from.row(1)[0] = -10.0F;
      if (n == 2) from.row(0)[1] = -10.0F;
      Rows<std::uint8_t> bytes(2, n + 3);
      Rows<float> floats(2, n + 3);
      float scale[2], low[2], scale2[2], low2[2];
      lowp::quantise_rows(from.view(Element::f32), 2, n, n + 3,
                          {bytes.bytes.data(), bytes.stride, Element::f32}, true, scale, low);
      lowp::quantise_rows(from.view(Element::f32), 2, n, n + 3, floats.target(Element::f32), false, scale2,
                          low2);
      for (Index r = 0; r < 2; ++r) {
        EXPECT_EQ(scale[r], 2.0F);
        EXPECT_EQ(low[r], -10.0F);
        EXPECT_EQ(scale2[r], 2.0F);
        EXPECT_EQ(low2[r], -10.0F);
        for (Index i = 0; i < n; ++i) {
          const float steps = (from.row(r)[i] + 10.0F) / 2.0F;
          const int wanted = steps == 255.0F ? 255
                             : steps == 1.5F ? 2
                             : steps == 1.0F ? 1
                                             : 0;  // 0.5 is tied to 0
          ASSERT_EQ(bytes.row(r)[i], wanted) << i << " of " << n;
          ASSERT_EQ(floats.row(r)[i], static_cast<float>(wanted)) << i << " of " << n;
        }
        EXPECT_THAT(std::vector<int>(bytes.row(r) + n, bytes.row(r) + n + 3), ElementsAre(0, 0, 0));
        EXPECT_THAT(std::vector<float>(floats.row(r) + n, floats.row(r) + n + 3), ElementsAre(0, 0, 0));
        EXPECT_TRUE(bytes.is_untouched(r, n + 3));
        EXPECT_TRUE(floats.is_untouched(r, n + 3));
      }
    }
  });
}

TEST(Kernels, ARowOfOneValueAndValuesOutside) {
  on_every_set([] {
    Rows<float> from(1, 19);
    std::fill_n(from.row(0), 19, -3.5F);
    Rows<std::uint8_t> bytes(1, 19);
    float scale = 1, low = 0;
    lowp::quantise_rows(from.view(Element::f32), 1, 19, 19, {bytes.bytes.data(), bytes.stride, Element::f32},
                        true, &scale, &low);
    EXPECT_EQ(scale, 0.0F);
    EXPECT_EQ(low, -3.5F);
    for (int i = 0; i < 19; ++i) EXPECT_EQ(bytes.row(0)[i], 0);
    // By given numbers: what lies outside goes to the ends.
    for (int i = 0; i < 19; ++i)
      from.row(0)[i] =
          std::vector{-5.0F, -1.0F, 0.0F, 31.0F, 254.0F, 255.0F, 400.0F}[static_cast<std::size_t>(i) % 7];
    Rows<float> floats(1, 20);
    const lowp::Quantised by{1.0F, -1.0F};
    lowp::quantise_rows_by(from.view(Element::f32), 1, 19, 19,
                           {bytes.bytes.data(), bytes.stride, Element::f32}, true, by);
    lowp::quantise_rows_by(from.view(Element::f32), 1, 19, 20, floats.target(Element::f32), false, by);
    for (int i = 0; i < 19; ++i) {
      const int wanted = std::vector{0, 0, 1, 32, 255, 255, 255}[static_cast<std::size_t>(i) % 7];
      EXPECT_EQ(bytes.row(0)[i], wanted) << i;
      EXPECT_EQ(floats.row(0)[i], static_cast<float>(wanted)) << i;
    }
    EXPECT_EQ(floats.row(0)[19], 0.0F);
  });
}

// 0 is among them, since it lies around every picture.
TEST(Kernels, ExtremesOfRowsAndZero) {
  on_every_set([] {
    for (const Index n : {1, 3, 16, 17, 33}) {
      for (const Index at : {Index{0}, n - 1}) {
        Rows<float> rows(3, n);
        for (Index r = 0; r < 3; ++r) std::fill_n(rows.row(r), n, 2.0F);
        rows.row(2)[at] = 9.0F;
        lowp::Extremes e = lowp::extremes(rows.view(Element::f32), 3, n);
        EXPECT_EQ(e.low, 0.0F);
        EXPECT_EQ(e.high, 9.0F);
        for (Index r = 0; r < 3; ++r) std::fill_n(rows.row(r), n, -2.0F);
        rows.row(1)[at] = -7.0F;
        e = lowp::extremes(rows.view(Element::f32), 3, n);
        EXPECT_EQ(e.low, -7.0F);
        EXPECT_EQ(e.high, 0.0F);
      }
    }
  });
}

TEST(Kernels, WeightsAsTheyAreStored) {
  on_every_set([] {
    const float some[] = {0.25F, 0.75F, -0.75F, 63.5F, -63.5F, 1.0F, -1.25F};
    const int wanted[] = {0, 2, -2, 127, -127, 2, -2};  // in halves; ties are even
    for (std::size_t n = 1; n <= 40; ++n) {
      std::vector<float> values(n);
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < n; ++i) {
        values[i] = some[i % 7];
        sum += wanted[i % 7];
      }
      std::vector<std::byte> out(4 * n + 64, std::byte{kGuard});
      EXPECT_EQ(lowp::store_weights(values, Storage::int8, 0.5F, out.data()), sum) << n;
      for (std::size_t i = 0; i < n; ++i)
        ASSERT_EQ(static_cast<int>(static_cast<std::int8_t>(out[i])), wanted[i % 7]);
      EXPECT_EQ(out[n], std::byte{kGuard});
      EXPECT_EQ(lowp::store_weights(values, Storage::int8, 0.0F, out.data()), 0);
      EXPECT_TRUE(std::all_of(out.begin(), out.begin() + static_cast<Index>(n),
                              [](std::byte b) { return b == std::byte{0}; }));
      EXPECT_EQ(out[n], std::byte{kGuard});
      EXPECT_EQ(lowp::store_weights(values, Storage::f32, 0.0F, out.data()), 0);
      EXPECT_EQ(std::memcmp(out.data(), values.data(), 4 * n), 0);
      EXPECT_EQ(out[4 * n], std::byte{kGuard});
      for (std::size_t i = 0; i < n; ++i)
        values[i] = std::bit_cast<float>(kRounded[i % std::size(kRounded)].from);
      std::fill(out.begin(), out.end(), std::byte{kGuard});
      EXPECT_EQ(lowp::store_weights(values, Storage::bf16, 0.0F, out.data()), 0);
      for (std::size_t i = 0; i < n; ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, out.data() + 2 * i, 2);
        ASSERT_EQ(bits, kRounded[i % std::size(kRounded)].to);
      }
      EXPECT_EQ(out[2 * n], std::byte{kGuard});
    }
  });
}

// --- elementwise

TEST(Kernels, GeluIsWithin25MillionthsAndReluIsExact) {
  on_every_set([] {
    for (const Index n : {1, 5, 16, 30, 401}) {
      Rows<float> x(1, n), y(1, n);
      for (Index i = 0; i < n; ++i)
        x.row(0)[i] = y.row(0)[i] =
            -20.0F + 40.0F * static_cast<float>(i) / static_cast<float>(std::max<Index>(n - 1, 1));
      const std::vector<float> before = x.values(0, n);
      lowp::gelu_row(x.row(0), n);
      lowp::relu_row(y.row(0), n);
      for (Index i = 0; i < n; ++i) {
        const double v = before[static_cast<std::size_t>(i)];
        const double exact = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
        EXPECT_NEAR(x.row(0)[i], exact, 2.6e-5 + std::abs(exact) * 1e-4) << v;
        EXPECT_EQ(y.row(0)[i], std::max(before[static_cast<std::size_t>(i)], 0.0F));
      }
      EXPECT_TRUE(x.is_untouched(0, n));
      EXPECT_TRUE(y.is_untouched(0, n));
    }
  });
}

TEST(Kernels, SumsAndMaximaToTheirEnds) {
  on_every_set([] {
    for (Index n = 1; n <= 37; ++n) {
      Rows<float> a(1, n), b(1, n), out(1, 2 * n), low(1, n);
      for (Index i = 0; i < n; ++i)
        a.row(0)[i] = static_cast<float>(i), b.row(0)[i] = static_cast<float>(100 * i + 1);
      kernels::add_to(a.row(0), b.row(0), n);
      for (Index i = 0; i < n; ++i) ASSERT_EQ(a.row(0)[i], static_cast<float>(101 * i + 1));
      EXPECT_TRUE(a.is_untouched(0, n));
      // Two pixels of n channels out of four by two; the largest is in each corner once.
      Rows<float> above(1, 4 * n), below(1, 4 * n);
      for (Index i = 0; i < 4 * n; ++i) above.row(0)[i] = below.row(0)[i] = -static_cast<float>(i + 1);
      for (Index c = 0; c < n; ++c) {
        (c % 4 < 2 ? above : below).row(0)[c % 2 * n + c] = static_cast<float>(c);
        (c % 4 < 2 ? below : above).row(0)[(2 + (c + 1) % 2) * n + c] = static_cast<float>(1000 + c);
      }
      kernels::max_pool_row(above.row(0), below.row(0), 2, n, out.row(0));
      const std::byte* rows[] = {reinterpret_cast<const std::byte*>(above.row(0)),
                                 reinterpret_cast<const std::byte*>(above.row(0) + n),
                                 reinterpret_cast<const std::byte*>(below.row(0)),
                                 reinterpret_cast<const std::byte*>(below.row(0) + n)};
      lowp::max_of_four(rows, n, Element::f32, low.bytes.data());
      for (Index c = 0; c < n; ++c) {
        ASSERT_EQ(out.row(0)[c], static_cast<float>(c));
        ASSERT_EQ(out.row(0)[n + c], static_cast<float>(1000 + c));
        ASSERT_EQ(low.row(0)[c], static_cast<float>(c));
      }
      EXPECT_TRUE(out.is_untouched(0, 2 * n));
      EXPECT_TRUE(low.is_untouched(0, n));
    }
  });
}

// --- resizing

// torch.nn.functional.interpolate: 2 to 4 between the pixels' centres, 3 to 5 between the corners.
TEST(Kernels, TapsAreThoseOfTorch) {
  const auto taps = [](Index in, Index out, Corners corners) {
    std::vector<std::vector<double>> all;
    for (const auto& t : kernels::bilinear_taps(in, out, corners))
      all.push_back({static_cast<double>(t.first), static_cast<double>(t.second), t.weight});
    return all;
  };
  using Taps = std::vector<std::vector<double>>;
  EXPECT_EQ(taps(2, 4, Corners::unaligned), (Taps{{0, 1, 0}, {0, 1, 0.25}, {0, 1, 0.75}, {1, 1, 0.25}}));
  EXPECT_EQ(taps(4, 2, Corners::unaligned), (Taps{{0, 1, 0.5}, {2, 3, 0.5}}));
  EXPECT_EQ(taps(3, 5, Corners::aligned), (Taps{{0, 1, 0}, {0, 1, 0.5}, {1, 2, 0}, {1, 2, 0.5}, {2, 2, 0}}));
  EXPECT_EQ(taps(3, 1, Corners::aligned), (Taps{{0, 1, 0}}));
  EXPECT_EQ(taps(3, 2, Corners::aligned), (Taps{{0, 1, 0}, {2, 2, 0}}));
  EXPECT_EQ(taps(3, 1, Corners::unaligned), (Taps{{1, 2, 0}}));
  EXPECT_EQ(taps(1, 4, Corners::unaligned), (Taps{{0, 0, 0}, {0, 0, 0}, {0, 0, 0.125}, {0, 0, 0.375}}));
  EXPECT_EQ(taps(1, 2, Corners::aligned), (Taps{{0, 0, 0}, {0, 0, 0}}));
}

TEST(Kernels, BilinearRowsOfAnyWidthAndStride) {
  on_every_set([] {
    const std::vector<kernels::BilinearTap> taps = {{0, 1, 0.25F}, {1, 2, 0.5F}, {2, 2, 0.75F}};
    for (Index c = 1; c <= 35; ++c) {
      Rows<float> above(3, c), below(3, c), dense_above(3, c, 0), dense_below(3, c, 0);
      for (Index x = 0; x < 3; ++x)
        for (Index i = 0; i < c; ++i) {
          above.row(x)[i] = dense_above.row(x)[i] = static_cast<float>(8 * x * x + i);
          below.row(x)[i] = dense_below.row(x)[i] = static_cast<float>(64 + 16 * x - 4 * i);
        }
      // Eighths of the rows: every product is exact.
      const auto wanted = [&](Index o, Index i) {
        const auto& t = taps[static_cast<std::size_t>(o)];
        const auto mix = [&](Rows<float>& r) {
          return (1 - t.weight) * r.row(t.first)[i] + t.weight * r.row(t.second)[i];
        };
        return 0.875F * mix(above) + 0.125F * mix(below);
      };
      const Index stride = c + 2;
      Rows<float> out(1, 3 * stride), low(3, c);
      kernels::bilinear_row(dense_above.row(0), dense_below.row(0), 0.125F, taps, c, out.row(0), stride);
      lowp::bilinear_row(above.view(Element::f32), below.view(Element::f32), 0.125F, taps, c,
                         low.target(Element::f32));
      for (Index o = 0; o < 3; ++o) {
        for (Index i = 0; i < c; ++i) {
          ASSERT_EQ(out.row(0)[o * stride + i], wanted(o, i)) << c << " " << o << " " << i;
          ASSERT_EQ(low.row(o)[i], wanted(o, i)) << c << " " << o << " " << i;
        }
        EXPECT_EQ(std::bit_cast<std::uint32_t>(out.row(0)[o * stride + c]), 0xA5A5A5A5U);
        EXPECT_TRUE(low.is_untouched(o, c));
      }
      if (c > 1) continue;
      // Of one channel in two halves.
      Rows<float> wide_above(1, 3), wide_below(1, 3), mixed(1, 3);
      kernels::widen_row(dense_above.row(0), taps, wide_above.row(0));
      kernels::widen_row(dense_below.row(0), taps, wide_below.row(0));
      kernels::mix_rows(wide_above.row(0), wide_below.row(0), 0.125F, 3, mixed.row(0));
      for (Index o = 0; o < 3; ++o) EXPECT_EQ(mixed.row(0)[o], wanted(o, 0));
      EXPECT_TRUE(mixed.is_untouched(0, 3));
    }
  });
}

// --- attention

TEST(Kernels, SoftmaxOfARowWithOneKeyRaised) {
  on_every_set([] {
    for (const int keys : {1, 2, 6, 15, 16, 17, 18, 33}) {
      for (int raised = 0; raised < 2 * keys; ++raised) {
        const Element type = raised < keys ? Element::f32 : Element::bf16;
        const int padded = keys + 3;
        std::vector<float> scores(static_cast<std::size_t>(keys) + 64,
                                  1e30F);  // behind the last nothing counts
        for (int k = 0; k < keys; ++k)
          scores[static_cast<std::size_t>(k)] = static_cast<float>((k * 7) % 11) - 4.0F;
        if (keys > 2) scores[1] = -1e4F;  // which is nothing beside the others
        scores[static_cast<std::size_t>(raised % keys)] = 9.0F;
        const float scale = 0.5F, pad = std::log(3.0F);
        std::vector<double> wanted;
        double most = -1e9, sum = 0;
        for (int k = 0; k < keys; ++k)
          wanted.push_back(scores[static_cast<std::size_t>(k)] * scale + (k == keys - 1 ? pad : 0.0F));
        for (const double w : wanted) most = std::max(most, w);
        for (double& w : wanted) sum += w = std::exp(w - most);
        Rows<float> out(1, padded);
        const float inverse =
            lowp::softmax_row(scores.data(), keys, padded, scale, pad, type, out.bytes.data());
        EXPECT_NEAR(inverse, 1 / sum, 2e-5 / sum);
        for (int k = 0; k < padded; ++k) {
          float v = 0;
          if (type == Element::f32)
            v = out.row(0)[k];
          else
            v = std::bit_cast<float>(std::uint32_t{reinterpret_cast<std::uint16_t*>(out.row(0))[k]} << 16);
          if (k >= keys)
            EXPECT_EQ(v, 0.0F) << k;
          else
            EXPECT_NEAR(v, wanted[static_cast<std::size_t>(k)], type == Element::f32 ? 2e-5 : 4e-3)
                << k << " of " << keys;
        }
        if (type == Element::f32) {
          EXPECT_TRUE(out.is_untouched(0, padded));
        }
      }
    }
  });
}

TEST(Kernels, KeysAreTransposedByUnits) {
  on_every_set([] {
    for (const int count : {1, 4, 5, 16})
      for (const int units : {1, 3, 4, 7, 9}) {
        std::vector<std::vector<std::uint32_t>> rows;
        std::vector<const std::byte*> pointers;
        for (int r = 0; r < count; ++r) {
          rows.emplace_back();
          for (int u = 0; u < units + 4; ++u) rows.back().push_back(static_cast<std::uint32_t>(1000 * r + u));
        }
        for (const auto& r : rows) pointers.push_back(reinterpret_cast<const std::byte*>(r.data()));
        std::vector<std::uint32_t> out(static_cast<std::size_t>(units) * 16 + 4, 0xA5A5A5A5U);
        lowp::transpose_units(pointers.data(), count, units, 16, reinterpret_cast<std::byte*>(out.data()));
        for (int u = 0; u < units; ++u)
          for (int r = 0; r < count; ++r)
            ASSERT_EQ(out[static_cast<std::size_t>(u * 16 + r)],
                      1000U * static_cast<unsigned>(r) + static_cast<unsigned>(u));
        EXPECT_EQ(out[static_cast<std::size_t>(units) * 16], 0xA5A5A5A5U);
      }
  });
}

TEST(Kernels, ValuesArePackedAsARightSide) {
  on_every_set([] {
    for (const int channels : {1, 9, 16}) {
      const int count = 5, first = 3, width = 16;
      std::vector<std::vector<float>> wide;
      std::vector<std::vector<std::uint16_t>> narrow;
      std::vector<const std::byte*> wide_rows, narrow_rows;
      for (int k = 0; k < count; ++k) {
        wide.emplace_back();
        narrow.emplace_back();
        for (int c = 0; c < 64; ++c) {
          wide.back().push_back(static_cast<float>(100 * k + c + 1));
          narrow.back().push_back(static_cast<std::uint16_t>(256 * (k + 1) + c));
        }
      }
      for (int k = 0; k < count; ++k) {
        wide_rows.push_back(reinterpret_cast<const std::byte*>(wide[static_cast<std::size_t>(k)].data()));
        narrow_rows.push_back(reinterpret_cast<const std::byte*>(narrow[static_cast<std::size_t>(k)].data()));
      }
      alignas(64) float out[7 * 16];
      std::fill(std::begin(out), std::end(out), 5.5F);
      lowp::pack_values(wide_rows.data(), count, 6, first, channels, Element::f32, lowp::Way::widened, width,
                        reinterpret_cast<std::byte*>(out));
      for (int k = 0; k < 6; ++k)
        for (int c = 0; c < width; ++c)
          ASSERT_EQ(out[k * 16 + c],
                    k < count && c < channels ? static_cast<float>(100 * k + c + first + 1) : 0.0F);
      EXPECT_EQ(out[6 * 16], 5.5F);
      // Two keys in a unit, the earlier one in its low half.
      alignas(64) std::uint32_t pairs[4 * 16];
      std::fill(std::begin(pairs), std::end(pairs), 7U);
      lowp::pack_values(narrow_rows.data(), count, 6, first, channels, Element::bf16, lowp::Way::dot_bf16,
                        width, reinterpret_cast<std::byte*>(pairs));
      for (int k = 0; k < 6; k += 2)
        for (int c = 0; c < width; ++c) {
          const auto half = [&](int key) {
            return key < count && c < channels ? static_cast<std::uint32_t>(256 * (key + 1) + c + first) : 0U;
          };
          ASSERT_EQ(pairs[k / 2 * 16 + c], half(k) | half(k + 1) << 16) << k << " " << c;
        }
      EXPECT_EQ(pairs[3 * 16], 7U);
    }
  });
}

}  // namespace
}  // namespace sam2unet::ops
