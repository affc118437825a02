// What goes into a pass: pictures, wherever their rows lie, and values that are ready.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "api/backend.h"
#include "api/picture.h"
#include "support/pictures.h"

namespace sam2unet {
namespace {

// Two pictures of 5 x 3, the second cut out of a larger one.
class BackendInputs : public testing::Test {
 protected:
  const Image first = test::picture(5, 3, 3), large = test::picture(9, 7, 3);
  const std::vector<ImageView> views{
      first, ImageView(large.row(2) + 3 * 3, 5, 3, 3, static_cast<std::ptrdiff_t>(9) * 3)};
  const api::BackendInput input{std::span<const ImageView>(views)};

  std::uint8_t level(int picture, int y, int x, int c) const {
    return picture == 0 ? first.row(y)[3 * x + c] : large.row(2 + y)[3 * (3 + x) + c];
  }
};

TEST_F(BackendInputs, PicturesAreNormalisedRowByRow) {
  constexpr std::array kMean = {0.485, 0.456, 0.406}, kDeviation = {0.229, 0.224, 0.225};
  EXPECT_EQ(input.extent(), (ops::Extent{2, 3, 5, 3}));
  EXPECT_EQ(input.pictures().size(), 2u);
  std::vector<float> all(2 * 3 * 5 * 3), some(3 * 15, 77.0F);
  input.write(all.data());
  std::size_t at = 0;
  for (int n = 0; n < 2; ++n)
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 5; ++x)
        for (int c = 0; c < 3; ++c) {
          const auto k = static_cast<std::size_t>(c);
          ASSERT_NEAR(all[at++], (level(n, y, x, c) / 255.0 - kMean.at(k)) / kDeviation.at(k), 2e-6);
        }
  input.write_rows(2, 4, some.data());  // over the end of the first picture
  for (std::size_t i = 0; i < 45; ++i) ASSERT_EQ(some[i], i < 30 ? all[30 + i] : 77.0F) << i;
}

TEST_F(BackendInputs, BytesHaveNoGaps) {
  std::vector<std::uint8_t> bytes(2 * 45 + 1, 7);
  input.write_bytes(bytes.data());
  std::size_t at = 0;
  for (int n = 0; n < 2; ++n)
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 5; ++x)
        for (int c = 0; c < 3; ++c) ASSERT_EQ(bytes[at++], level(n, y, x, c));
  EXPECT_EQ(bytes[at], 7);
}

TEST(BackendValues, AreTakenAsTheyAre) {
  std::vector<float> values(2 * 3 * 5 * 3), some(32, 77.0F);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const api::BackendInput input({2, 3, 5, 3}, values);
  EXPECT_TRUE(input.pictures().empty());
  input.write_rows(1, 3, some.data());
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(some[i], i < 30 ? static_cast<float>(15 + i) : 77.0F);
}

// test.py's (res - min) / (max - min + 1e-8): of a map of one value it is nothing, and no NaN.
TEST(OfficialMaps, AreStretchedFromEndToEnd) {
  std::vector<float> map{0.5F, -0.25F, 0.75F, 0.25F};
  const api::Range range = api::range_of(map);
  EXPECT_EQ(range.min, -0.25F);
  EXPECT_EQ(range.max, 0.75F);
  api::stretch(map, range);
  EXPECT_EQ(map, (std::vector<float>{0.75F, 0.0F, 1.0F, 0.5F}));
  std::vector<float> flat(3, 0.625F), close{0.0F, 3e-8F};
  api::stretch(flat, api::range_of(flat));
  EXPECT_EQ(flat, std::vector<float>(3, 0.0F));
  api::stretch(close, api::range_of(close));
  EXPECT_NEAR(close[1], 0.75, 1e-6);
  EXPECT_EQ(api::range_of({}).min, api::range_of({}).max);
}

}  // namespace
}  // namespace sam2unet
