#include "core/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"

namespace sam2unet {
namespace {

TEST(Shape, NumelRefusesOverflowAndNegativeDimensions) {
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_THROW((void)(Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}).numel(), FormatError);
  EXPECT_THROW((void)(Shape{2, -1}).numel(), FormatError);
}

TEST(DTypes, HaveSizesAndNames) {
  struct Case {
    DType dtype;
    std::size_t size;
    const char* name;
  };
  for (const Case& c : {Case{DType::f64, 8, "f64"}, Case{DType::f32, 4, "f32"}, Case{DType::f16, 2, "f16"},
                        Case{DType::bf16, 2, "bf16"}, Case{DType::i64, 8, "i64"}, Case{DType::i32, 4, "i32"},
                        Case{DType::i16, 2, "i16"}, Case{DType::i8, 1, "int8"}, Case{DType::u8, 1, "u8"},
                        Case{DType::boolean, 1, "bool"}}) {
    EXPECT_EQ(size_of(c.dtype), c.size) << c.name;
    EXPECT_EQ(name_of(c.dtype), c.name);
  }
}

TEST(Shape, StridesTextAndTheMostDimensions) {
  EXPECT_EQ((Shape{2, 3, 4}).dense_strides(), (Shape{12, 4, 1}));
  EXPECT_EQ(to_string(Shape{2, 3, 352}), "[2, 3, 352]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 4}));
  EXPECT_EQ((Shape{1, 1, 1, 1, 1, 1, 1, 2}).numel(), 2);
  EXPECT_EQ(test::message_of<FormatError>([] { Shape s{1, 1, 1, 1, 1, 1, 1, 1, 1}; }),
            "a tensor of 9 dimensions; at most 8 are supported");
  EXPECT_EQ(test::message_of<FormatError>([] {
              (void)(Shape{2, -1}).numel();
            }),
            "negative dimension in shape [2, -1]");
}

TEST(CheckedNumbers, SayWhatOverflows) {
  EXPECT_EQ(checked_mul(INT64_MAX, 1, "w"), INT64_MAX);
  EXPECT_EQ(checked_add(INT64_MAX - 1, 1, "w"), INT64_MAX);
  EXPECT_EQ(test::message_of<FormatError>([] { checked_mul(std::int64_t{1} << 62, 2, "a size"); }),
            "a size: 4611686018427387904 x 2 overflows");
  EXPECT_EQ(test::message_of<FormatError>([] { checked_add(INT64_MAX, 1, "a sum"); }),
            "a sum: 9223372036854775807 + 1 overflows");
}

// IEEE 754's own numbers, so that an error in both directions shows.
TEST(Half, IsTheStandardsHalf) {
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24F);
  EXPECT_EQ(f16_to_f32(0x03FF), 1023 * 0x1p-24F);
  EXPECT_EQ(f16_to_f32(0x0400), 0x1p-14F);
  EXPECT_EQ(f16_to_f32(0x3555), 0.333251953125F);
  EXPECT_EQ(f16_to_f32(0xC000), -2.0F);
  EXPECT_EQ(f16_to_f32(0x7BFF), 65504.0F);
  EXPECT_EQ(f16_to_f32(0x7C00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(f16_to_f32(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7C01)));
  EXPECT_TRUE(std::signbit(f16_to_f32(0x8000)));
  EXPECT_EQ(bf16_to_f32(0x3F80), 1.0F);
  EXPECT_EQ(bf16_to_f32(0xC040), -3.0F);
}

TEST(Half, SmallNumbersAndThoseThatAreNone) {
  EXPECT_EQ(f32_to_f16(0x1p-25F), 0x0000);  // half way to the least: to the even one
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25F, 1.0F)), 0x0001);
  EXPECT_EQ(f32_to_f16(3 * 0x1p-25F), 0x0002);  // half way, even above
  EXPECT_EQ(f32_to_f16(-0x1p-24F), 0x8001);
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-14F, 0.0F)), 0x0400);  // rounds up to a normal number
  EXPECT_EQ(f32_to_f16(-1e30F), 0xFC00);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::numeric_limits<float>::quiet_NaN()))));
  // NaN whose bits all lie below bfloat16's.
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7F800001U)))));
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(f32_to_bf16(-std::numeric_limits<float>::infinity()), 0xFF80);
}

TEST(Half, EveryFiniteF16SurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto h = static_cast<std::uint16_t>(bits);
    const float f = f16_to_f32(h);
    if (std::isnan(f)) continue;
    EXPECT_EQ(f32_to_f16(f), h) << bits;
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3C00);      // half way, even below
  EXPECT_EQ(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3C02);  // half way, even above
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);             // rounds past the largest
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7BFF);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3F82);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(TensorView, CopiesStridedElementsInRowMajorOrder) {
  const float data[] = {0, 1, 2, 3, 4, 5};
  const TensorView transposed{reinterpret_cast<const std::byte*>(data), DType::f32, {3, 2}, {1, 3}};
  EXPECT_FALSE(transposed.is_dense());
  std::vector<double> out(6);
  copy_to(transposed, std::span(out));
  EXPECT_EQ(out, (std::vector<double>{0, 3, 1, 4, 2, 5}));
  std::vector<float> raw(6);
  copy_bytes(transposed, std::as_writable_bytes(std::span(raw)));
  EXPECT_EQ(raw, (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

// NHWC seen as NCHW, of which every other column is left out; no dimension is as long as another. The places
// are counted here by hand: ((n * 3 + h) * 10 + 2 w) * 2 + c.
TEST(TensorView, CopiesCarryOverSeveralDimensions) {
  std::vector<std::int16_t> data(std::size_t{4} * 3 * 10 * 2);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::int16_t>(1000 + i);
  const TensorView view{
      reinterpret_cast<const std::byte*>(data.data()), DType::i16, {4, 2, 3, 5}, {60, 1, 20, 4}};
  EXPECT_FALSE(view.is_dense());
  std::vector<std::int16_t> want;
  for (int n = 0; n < 4; ++n)
    for (int c = 0; c < 2; ++c)
      for (int h = 0; h < 3; ++h)
        for (int w = 0; w < 5; ++w)
          want.push_back(static_cast<std::int16_t>(1000 + ((n * 3 + h) * 10 + 2 * w) * 2 + c));
  std::vector<std::int16_t> raw(want.size());
  copy_bytes(view, std::as_writable_bytes(std::span(raw)));
  EXPECT_EQ(raw, want);
  std::vector<float> numbers(want.size());
  copy_to(view, std::span(numbers));
  EXPECT_EQ(numbers, std::vector<float>(want.begin(), want.end()));
  // A single place in between changes nothing, and what repeats is read again.
  const TensorView repeated{
      reinterpret_cast<const std::byte*>(data.data()), DType::i16, {2, 1, 2, 2}, {3, 99, 0, 1}};
  std::vector<double> eight(8);
  copy_to(repeated, std::span(eight));
  EXPECT_EQ(eight, (std::vector<double>{1000, 1001, 1000, 1001, 1003, 1004, 1003, 1004}));
}

template <typename T>
std::vector<double> numbers(DType dtype, const std::vector<T>& values, std::int64_t stride = 1) {
  std::vector<double> out((values.size() + static_cast<std::size_t>(stride) - 1) /
                          static_cast<std::size_t>(stride));
  copy_to(TensorView{reinterpret_cast<const std::byte*>(values.data()),
                     dtype,
                     {static_cast<std::int64_t>(out.size())},
                     {stride}},
          std::span(out));
  return out;
}

TEST(TensorView, EveryElementTypeIsItsNumber) {
  using D = std::vector<double>;
  EXPECT_EQ(numbers<double>(DType::f64, {-0.1, 1e300}), (D{-0.1, 1e300}));
  EXPECT_EQ(numbers<float>(DType::f32, {-0.5F, 3.0F}), (D{-0.5, 3}));
  EXPECT_EQ(numbers<std::uint16_t>(DType::f16, {0x3C00, 0xC000}), (D{1, -2}));
  EXPECT_EQ(numbers<std::uint16_t>(DType::bf16, {0x3F80, 0xC000}), (D{1, -2}));
  EXPECT_EQ(numbers<std::int64_t>(DType::i64, {-1, std::int64_t{1} << 40}), (D{-1, 1099511627776.0}));
  EXPECT_EQ(numbers<std::int32_t>(DType::i32, {-1, 70'000}), (D{-1, 70'000}));
  EXPECT_EQ(numbers<std::int16_t>(DType::i16, {-1, 300}), (D{-1, 300}));
  EXPECT_EQ(numbers<std::int8_t>(DType::i8, {-128, 127}), (D{-128, 127}));
  EXPECT_EQ(numbers<std::uint8_t>(DType::u8, {0, 255}), (D{0, 255}));
  EXPECT_EQ(numbers<std::uint8_t>(DType::boolean, {0, 7}), (D{0, 1}));
  EXPECT_EQ(numbers<std::int16_t>(DType::i16, {1, 2, 3, 4}, 2), (D{1, 3}));  // every other one
}

TEST(TensorView, StridesOfASingleElementDoNotMatter) {
  const std::array<float, 2> data{1, 2};
  const auto* bytes = reinterpret_cast<const std::byte*>(data.data());
  EXPECT_TRUE((TensorView{bytes, DType::f32, {1, 2}, {77, 1}}).is_dense());
  EXPECT_FALSE((TensorView{bytes, DType::f32, {2, 1}, {2, 1}}).is_dense());
  EXPECT_TRUE((TensorView{bytes, DType::f32, {2, 1}, {1, 5}}).is_dense());
}

TEST(TensorView, CopiesAreOfTheRightSize) {
  const std::array<float, 2> data{1, 2};
  const TensorView two{reinterpret_cast<const std::byte*>(data.data()), DType::f32, {2}, {1}};
  std::vector<float> three(3);
  EXPECT_EQ(test::message_of<Error>([&] { copy_to(two, std::span(three)); }), "copy of 2 elements into 3");
  EXPECT_EQ(test::message_of<Error>([&] { copy_bytes(two, std::as_writable_bytes(std::span(three))); }),
            "copy of 2 elements into 12 bytes");
  std::vector<float> none;
  EXPECT_NO_THROW(copy_to(TensorView{nullptr, DType::f32, {0, 3}, {5, 1}}, std::span(none)));
}

TEST(TensorView, AScalarIsOneElement) {
  const std::int64_t seven = 7;
  std::vector<float> out(1);
  copy_to(TensorView{reinterpret_cast<const std::byte*>(&seven), DType::i64, {}, {}}, std::span(out));
  EXPECT_EQ(out[0], 7.0f);
}

}  // namespace
}  // namespace sam2unet
