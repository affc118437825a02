// What decoders and drawing say of what they refuse, and rows on their way into an upright picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "image/overlay_rows.h"
#include "image/resizer.h"
#include "image/row_writer.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string little(std::uint32_t v, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(v >> 8 * i & 255);
  return out;
}
std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (const int v : values) out += static_cast<char>(v);
  return out;
}

Image decoded(std::string_view file, ColorMode mode = ColorMode::rgb) {
  return decode_image(std::as_bytes(std::span(file)), {.mode = mode}, "x");
}
std::string refusal(std::string_view file) {
  return test::message_of<ImageError>([&] { decoded(file); });
}
template <class Call>
std::string refused(const Call& call) {
  return test::message_of<UsageError>(call);
}

// A BMP with a header of `size` bytes, of which the first 40 are always the same; `more` is the rest of it.
std::string bmp(std::uint32_t size, int width, int height, int bits, int compression, const std::string& more,
                const std::string& data, std::uint32_t colors = 0) {
  std::string header = little(size, 4) + little(static_cast<std::uint32_t>(width), 4) +
                       little(static_cast<std::uint32_t>(height), 4) + little(1, 2) +
                       little(static_cast<std::uint32_t>(bits), 2) +
                       little(static_cast<std::uint32_t>(compression), 4) + std::string(12, '\0') +
                       little(colors, 4) + std::string(4, '\0') + more;
  return "BM" + std::string(8, '\0') + little(static_cast<std::uint32_t>(14 + header.size()), 4) + header +
         data;
}

TEST(Said, OfABmp) {
  EXPECT_THAT(refusal("BM" + std::string(23, '\0')),
              EndsWith("the BMP ends before the picture begins; get a whole copy of it"));
  EXPECT_THAT(refusal("BM" + std::string(8, '\0') + little(54, 4) + little(41, 4) + std::string(80, '\0')),
              EndsWith("a BMP header of 41 bytes is not known"));
  // Rows of one pixel of three bytes, and one of padding, which the last may lack.
  const std::string two = bytes_of({1, 2, 3, 0, 4, 5, 6});
  EXPECT_THAT(decoded(bmp(40, 1, 2, 24, 0, "", two)).pixels, ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(refusal(bmp(40, 1, 2, 24, 0, "", two.substr(0, 6))), HasSubstr("after 1 of 2 rows"));
  EXPECT_THAT(refusal(bmp(40, 1, 4, 24, 0, "", two)), HasSubstr("after 1 of 4 rows"));
  EXPECT_THAT(refusal(bmp(40, 1, 2, 8, 0, "", "", 65537)),
              HasSubstr("the table of colours of the BMP is too large"));
}

// Masks stand behind a header of 40 bytes and within the longer ones; of none red is the highest byte.
TEST(Said, BitFieldsOfABmpStandWhereItsHeaderEnds) {
  const std::string green_blue_red = little(0xFF, 4) + little(0xFF0000, 4) + little(0xFF00, 4);
  const std::string pixel = bytes_of({10, 20, 30, 0});
  EXPECT_THAT(decoded(bmp(40, 1, 1, 32, 3, green_blue_red, pixel)).pixels, ElementsAre(10, 30, 20));
  for (const std::uint32_t size : {52U, 56U, 64U, 108U, 124U}) {
    const std::string more = green_blue_red + std::string(size - 52, '\0');
    EXPECT_THAT(decoded(bmp(size, 1, 1, 32, 3, more, pixel)).pixels, ElementsAre(10, 30, 20)) << size;
  }
  EXPECT_THAT(decoded(bmp(40, 1, 1, 32, 3, std::string(12, '\0'), pixel)).pixels, ElementsAre(30, 20, 10));
}

TEST(Said, TheHighestByteOfABmpMayBeAColour) {
  const std::string red_green_blue = little(0xFF000000, 4) + little(0xFF0000, 4) + little(0xFF00, 4);
  EXPECT_THAT(decoded(bmp(40, 2, 1, 32, 3, red_green_blue, bytes_of({9, 10, 20, 30, 9, 40, 50, 200}))).pixels,
              ElementsAre(30, 20, 10, 200, 50, 40));
}

// Without an offset the picture begins behind the masks, which all have to be there.
TEST(Said, ABmpWithoutAnOffsetBeginsBehindItsBitFields) {
  const std::string green_blue_red = little(0xFF, 4) + little(0xFF0000, 4) + little(0xFF00, 4);
  const std::string pixel = bytes_of({10, 20, 30, 0});
  for (const std::uint32_t size : {40U, 56U}) {
    const std::string masks = green_blue_red + std::string(size == 40 ? 0 : size - 52, '\0');
    const auto cleared = [](std::string file) { return file.replace(10, 4, 4, '\0'); };
    EXPECT_THAT(decoded(cleared(bmp(size, 1, 1, 32, 3, masks, pixel))).pixels, ElementsAre(10, 30, 20))
        << size;
    EXPECT_THAT(refusal(cleared(bmp(size, 1, 1, 32, 3, masks, ""))), HasSubstr("after 0 of 1 rows")) << size;
    EXPECT_THAT(refusal(bmp(size, 1, 1, 32, 3, masks.substr(1), "")),
                HasSubstr("ends before the picture begins"))
        << size;
  }
}

TEST(Said, OfAJpegAndAWebp) {
  EXPECT_THAT(refusal("\xFF\xD8\xFF\xE0"),
              EndsWith("the JPEG ends before the picture begins; get a whole copy of it"));
  // A frame of 8 x 8 pixels and two components, and the scan where its header ends.
  const std::string two =
      bytes_of({0xFF, 0xD8, 0xFF, 0xC0, 0, 14, 8, 0, 8, 0, 8,  2, 1, 0x11, 0, 2, 0x11, 0,  //
                0xFF, 0xDA, 0,    10,   2, 1,  0, 2, 0, 0, 63, 0});
  EXPECT_THAT(refusal(two), EndsWith("it has 2 colour components; 1, 3 and 4 are known"));
  std::string wrong = two;
  wrong[5] = 15;
  EXPECT_THAT(refusal(wrong), StartsWith("cannot decode x: the JPEG is damaged ("));
  const auto webp = read_file(test::repository_data() / "image" / "files" / "lossy.webp");
  const std::string whole(reinterpret_cast<const char*>(webp.data()), webp.size());
  EXPECT_THAT(refusal(whole.substr(0, whole.size() / 2)),
              EndsWith("the WebP ends early; get a whole copy of it"));
  std::string odd = whole;
  odd[23] = 'X';  // of the frame's start code
  EXPECT_THAT(refusal(odd), EndsWith("the WebP is damaged"));
  // A sound container of half of the picture's bits.
  for (const char* name : {"lossy.webp", "lossless_alpha.webp"}) {
    const auto bytes = read_file(test::repository_data() / "image" / "files" / name);
    const auto half = static_cast<std::uint32_t>(bytes.size() - 20) / 4 * 2;
    std::string cut = "RIFF" + little(half + 12, 4) + "WEBP";
    cut.append(reinterpret_cast<const char*>(bytes.data()) + 12, 4).append(little(half, 4));
    cut.append(reinterpret_cast<const char*>(bytes.data()) + 20, half);
    EXPECT_THAT(refusal(cut), EndsWith("the WebP is damaged")) << name;
  }
}

TEST(Said, OfAPngAndAGif) {
  const auto png = encode_png(test::picture(9, 9, 3));
  const std::string whole(reinterpret_cast<const char*>(png.data()), png.size());
  EXPECT_THAT(refusal(whole.substr(0, whole.size() - 30)),
              EndsWith("the PNG is damaged (the file ends early; get a whole copy of it)"));
  EXPECT_THAT(refusal("GIF89a" + std::string(30, '\0')), HasSubstr("the GIF is damaged or cut off ("));
  EXPECT_THAT(refusal(std::string("II*\0\0\0\0\0", 8)), HasSubstr("the TIFF is damaged or cut off ("));
  EXPECT_THAT(
      refusal("hello"),
      EndsWith("it is of an unknown format, not a JPEG, PNG, WebP, TIFF, BMP, PNM or GIF picture; convert "
               "it to one of these"));
  EXPECT_THAT(refusal("P5 \x01\xE4 1 255\n"), HasSubstr("\"??\" stands where the PNM should have a number"));
  EXPECT_EQ(refused([] { convert_color(Image(2, 1, 2), ColorMode::gray); }),
            "a picture has 1, 3 or 4 channels, not 2");
}

TEST(Said, OfPicturesAndMasksThatDoNotFit) {
  const Image picture(4, 3, 3), mask(4, 3, 1);
  EXPECT_EQ(refused([&] { draw_overlay(picture, Image(5, 2, 1)); }),
            "a mask of 5 x 2 pixels does not fit a picture of 4 x 3");
  EXPECT_EQ(refused([&] { draw_overlay(picture, Image(4, 2, 1)); }),
            "a mask of 4 x 2 pixels does not fit a picture of 4 x 3");
  EXPECT_EQ(refused([&] { draw_overlay(picture, picture); }), "a mask has 1 channel, not 3");
  EXPECT_EQ(refused([&] { draw_overlay(Image(4, 3, 2), mask); }), "a picture has 1, 3 or 4 channels, not 2");
  EXPECT_EQ(refused([&] { draw_overlay(picture, ImageView()); }), "the picture or its mask is empty");
  EXPECT_EQ(refused([&] { draw_overlay(ImageView(), mask); }), "the picture or its mask is empty");
  const std::vector<float> map(7);
  EXPECT_EQ(refused([&] { threshold_map(map, 4, 3); }), "a map of 7 values is not one of 4 x 3 pixels");
  EXPECT_EQ(refused([&] { summarize_map(map, 0, 3); }), "a map of 7 values is not one of 0 x 3 pixels");
  EXPECT_EQ(refused([&] { threshold_map({}, 4, 0); }), "a map of 0 values is not one of 4 x 0 pixels");
  EXPECT_EQ(refused([&] { threshold_map({}, 0, 4); }), "a map of 0 values is not one of 0 x 4 pixels");
  EXPECT_EQ(refused([&] { mask_polygons(picture); }),
            "the outlines of a picture with more than one channel are not defined");
  Image rgba(4, 3, 4);
  EXPECT_EQ(refused([&] { multiply_alpha(rgba, 2, Image(4, 2, 1)); }),
            "an alpha of 4 x 2 pixels does not fit rows from 2 on of 4 x 3");
  Image rgb(4, 3, 3);
  EXPECT_EQ(refused([&] { multiply_alpha(rgb, 0, mask); }),
            "a cut-out is an RGBA picture of at least one pixel");
}

TEST(Said, OfRowsThatDoNotGoOn) {
  PngStream png(5, 3, 1);
  EXPECT_EQ(refused([&] { png.add(Image(5, 4, 1)); }),
            "4 rows of 5 pixels and 1 channels do not go on this PNG, which has 3 left");
  EXPECT_EQ(refused([&] { (void)encode_png(Image(0, 4, 1)); }), "an empty picture has no PNG");
  EXPECT_EQ(refused([&] { PngStream(3, 0, 1); }), "an empty picture has no PNG");
  const Image picture(5, 3, 3);
  image::OverlayRows rows = image::overlay_rows(picture, {}, {});
  rows.add(Image(5, 2, 1));
  EXPECT_EQ(refused([&] { rows.add(Image(5, 2, 1)); }),
            "2 rows of 5 pixels do not go on this overlay, which has 1 of 5 left");
  EXPECT_EQ(refused([&] { rows.add(Image(4, 1, 1)); }),
            "1 rows of 4 pixels do not go on this overlay, which has 1 of 5 left");
  EXPECT_EQ(refused([&] { rows.add(Image(5, 1, 1)); }), "");
}

TEST(Said, OfSizesThatNothingIsResizedTo) {
  const Image one(1, 1, 1);
  const auto to = [&](const ImageView& from, int width, int height) {
    return refused([&] { resize_pillow(from, width, height, ResizeFilter::bilinear); });
  };
  EXPECT_EQ(to(one, (1 << 24) + 1, 1), "a picture cannot be resized to 16777217 x 1 pixels");
  EXPECT_EQ(to(one, 1, (1 << 24) + 1), "a picture cannot be resized to 1 x 16777217 pixels");
  EXPECT_EQ(to(one, 65536, 32769), "a picture cannot be resized to 65536 x 32769 pixels");
  EXPECT_EQ(to(one, 1 << 24, 1), "");
  EXPECT_EQ(to(Image(1, 1, 2), 2, 2), "a picture of 2 channels cannot be resized, only of 1, 3 or 4");
  EXPECT_EQ(to(ImageView(), 2, 2), "an empty picture cannot be resized");
}

// Colours under alpha 0 count as any other where alpha is a channel like any other.
TEST(Said, AlphaIsWeightedUnlessToldOtherwise) {
  Image two(2, 1, 4), out;
  two.pixels = {200, 200, 200, 0, 100, 100, 100, 255};
  image::Resizer resizer;
  resizer.resize(two, {1, 1}, out);
  EXPECT_THAT(out.pixels, ElementsAre(99, 99, 99, 128));  // 255 * 50 / 128, cut off as Pillow does
  resizer.resize(two, {.width = 1, .height = 1, .alpha = image::AlphaRule::independent}, out);
  EXPECT_THAT(out.pixels, ElementsAre(150, 150, 150, 128));
}

// More rows than are placed at a time, of every orientation and mode.
TEST(RowWriter, TurnsRowsAsTheyCome) {
  for (const auto& [width, height] : {std::pair{5, 7}, {70, 64}, {3, 65}, {130, 129}}) {
    for (const int channels : {1, 3, 4}) {
      const Image stored = test::picture(width, height, channels);
      for (const ColorMode mode : {ColorMode::rgb, ColorMode::gray, ColorMode::rgba}) {
        for (int orientation = 0; orientation <= 9; ++orientation) {
          for (const bool turns : {true, false}) {
            image::Source source;
            source.mode = mode;
            source.turns = turns;
            image::RowWriter writer(source, width, height, channels, orientation);
            for (int y = 0; y < height; ++y) {
              std::copy_n(stored.row(y), width * channels, writer.row(y));
              writer.done(y);
            }
            const Image want = convert_color(apply_orientation(stored, turns ? orientation : 1), mode);
            const Image got = writer.take();
            EXPECT_EQ(got.width, want.width);
            EXPECT_EQ(got.channels, want.channels);
            EXPECT_TRUE(got.pixels == want.pixels)
                << width << "x" << height << "x" << channels << ", orientation " << orientation;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace sam2unet
