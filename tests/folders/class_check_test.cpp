// doctor --classes.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "data/class_check.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/doctor.h"
#include "sam2unet/errors.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class ClassDoctor : public testing::Test {
 protected:
  ClassDoctor() {
    std::filesystem::create_directories(dir_ / "i");
    std::filesystem::create_directories(dir_ / "m");
  }
  // 20 x 10 pixels: the left half `left`, the right half `right`.
  static Image halves(int left, int right) {
    Image out(20, 10, 1);
    for (int y = 0; y < 10; ++y) {
      for (int x = 0; x < 20; ++x) out.row(y)[x] = static_cast<std::uint8_t>(x < 10 ? left : right);
    }
    return out;
  }
  void put(const std::string& stem, const Image& mask) {
    Image picture(20, 10, 3);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
      picture.pixels[i] = static_cast<std::uint8_t>((i * 2654435761U + seed_) >> 11);
    }
    seed_ += 999983;
    write_png(dir_ / "i" / (stem + ".png"), picture);
    if (!mask.pixels.empty()) write_png(dir_ / "m" / (stem + ".png"), mask);
  }
  void put_bytes(const std::string& name, const std::vector<std::byte>& bytes) const {
    std::ofstream(dir_ / "m" / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  Diagnosis diagnosed(const ClassTable& table = default_class_table(3)) const {
    return diagnose({.images = dir_ / "i", .masks = dir_ / "m", .classes = table, .threads = 2});
  }
  static std::string message(const Diagnosis& d, const std::string& kind) {
    for (const Finding& f : d.findings) {
      if (f.kind == kind) return f.message;
    }
    return "";
  }

  test::TempDir dir_;
  unsigned seed_ = 1;
};

TEST_F(ClassDoctor, NothingIsWrong) {
  put("a", halves(0, 1));
  put("b", halves(2, 255));
  const Diagnosis d = diagnosed();
  EXPECT_TRUE(d.clean()) << to_json(d);
  ASSERT_THAT(d.census.classes, SizeIs(3));
  EXPECT_EQ(d.census.classes[2].pixels, 100);
  EXPECT_EQ(d.census.classes[2].masks, 1u);
  EXPECT_EQ(d.census.ignored_pixels, 100);
  EXPECT_EQ(d.census.pixels, 400);
  EXPECT_EQ(nlohmann::json::parse(to_json(d))["classes"]["each"][1]["pixels"], 100);
}

TEST_F(ClassDoctor, UnknownIdsWithTheirPixels) {
  put("a", halves(1, 7));
  put("b", halves(7, 9));
  put("c", halves(0, 2));
  const Diagnosis d = diagnosed();
  EXPECT_THAT(message(d, "unknown-ids"),
              HasSubstr("in 2 masks the ids 7 (200 pixels), 9 (100 pixels) are no classes"));
}

TEST_F(ClassDoctor, ColoursThatMatchNoClass) {
  Image rgb(20, 10, 3);
  std::fill(rgb.pixels.begin() + 300, rgb.pixels.end(), std::uint8_t{128});  // gray: the colour of class 7
  rgb.pixels[0] = 128;                                                       // dark red: class 1
  put("a", rgb);
  EXPECT_THAT(message(diagnosed(), "unknown-colours"),
              HasSubstr("the colour #808080 (100 pixels) is no class"));
}

TEST_F(ClassDoctor, BinaryMasksOfTwoFiftyFive) {
  put("a", halves(0, 255));
  put("b", halves(1, 2));
  EXPECT_THAT(message(diagnosed(), "zero-255-mask"), HasSubstr("1 mask holds 0 and 255 alone"));
  // Where the class file says what 255 is, nothing is wrong with it.
  ClassTable table = default_class_table(3);
  table.ignore = 254;
  table.remap_ids = {{255, 1}};
  EXPECT_EQ(message(diagnosed(table), "zero-255-mask"), "");
}

TEST_F(ClassDoctor, CompressionInventsIds) {
  Image noisy = halves(0, 2);
  for (int i = 0; i < 10; ++i) {
    for (int k = 0; k < 10; ++k) noisy.row(i)[5 + k] = static_cast<std::uint8_t>(3 + (i * 7 + k) % 60);
  }
  put("a", noisy);
  put("b", halves(1, 1));
  const Diagnosis d = diagnosed();
  EXPECT_THAT(message(d, "jpeg-class-mask"), HasSubstr("1 mask went through lossy compression"));
  EXPECT_EQ(message(d, "unknown-ids"), "") << "told once";
}

TEST_F(ClassDoctor, AClassThatNeverOccursAndPixelsThatDoNotCount) {
  put("a", halves(0, 1));
  put("b", halves(255, 255));
  put("c", halves(255, 255));
  const Diagnosis d = diagnosed();
  EXPECT_THAT(message(d, "class-never-occurs"), HasSubstr("class 2 (class 2)"));
  EXPECT_THAT(message(d, "all-ignored"), HasSubstr("2 masks have no pixel of any class"));
  EXPECT_THAT(message(d, "mostly-ignored"), HasSubstr("66.7 % of all pixels are ignored"));
}

TEST_F(ClassDoctor, PalettesInAnotherOrder) {
  const ClassTable table = default_class_table(3);
  put("a", halves(0, 1));
  put("b", Image());
  put_bytes("b.png", encode_indexed_png(halves(1, 2),
                                        std::vector<Color>{table.classes[0].color, table.classes[2].color,
                                                           table.classes[1].color}));
  put("c", Image());
  put_bytes("c.png", encode_class_png(halves(2, 255), table));  // ours: right
  const Diagnosis d = diagnosed();
  EXPECT_THAT(message(d, "palette-order"), HasSubstr("the palette of 1 mask"));
}

TEST_F(ClassDoctor, ABadTableIsRefused) {
  put("a", halves(0, 1));
  ClassTable table = default_class_table(3);
  table.classes[1].name = table.classes[2].name;
  EXPECT_THROW(diagnosed(table), UsageError);
}

// Pixels of unknown ids are told as such, not as ignored ones.
TEST_F(ClassDoctor, UnknownPixelsAreNotCountedAsIgnored) {
  put("a", halves(7, 7));
  put("b", halves(0, 255));
  put("c", halves(1, 2));
  const Diagnosis d = diagnosed();
  EXPECT_EQ(d.census.ignored_pixels, 100);
  EXPECT_EQ(d.census.pixels, 600);
  EXPECT_EQ(message(d, "mostly-ignored"), "");
  EXPECT_THAT(message(d, "unknown-ids"), HasSubstr("the id 7 (200 pixels)"));
}

// Half of the pixels ignored is not most of them; half of the masks of 0 and 255 are most.
TEST_F(ClassDoctor, WhatMostMeans) {
  put("a", halves(0, 255));
  put("b", halves(1, 255));
  put("c", halves(2, 255));
  Diagnosis d = diagnosed();
  EXPECT_TRUE(d.clean()) << to_json(d);
  put("c", halves(0, 255));
  d = diagnosed();
  EXPECT_EQ(message(d, "mostly-ignored"), "");
  EXPECT_THAT(message(d, "zero-255-mask"), HasSubstr("2 masks hold 0 and 255 alone"));
  EXPECT_THAT(message(d, "class-never-occurs"), HasSubstr("class 2 (class 2)"));
  put("d", Image());
  put("d", halves(255, 255));
  d = diagnosed();
  EXPECT_THAT(message(d, "mostly-ignored"), HasSubstr("62.5 %"));
  ASSERT_THAT(d.findings, testing::Contains(testing::Field(&Finding::kind, "mostly-ignored")));
  for (const Finding& f : d.findings) {
    if (f.kind != "mostly-ignored") continue;
    EXPECT_THAT(f.files, testing::ElementsAre(dir_ / "m" / "d.png"));
  }
}

TEST_F(ClassDoctor, HalfOfThePixelsIsNotMostOfThem) {
  put("a", halves(0, 1));
  put("b", halves(255, 255));
  Diagnosis d = diagnosed(default_class_table(2));
  EXPECT_EQ(message(d, "mostly-ignored"), "");
  EXPECT_THAT(message(d, "all-ignored"), HasSubstr("1 mask has no pixel of any class"));
  put("b", halves(0, 255));  // background is a class
  EXPECT_EQ(message(diagnosed(default_class_table(2)), "all-ignored"), "");
  put("b", halves(255, 255));
  put("a", halves(0, 255));
  d = diagnosed(default_class_table(2));
  EXPECT_THAT(message(d, "mostly-ignored"), HasSubstr("75.0 % of all pixels"));
}

// A photograph's format leaves no doubt, however few ids there are.
TEST_F(ClassDoctor, AJpegIsNoMaskOfClasses) {
  ImageInfo info;
  info.format = ImageFormat::png;
  EXPECT_FALSE(data::check_class_mask(halves(0, 1), info, nullptr, default_class_table(3)).jpeg_made);
  info.format = ImageFormat::jpeg;
  EXPECT_TRUE(data::check_class_mask(halves(0, 1), info, nullptr, default_class_table(3)).jpeg_made);
}

// One pixel of each is enough, and one that is neither too much.
TEST(ClassCheck, BlackAndWhiteIsAMaskOfZeroAnd255) {
  const auto told = [](std::initializer_list<int> values) {
    Image mask(static_cast<int>(values.size()), 1, 1);
    std::copy(values.begin(), values.end(), mask.pixels.begin());
    return data::check_class_mask(mask, {}, nullptr, default_class_table(3)).zero_255;
  };
  EXPECT_TRUE(told({0, 255, 255}));
  EXPECT_TRUE(told({0, 0, 255}));
  EXPECT_FALSE(told({0, 0, 0}));
  EXPECT_FALSE(told({255, 255, 255}));
  EXPECT_FALSE(told({0, 255, 1}));
}

TEST_F(ClassDoctor, ColoursOfPalettesThatMeanNothingHereAreNoOrder) {
  put("a", halves(0, 1));
  put("b", Image());
  // One class's colour under another index among grays, as many tools write them.
  put_bytes("b.png", encode_indexed_png(
                         halves(1, 2),
                         std::vector<Color>{{0, 0, 0}, default_class_table(3).classes[2].color, {2, 2, 2}}));
  EXPECT_TRUE(diagnosed().clean()) << to_json(diagnosed());
}

// The colour of what is ignored means that, and belongs to its id alone.
TEST(ClassCheck, TheIgnoredColourHasItsPlaceInThePalette) {
  const ClassTable table = default_class_table(3);
  const auto is_other = [&](int id, Color color) {
    Image stored(2, 1, 1), colors(2, 1, 3);
    stored.pixels[1] = static_cast<std::uint8_t>(id);
    colors.pixels = {0, 0, 0, color.red, color.green, color.blue};  // 0 is the background's black
    return data::check_class_mask(stored, {}, &colors, table).other_palette;
  };
  EXPECT_TRUE(is_other(1, table.ignore_color));
  EXPECT_FALSE(is_other(255, table.ignore_color));
  EXPECT_TRUE(is_other(255, table.classes[1].color));
  EXPECT_FALSE(is_other(1, table.classes[1].color));
  EXPECT_TRUE(is_other(2, table.classes[1].color));
  EXPECT_FALSE(is_other(2, {1, 2, 3}));  // which means nothing here
}

// Each file stands under its own trouble, and the worst troubles come first.
TEST(ClassCheck, FindingsNameTheirFiles) {
  std::vector<data::CheckedClassMask> masks;
  const auto add = [&](const char* file) -> data::ClassMaskReport& {
    masks.push_back({file, {}});
    masks.back().report.pixels = {5, 5, 0};
    return masks.back().report;
  };
  add("good");
  add("palette").other_palette = true;
  add("jpeg").jpeg_made = true;
  add("ids").unknown = {{.value = 9, .pixels = 1}};
  add("colours").unknown = {{.is_color = true, .color = {1, 2, 3}, .pixels = 1}};
  data::ClassMaskReport& ignored = add("ignored");
  ignored.pixels = {0, 0, 0};
  ignored.ignored = 100;
  std::vector<std::string> found;
  for (const Finding& f : data::class_findings(masks, default_class_table(3))) {
    found.push_back(f.kind + ":");
    for (const auto& file : f.files) found.back() += " " + file.string();
  }
  EXPECT_THAT(
      found, testing::ElementsAre("unknown-ids: ids", "unknown-colours: colours", "jpeg-class-mask: jpeg",
                                  "palette-order: palette", "all-ignored: ignored", "mostly-ignored: ignored",
                                  "class-never-occurs:"));
}

// Of a class: its pixels in all masks, and how many masks have any.
TEST(ClassCheck, TheCensusAddsUpMasks) {
  std::vector<data::CheckedClassMask> masks(3);
  masks[0].report.pixels = {4, 0, 1};
  masks[1].report.pixels = {2, 0, 3};
  masks[1].report.ignored = 5;
  masks[2].report.pixels = {0, 0, 6};
  masks[2].report.ignored = 7;
  masks[2].report.unknown = {{.value = 9, .pixels = 10}, {.value = 8, .pixels = 20}};
  const ClassCensus census = data::class_census(masks, default_class_table(3));
  ASSERT_THAT(census.classes, SizeIs(3));
  const auto of_class = [&](std::size_t c) {
    return std::pair(census.classes[c].pixels, static_cast<int>(census.classes[c].masks));
  };
  EXPECT_EQ(census.classes[2].name, "class 2");
  EXPECT_EQ(of_class(0), std::pair(std::int64_t{6}, 2));
  EXPECT_EQ(of_class(1), std::pair(std::int64_t{0}, 0));
  EXPECT_EQ(of_class(2), std::pair(std::int64_t{10}, 3));
  EXPECT_EQ(census.ignored_pixels, 12);
  EXPECT_EQ(census.pixels, 16 + 12 + 30);
}

}  // namespace
}  // namespace sam2unet
