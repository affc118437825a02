// GIFs byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "image/kinds.h"
#include "sam2unet/image.h"

namespace sam2unet {
namespace {

using test::Bytes;
using test::decoded;
using test::refusal;
using testing::ElementsAre;
using testing::HasSubstr;

// A GIF whose frame of 2 x 1 pixels with the indices 1 and 2 lies somewhere on its screen. Codes of LZW in 3
// bits: clear 4, 1, 2, end 5.
Bytes gif(int width, int height, int left, int top, bool transparent) {
  Bytes out;
  out.text("GIF89a").le16(static_cast<unsigned>(width)).le16(static_cast<unsigned>(height));
  out.u8({0x81, 0, 0});  // a table of four colours
  out.u8({9, 9, 9, 250, 20, 30, 40, 250, 60, 1, 2, 3});
  if (transparent) out.u8({0x21, 0xF9, 4, 1, 0, 0, 2, 0});  // index 2
  out.u8({0x2C}).le16(static_cast<unsigned>(left)).le16(static_cast<unsigned>(top)).le16(2).le16(1).u8({0});
  return out.u8({2, 2, 4 | 1 << 3 | (2 & 3) << 6, 2 >> 2 | 5 << 1, 0, 0x3B});
}

TEST(GifKinds, AFrameLiesWhereItSays) {
  const Image ids = decoded(gif(4, 4, 1, 2, false), ColorMode::ids);
  EXPECT_EQ(ids.width, 4);
  EXPECT_THAT(ids.pixels, ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0));
  const Image colours = decoded(gif(4, 3, 1, 2, false), ColorMode::rgb);
  EXPECT_THAT(std::vector<int>(colours.row(2), colours.row(2) + 12),
              ElementsAre(9, 9, 9, 250, 20, 30, 40, 250, 60, 9, 9, 9));
  // Beyond its screen, that grows.
  const Image grown = decoded(gif(1, 1, 2, 1, false), ColorMode::ids);
  EXPECT_EQ(grown.width, 4);
  EXPECT_EQ(grown.height, 2);
  EXPECT_THAT(grown.pixels, ElementsAre(0, 0, 0, 0, 0, 0, 1, 2));
}

TEST(GifKinds, AroundATransparentFrameIsNothing) {
  ImageInfo info;
  const Image got = decoded(gif(3, 2, 0, 1, true), ColorMode::rgba, &info);
  EXPECT_TRUE(info.alpha);
  std::vector<int> alpha;
  for (std::size_t i = 3; i < got.pixels.size(); i += 4) alpha.push_back(got.pixels[i]);
  EXPECT_THAT(alpha, ElementsAre(0, 0, 0, 255, 0, 0));
  EXPECT_THAT(decoded(gif(3, 2, 0, 1, true), ColorMode::ids).pixels, ElementsAre(2, 2, 2, 1, 2, 2));
}

// As Pillow: a table whose every entry is its own index is gray.
TEST(GifKinds, ATableOfItsOwnIndicesIsGray) {
  const auto told = [](const std::vector<int>& table) {
    Bytes out;
    out.text("GIF89a").le16(2).le16(1).u8({0x81, 0, 0});
    for (const int v : table) out.u8({v});
    out.u8({0x2C}).le16(0).le16(0).le16(2).le16(1).u8({0});
    ImageInfo info;
    decoded(out.u8({2, 2, 4 | 1 << 3 | (2 & 3) << 6, 2 >> 2 | 5 << 1, 0, 0x3B}), ColorMode::rgb, &info);
    return std::pair(info.gray, info.palette);
  };
  const std::vector<int> ramp{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
  EXPECT_EQ(told(ramp), std::pair(true, false));
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    std::vector<int> other = ramp;
    other[i] = 9;
    EXPECT_EQ(told(other), std::pair(false, true)) << i;
  }
}

// Three rows of two pixels, codes of 3 bits as above: clear, 1, 2, clear, 1, and a block of nothing.
TEST(GifKinds, RowsBeforeTheCutAreCounted) {
  const auto cut = [](const Bytes& codes, bool interlaced) {
    Bytes out;
    out.text("GIF89a").le16(2).le16(3).u8({0x81, 0, 0}).u8({9, 9, 9, 250, 20, 30, 40, 250, 60, 1, 2, 3});
    out.u8({0x2C}).le16(0).le16(0).le16(2).le16(3).u8({interlaced ? 0x40 : 0, 2});
    return refusal(out.u8({static_cast<int>(codes.size())}).add(codes).u8({0, 0x3B}));
  };
  for (const bool interlaced : {false, true}) {
    EXPECT_THAT(cut(Bytes().u8({4 | 1 << 3}), interlaced), HasSubstr("after 0 of 3 rows"));
    EXPECT_THAT(cut(Bytes().le16(4 | 1 << 3 | 2 << 6 | 4 << 9 | 1 << 12), interlaced),
                HasSubstr("after 1 of 3 rows"));
    // And 2, clear and 1 behind it.
    EXPECT_THAT(
        cut(Bytes().le16(4 | 1 << 3 | 2 << 6 | 4 << 9 | 1 << 12).u8({1 | 4 << 2 | 1 << 5}), interlaced),
        HasSubstr("after 2 of 3 rows"));
  }
}

// A frame's own table comes before the screen's; what an index finds in neither is black, as in Pillow.
TEST(GifKinds, AFramesOwnTableComesFirst) {
  const auto picture = [](bool own, ColorMode mode) {
    Bytes out;
    out.text("GIF89a").le16(2).le16(1).u8({0x80, 0, 0}).u8({9, 9, 9, 250, 20, 30});  // of two colours
    out.u8({0x2C}).le16(0).le16(0).le16(2).le16(1).u8({own ? 0x81 : 0});
    if (own) out.u8({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});  // of four
    return decoded(out.u8({2, 2, 4 | 1 << 3 | (2 & 3) << 6, 2 >> 2 | 5 << 1, 0, 0x3B}), mode).pixels;
  };
  EXPECT_THAT(picture(false, ColorMode::rgb), ElementsAre(250, 20, 30, 0, 0, 0));
  EXPECT_THAT(picture(true, ColorMode::rgb), ElementsAre(4, 5, 6, 7, 8, 9));
  for (const bool own : {false, true}) EXPECT_THAT(picture(own, ColorMode::ids), ElementsAre(1, 2));
}

// A comment of several blocks is passed over, and says nothing of transparency, whatever its bytes; nor does
// an extension of graphics without its flag.
TEST(GifKinds, OnlyTheFlagMakesAnIndexTransparent) {
  for (const bool transparent : {false, true}) {
    Bytes out;
    out.text("GIF89a").le16(2).le16(1).u8({0x81, 0, 0}).u8({9, 9, 9, 250, 20, 30, 40, 250, 60, 1, 2, 3});
    out.u8({0x21, 0xFE, 5, 1, 1, 1, 1, 1, 4, 1, 1, 1, 1, 0});
    out.u8({0x21, 0xF9, 4, transparent ? 1 : 0, 0, 0, 2, 0});
    out.u8({0x2C}).le16(0).le16(0).le16(2).le16(1).u8({0});
    out.u8({2, 2, 4 | 1 << 3 | (2 & 3) << 6, 2 >> 2 | 5 << 1, 0, 0x3B});
    ImageInfo info;
    EXPECT_THAT(decoded(out, ColorMode::rgba, &info).pixels,
                ElementsAre(250, 20, 30, 255, 40, 250, 60, transparent ? 0 : 255));
    EXPECT_EQ(info.alpha, transparent);
    EXPECT_TRUE(info.palette);
    EXPECT_THAT(decoded(out, ColorMode::rgb).pixels, ElementsAre(250, 20, 30, 40, 250, 60));
  }
}

TEST(GifKinds, WithoutAFrameThereIsNoPicture) {
  EXPECT_THAT(refusal(Bytes().text("GIF89a").le16(2).le16(1).u8({0, 0, 0, 0x3B})),
              HasSubstr("the GIF is damaged or cut off (no frame in it)"));
}

// Zeros as an encoder writes them: each code stands for one pixel more than the one before it, so that few
// bytes are many pixels.
TEST(GifKinds, AFewBytesMayBeManyPixels) {
  constexpr int kWidth = 4000, kHeight = 2000;
  std::vector<int> bytes;
  unsigned bits = 0;
  int have = 0, size = 3;
  const auto put = [&](unsigned code) {
    bits |= code << have;
    for (have += size; have >= 8; have -= 8, bits >>= 8) bytes.push_back(static_cast<int>(bits & 255));
  };
  put(4);             // clear
  put(0);             // one pixel
  unsigned next = 6;  // the code of two
  for (int run = 2, left = kWidth * kHeight - 1; left > 0; left -= run, ++run, ++next) {
    if (next == 1U << size && size < 12) ++size;
    put(left >= run ? next : left == 1 ? 0U : static_cast<unsigned>(left) + 4);
  }
  if (next == 1U << size && size < 12) ++size;
  put(5);  // end
  put(0);
  Bytes out;
  out.text("GIF89a").le16(kWidth).le16(kHeight).u8({0x80, 0, 0}).u8({70, 80, 90, 1, 2, 3});
  out.u8({0x2C}).le16(0).le16(0).le16(kWidth).le16(kHeight).u8({0, 2});
  for (std::size_t at = 0; at < bytes.size(); at += 255) {
    const std::size_t n = std::min<std::size_t>(255, bytes.size() - at);
    out.u8({static_cast<int>(n)});
    for (std::size_t i = 0; i < n; ++i) out.u8({bytes[at + i]});
  }
  out.u8({0, 0x3B});
  EXPECT_LT(out.size(), 8000u);
  const Image got = decoded(out, ColorMode::ids);
  EXPECT_EQ(got.width, kWidth);
  EXPECT_EQ(got.height, kHeight);
  EXPECT_EQ(std::count(got.pixels.begin(), got.pixels.end(), 0), kWidth * kHeight);
}

}  // namespace
}  // namespace sam2unet
