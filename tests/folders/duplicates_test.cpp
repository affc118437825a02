// Fingerprints of pictures, bit by bit, and how far two may lie apart.
#include "data/duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "sam2unet/image.h"

namespace sam2unet {
namespace {

// Of a gray picture of 17 x 16 pixels, which is its own thumbnail: a bit for each step to the right, row by
// row, that is set where the level rises.
TEST(Fingerprint, EveryRisingStepIsABitOfItsOwn) {
  for (std::size_t k = 0; k < 256; ++k) {
    Image picture(17, 16, 1);
    std::uint8_t* const row = picture.row(static_cast<int>(k / 16));
    std::fill(row + k % 16 + 1, row + 17, std::uint8_t{200});
    const data::Fingerprint f = data::fingerprint(picture);
    EXPECT_TRUE(std::equal(f.thumbnail.begin(), f.thumbnail.end(), picture.pixels.begin()));
    std::array<std::uint64_t, 4> want{};
    want[k / 64] = std::uint64_t{1} << k % 64;
    EXPECT_EQ(f.bits, want) << k;
    EXPECT_EQ(f.width, 17);
    EXPECT_EQ(f.height, 16);
  }
}

// At most 12 bits differ, and the thumbnails by less than 8 levels on average.
TEST(Fingerprint, AreAlikeUpToTheirLimits) {
  data::Fingerprint plain;
  plain.width = plain.height = 16;
  data::Fingerprint other = plain;
  other.bits = {7, 7, std::uint64_t{7} << 61, 7};
  EXPECT_TRUE(data::alike(plain, other));
  other.bits[1] = 15;
  EXPECT_FALSE(data::alike(plain, other));
  other = plain;
  other.thumbnail.fill(8);
  EXPECT_FALSE(data::alike(plain, other));
  for (const std::size_t i : {std::size_t{0}, other.thumbnail.size() - 1}) {
    data::Fingerprint nearer = other;
    nearer.thumbnail[i] = 7;
    EXPECT_TRUE(data::alike(plain, nearer)) << i;
    EXPECT_TRUE(data::alike(nearer, plain)) << i;
  }
}

}  // namespace
}  // namespace sam2unet
