// What is refused at the very limits and in which words, and what is drawn where nothing is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"
#include "support/message.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(std::string_view bytes, const DecodeOptions& options = {}) {
  return test::message_of<ImageError>([&] { decode_image(std::as_bytes(std::span(bytes)), options, "x"); });
}

// 0.45 of {240, 0, 255} over gray of 100: in 256ths 115 and 141.
TEST(Overlay, UsualColourAndOpacity) {
  Image gray(3, 3, 1), mask(3, 3, 1);
  std::fill(gray.pixels.begin(), gray.pixels.end(), std::uint8_t{100});
  std::fill(mask.pixels.begin(), mask.pixels.end(), std::uint8_t{255});
  const Image out = draw_overlay(gray, mask);
  EXPECT_THAT(std::vector<int>(out.pixels.begin() + 12, out.pixels.begin() + 15), ElementsAre(163, 55, 170));
  // From 128 on a pixel is inside.
  mask.pixels = {127, 128, 127, 127, 127, 127, 127, 127, 127};
  const Image some = draw_overlay(gray, mask, {.outline = 0});
  EXPECT_THAT(std::vector<int>(some.pixels.begin(), some.pixels.begin() + 6),
              ElementsAre(100, 100, 100, 163, 55, 170));
  EXPECT_THAT(test::message_of<UsageError>([&] { draw_overlay(gray, mask, {.opacity = -0.01}); }),
              HasSubstr("an opacity lies between 0 and 1, not at -0.01"));
  EXPECT_EQ(test::message_of<UsageError>([&] { draw_overlay(gray, mask, {.opacity = 1.0}); }), "");
}

TEST(Limits, ASideHasAtMost24Bits) {
  const DecodeOptions large{.max_pixels = std::int64_t{1} << 40};
  EXPECT_THAT(refusal("P5 16777217 1 255\n", large), HasSubstr("16777217 x 1 pixels, more than the"));
  EXPECT_THAT(refusal("P5 1 16777217 255\n", large), HasSubstr("1 x 16777217 pixels, more than the"));
  EXPECT_THAT(refusal("P5 16777216 1 255\n", large), HasSubstr("after 0 of 1 rows"));
  // Without a word of it 2^28 pixels are allowed.
  EXPECT_THAT(refusal("P5 16384 16385 255\n"),
              HasSubstr("more than the 268435456 allowed; make it smaller first"));
  EXPECT_THAT(refusal("P5 16384 16384 255\n"), HasSubstr("after 0 of 16384 rows"));
  EXPECT_THAT(refusal("P5 4 0 255\n"), HasSubstr("4 x 0 pixels, an empty picture"));
}

TEST(Limits, NumbersOfAPnm) {
  EXPECT_THAT(refusal("P2 1 1 255\n256\n"), HasSubstr("the PNM holds 256 where at most 255 is allowed"));
  EXPECT_EQ(refusal("P2 1 1 255\n255\n"), "");
  EXPECT_THAT(refusal("P5 1 1 65536\n"), HasSubstr("holds 65536 where at most 65535 is allowed"));
  EXPECT_THAT(refusal("P5 1 1 12345678901\n"), HasSubstr("overlong word"));
  EXPECT_THAT(refusal("P1 2 1\n1 2"), HasSubstr("something else than 0 and 1"));
  EXPECT_THAT(refusal("P1 2 1\n1"), HasSubstr("the PNM ends early"));
  const std::string value(4, '\0');
  for (const char* scale : {"0", "x", "nan"})
    EXPECT_THAT(refusal("Pf\n1 1\n" + std::string(scale) + "\n" + value),
                HasSubstr("the scale of the float map must be a number other than 0"))
        << scale;
  EXPECT_EQ(refusal("Pf\n1 1\n-1\n" + value), "");
}

TEST(Limits, WhatAPngHasNot) {
  const auto says = [](const auto& call) { return test::message_of<UsageError>(call); };
  const std::vector<Color> three(3), many(257);
  Image ids(2, 1, 1);
  EXPECT_THAT(says([&] { (void)encode_indexed_png(ids, {}); }),
              HasSubstr("a palette has 1 to 256 colours, not 0"));
  EXPECT_THAT(says([&] { (void)encode_indexed_png(ids, many); }), HasSubstr("1 to 256 colours, not 257"));
  EXPECT_EQ(says([&] { (void)encode_indexed_png(ids, std::span(many).first(256)); }), "");
  ids.pixels[1] = 3;
  EXPECT_THAT(says([&] { (void)encode_indexed_png(ids, three); }),
              HasSubstr("the index 3 has no colour in a palette of 3"));
  ids.pixels[1] = 2;
  EXPECT_EQ(says([&] { (void)encode_indexed_png(ids, three); }), "");
  EXPECT_THAT(says([&] { (void)encode_indexed_png(Image(2, 1, 3), three); }),
              HasSubstr("a picture of indices has 1 channel, not 3"));
  EXPECT_THAT(says([&] { (void)encode_mask_png(Image(2, 1, 3)); }), HasSubstr("a mask has 1 channel, not 3"));
  EXPECT_THAT(says([&] { (void)encode_png(Image(2, 1, 2)); }), HasSubstr("1, 3 or 4 channels, not 2"));
  PngStream stream(2, 3, 1);
  stream.add(ids);
  EXPECT_THAT(says([&] { (void)stream.finish(); }), HasSubstr("2 rows are missing in this PNG"));
}

// libpng's own limit for a side, unless told otherwise, is a million.
TEST(Limits, PngsMayBeWiderThanAMillion) {
  const Image wide(1'000'001, 1, 1), high(1, 1'000'001, 1);
  for (const Image& picture : {wide, high}) {
    const Image back = decode_image(encode_png(picture), {.mode = ColorMode::gray});
    EXPECT_EQ(back.width, picture.width);
    EXPECT_EQ(back.height, picture.height);
    PngStream stream(picture.width, picture.height, 1);
    stream.add(picture);
    EXPECT_EQ(stream.finish(), encode_png(picture));
  }
}

// With the names by which cameras and programs call them, in any case.
TEST(Extension, EveryFormatsNamesAreKnown) {
  for (const char* extension : {".gif", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff",
                                ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".JPG", ".Tiff"})
    EXPECT_TRUE(has_image_extension(std::string("a") + extension)) << extension;
  for (const char* other : {"a", "a.txt", "a.heic", "a.jpg.part", ".png", "png", "a.svg"})
    EXPECT_FALSE(has_image_extension(other)) << other;
}

}  // namespace
}  // namespace sam2unet
