// TIFFs of several strips and tiles, whole ones and with one of them beyond the end of the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/message.h"
#include "support/profiles.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Values = std::vector<std::uint32_t>;
using Block = std::vector<std::uint8_t>;

constexpr std::uint32_t kRowsPerStrip = 278, kStrips = 273, kStripSizes = 279;
constexpr std::uint32_t kTiles = 324, kTileSizes = 325;
constexpr std::uint32_t kProfile = 34675;  // of bytes, four to a value here

std::string little(std::uint32_t v, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(v >> 8 * i & 255);
  return out;
}

// Little-endian: the blocks, the values that do not fit into their entries, and the directory, of LONGs. The
// block of number `lost` is said to lie behind the end.
std::string tiff(std::map<std::uint32_t, Values> fields, const std::vector<Block>& blocks, int lost = -1) {
  const bool tiled = fields.contains(322);
  std::string body;
  Values places, sizes;
  for (const Block& b : blocks) {
    places.push_back(static_cast<int>(places.size()) == lost ? 1000000
                                                             : 8 + static_cast<std::uint32_t>(body.size()));
    sizes.push_back(static_cast<std::uint32_t>(b.size()));
    body.append(b.begin(), b.end());
  }
  fields[tiled ? kTiles : kStrips] = places;
  fields[tiled ? kTileSizes : kStripSizes] = sizes;
  std::string entries;
  for (const auto& [tag, values] : fields) {
    const auto count = static_cast<std::uint32_t>(values.size());
    entries += little(tag, 2);
    entries += tag == kProfile ? little(7, 2) + little(4 * count, 4) : little(4, 2) + little(count, 4);
    std::string all;
    for (const std::uint32_t v : values) all += little(v, 4);
    if (values.size() > 1) {
      entries += little(static_cast<std::uint32_t>(8 + body.size()), 4);
      body += all;
    } else {
      entries += all;
    }
  }
  return "II*" + std::string(1, '\0') + little(static_cast<std::uint32_t>(8 + body.size()), 4) + body +
         little(static_cast<std::uint32_t>(fields.size()), 2) + entries + little(0, 4);
}

// Of 8 bits without compression; `photometric` 1 is gray, 2 is RGB, 6 is YCbCr.
std::map<std::uint32_t, Values> fields_of(std::uint32_t width, std::uint32_t height, std::uint32_t samples,
                                          std::uint32_t photometric) {
  return {{256, {width}}, {257, {height}}, {258, {8}}, {259, {1}}, {262, {photometric}}, {277, {samples}}};
}

Image decoded(const std::string& file, ColorMode mode) {
  return decode_image(std::as_bytes(std::span(file)), {.mode = mode}, "x");
}
std::string refusal(const std::string& file) {
  return test::message_of<ImageError>([&] { decoded(file, ColorMode::rgb); });
}

// Colours of a table have 16 bits, of which the high byte counts; indices of all widths come in the high bits
// first. Of two samples the first is the index.
TEST(TiffParts, PalettesOfEveryWidth) {
  const std::map<std::uint32_t, Block> rows{{1, {0xA0}}, {2, {0xCC}}, {4, {0xF0, 0xF0}}, {8, {255, 0, 255}}};
  for (const auto& [bits, row] : rows) {
    auto fields = fields_of(3, 1, 1, 3);
    fields[258] = {bits};
    const std::uint32_t count = 1U << bits;
    fields[320] = Values(std::size_t{3} * count, 0x1234);
    for (std::uint32_t c = 0; c < 3; ++c) fields[320][c * count + count - 1] = 0xA000 + 0x0100 * c + 0xFF;
    EXPECT_THAT(decoded(tiff(fields, {row}), ColorMode::rgb).pixels,
                ElementsAre(0xA0, 0xA1, 0xA2, 0x12, 0x12, 0x12, 0xA0, 0xA1, 0xA2))
        << bits;
    EXPECT_THAT(decoded(tiff(fields, {row}), ColorMode::ids).pixels, ElementsAre(count - 1, 0, count - 1))
        << bits;
    fields[277] = {2};
    const std::string two = tiff(fields, {{7, 1, 9, 1, 7, 1}});
    if (bits == 8)
      EXPECT_THAT(decoded(two, ColorMode::ids).pixels, ElementsAre(7, 9, 7));
    else
      EXPECT_THAT(refusal(two), HasSubstr("a TIFF of 2 samples of " + std::to_string(bits) + " bits"));
  }
}

TEST(TiffParts, WhatHasTooFewSamplesOrBitsIsNamed) {
  struct Case {
    std::uint32_t photometric, samples, bits;
  };
  for (const auto& [photometric, samples, bits] : {Case{1, 2, 1},
                                                   {1, 2, 2},
                                                   {1, 2, 4},
                                                   {0, 2, 4},
                                                   {1, 1, 64},
                                                   {1, 17, 8},
                                                   {2, 2, 8},
                                                   {2, 3, 4},
                                                   {2, 3, 32},
                                                   {5, 3, 8},
                                                   {5, 4, 4},
                                                   {8, 3, 8}}) {
    auto fields = fields_of(1, 1, samples, photometric);
    fields[258] = {bits};
    EXPECT_THAT(refusal(tiff(fields, {Block(64)})),
                HasSubstr("a TIFF of " + std::to_string(samples) + " samples of " + std::to_string(bits) +
                          " bits, colour space " + std::to_string(photometric) + " and sample format 1"));
  }
}

TEST(TiffParts, RowsBeforeALostStripAreCounted) {
  auto fields = fields_of(2, 3, 1, 1);
  fields[kRowsPerStrip] = {1};
  const std::vector<Block> rows{{1, 2}, {3, 4}, {5, 6}};
  EXPECT_THAT(decoded(tiff(fields, rows), ColorMode::gray).pixels, ElementsAre(1, 2, 3, 4, 5, 6));
  for (int lost = 0; lost < 3; ++lost)
    EXPECT_THAT(refusal(tiff(fields, rows, lost)), HasSubstr("after " + std::to_string(lost) + " of 3 rows"));
}

// Two bytes each, of which the high one counts; what is told of alpha is told whatever is asked for.
TEST(TiffParts, PlanesOf16Bits) {
  auto fields = fields_of(2, 2, 4, 2);
  fields[258] = {16};
  fields[284] = {2};
  fields[338] = {2};
  std::vector<Block> planes(4);
  for (std::uint8_t p = 0; p < 4; ++p)
    for (std::uint8_t i = 0; i < 4; ++i) {
      planes[p].push_back(static_cast<std::uint8_t>(200 + i));
      planes[p].push_back(static_cast<std::uint8_t>(10 * p + i));
    }
  const std::string file = tiff(fields, planes);
  ImageInfo info;
  EXPECT_THAT(decode_image(std::as_bytes(std::span(file)), {.mode = ColorMode::rgb}, "x", &info).pixels,
              ElementsAre(0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23));
  EXPECT_TRUE(info.alpha);
  EXPECT_THAT(decoded(file, ColorMode::rgba).pixels,
              ElementsAre(0, 10, 20, 30, 1, 11, 21, 31, 2, 12, 22, 32, 3, 13, 23, 33));
}

// Plane by plane, each of two strips.
TEST(TiffParts, EveryPlaneMustBeThere) {
  auto fields = fields_of(1, 2, 3, 2);
  fields[kRowsPerStrip] = {1};
  fields[284] = {2};
  const std::vector<Block> planes{{10}, {20}, {30}, {40}, {50}, {60}};
  EXPECT_THAT(decoded(tiff(fields, planes), ColorMode::rgb).pixels, ElementsAre(10, 30, 50, 20, 40, 60));
  for (int lost = 0; lost < 6; ++lost)
    EXPECT_THAT(refusal(tiff(fields, planes, lost)),
                HasSubstr("after " + std::to_string(lost % 2) + " of 2 rows"))
        << lost;
}

// 24 x 20 pixels in tiles of 16 x 16, which stick out at the right and below.
TEST(TiffParts, EveryTileMustBeThere) {
  auto fields = fields_of(24, 20, 1, 1);
  fields[322] = fields[323] = {16};
  std::vector<Block> tiles;
  for (std::uint8_t i = 0; i < 4; ++i) tiles.emplace_back(256, static_cast<std::uint8_t>(50 * i));
  const Image whole = decoded(tiff(fields, tiles), ColorMode::gray);
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 24; ++x) ASSERT_EQ(whole.row(y)[x], 50 * (x / 16 + y / 16 * 2)) << x << "," << y;
  for (int lost = 0; lost < 4; ++lost)
    EXPECT_THAT(refusal(tiff(fields, tiles, lost)),
                HasSubstr(lost < 2 ? "after 0 of 20 rows" : "after 16 of 20 rows"))
        << lost;
}

// libtiff warns of tags that it does not know, which is nobody's concern here.
TEST(TiffParts, WarningsAreNotPrinted) {
  auto fields = fields_of(1, 1, 1, 1);
  fields[65000] = {1};
  testing::internal::CaptureStderr();
  const Image got = decoded(tiff(fields, {{7}}), ColorMode::gray);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(got.pixels, ElementsAre(7));
}

// With all samples no more than pixels are allowed, or 2^20 bytes.
TEST(TiffParts, TilesHaveALimitOfTheirOwn) {
  const auto refused = [](std::uint32_t width, std::uint32_t height) {
    auto fields = fields_of(width, height, 3, 2);
    fields[322] = {width};
    fields[323] = {height};
    const std::string file = tiff(fields, {{1, 2, 3}});
    return test::message_of<ImageError>(
        [&] { decode_image(std::as_bytes(std::span(file)), {.max_pixels = 1 << 21}, "x"); });
  };
  EXPECT_THAT(refused(1040, 1024), HasSubstr("the tiles of the TIFF are too large"));
  EXPECT_THAT(refused(1024, 1024), testing::Not(HasSubstr("too large")));
}

// Of strips and of what libtiff makes a picture of itself.
TEST(TiffParts, TheProfileIsKept) {
  const std::vector<std::byte> want = test::rgb_profile();
  Values profile(want.size() / 4);
  std::memcpy(profile.data(), want.data(), want.size());
  auto rgb = fields_of(1, 1, 3, 2), sub = fields_of(2, 2, 3, 6);
  sub[530] = {2, 2};
  const Block block{1, 2, 3, 4, 128, 128};
  for (auto* fields : {&rgb, &sub}) {
    const auto kept = [&](bool asked) {
      ImageInfo info;
      const std::string file = tiff(*fields, {block});
      decode_image(std::as_bytes(std::span(file)), {.keep_color_profile = asked}, "x", &info);
      return info.color_profile;
    };
    EXPECT_THAT(kept(true), testing::IsEmpty());
    (*fields)[kProfile] = profile;
    EXPECT_EQ(kept(true), want);
    EXPECT_THAT(kept(false), testing::IsEmpty());
  }
}

// Four luminances to one pair of chromas, 128 of which are no colour; libtiff makes one picture of it all.
TEST(TiffParts, OfSubsampledColoursAllOrNothing) {
  auto fields = fields_of(2, 4, 3, 6);
  fields[kRowsPerStrip] = {2};
  fields[530] = {2, 2};
  const std::vector<Block> strips{{10, 20, 30, 40, 128, 128}, {50, 60, 70, 80, 128, 128}};
  EXPECT_THAT(decoded(tiff(fields, strips), ColorMode::gray).pixels,
              ElementsAre(10, 20, 30, 40, 50, 60, 70, 80));
  for (const int lost : {0, 1})
    EXPECT_THAT(refusal(tiff(fields, strips, lost)), HasSubstr("after 0 of 4 rows")) << lost;
}

// Every byte of a tile is its own: of tiles that are wider than high and higher than wide, plane by plane.
TEST(TiffParts, TilesOfSeveralPlanes) {
  constexpr std::uint32_t kWidth = 40, kHeight = 52;
  for (const std::uint32_t tile_width : {16U, 32U}) {
    const std::uint32_t tile_height = 48 - tile_width, columns = (kWidth + tile_width - 1) / tile_width,
                        count = columns * ((kHeight + tile_height - 1) / tile_height);
    auto fields = fields_of(kWidth, kHeight, 3, 2);
    fields[322] = {tile_width};
    fields[323] = {tile_height};
    fields[284] = {2};
    const auto value = [](std::uint32_t plane, std::uint32_t tile, std::uint32_t x, std::uint32_t y) {
      return static_cast<std::uint8_t>(80 * plane + 10 * tile + (3 * x + 5 * y) % 10);
    };
    std::vector<Block> tiles;
    for (std::uint32_t p = 0; p < 3; ++p) {
      for (std::uint32_t t = 0; t < count; ++t) {
        Block block;
        for (std::uint32_t y = 0; y < tile_height; ++y)
          for (std::uint32_t x = 0; x < tile_width; ++x) block.push_back(value(p, t, x, y));
        tiles.push_back(block);
      }
    }
    const Image got = decoded(tiff(fields, tiles), ColorMode::rgb);
    ASSERT_EQ(got.pixels.size(), std::size_t{3} * kWidth * kHeight);
    for (std::uint32_t y = 0; y < kHeight; ++y) {
      for (std::uint32_t x = 0; x < kWidth; ++x) {
        const std::uint32_t tile = x / tile_width + y / tile_height * columns;
        for (std::uint32_t c = 0; c < 3; ++c)
          ASSERT_EQ(got.row(static_cast<int>(y))[3 * x + c], value(c, tile, x % tile_width, y % tile_height))
              << x << "," << y << " " << c << " in tiles " << tile_width << " wide";
      }
    }
    for (std::uint32_t lost = 1; lost < 3 * count; lost += 3)
      EXPECT_THAT(refusal(tiff(fields, tiles, static_cast<int>(lost))),
                  HasSubstr("after " + std::to_string(lost % count / columns * tile_height) + " of 52 rows"))
          << lost;
  }
}

// A mask of one bit, in tiles of two bytes to a row.
TEST(TiffParts, TilesOfOneBit) {
  auto fields = fields_of(20, 18, 1, 1);
  fields[258] = {1};
  fields[322] = fields[323] = {16};
  const auto byte = [](std::size_t tile, std::size_t y, std::size_t k) {
    return static_cast<std::uint8_t>(67 * tile + 29 * y + 13 * k + 5);
  };
  std::vector<Block> tiles;
  for (std::size_t t = 0; t < 4; ++t) {
    Block block;
    for (std::size_t y = 0; y < 16; ++y)
      for (std::size_t k = 0; k < 2; ++k) block.push_back(byte(t, y, k));
    tiles.push_back(block);
  }
  const Image got = decoded(tiff(fields, tiles), ColorMode::gray);
  for (std::size_t y = 0; y < 18; ++y)
    for (std::size_t x = 0; x < 20; ++x)
      ASSERT_EQ(got.row(static_cast<int>(y))[x],
                (byte(x / 16 + y / 16 * 2, y % 16, x % 16 / 8) >> (7 - x % 8) & 1) != 0 ? 255 : 0)
          << x << "," << y;
}

TEST(TiffParts, AlphaOfGrayInAPlaneOfItsOwn) {
  auto fields = fields_of(2, 1, 2, 1);
  fields[284] = fields[338] = {2};
  const std::string file = tiff(fields, {{10, 20}, {100, 200}});
  EXPECT_THAT(decoded(file, ColorMode::rgba).pixels, ElementsAre(10, 10, 10, 100, 20, 20, 20, 200));
  EXPECT_THAT(decoded(file, ColorMode::gray).pixels, ElementsAre(10, 20));
}

// Ink takes away: what black leaves, less its share of each colour. A fifth sample is nothing that is known.
TEST(TiffParts, InksOf8And16Bits) {
  // Without black 255 - 0, 255 - 128, 255 - 255; with black of 51 the same of 204.
  const Block inks{0, 128, 255, 0, 0, 128, 255, 51};
  const auto want = ElementsAre(255, 127, 0, 204, 102, 0);
  auto fields = fields_of(2, 1, 4, 5);
  EXPECT_THAT(decoded(tiff(fields, {inks}), ColorMode::rgb).pixels, want);
  Block wide, five;
  for (std::size_t i = 0; i < inks.size(); ++i) {
    wide.push_back(0xEE);  // the low byte
    wide.push_back(inks[i]);
    five.push_back(inks[i]);
    if (i % 4 == 3) five.push_back(99);
  }
  fields[258] = {16};
  EXPECT_THAT(decoded(tiff(fields, {wide}), ColorMode::rgb).pixels, want);
  fields[258] = {8};
  fields[277] = {5};
  fields[338] = {2};
  const std::string file = tiff(fields, {five});
  ImageInfo info;
  EXPECT_THAT(decode_image(std::as_bytes(std::span(file)), {.mode = ColorMode::rgba}, "x", &info).pixels,
              ElementsAre(255, 127, 0, 255, 204, 102, 0, 255));
  EXPECT_FALSE(info.alpha);
  EXPECT_FALSE(info.gray);
}

// Colours that were multiplied with alpha are divided by it, cut off at white; under none of it they are
// black.
TEST(TiffParts, MultipliedColoursAreDividedAgain) {
  auto fields = fields_of(3, 1, 4, 2);
  fields[338] = {1};
  const std::string file = tiff(fields, {{50, 60, 70, 0, 50, 60, 70, 128, 200, 60, 7, 100}});
  EXPECT_THAT(decoded(file, ColorMode::rgba).pixels,
              ElementsAre(0, 0, 0, 0, 99, 119, 139, 128, 255, 153, 17, 100));
  EXPECT_THAT(decoded(file, ColorMode::rgb).pixels, ElementsAre(0, 0, 0, 99, 119, 139, 255, 153, 17));
}

// Alpha is known of 8 and 16 bits; a second sample of more is passed over.
TEST(TiffParts, ASecondSampleOf32BitsIsNoAlpha) {
  auto fields = fields_of(2, 1, 2, 1);
  fields[258] = {32};
  fields[338] = {2};
  const std::string file = tiff(fields, {{77, 0, 0, 0, 5, 0, 0, 0, 44, 1, 0, 0, 6, 0, 0, 0}});
  ImageInfo info;
  EXPECT_THAT(decode_image(std::as_bytes(std::span(file)), {.mode = ColorMode::rgba}, "x", &info).pixels,
              ElementsAre(77, 77, 77, 255, 255, 255, 255, 255));
  EXPECT_FALSE(info.alpha);
  EXPECT_TRUE(info.deep);
}

// Signed bytes are taken as they are, of gray; of colours they are not read.
TEST(TiffParts, SignedBytesOfGray) {
  auto fields = fields_of(2, 1, 1, 1);
  fields[339] = {2};
  EXPECT_THAT(decoded(tiff(fields, {{200, 3}}), ColorMode::gray).pixels, ElementsAre(200, 3));
  auto rgb = fields_of(1, 1, 3, 2);
  rgb[339] = {2};
  EXPECT_THAT(refusal(tiff(rgb, {{1, 2, 3}})),
              HasSubstr("a TIFF of 3 samples of 8 bits, colour space 2 and sample format 2"));
}

TEST(TiffParts, IdsOfManyBitsAreNamedWhereTheyAreTooLarge) {
  const auto refused = [](std::uint32_t bits, const Block& row) {
    auto fields = fields_of(2, 1, 1, 1);
    fields[258] = {bits};
    const std::string file = tiff(fields, {row});
    return test::message_of<ImageError>([&] { decoded(file, ColorMode::ids); });
  };
  EXPECT_EQ(refused(12, {0x00, 0xF0, 0xFE}), "");
  EXPECT_THAT(refused(12, {0x00, 0xF1, 0x23}), HasSubstr("the value 291"));
  EXPECT_THAT(refused(16, {1, 0, 0xFF, 0xFF}), HasSubstr("the value 65535"));
  EXPECT_THAT(refused(32, {1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}), HasSubstr("the value 4294967295"));
}

// 50 of red difference are 1.402 x 50 of red and 0.714 x 50 less of green, 50 of blue difference 1.772 x 50
// of blue and 0.344 x 50 less of green.
TEST(TiffParts, SubsampledColoursAreRedGreenAndBlue) {
  auto fields = fields_of(2, 2, 3, 6);
  fields[530] = {2, 2};
  const auto expect = [&](std::uint8_t cb, std::uint8_t cr, int red, int green, int blue) {
    const Image got = decoded(tiff(fields, {{100, 100, 100, 100, cb, cr}}), ColorMode::rgb);
    ASSERT_EQ(got.pixels.size(), 12u);
    for (std::size_t i = 0; i < 12; i += 3) {
      EXPECT_NEAR(got.pixels[i], red, 1);
      EXPECT_NEAR(got.pixels[i + 1], green, 1);
      EXPECT_NEAR(got.pixels[i + 2], blue, 1);
    }
  };
  expect(128, 178, 170, 64, 100);
  expect(178, 128, 100, 83, 189);
}

// A TIFF is turned, whether asked for or not, and once.
TEST(TiffParts, EveryKindIsTurnedOnce) {
  auto gray = fields_of(4, 2, 1, 1), sub = fields_of(4, 2, 3, 6);
  sub[530] = {2, 2};
  gray[274] = sub[274] = {6};  // clockwise
  for (const std::string& file : {tiff(gray, {{10, 20, 50, 60, 30, 40, 70, 80}}),
                                  tiff(sub, {{10, 20, 30, 40, 128, 128, 50, 60, 70, 80, 128, 128}})}) {
    for (const bool asked : {false, true}) {
      ImageInfo info;
      const Image got = decode_image(std::as_bytes(std::span(file)),
                                     {.mode = ColorMode::gray, .apply_exif_orientation = asked}, "x", &info);
      EXPECT_EQ(info.orientation, 6);
      EXPECT_EQ(got.width, 2);
      EXPECT_EQ(got.height, 4);
      EXPECT_THAT(got.pixels, ElementsAre(30, 10, 40, 20, 70, 50, 80, 60));
    }
  }
}

// TIFF 6.0: without a word of it a sample has one bit; Pillow takes white to be zero then.
TEST(TiffParts, WhatIsNotSaidIsOneBitOfWhiteIsZero) {
  auto fields = fields_of(3, 1, 1, 1);
  fields.erase(258);
  EXPECT_THAT(decoded(tiff(fields, {{0xA0}}), ColorMode::gray).pixels, ElementsAre(255, 0, 255));
  fields.erase(262);
  EXPECT_THAT(decoded(tiff(fields, {{0xA0}}), ColorMode::gray).pixels, ElementsAre(0, 255, 0));
}

}  // namespace
}  // namespace sam2unet
