#include "sam2unet/class_masks.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

ClassTable table() {
  return parse_class_table(R"(
[[class]]
id = 1
name = "a"
color = "#ff0000"
[[class]]
id = 2
name = "b"
color = "#00ff00"
[remap.ids]
7 = 2
9 = 255
[remap.colors]
"#0000ff" = 2
)");
}

Image gray(std::initializer_list<int> row) {
  Image out(static_cast<int>(row.size()), 1, 1);
  std::copy(row.begin(), row.end(), out.pixels.begin());
  return out;
}

TEST(ClassMask, GrayIsIds) {
  const ClassMask m = to_class_mask(gray({0, 1, 2, 7, 9, 255}), table());
  EXPECT_THAT(m.ids.pixels, ElementsAre(0, 1, 2, 2, 255, 255));
  EXPECT_TRUE(m.unknown.empty());
  const ClassMask u = to_class_mask(gray({0, 3, 4, 4}), table());
  EXPECT_THAT(u.ids.pixels, ElementsAre(0, 255, 255, 255));
  EXPECT_EQ(describe(u.unknown), "the ids 4 (2 pixels), 3 (1 pixel) are no classes");
}

TEST(ClassMask, ColoursAreLookedUp) {
  Image rgb(5, 1, 3);
  rgb.pixels = {0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 224, 224, 192};
  const ClassMask m = to_class_mask(rgb, table());
  EXPECT_THAT(m.ids.pixels, ElementsAre(0, 1, 2, 2, 255));
  EXPECT_TRUE(m.unknown.empty());
  rgb.pixels[3] = 254;
  const ClassMask u = to_class_mask(rgb, table());
  EXPECT_EQ(describe(u.unknown), "the colour #fe0000 (1 pixel) is no class");
  EXPECT_EQ(u.ids.pixels[1], 255);
}

TEST(ClassMask, IdsStoredAsThreeEqualChannelsAreIds) {
  Image rgb(3, 1, 3);
  rgb.pixels = {0, 0, 0, 2, 2, 2, 1, 1, 1};
  EXPECT_THAT(to_class_mask(rgb, table()).ids.pixels, ElementsAre(0, 2, 1));
}

// A table's own colours may be gray: then they are colours, unless a pixel has none of them.
TEST(ClassMask, GrayColoursOfTheTableAreColours) {
  const ClassTable grays = parse_class_table(R"(
[[class]]
id = 1
name = "a"
color = "#808080"
[[class]]
id = 2
name = "b"
color = "#010101"
)");
  Image rgb(4, 1, 3);
  rgb.pixels = {0, 0, 0, 128, 128, 128, 1, 1, 1, 128, 128, 128};
  const ClassMask m = to_class_mask(rgb, grays);
  EXPECT_THAT(m.ids.pixels, ElementsAre(0, 1, 2, 1));
  EXPECT_TRUE(m.unknown.empty());
  rgb.pixels = {0, 0, 0, 2, 2, 2, 1, 1, 1, 2, 2, 2};
  EXPECT_THAT(to_class_mask(rgb, grays).ids.pixels, ElementsAre(0, 2, 1, 2));
}

TEST(ClassMask, APhotographHasNoRoomToGrow) {
  Image rgb(256, 256, 3);
  for (std::size_t i = 0; i < 65536; ++i) {  // of a colour of its own each
    rgb.pixels[3 * i] = static_cast<std::uint8_t>(i >> 8);
    rgb.pixels[3 * i + 1] = static_cast<std::uint8_t>(i);
    rgb.pixels[3 * i + 2] = 77;
  }
  const ClassMask m = to_class_mask(rgb, table());
  EXPECT_EQ(m.unknown.size(), 4096u);
  std::int64_t pixels = 0;
  for (const UnknownPixels& u : m.unknown) pixels += u.pixels;
  EXPECT_EQ(pixels, 65536);  // none is lost
}

TEST(ClassMask, IndexedPngComesBackByIndexWhateverItsColours) {
  const test::TempDir dir;
  Image ids(7, 3, 1);
  for (std::size_t i = 0; i < ids.pixels.size(); ++i) ids.pixels[i] = static_cast<std::uint8_t>(i % 3);
  ids.pixels[5] = 255;
  const std::vector<std::byte> png = encode_class_png(ids, table());
  std::ofstream(dir / "m.png", std::ios::binary)
      .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  EXPECT_EQ(read_class_mask(dir / "m.png", table()).pixels, ids.pixels);
  // Its colours are the class file's.
  const Image rgb = read_image(dir / "m.png");
  EXPECT_THAT(std::vector<int>(rgb.pixels.begin(), rgb.pixels.begin() + 9),
              ElementsAre(0, 0, 0, 255, 0, 0, 0, 255, 0));
  EXPECT_THAT(std::vector<int>(rgb.pixels.begin() + 15, rgb.pixels.begin() + 18), ElementsAre(224, 224, 192));
  // Another palette, the same indices.
  const std::vector<Color> other{{9, 9, 9}, {0, 0, 0}, {1, 1, 1}};
  const Image small = gray({0, 1, 2, 1});
  const Image back = decode_image(encode_indexed_png(small, other), {.mode = ColorMode::ids});
  EXPECT_EQ(back.pixels, small.pixels);
  EXPECT_EQ(back.channels, 1);
  EXPECT_THROW(encode_indexed_png(gray({3}), other), UsageError);
  EXPECT_THROW(encode_indexed_png(Image(2, 2, 3), other), UsageError);
  EXPECT_THROW(encode_indexed_png(small, {}), UsageError);
}

TEST(ClassMask, UnknownIdsOfAFileAreAnErrorThatNamesThem) {
  const test::TempDir dir;
  write_png(dir / "m.png", gray({0, 128, 128, 5}));
  EXPECT_THAT(
      message_of<ImageError>([&] { read_class_mask(dir / "m.png", table()); }),
      AllOf(HasSubstr("m.png: the ids 128 (2 pixels), 5 (1 pixel) are no classes"), HasSubstr("class file")));
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}

TEST(ClassMask, DeepAndScaledGrayKeepsItsValues) {
  const DecodeOptions ids{.mode = ColorMode::ids};
  // A maxval of 9: Pillow would make 255 of the 9.
  EXPECT_THAT(decode_image(bytes_of("P2 3 1 9\n0 4 9\n"), ids).pixels, ElementsAre(0, 4, 9));
  EXPECT_THAT(decode_image(bytes_of("P2 3 1 65535\n0 4 255\n"), ids).pixels, ElementsAre(0, 4, 255));
  EXPECT_THAT(message_of<ImageError>([&] { decode_image(bytes_of("P2 3 1 65535\n0 4 300\n"), ids); }),
              HasSubstr("it holds the value 300, but ids of classes are 0 to 255"));
}

TEST(ResizeNearest, IsPillows) {
  // Of Pillow 12.3: sums of (i + 1) * source column over the columns i. In the last six, (i + 0.5) * from /
  // to rounded once gives another column somewhere.
  const std::vector<std::array<std::int64_t, 3>> golden{
      {2552, 512, 223256576}, {3258, 352, 134815450},  {464, 1523, 358350689},  {3558, 1010, 1210482625},
      {814, 1483, 596491769}, {704, 2527, 1497365426}, {656, 2403, 1261622689}, {3036, 1233, 1539086446},
      {220, 618, 27946250},   {344, 2725, 849849108}};
  for (const auto& [from, to, want] : golden) {
    Image columns(static_cast<int>(from), 1, 3);
    for (int i = 0; i < from; ++i) {
      columns.pixels[static_cast<std::size_t>(i) * 3] = static_cast<std::uint8_t>(i & 255);
      columns.pixels[static_cast<std::size_t>(i) * 3 + 1] = static_cast<std::uint8_t>(i >> 8);
    }
    const Image out = resize_nearest(columns, static_cast<int>(to), 2);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < to; ++i) {
      const std::uint8_t* p = out.row(1) + i * 3;
      sum += (i + 1) * (p[0] + 256 * p[1]);
    }
    EXPECT_EQ(sum, want) << from << " to " << to;
  }
  EXPECT_THROW(resize_nearest(Image(2, 2, 1), 0, 2), UsageError);
}

TEST(ClassMask, WhatDoesNotFitIsSaid) {
  EXPECT_EQ(message_of<UsageError>([] { to_class_mask(Image(2, 2, 4), table()); }),
            "a mask has 1 or 3 channels, not 4");
  EXPECT_EQ(message_of<UsageError>([] { resize_nearest(Image(2, 2, 1), 0, 2); }),
            "a picture cannot be resized to 0 x 2");
  EXPECT_EQ(message_of<UsageError>([] { resize_nearest(Image(2, 2, 1), 2, 0); }),
            "a picture cannot be resized to 2 x 0");
  EXPECT_EQ(message_of<UsageError>([] { resize_nearest(Image(2, 2, 1), 2, -1); }),
            "a picture cannot be resized to 2 x -1");
  EXPECT_EQ(message_of<UsageError>([] { resize_nearest(Image(0, 2, 1), 3, 4); }),
            "a picture cannot be resized to 3 x 4");
  EXPECT_EQ(message_of<UsageError>([] { resize_nearest(Image(2, 0, 1), 3, 4); }),
            "a picture cannot be resized to 3 x 4");
  EXPECT_EQ(describe({}), "");
}

// Of 256 the classes' own, the ignored one's, and PASCAL VOC's for the others.
TEST(ClassMask, ThePaletteHasAColourForEveryId) {
  const std::vector<Color> p = class_palette(table());
  ASSERT_EQ(p.size(), 256U);
  EXPECT_EQ(p[0], (Color{0, 0, 0}));
  EXPECT_EQ(p[1], (Color{255, 0, 0}));
  EXPECT_EQ(p[2], (Color{0, 255, 0}));
  EXPECT_EQ(p[3], (Color{128, 128, 0}));
  EXPECT_EQ(p[4], (Color{0, 0, 128}));
  EXPECT_EQ(p[8], (Color{64, 0, 0}));
  EXPECT_EQ(p[20], (Color{0, 64, 128}));
  EXPECT_EQ(p[255], (Color{224, 224, 192}));
  ClassTable other = table();
  other.ignore = 9;
  other.ignore_color = {1, 2, 3};
  EXPECT_EQ(class_palette(other)[9], (Color{1, 2, 3}));
  EXPECT_EQ(class_palette(other)[255], (Color{224, 224, 192}));
}

// Of colours that have as many pixels the lower comes first: red before green before blue.
TEST(ClassMask, ColoursOfAsManyPixelsAreInOrder) {
  Image rgb(6, 1, 3);
  rgb.pixels = {1, 0, 2, 0, 5, 0, 0, 0, 9, 1, 0, 1, 7, 7, 8, 7, 7, 8};
  EXPECT_EQ(
      describe(to_class_mask(rgb, table()).unknown),
      "the colours #070708 (2 pixels), #000009 (1 pixel), #000500 (1 pixel), #010001 (1 pixel), #010002 "
      "(1 pixel) are no classes");
}

// Column places 0.75 and 2.25 of three, row places 0.25, 0.75, 1.25 and 1.75 of two.
TEST(ResizeNearest, EachSideByItsOwnScale) {
  Image m(3, 2, 1);
  m.pixels = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(resize_nearest(m, 2, 4).pixels, ElementsAre(1, 3, 1, 3, 4, 6, 4, 6));
  EXPECT_THAT(resize_nearest(m, 3, 1).pixels, ElementsAre(4, 5, 6));
  EXPECT_THAT(resize_nearest(m, 1, 2).pixels, ElementsAre(2, 5));
}

}  // namespace
}  // namespace sam2unet
