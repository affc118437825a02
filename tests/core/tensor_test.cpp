#include "core/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

TEST(Shape, NumelRefusesOverflowAndNegativeDimensions) {
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_THROW((void)(Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}).numel(), FormatError);
  EXPECT_THROW((void)(Shape{2, -1}).numel(), FormatError);
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

TEST(TensorView, AScalarIsOneElement) {
  const std::int64_t seven = 7;
  std::vector<float> out(1);
  copy_to(TensorView{reinterpret_cast<const std::byte*>(&seven), DType::i64, {}, {}}, std::span(out));
  EXPECT_EQ(out[0], 7.0f);
}

}  // namespace
}  // namespace sam2unet
