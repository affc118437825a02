// Kinds of files that few programs write, byte by byte, with the pixels that their formats say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/kinds.h"
#include "image/orientation.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

using test::Bytes;
using test::decoded;
using test::refusal;

// A BMP of the usual header of 40 bytes; `colors` are blue, green, red and 0 each.
Bytes bmp(unsigned width, unsigned height, unsigned bits, unsigned compression, const Bytes& colors,
          const Bytes& data) {
  const auto begin = static_cast<unsigned>(54 + colors.size());
  Bytes out;
  out.text("BM").le32(begin + static_cast<unsigned>(data.size())).le32(0).le32(begin);
  out.le32(40).le32(width).le32(height).le16(1).le16(bits).le32(compression).le32(0).le32(0).le32(0);
  out.le32(static_cast<unsigned>(colors.size() / 4)).le32(0);
  return out.add(colors).add(data);
}

// Gray levels 10 i.
Bytes grays(int count) {
  Bytes out;
  for (int i = 0; i < count; ++i) out.u8({10 * i, 10 * i, 10 * i, 0});
  return out;
}

TEST(BmpKinds, Runs8JumpOverPixelsAndPadOddLiterals) {
  // From the bottom: three literals and their padding, two of 5; a jump of one to the right and one up, one
  // 7; and the end, which leaves the rest.
  const Bytes data = Bytes().u8({0, 3, 1, 2, 3, 0, 2, 5, 0, 0, 1, 4, 0, 2, 1, 1, 1, 7, 0, 1});
  EXPECT_THAT(decoded(bmp(5, 4, 8, 1, grays(8), data)).pixels,
              ElementsAre(0, 0, 0, 0, 0,   //
                          0, 0, 70, 0, 0,  // after 4 stands column 1, after the jump 2
                          40, 0, 0, 0, 0,  //
                          10, 20, 30, 50, 50));
}

TEST(BmpKinds, Runs8ThatAreTooLongAreCut) {
  const Bytes data = Bytes().u8({9, 3, 0, 0, 2, 4, 0, 0});
  EXPECT_THAT(decoded(bmp(3, 2, 8, 1, grays(8), data)).pixels, ElementsAre(40, 40, 0, 30, 30, 30));
  // The last row may lack its mark; a row before it may not.
  EXPECT_THAT(decoded(bmp(2, 1, 8, 1, grays(8), Bytes().u8({2, 6}))).pixels, ElementsAre(60, 60));
  EXPECT_THAT(refusal(bmp(2, 2, 8, 1, grays(8), Bytes().u8({2, 6}))), HasSubstr("after 0 of 2 rows"));
  EXPECT_THAT(refusal(bmp(3, 1, 8, 1, grays(8), Bytes().u8({2, 6}))), HasSubstr("after 0 of 1 rows"));
  EXPECT_THAT(refusal(bmp(9, 1, 8, 1, grays(8), Bytes().u8({0, 5, 1, 2}))), HasSubstr("after 0 of 1 rows"));
  EXPECT_THAT(refusal(bmp(9, 1, 8, 1, grays(8), Bytes().u8({0, 2, 1}))), HasSubstr("after 0 of 1 rows"));
}

TEST(BmpKinds, Runs4AlternateBetweenTwoColours) {
  // Seven of 1 and 2; then five literals in three bytes and one of padding, and two of 8.
  const Bytes data = Bytes().u8({7, 0x12, 0, 0, 0, 5, 0x34, 0x56, 0x70, 0, 2, 0x88, 0, 1});
  EXPECT_THAT(decoded(bmp(7, 2, 4, 2, grays(16), data)).pixels,
              ElementsAre(30, 40, 50, 60, 70, 80, 80, 10, 20, 10, 20, 10, 20, 10));
}

TEST(BmpKinds, Of4BitsTheHighHalfComesFirst) {
  const Bytes data = Bytes().u8({0x12, 0x30, 0, 0});
  EXPECT_THAT(decoded(bmp(3, 1, 4, 0, grays(16), data)).pixels, ElementsAre(10, 20, 30));
  EXPECT_THAT(decoded(bmp(3, 1, 4, 0, grays(16), data), ColorMode::ids).pixels, ElementsAre(1, 2, 3));
}

TEST(BmpKinds, OfOs2HaveColoursOfThreeBytes) {
  Bytes file;
  file.text("BM").le32(0).le32(0).le32(14 + 12 + 6).le32(12).le16(9).le16(2).le16(1).le16(1);
  file.u8({10, 20, 30, 40, 50, 60});              // blue, green, red
  file.u8({0xFF, 0x80, 0, 0, 0x01, 0x00, 0, 0});  // from the bottom
  const Image got = decoded(file, ColorMode::rgb);
  ASSERT_EQ(got.width, 9);
  ASSERT_EQ(got.height, 2);
  const auto at = [&](int x, int y) {
    const std::uint8_t* p = got.row(y) + 3 * x;
    return std::vector<int>(p, p + 3);
  };
  EXPECT_THAT(at(8, 1), ElementsAre(60, 50, 40));
  EXPECT_THAT(at(0, 0), ElementsAre(30, 20, 10));
  EXPECT_THAT(at(7, 0), ElementsAre(60, 50, 40));
  EXPECT_THAT(at(8, 0), ElementsAre(30, 20, 10));
}

// Stored without colour is a table of grays alone, as far as its indices reach.
TEST(BmpKinds, ATableOfGraysIsNoPalette) {
  const auto told = [](unsigned bits, unsigned compression, const Bytes& colors, const Bytes& data) {
    ImageInfo info;
    decoded(bmp(2, 1, bits, compression, colors, data), ColorMode::rgb, &info);
    return std::pair(info.gray, info.palette);
  };
  const std::pair gray{true, false}, palette{false, true};
  const Bytes row = Bytes().u8({0, 0, 0, 0});
  for (const unsigned bits : {1U, 4U, 8U}) {
    const int used = 1 << bits;
    for (const auto& color : {Bytes().u8({7, 8, 8, 0}), Bytes().u8({8, 7, 8, 0}), Bytes().u8({8, 8, 7, 0})}) {
      EXPECT_EQ(told(bits, 0, grays(used - 1).add(color), row), palette) << bits;
      if (bits < 8) {
        EXPECT_EQ(told(bits, 0, grays(used).add(color), row), gray) << bits;
      }
    }
    EXPECT_EQ(told(bits, 0, grays(used), row), gray) << bits;
  }
  const Bytes run = Bytes().u8({2, 0, 0, 1});
  EXPECT_EQ(told(8, 1, grays(3), run), gray);
  EXPECT_EQ(told(8, 1, Bytes().u8({0, 0, 9, 0}), run), palette);
  EXPECT_EQ(told(24, 0, {}, Bytes().u8({1, 1, 1, 2, 2, 2, 0, 0})), std::pair(false, false));
}

// As Pillow: where the offset points at the table of colours the rows are behind it.
TEST(BmpKinds, AnOffsetAtTheColoursMeansTheRowsBehindThem) {
  for (const unsigned offset : {54U, 0U}) {  // and where there is none
    Bytes file;
    file.text("BM").le32(54 + 16 + 4).le32(0).le32(offset);
    file.le32(40).le32(4).le32(1).le16(1).le16(8).le32(0).le32(0).le32(0).le32(0).le32(4).le32(0);
    EXPECT_THAT(decoded(file.add(grays(4)).u8({3, 1, 0, 2})).pixels, ElementsAre(30, 10, 0, 20)) << offset;
  }
}

TEST(BmpKinds, Of16And32BitsWithoutMasks) {
  // 5 bits each, of which 31 is 255: 31 -> red, 16 -> green, 1 -> blue.
  const Bytes words = Bytes().le16(31u << 10).le16(16u << 5).le16(1).le16(0);
  EXPECT_THAT(decoded(bmp(3, 1, 16, 0, {}, words), ColorMode::rgb).pixels,
              ElementsAre(255, 0, 0, 0, 131, 0, 0, 0, 8));
  const Bytes quads = Bytes().u8({1, 2, 3, 99, 4, 5, 6, 99});  // the fourth byte is nothing
  EXPECT_THAT(decoded(bmp(2, 1, 32, 0, {}, quads), ColorMode::rgb).pixels, ElementsAre(3, 2, 1, 6, 5, 4));
}

TEST(BmpKinds, WhatIsNotKnownIsNamed) {
  const Bytes none;
  EXPECT_THAT(refusal(bmp(2, 1, 8, 4, none, none)), HasSubstr("8 bits and compression 4"));
  EXPECT_THAT(refusal(bmp(2, 1, 4, 1, none, none)), HasSubstr("4 bits and compression 1"));
  EXPECT_THAT(refusal(bmp(2, 1, 8, 2, none, none)), HasSubstr("8 bits and compression 2"));
  EXPECT_THAT(refusal(bmp(2, 1, 2, 0, none, none)), HasSubstr("2 bits and compression 0"));
  EXPECT_THAT(refusal(bmp(2, 1, 8, 3, none, none)), HasSubstr("8 bits and compression 3"));
  // Masks: one with a hole, one of more than 8 bits.
  for (const auto& [red, green] : {std::pair{0xF0F00000u, 0xFFu}, {0xFFu, 0x3FF00u}}) {
    const Bytes masks = Bytes().le32(red).le32(green).le32(0xFF000000u).le32(0);
    EXPECT_THAT(refusal(bmp(1, 1, 32, 3, {}, masks)), HasSubstr("bit fields"));
  }
}

// To the right first, then up.
TEST(BmpKinds, JumpsGoAsFarAsTheySay) {
  EXPECT_THAT(decoded(bmp(5, 3, 8, 1, grays(8), Bytes().u8({1, 4, 0, 2, 2, 1, 1, 7, 0, 1}))).pixels,
              ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 70, 0, 40, 0, 0, 0, 0));
  EXPECT_THAT(decoded(bmp(5, 3, 8, 1, grays(8), Bytes().u8({1, 4, 0, 2, 0, 2, 1, 7, 0, 1}))).pixels,
              ElementsAre(0, 70, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0));
}

TEST(BmpKinds, RunsOfColoursAreColoursOrIndices) {
  const Bytes colors = Bytes().u8({1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0});
  const Bytes file = bmp(3, 2, 8, 1, colors, Bytes().u8({2, 2, 1, 1, 0, 0, 3, 0, 0, 1}));
  ImageInfo info;
  EXPECT_THAT(decoded(file, ColorMode::rgb, &info).pixels,
              ElementsAre(3, 2, 1, 3, 2, 1, 3, 2, 1, 9, 8, 7, 9, 8, 7, 6, 5, 4));
  EXPECT_TRUE(info.palette);
  EXPECT_FALSE(info.gray);
  EXPECT_THAT(decoded(file, ColorMode::ids, &info).pixels, ElementsAre(0, 0, 0, 2, 2, 1));
  EXPECT_TRUE(info.palette);
}

// Five literals are three bytes, whose padding the end of the file may take.
TEST(BmpKinds, LiteralsOf4BitsAreAllThere) {
  EXPECT_THAT(decoded(bmp(5, 1, 4, 2, grays(16), Bytes().u8({0, 5, 0x12, 0x34, 0x50}))).pixels,
              ElementsAre(10, 20, 30, 40, 50));
  EXPECT_THAT(refusal(bmp(5, 1, 4, 2, grays(16), Bytes().u8({0, 5, 0x12, 0x34}))),
              HasSubstr("after 0 of 1 rows"));
}

// A header of 40 bytes that states its colours and where the rows begin as told.
Bytes bmp_of(unsigned offset, unsigned width, unsigned height, unsigned bits, unsigned colors) {
  Bytes out;
  out.text("BM").le32(0).le32(0).le32(offset);
  out.le32(40).le32(width).le32(height).le16(1).le16(bits).le32(0).le32(0).le32(0).le32(0);
  return out.le32(colors).le32(0);
}

TEST(BmpKinds, ATableOfNoStatedLengthHasAColourForEachIndex) {
  for (const unsigned offset : {54U, 62U, 0U}) {
    Bytes file = bmp_of(offset, 3, 1, 1, 0);
    file.u8({10, 20, 30, 0, 40, 50, 60, 0}).u8({0x40, 0, 0, 0});
    EXPECT_THAT(decoded(file, ColorMode::rgb).pixels, ElementsAre(30, 20, 10, 60, 50, 40, 30, 20, 10))
        << offset;
  }
  Bytes sixteen = bmp_of(54, 2, 1, 4, 0);
  EXPECT_THAT(decoded(sixteen.add(grays(16)).u8({0xF1, 0, 0, 0})).pixels, ElementsAre(150, 10));
}

TEST(BmpKinds, ATableMayStateMoreThanItHas) {
  Bytes file = bmp_of(62, 1, 1, 8, 65536);
  EXPECT_THAT(decoded(file.add(grays(2)).u8({1, 0, 0, 0})).pixels, ElementsAre(10));
}

TEST(BmpKinds, RowsBehindTheEndAreNotThere) {
  Bytes file = bmp_of(1000, 1, 2, 24, 0);
  EXPECT_THAT(refusal(file.u8({1, 2, 3, 0, 4, 5, 6, 0})), HasSubstr("after 0 of 2 rows"));
  const Bytes header = bmp_of(54, 1, 1, 24, 0);
  EXPECT_THAT(refusal(header), HasSubstr("after 0 of 1 rows"));
  const auto cut = header.span().first(53);
  EXPECT_THAT(test::message_of<ImageError>([&] { decode_image(cut, {}, "made"); }),
              HasSubstr("the BMP ends before the picture begins"));
}

TEST(BmpKinds, BitFieldsOf24BitsAndOfTooMany) {
  const Bytes turned = Bytes().le32(0xFF).le32(0xFF00).le32(0xFF0000);
  EXPECT_THAT(decoded(bmp(1, 1, 24, 3, turned, Bytes().u8({1, 2, 3, 0})), ColorMode::rgb).pixels,
              ElementsAre(1, 2, 3));
  const auto refused = [](unsigned red, unsigned green, unsigned blue) {
    return refusal(bmp(1, 1, 32, 3, Bytes().le32(red).le32(green).le32(blue), Bytes().le32(0)));
  };
  EXPECT_EQ(refused(0xFF00, 0xFF0000, 1), "");
  EXPECT_THAT(refused(0x1FF, 0xFF0000, 0xFF000000), HasSubstr("bit fields"));  // nine bits
  EXPECT_THAT(refused(0xFF0000, 0, 0xFF), HasSubstr("bit fields"));            // no green
  EXPECT_THAT(refused(0xFF0000, 0xFF00, 0xF0F), HasSubstr("bit fields"));      // a hole in the last
}

TEST(BmpKinds, OfOs2MayHaveColoursWithoutATable) {
  Bytes file;
  file.text("BM").le32(0).le32(0).le32(26).le32(12).le16(1).le16(2).le16(1).le16(24);
  EXPECT_THAT(decoded(file.u8({1, 2, 3, 0, 4, 5, 6, 0}), ColorMode::rgb).pixels,
              ElementsAre(6, 5, 4, 3, 2, 1));
}

// A little-endian TIFF of one strip behind its directory; entries {tag, type, value} by tag, with one value
// each.
struct Field {
  unsigned tag, type, value;
};
Bytes tiff(std::vector<Field> fields, const Bytes& strip) {
  const auto begin = static_cast<unsigned>(8 + 2 + 12 * (fields.size() + 2) + 4);
  fields.push_back({273, 4, begin});
  fields.push_back({279, 4, static_cast<unsigned>(strip.size())});
  std::sort(fields.begin(), fields.end(), [](const Field& a, const Field& b) { return a.tag < b.tag; });
  Bytes out;
  out.text("II").le16(42).le32(8).le16(static_cast<unsigned>(fields.size()));
  for (const Field& f : fields) out.le16(f.tag).le16(f.type).le32(1).le32(f.value);
  return out.le32(0).add(strip);
}
// Gray of so many bits; `format` 1 is unsigned, 2 signed, 3 floating point.
std::vector<Field> gray_tiff(unsigned width, unsigned height, unsigned bits, unsigned photometric,
                             unsigned format) {
  return {{256, 4, width},       {257, 4, height}, {258, 3, bits},   {259, 3, 1},
          {262, 3, photometric}, {277, 3, 1},      {278, 4, height}, {339, 3, format}};
}

TEST(TiffKinds, DeepGrayIsClipped) {
  ImageInfo info;
  const Bytes words = Bytes().le16(0xFFFF).le16(0x8000).le16(254).le16(256);
  EXPECT_THAT(decoded(tiff(gray_tiff(4, 1, 16, 1, 2), words), ColorMode::gray, &info).pixels,
              ElementsAre(0, 0, 254, 255));  // -1, -32768
  EXPECT_TRUE(info.deep);
  EXPECT_THAT(decoded(tiff(gray_tiff(4, 1, 16, 1, 1), words)).pixels, ElementsAre(255, 255, 254, 255));
  // White is zero, which counts up to 8 bits alone, as in Pillow.
  EXPECT_THAT(decoded(tiff(gray_tiff(4, 1, 16, 0, 1), words)).pixels, ElementsAre(255, 255, 254, 255));
  EXPECT_THAT(decoded(tiff(gray_tiff(2, 1, 8, 0, 1), Bytes().u8({1, 200}))).pixels, ElementsAre(254, 55));
  const Bytes quads = Bytes().le32(0xFFFFFFFFu).le32(77);
  EXPECT_THAT(decoded(tiff(gray_tiff(2, 1, 32, 1, 2), quads)).pixels, ElementsAre(0, 77));
  EXPECT_THAT(decoded(tiff(gray_tiff(2, 1, 32, 1, 1), quads)).pixels, ElementsAre(0, 77));
}

// ExtraSamples: 0 says nothing of what the second sample is, 2 that it is alpha.
TEST(TiffKinds, ASampleOfNoMeaningIsNoAlpha) {
  for (const unsigned meaning : {0U, 2U}) {
    auto fields = gray_tiff(1, 1, 8, 1, 1);
    for (Field& f : fields)
      if (f.tag == 277) f.value = 2;
    fields.push_back({338, 3, meaning});
    ImageInfo info;
    EXPECT_THAT(decoded(tiff(fields, Bytes().u8({10, 200})), ColorMode::rgba, &info).pixels,
                ElementsAre(10, 10, 10, meaning == 2 ? 200 : 255));
    EXPECT_EQ(info.alpha, meaning == 2);
    EXPECT_TRUE(info.gray);
  }
}

// Of 16 bits the high byte, of colours and of alpha; gray is clipped.
TEST(TiffKinds, AlphaOf16Bits) {
  std::vector<Field> rgb = gray_tiff(1, 1, 16, 2, 1);
  for (Field& f : rgb)
    if (f.tag == 277) f.value = 4;
  rgb.push_back({338, 3, 2});
  ImageInfo info;
  const Bytes four = Bytes().le16(0x12FF).le16(0x3400).le16(0x5680).le16(0x7FFF);
  EXPECT_THAT(decoded(tiff(rgb, four), ColorMode::rgba, &info).pixels, ElementsAre(0x12, 0x34, 0x56, 0x7F));
  EXPECT_TRUE(info.alpha);
  EXPECT_FALSE(info.deep);
  std::vector<Field> gray = gray_tiff(1, 1, 16, 1, 1);
  for (Field& f : gray)
    if (f.tag == 277) f.value = 2;
  gray.push_back({338, 3, 2});
  EXPECT_THAT(decoded(tiff(gray, Bytes().le16(77).le16(0x8001)), ColorMode::rgba, &info).pixels,
              ElementsAre(77, 77, 77, 0x80));
  EXPECT_TRUE(info.alpha);
}

TEST(TiffKinds, FewBitsArePackedFromTheHighestOn) {
  EXPECT_THAT(decoded(tiff(gray_tiff(5, 1, 2, 1, 1), Bytes().u8({0x1B, 0x80}))).pixels,
              ElementsAre(0, 85, 170, 255, 170));
  EXPECT_THAT(decoded(tiff(gray_tiff(3, 1, 4, 1, 1), Bytes().u8({0x0F, 0x80}))).pixels,
              ElementsAre(0, 255, 136));
  EXPECT_THAT(decoded(tiff(gray_tiff(3, 1, 1, 0, 1), Bytes().u8({0xA0}))).pixels, ElementsAre(0, 255, 0));
  // 12 bits: 0x00F, 0x0FE, 0x123.
  ImageInfo info;
  EXPECT_THAT(decoded(tiff(gray_tiff(3, 1, 12, 1, 1), Bytes().u8({0x00, 0xF0, 0xFE, 0x12, 0x30})),
                      ColorMode::gray, &info)
                  .pixels,
              ElementsAre(15, 254, 255));
  EXPECT_TRUE(info.deep);
}

TEST(TiffKinds, IdsOfAnyWidthAreWholeNumbersUpTo255) {
  const auto ids = [](unsigned bits, unsigned format, const Bytes& values) {
    return decoded(tiff(gray_tiff(2, 1, bits, 1, format), values), ColorMode::ids).pixels;
  };
  EXPECT_THAT(ids(16, 1, Bytes().le16(255).le16(7)), ElementsAre(255, 7));
  EXPECT_THAT(ids(32, 2, Bytes().le32(255).le32(0)), ElementsAre(255, 0));
  EXPECT_THAT(ids(32, 3, Bytes().le32(0x437F0000u).le32(0x40000000u)), ElementsAre(255, 2));  // 255.0, 2.0
  for (const auto& [format, value] : {std::pair{1u, 256u}, {2u, 0xFFFFFFFFu}, {3u, 0x40200000u}})  // 2.5
    EXPECT_THAT(refusal(tiff(gray_tiff(2, 1, 32, 1, format), Bytes().le32(0).le32(value)), ColorMode::ids),
                HasSubstr("ids of classes are whole numbers of 0 to 255"));
  EXPECT_THAT(refusal(tiff(gray_tiff(2, 1, 16, 1, 2), Bytes().le16(0).le16(0xFFFE)), ColorMode::ids),
              HasSubstr("the value -2"));
}

TEST(TiffKinds, WhatIsNotReadIsNamed) {
  EXPECT_THAT(refusal(tiff(gray_tiff(2, 1, 32, 1, 5), Bytes().le32(0).le32(0))), HasSubstr("sample format"));
  EXPECT_THAT(refusal(tiff(gray_tiff(1, 1, 16, 1, 3), Bytes().le16(0))), HasSubstr("sample format 3"));
  auto lab = gray_tiff(1, 1, 8, 8, 1);
  EXPECT_THAT(refusal(tiff(lab, Bytes().u8({0}))), HasSubstr("colour space 8"));
}

TEST(PnmKinds, ValuesOfIdsAreNotScaled) {
  const Bytes file = Bytes().text("P5 3 1 7\n").u8({0, 3, 7});
  EXPECT_THAT(decoded(file).pixels, ElementsAre(0, 109, 255));  // 3 / 7 * 255 = 109.3
  EXPECT_THAT(decoded(file, ColorMode::ids).pixels, ElementsAre(0, 3, 7));
  EXPECT_THAT(decoded(Bytes().text("P5 2 1 7\n").u8({9, 200})).pixels, ElementsAre(255, 255));
  EXPECT_THAT(decoded(Bytes().text("P5 2 1 7\n").u8({9, 200}), ColorMode::ids).pixels, ElementsAre(7, 7));
  const Bytes wide = Bytes().text("P5 2 1 65535\n").u8({0, 255, 1, 0});
  EXPECT_THAT(decoded(wide).pixels, ElementsAre(255, 255));
  EXPECT_THAT(refusal(wide, ColorMode::ids), HasSubstr("the value 256"));
  EXPECT_THAT(decoded(Bytes().text("P2 2 1 65535\n255 7\n"), ColorMode::ids).pixels, ElementsAre(255, 7));
}

TEST(PnmKinds, CommentsAndWhiteSpaceStandAnywhereInTheHeader) {
  const Bytes file = Bytes().text("P6#a\n# b\r\n 1\t1 # c\n255\n").u8({1, 2, 3});
  EXPECT_THAT(decoded(file, ColorMode::rgb).pixels, ElementsAre(1, 2, 3));
  // A comment ends with its line, which old Macs ended by a carriage return alone.
  EXPECT_THAT(decoded(Bytes().text("P5#a\r2 1#b\r255\n").u8({7, 8})).pixels, ElementsAre(7, 8));
  EXPECT_THAT(decoded(Bytes().text("P1 3 1\n1#1\n01")).pixels, ElementsAre(0, 255, 0));
  // One white space behind the largest value, and what comes next is a pixel, though it looks like one.
  EXPECT_THAT(decoded(Bytes().text("P5 2 1 255\n").u8({' ', '#'})).pixels, ElementsAre(32, 35));
  EXPECT_THAT(refusal(Bytes().text("P5 2 1 65536\n").u8({0, 0, 0, 0})), HasSubstr("at most 65535"));
}

// Rows from the bottom; big endian of a positive scale.
TEST(PnmKinds, FloatMapsOfBothByteOrders) {
  EXPECT_THAT(decoded(Bytes().text("Pf 1 2 1.0\n").u8({0x40, 0x40, 0, 0, 0xBF, 0x80, 0, 0})).pixels,
              ElementsAre(0, 3));  // 3.0 below -1.0
  EXPECT_THAT(decoded(Bytes().text("Pf 1 2 -2.0\n").u8({0, 0, 0x40, 0x40, 0, 0, 0xC8, 0x43})).pixels,
              ElementsAre(255, 3));  // 400.0
  EXPECT_THAT(refusal(Bytes().text("Pf 1 1 0\n").u8({0, 0, 0, 0})), HasSubstr("scale"));
  EXPECT_THAT(refusal(Bytes().text("Pf 1 1 nan\n").u8({0, 0, 0, 0})), HasSubstr("scale"));
}

// Pillow's round(): 25.5 is 26, 76.5 is 76.
TEST(PnmKinds, HalvesAreRoundedToTheEven) {
  EXPECT_THAT(decoded(Bytes().text("P2 2 1 10\n1 3\n")).pixels, ElementsAre(26, 76));
  // 500 / 1000 of 255 are 127.5.
  const Bytes wide = Bytes().text("P6 1 1 1000\n").u8({0, 0, 1, 0xF4, 3, 0xE8});
  ImageInfo info;
  EXPECT_THAT(decoded(wide, ColorMode::rgb, &info).pixels, ElementsAre(0, 128, 255));
  EXPECT_FALSE(info.deep);
}

// Gray above 255 is brought to 16 bits, as Pillow's mode I, and then clipped: 65.5, 196.6, 262.1.
TEST(PnmKinds, WideGrayIsScaledAndClipped) {
  ImageInfo info;
  EXPECT_THAT(decoded(Bytes().text("P2 4 1 1000\n0 1 3 4\n"), ColorMode::gray, &info).pixels,
              ElementsAre(0, 66, 197, 255));
  EXPECT_TRUE(info.deep);
  EXPECT_THAT(decoded(Bytes().text("P2 4 1 256\n0 1 2 256\n")).pixels, ElementsAre(0, 255, 255, 255));
}

TEST(PnmKinds, TheLastNumberMayEndTheFile) {
  EXPECT_THAT(decoded(Bytes().text("P2 2 1 255\n1 2")).pixels, ElementsAre(1, 2));
  EXPECT_THAT(refusal(Bytes().text("P2 2 2 255\n1 2 3")), HasSubstr("after 1 of 2 rows"));
  EXPECT_THAT(decoded(Bytes().text("P5 0000000002 1 255\n").u8({3, 4})).pixels, ElementsAre(3, 4));
}

TEST(PnmKinds, RowsOfBitsBeginAtAByte) {
  const Bytes begin = Bytes().text("P4 9 2\n").u8({0x80, 0x80, 0x01});
  EXPECT_THAT(refusal(begin), HasSubstr("after 1 of 2 rows"));
  EXPECT_THAT(decoded(Bytes(begin).u8({0x7F})).pixels,
              ElementsAre(0, 255, 255, 255, 255, 255, 255, 255, 0,  //
                          255, 255, 255, 255, 255, 255, 255, 0, 255));
}

// 254.9, 3.9 and no number at all; columns in order, rows from the bottom.
TEST(PnmKinds, FloatsAreCutOff) {
  ImageInfo info;
  EXPECT_THAT(decoded(Bytes().text("Pf 3 1 -1\n").le32(0x437EE666).le32(0x4079999A).le32(0x7FC00000),
                      ColorMode::gray, &info)
                  .pixels,
              ElementsAre(254, 3, 0));
  EXPECT_TRUE(info.deep);
  EXPECT_THAT(
      decoded(Bytes().text("Pf 2 2 -1\n").le32(0x3F800000).le32(0x40000000).le32(0x40400000).le32(0x40800000))
          .pixels,
      ElementsAre(3, 4, 1, 2));
  EXPECT_THAT(refusal(Bytes().text("Pf 1 1 inf\n").le32(0)), HasSubstr("scale"));
}

// Ids are what they are: 0, 255 and 1, but not 2.5, 300, -1 or no number.
TEST(PnmKinds, FloatsMayBeIds) {
  EXPECT_THAT(
      decoded(Bytes().text("Pf 3 1 -1\n").le32(0).le32(0x437F0000).le32(0x3F800000), ColorMode::ids).pixels,
      ElementsAre(0, 255, 1));
  for (const auto& [bits, named] :
       {std::pair(0x40200000U, "2.5"), {0x43960000U, "300"}, {0xBF800000U, "-1"}, {0x7FC00000U, "nan"}}) {
    const auto file = Bytes().text("Pf 1 1 -1\n").le32(bits);
    EXPECT_THAT(refusal(file, ColorMode::ids), HasSubstr(std::string("it holds the value ") + named + ","));
  }
}

// EXIF of one directory with the orientation alone; `value` are the four bytes of its field.
std::vector<std::uint8_t> exif(std::string_view order, int type, int count,
                               const std::vector<std::uint8_t>& value,
                               const std::vector<std::uint8_t>& behind = {}) {
  const bool little = order == "II";
  std::vector<std::uint8_t> out(order.begin(), order.end());
  const auto put = [&](int v, int bytes) {
    for (int i = 0; i < bytes; ++i)
      out.push_back(static_cast<std::uint8_t>(v >> 8 * (little ? i : bytes - 1 - i)));
  };
  put(42, 2);
  put(8, 4);
  put(1, 2);
  put(0x0112, 2);
  put(type, 2);
  put(count, 4);
  out.insert(out.end(), value.begin(), value.end());
  put(0, 4);
  out.insert(out.end(), behind.begin(), behind.end());
  return out;
}

TEST(OrientationKinds, NumbersOfAnyTypeAndOrder) {
  EXPECT_EQ(image::exif_orientation(exif("II", 3, 1, {6, 0, 0, 0})), 6);
  EXPECT_EQ(image::exif_orientation(exif("MM", 3, 1, {0, 6, 0, 0})), 6);
  EXPECT_EQ(image::exif_orientation(exif("MM", 4, 1, {0, 0, 0, 8})), 8);  // LONG
  EXPECT_EQ(image::exif_orientation(exif("II", 9, 1, {3, 0, 0, 0})), 3);  // SLONG
  EXPECT_EQ(image::exif_orientation(exif("II", 8, 1, {3, 0, 0, 0})), 3);  // SSHORT
  EXPECT_FALSE(image::exif_orientation(exif("II", 1, 1, {6, 0, 0, 0})));  // BYTE is none
  EXPECT_FALSE(image::exif_orientation(exif("II", 3, 0, {6, 0, 0, 0})));
  EXPECT_FALSE(image::exif_orientation(exif("IM", 3, 1, {6, 0, 0, 0})));
  // Of three shorts the first, which lies elsewhere.
  EXPECT_EQ(image::exif_orientation(exif("II", 3, 3, {26, 0, 0, 0}, {5, 0, 1, 0, 1, 0})), 5);
  EXPECT_FALSE(image::exif_orientation(exif("II", 3, 3, {27, 0, 0, 0}, {5, 0, 1, 0, 1, 0})));  // beyond
  EXPECT_FALSE(image::exif_orientation(exif("II", 3, 3, {255, 255, 255, 255}, {5, 0, 1, 0, 1, 0})));
  // With the name of the block before it, even twice.
  auto named = exif("II", 3, 1, {7, 0, 0, 0});
  for (int i = 0; i < 2; ++i) {
    named.insert(named.begin(), {'E', 'x', 'i', 'f', 0, 0});
    EXPECT_EQ(image::exif_orientation(named), 7);
  }
  EXPECT_EQ(image::xmp_orientation("<tiff:Orientation>3</tiff:Orientation>"), 3);
  EXPECT_EQ(image::xmp_orientation("tiff:Orientation tiff:Orientation=\"8\""), 8);
  EXPECT_FALSE(image::xmp_orientation("tiff:Orientation='8'"));
}

TEST(FormatKinds, OthersAreCalledByTheirNames) {
  for (const auto& [bytes, name] : std::vector<std::pair<Bytes, const char*>>{
           {Bytes().u8({0xFF, 0x0A, 0, 0}), "JPEG XL"},
           {Bytes().u8({0xFF, 0x4F, 0xFF, 0x51}), "JPEG 2000"},
           {Bytes().text("8BPS"), "Photoshop"},
           {Bytes().text(std::string(128, ' ')).text("DICM"), "DICOM"},
           {Bytes().text("%PDF-1.7"), "PDF"},
           {Bytes().u8({0x76, 0x2F, 0x31, 0x01}), "OpenEXR"},
           {Bytes().text("\xEF\xBB\xBF<html>"), "HTML or XML"},
           {Bytes().text("version https://git-lfs.github.com"), "Git LFS"},
           {Bytes().u8({0, 0, 0, 32}).text("ftypisom"), "MP4"},
           {Bytes().u8({0, 0, 0, 32}).text("ftypavis"), "AVIF"},
           {Bytes().u8({0, 0, 0, 32}).text("ftypavif"), "AVIF"},
           {Bytes().u8({0, 0, 0, 12}).text("JXL \r\n"), "JPEG XL"},
           {Bytes().text("<svg>"), "HTML or XML"},
           {Bytes().u8({0, 0, 0, 32}).text("ftypmif1"), "HEIC"},
           {Bytes().u8({0, 0, 0, 32}).text("ftypheix"), "HEIC"},
           {Bytes().u8({0, 0, 0, 32}).text("ftypmsf1"), "HEIC"}}) {
    EXPECT_THAT(refusal(bytes), HasSubstr(std::string("it is ") + name));
    EXPECT_FALSE(detect_image_format(bytes.span()));
  }
  for (const char* name : {"a.gif", "a.jpe", "a.jfif", "a.JPEG", "a.webp", "a.tif", "a.bmp", "a.pbm", "a.pgm",
                           "a.ppm", "a.pnm", "a.pfm", "a.png", "a.b.PNG"})
    EXPECT_TRUE(has_image_extension(name)) << name;
  for (const char* name : {"a.heic", "a.svg", "a.png.txt", "png", "a."})
    EXPECT_FALSE(has_image_extension(name)) << name;
}

// Among other entries, of which more may be stated than are there.
TEST(OrientationKinds, IsOneOfManyEntries) {
  const auto directory = [](int magic, int stated, const std::vector<std::pair<int, int>>& entries) {
    std::vector<std::uint8_t> out{'I', 'I'};
    const auto put = [&](int v, int bytes) {
      for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(v >> 8 * i));
    };
    put(magic, 2);
    put(8, 4);
    put(stated, 2);
    for (const auto& [tag, value] : entries) {
      put(tag, 2);
      put(3, 2);
      put(1, 4);
      put(value, 4);
    }
    return out;
  };
  const std::vector<std::pair<int, int>> entries{{0x0100, 3}, {0x0112, 6}, {0x0128, 2}};
  EXPECT_EQ(image::exif_orientation(directory(42, 3, entries)), 6);
  EXPECT_EQ(image::exif_orientation(directory(42, 2, entries)), 6);
  EXPECT_FALSE(image::exif_orientation(directory(42, 1, entries)));
  EXPECT_EQ(image::exif_orientation(directory(42, 9, entries)), 6);
  EXPECT_FALSE(image::exif_orientation(directory(43, 3, entries)));
  EXPECT_FALSE(image::exif_orientation(directory(42, 0, {})));
}

TEST(OrientationKinds, XmpsFirstNumberCounts) {
  EXPECT_EQ(image::xmp_orientation("tiff:Orientation=\"x\" tiff:Orientation=\"7\" tiff:Orientation=\"2\""),
            7);
  EXPECT_FALSE(image::xmp_orientation("tiff:Orientation=\""));
  for (const char* none : {"<tiff:Orientation>0<", "<tiff:Orientation>9<"})
    EXPECT_EQ(image::orientation_of({}, none), 1) << none;
  for (int o = 1; o <= 8; ++o)
    EXPECT_EQ(image::orientation_of({}, "<tiff:Orientation>" + std::to_string(o) + "<"), o);
}

TEST(FormatKinds, EveryBrandOfHeic) {
  for (const char* brand : {"heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"})
    EXPECT_THAT(refusal(Bytes().u8({0, 0, 0, 32}).text("ftyp").text(brand)), HasSubstr("it is HEIC"))
        << brand;
  EXPECT_THAT(refusal(Bytes().u8({0, 0, 0, 32}).text("ftyp").text("mp42")), HasSubstr("it is MP4"));
}

}  // namespace
}  // namespace sam2unet
