// Results of maps that are known pixel by pixel, of pictures of more than the megapixel that is worked on at
// a time.
#include "results/band_results.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "support/profiles.h"

namespace sam2unet::results {
namespace {

using Json = nlohmann::json;

constexpr int kWidth = 1300, kHeight = 1000;  // 806 rows are a megapixel
constexpr Box kBlock{300, 790, 100, 80};      // lies in both parts

bool is_in(const Box& b, int x, int y) {
  return x >= b.x && x < b.x + b.width && y >= b.y && y < b.y + b.height;
}

// `inside` in the block and `outside` around it.
std::vector<float> block_map(float inside, float outside) {
  std::vector<float> map(static_cast<std::size_t>(kWidth) * kHeight, outside);
  for (int y = kBlock.y; y < kBlock.y + kBlock.height; ++y)
    std::fill_n(map.begin() + static_cast<std::ptrdiff_t>(y) * kWidth + kBlock.x, kBlock.width, inside);
  return map;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What one kind of result is, of a picture whose bands are of so many rows.
std::vector<std::byte> banded(BandedPicture picture, const ResultOptions& options,
                              const std::vector<SegmentationBand>& bands) {
  std::vector<std::byte> out;
  BandResults results(picture, options, [&](Save) {
    return [&](std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  });
  for (const SegmentationBand& b : bands) results.add(b);
  results.finish(0.5, {});
  return out;
}

std::vector<SegmentationBand> bands_of(const std::vector<float>& map, int rows) {
  std::vector<SegmentationBand> out;
  for (int y = 0; y < kHeight; y += rows) {
    const int n = std::min(rows, kHeight - y);
    out.push_back(
        {y,
         n,
         kWidth,
         1,
         std::span(map).subspan(static_cast<std::size_t>(y) * kWidth, static_cast<std::size_t>(n) * kWidth),
         {},
         {}});
  }
  return out;
}

void expect_block(const Json& j) {
  EXPECT_EQ(j["bounding_box"], (Json{{"x", 300}, {"y", 790}, {"width", 100}, {"height", 80}}));
  EXPECT_EQ(j["area"], 8000);
  EXPECT_DOUBLE_EQ(j["area_fraction"].get<double>(), 8000 / 1.3e6);
}

TEST(BandedResults, BoxesAndOutlinesLieWhereTheyAre) {
  const auto map = block_map(0.75F, 0.25F);
  const Image picture(kWidth, kHeight, 3);
  ResultOptions options;
  options.saves = {Save::json};
  for (const int rows : {kHeight, 100}) {  // one band of more than a megapixel, and ten of less
    const Json j = Json::parse(text_of(banded({"a.png", picture}, options, bands_of(map, rows))));
    expect_block(j);
    EXPECT_DOUBLE_EQ(j["mean_confidence"].get<double>(), 0.75);
    EXPECT_EQ(j["polygons"].size(), 1u);
    EXPECT_EQ(j["polygons"][0]["outer"], Json::parse("[[400,790],[400,870],[300,870],[300,790]]"));
    EXPECT_EQ(j["seconds"], 0.5);
    EXPECT_EQ(j["official"], false);
    EXPECT_EQ(j["threshold"], 0.5);
  }
}

TEST(BandedResults, AlphaIsTheMapsInEveryRow) {
  const auto map = block_map(0.75F, 0.25F);
  for (const int rows : {kHeight, 100}) {
    Image cutout(kWidth, kHeight, 4);
    std::fill(cutout.pixels.begin(), cutout.pixels.end(), std::uint8_t{255});
    ResultOptions options;
    options.saves = {Save::cutout};
    options.clean_edges = false;
    const auto png = banded({"a.png", cutout, &cutout}, options, bands_of(map, rows));
    const Image got = decode_image(png, {.mode = ColorMode::rgba});
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x)
        ASSERT_EQ(got.row(y)[4 * x + 3], is_in(kBlock, x, y) ? 191 : 64) << x << "," << y;  // 255 p, rounded
  }
}

TEST(BandedResults, OfClassesToo) {
  std::vector<std::uint8_t> ids(static_cast<std::size_t>(kWidth) * kHeight, 0);
  std::vector<float> confidence(ids.size(), 0.5F);
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      const auto at = static_cast<std::size_t>(y) * kWidth + static_cast<std::size_t>(x);
      if (is_in(kBlock, x, y)) ids[at] = 2;
      if (is_in(kBlock, x, y)) confidence[at] = 0.875F;
      if (y < 10) ids[at] = 1;
    }
  const SegmentationBand all{0, kHeight, kWidth, 3, {}, ids, confidence};
  ResultOptions options;
  options.saves = {Save::json};
  options.table = std::make_shared<const ClassTable>(default_class_table(3));
  options.shown = {2};
  const Image picture(kWidth, kHeight, 3);
  const Json j = Json::parse(text_of(banded({"a.png", picture, nullptr, 3}, options, {all})));
  ASSERT_EQ(j["classes"].size(), 1u);
  EXPECT_EQ(j["classes"][0]["id"], 2);
  expect_block(j["classes"][0]);
  EXPECT_DOUBLE_EQ(j["classes"][0]["mean_confidence"].get<double>(), 0.875);
  EXPECT_FALSE(j.contains("threshold"));  // which classes have none of

  options.saves = {Save::mask};
  const Image mask =
      decode_image(banded({"a.png", picture, nullptr, 3}, options, {all}), {.mode = ColorMode::gray});
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) ASSERT_EQ(mask.row(y)[x], is_in(kBlock, x, y) ? 255 : 0);

  options.shown = {0};  // the background, asked for by name
  const Image around =
      decode_image(banded({"a.png", picture, nullptr, 3}, options, {all}), {.mode = ColorMode::gray});
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) ASSERT_EQ(around.row(y)[x], y >= 10 && !is_in(kBlock, x, y) ? 255 : 0);
}

// Of classes a cut-out is whole where one of those shown is, and nothing elsewhere; parts of tiles have the
// confidence of the map's file here too.
TEST(BandedResults, CutOutsAndPartsOfClasses) {
  const std::vector<std::uint8_t> ids = {1, 2, 2, 0, 0, 0, 0, 1};
  const std::vector<float> confidence = {0.5F, 0.75F, 0.625F, 0.5F, 0.5F, 0.5F, 0.5F, 0.627F};
  const SegmentationBand upper{0, 1, 4, 3, {}, std::span(ids).first(4), std::span(confidence).first(4)},
      lower{1, 1, 4, 3, {}, std::span(ids).subspan(4), std::span(confidence).subspan(4)};
  ResultOptions options;
  options.table = std::make_shared<const ClassTable>(default_class_table(3));
  options.shown = {2};
  options.saves = {Save::cutout};
  options.clean_edges = false;
  Image cutout(4, 2, 4);
  std::fill(cutout.pixels.begin(), cutout.pixels.end(), std::uint8_t{255});
  const Image got =
      decode_image(banded({"a.png", cutout, &cutout, 3}, options, {upper, lower}), {.mode = ColorMode::rgba});
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(got.pixels[4 * i + 3], ids[i] == 2 ? 255 : 0) << i;

  options.saves = {Save::json};
  options.shown = {1, 2};
  options.instances = true;
  const Image picture(4, 2, 3);
  const auto parts = [&](PartConfidence of) {
    const Json j = Json::parse(text_of(banded({"a.png", picture, nullptr, 3, of}, options, {upper, lower})));
    std::vector<double> out;
    for (const Json& c : j["classes"])
      for (const Json& part : c["instances"]) out.push_back(part["mean_confidence"].get<double>());
    return out;
  };
  const auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
    EXPECT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) EXPECT_NEAR(a[i], b[i], 1e-6) << i;
  };
  near(parts(PartConfidence::exact), {0.5, 0.627, 0.6875});
  // 127.5 is 128; 159.885 is 160; 191.25 and 159.375.
  near(parts(PartConfidence::of_8_bits), {128 / 255.0, 160 / 255.0, (191 + 159) / 510.0});
}

// Two blocks, one of them a pixel; by hand.
struct Small {
  Image picture = Image(6, 4, 3);
  Segmentation result;
  ResultOptions options;

  explicit Small(std::vector<float> map) {
    result.width = 6;
    result.height = 4;
    result.probabilities = std::move(map);
  }
  std::vector<std::byte> bytes(Save save) const {
    return encode_result({"a.png", picture, {}, result, 0.25}, options, save);
  }
  Json json() const { return Json::parse(text_of(bytes(Save::json))); }
  Image gray(Save save) const { return decode_image(bytes(save), {.mode = ColorMode::gray}); }
};

std::vector<float> two_blocks() {
  std::vector<float> map(24, 0.25F);
  map[1] = map[2] = 0.75F;
  map[23] = 0.625F;
  return map;
}

TEST(EncodedResults, PartsOfTilesHaveTheConfidenceOfTheMapsFile) {
  Small s(two_blocks());
  s.options.instances = true;
  const Json exact = s.json();
  ASSERT_EQ(exact["instances"].size(), 2u);
  EXPECT_DOUBLE_EQ(exact["instances"][0]["mean_confidence"].get<double>(), 0.75);
  EXPECT_DOUBLE_EQ(exact["instances"][1]["mean_confidence"].get<double>(), 0.625);
  EXPECT_EQ(exact["instances"][1]["bounding_box"], (Json{{"x", 5}, {"y", 3}, {"width", 1}, {"height", 1}}));

  s.options.saves = {Save::json};
  const Json tiled = Json::parse(text_of(banded({"a.png", s.picture, nullptr, 1, PartConfidence::of_8_bits},
                                                s.options, {{0, 4, 6, 1, s.result.probabilities, {}, {}}})));
  EXPECT_NEAR(tiled["instances"][0]["mean_confidence"].get<double>(), 191 / 255.0, 1e-7);  // 191.25
  EXPECT_NEAR(tiled["instances"][1]["mean_confidence"].get<double>(), 159 / 255.0, 1e-7);  // 159.375
  EXPECT_DOUBLE_EQ(tiled["mean_confidence"].get<double>(), (0.75 + 0.75 + 0.625) / 3);     // exact as ever
}

// test.py:43 casts; a plain map is rounded.
TEST(EncodedResults, OfficialMapsAreTruncated) {
  Small s(std::vector<float>(24, 100.75F / 255.0F));
  EXPECT_EQ(s.gray(Save::map).pixels[0], 101);
  s.options.official = true;
  EXPECT_EQ(s.gray(Save::map).pixels[0], 100);
  EXPECT_EQ(s.json()["official"], true);
}

// Mask, measures and outlines agree on a pixel that is the threshold itself.
TEST(EncodedResults, APixelThatIsTheThresholdIsInEveryResult) {
  Small s(two_blocks());
  s.options.threshold = 0.625;
  const Image mask = s.gray(Save::mask);
  EXPECT_EQ(std::count(mask.pixels.begin(), mask.pixels.end(), 255), 3);
  const Json j = s.json();
  EXPECT_EQ(j["area"], 3);
  EXPECT_EQ(j["polygons"].size(), 2u);
  EXPECT_EQ(j["threshold"], 0.625);
}

// A staircase: within a pixel it is a line.
TEST(EncodedResults, OutlinesAreSimplifiedWhereAsked) {
  std::vector<float> map(24, 0.0F);
  for (std::size_t y = 0; y < 4; ++y)
    for (std::size_t x = 0; x <= y; ++x) map[6 * y + x] = 1.0F;
  Small s(std::move(map));
  s.options.instances = true;
  EXPECT_EQ(s.json()["polygons"][0]["outer"].size(), 10u);
  EXPECT_EQ(s.json()["instances"][0]["polygons"][0]["outer"].size(), 10u);
  s.options.simplify = 1.0;
  EXPECT_LT(s.json()["polygons"][0]["outer"].size(), 7u);
  EXPECT_LT(s.json()["instances"][0]["polygons"][0]["outer"].size(), 7u);
}

TEST(EncodedResults, WhatACutOutNeedsIsDecoded) {
  ResultOptions options;
  options.saves = {Save::map, Save::json};
  EXPECT_EQ(decode_options(options).mode, ColorMode::rgb);
  EXPECT_FALSE(decode_options(options).keep_color_profile);
  EXPECT_TRUE(decode_options(options).apply_exif_orientation);
  options.saves.push_back(Save::cutout);
  options.official = true;
  EXPECT_EQ(decode_options(options).mode, ColorMode::rgba);
  EXPECT_TRUE(decode_options(options).keep_color_profile);
  EXPECT_FALSE(decode_options(options).apply_exif_orientation);
}

TEST(EncodedResults, CutOutsKeepTheProfileAndCleanEdgesAreAChoice) {
  Small s(std::vector<float>(24, 0.5F));
  for (std::size_t i = 0; i < s.picture.pixels.size(); ++i)
    s.picture.pixels[i] = static_cast<std::uint8_t>(i * 37);
  const std::vector<std::byte> profile = test::rgb_profile();
  for (const bool clean : {false, true}) {
    s.options.clean_edges = clean;
    const auto png = encode_result({"a.png", s.picture, profile, s.result, 0.0}, s.options, Save::cutout);
    ImageInfo info;
    const Image got =
        decode_image(png, {.mode = ColorMode::rgba, .keep_color_profile = true}, "cut-out", &info);
    EXPECT_EQ(info.color_profile, profile);
    EXPECT_EQ(got.pixels, cut_out(s.picture, s.result.to_gray(), {.clean_edges = clean}).pixels);
    EXPECT_EQ(convert_color(got, ColorMode::rgb).pixels == s.picture.pixels, !clean);
  }
}

// One line, its members in this order; 2 pixels of 0.75 and one of 0.625 among 24.
TEST(EncodedResults, TheJsonOfOneForegroundWordForWord) {
  Small s(two_blocks());
  s.options.instances = true;
  const auto bytes = encode_result({"a.png", s.picture, {}, s.result, 1.23456789}, s.options, Save::json);
  EXPECT_EQ(text_of(bytes),
            R"({"input":"a.png","width":6,"height":4,"official":false,"threshold":0.5,)"
            R"("bounding_box":{"x":1,"y":0,"width":5,"height":4},"area":3,"area_fraction":0.125,)"
            R"("mean_confidence":0.7083333333333334,)"
            R"("polygons":[{"outer":[[3,0],[3,1],[1,1],[1,0]],"holes":[]},)"
            R"({"outer":[[6,3],[6,4],[5,4],[5,3]],"holes":[]}],)"
            R"("instances":[{"bounding_box":{"x":1,"y":0,"width":2,"height":1},"area":2,)"
            R"("area_fraction":0.08333333333333333,"mean_confidence":0.75,)"
            R"("polygons":[{"outer":[[3,0],[3,1],[1,1],[1,0]],"holes":[]}]},)"
            R"({"bounding_box":{"x":5,"y":3,"width":1,"height":1},"area":1,)"
            R"("area_fraction":0.041666666666666664,"mean_confidence":0.625,)"
            R"("polygons":[{"outer":[[6,3],[6,4],[5,4],[5,3]],"holes":[]}]}],)"
            R"("seconds":1.2346})"
            "\n");
}

TEST(EncodedResults, NothingFoundHasNoBox) {
  Small s(std::vector<float>(24, 0.25F));
  s.options.instances = true;
  EXPECT_EQ(
      text_of(s.bytes(Save::json)),
      R"({"input":"a.png","width":6,"height":4,"official":false,"threshold":0.5,"bounding_box":null,)"
      R"("area":0,"area_fraction":0.0,"mean_confidence":0.0,"polygons":[],"instances":[],"seconds":0.25})"
      "\n");
}

// Two holes in one part: a row of seven pixels by three, the second and the fifth of the middle row out.
TEST(EncodedResults, HolesAreRingsOfTheirOwn) {
  Segmentation r;
  r.width = 7;
  r.height = 3;
  r.probabilities.assign(21, 1.0F);
  r.probabilities[8] = r.probabilities[11] = 0.0F;
  const Image picture(7, 3, 3);
  const Json j = Json::parse(text_of(encode_result({"a.png", picture, {}, r, 0.0}, {}, Save::json)));
  ASSERT_EQ(j["polygons"].size(), 1u);
  EXPECT_EQ(j["polygons"][0]["outer"], Json::parse("[[7,0],[7,3],[0,3],[0,0]]"));
  std::vector<Json> corners;
  for (const Json& hole : j["polygons"][0]["holes"]) {
    std::vector<Json> sorted(hole.begin(), hole.end());
    std::sort(sorted.begin(), sorted.end());
    corners.emplace_back(sorted);
  }
  std::sort(corners.begin(), corners.end());
  EXPECT_EQ(Json(corners), Json::parse("[[[1,1],[1,2],[2,1],[2,2]],[[4,1],[4,2],[5,1],[5,2]]]"));
}

// A path need not be UTF-8, but JSON must be.
TEST(EncodedResults, NamesThatAreNotTextAreStillJson) {
  Small s(two_blocks());
  const auto bytes = encode_result({"a\xFF\"b.png", s.picture, {}, s.result, 0.0}, s.options, Save::json);
  EXPECT_EQ(Json::parse(text_of(bytes))["input"], "a\xEF\xBF\xBD\"b.png");
}

// More corners than are kept at a time (262,144 bytes of text): none is lost or told twice.
TEST(BandedResults, TheTextOfManyPartsIsWhole) {
  std::vector<float> map(static_cast<std::size_t>(kWidth) * kHeight, 0.0F);
  for (int y = 0; y < kHeight; y += 10)
    for (int x = 0; x < kWidth; x += 10) map[static_cast<std::size_t>(y * kWidth + x)] = 1.0F;
  const Image picture(kWidth, kHeight, 3);
  ResultOptions options;
  options.saves = {Save::json};
  const std::string text = text_of(banded({"a.png", picture}, options, bands_of(map, 100)));
  EXPECT_GT(text.size(), std::size_t{1} << 18);
  const Json j = Json::parse(text);
  ASSERT_EQ(j["polygons"].size(), 13'000u);
  EXPECT_EQ(j["polygons"][131]["outer"], Json::parse("[[11,10],[11,11],[10,11],[10,10]]"));
  EXPECT_EQ(text.back(), '\n');
}

TEST(EncodedResults, TheOverlayIsThatOfTheMaskAtItsThreshold) {
  Small s(two_blocks());
  s.options.threshold = 0.7;
  std::fill(s.picture.pixels.begin(), s.picture.pixels.end(), std::uint8_t{128});
  Image mask(6, 4, 1);
  mask.pixels[1] = mask.pixels[2] = 255;
  EXPECT_EQ(s.gray(Save::mask).pixels, mask.pixels);
  EXPECT_EQ(decode_image(s.bytes(Save::overlay), {.mode = ColorMode::rgb}).pixels,
            draw_overlay(s.picture, mask).pixels);
}

// Two classes beside the background: road along the top row, of which a car takes two pixels.
struct SmallClasses {
  Image picture = Image(4, 2, 3);
  Segmentation result;
  ResultOptions options;

  SmallClasses() {
    result.width = 4;
    result.height = 2;
    result.channels = 3;
    result.ids = {1, 2, 2, 1, 0, 0, 0, 0};
    result.confidence = {0.5F, 0.75F, 0.75F, 1.0F, 0.5F, 0.5F, 0.5F, 0.5F};
    options.table = std::make_shared<const ClassTable>(
        parse_class_table("[[class]]\nid = 1\nname = \"road\"\ncolor = \"#102030\"\n"
                          "[[class]]\nid = 2\nname = \"car\"\ncolor = \"#405060\"\n"));
    options.shown = {2, 1};
    std::fill(picture.pixels.begin(), picture.pixels.end(), std::uint8_t{200});
  }
  std::vector<std::byte> bytes(Save save) const {
    return encode_result({"b.png", picture, {}, result, 0.0}, options, save);
  }
};

TEST(EncodedResults, TheJsonOfClassesWordForWord) {
  SmallClasses s;
  s.options.instances = true;
  EXPECT_EQ(text_of(s.bytes(Save::json)),
            R"({"input":"b.png","width":4,"height":2,"classes":[)"
            R"({"id":2,"name":"car","bounding_box":{"x":1,"y":0,"width":2,"height":1},"area":2,)"
            R"("area_fraction":0.25,"mean_confidence":0.75,)"
            R"("polygons":[{"outer":[[3,0],[3,1],[1,1],[1,0]],"holes":[]}],)"
            R"("instances":[{"bounding_box":{"x":1,"y":0,"width":2,"height":1},"area":2,)"
            R"("area_fraction":0.25,"mean_confidence":0.75,)"
            R"("polygons":[{"outer":[[3,0],[3,1],[1,1],[1,0]],"holes":[]}]}]},)"
            R"({"id":1,"name":"road","bounding_box":{"x":0,"y":0,"width":4,"height":1},"area":2,)"
            R"("area_fraction":0.25,"mean_confidence":0.75,)"
            R"("polygons":[{"outer":[[1,0],[1,1],[0,1],[0,0]],"holes":[]},)"
            R"({"outer":[[4,0],[4,1],[3,1],[3,0]],"holes":[]}],)"
            R"("instances":[{"bounding_box":{"x":0,"y":0,"width":1,"height":1},"area":1,)"
            R"("area_fraction":0.125,"mean_confidence":0.5,)"
            R"("polygons":[{"outer":[[1,0],[1,1],[0,1],[0,0]],"holes":[]}]},)"
            R"({"bounding_box":{"x":3,"y":0,"width":1,"height":1},"area":1,)"
            R"("area_fraction":0.125,"mean_confidence":1.0,)"
            R"("polygons":[{"outer":[[4,0],[4,1],[3,1],[3,0]],"holes":[]}]}]}],"seconds":0.0})"
            "\n");
}

TEST(EncodedResults, PicturesOfClasses) {
  SmallClasses s;
  const auto decoded = [&](Save save, ColorMode mode) {
    return decode_image(s.bytes(save), {.mode = mode}).pixels;
  };
  const Image colors = decode_image(s.bytes(Save::map), {.mode = ColorMode::rgb});  // the ids, by a palette
  const auto rgb = [&](int x) {
    const auto* p = colors.row(0) + 3 * x;
    return std::vector<int>{p[0], p[1], p[2]};
  };
  EXPECT_EQ(rgb(0), (std::vector<int>{0x10, 0x20, 0x30}));
  EXPECT_EQ(rgb(1), (std::vector<int>{0x40, 0x50, 0x60}));

  Image ids(4, 2, 1);
  ids.pixels = s.result.ids;
  EXPECT_EQ(decoded(Save::overlay, ColorMode::rgb),
            draw_class_overlay(s.picture, ids, *s.options.table, s.options.shown).pixels);
  s.options.shown = {1};
  EXPECT_EQ(decoded(Save::mask, ColorMode::gray), (std::vector<std::uint8_t>{255, 0, 0, 255, 0, 0, 0, 0}));
  EXPECT_EQ(decoded(Save::overlay, ColorMode::rgb),
            draw_class_overlay(s.picture, ids, *s.options.table, s.options.shown).pixels);
  const auto cutout = decode_image(s.bytes(Save::cutout), {.mode = ColorMode::rgba});
  for (int x = 0; x < 4; ++x) EXPECT_EQ(cutout.row(0)[4 * x + 3], x == 0 || x == 3 ? 255 : 0) << x;
}

// Half a step and less is nothing, a whole one all; no number is past its byte.
TEST(EncodedResults, MapsFromEndToEnd) {
  std::vector<float> map(24, 0.0F);
  map[1] = 1.0F;
  map[2] = 0.49F / 255.0F;
  map[3] = 0.51F / 255.0F;
  map[4] = 254.6F / 255.0F;
  Small s(std::move(map));
  const Image gray = s.gray(Save::map);
  EXPECT_EQ(std::vector<int>(gray.pixels.begin(), gray.pixels.begin() + 5),
            (std::vector<int>{0, 255, 0, 1, 255}));
  s.options.official = true;
  EXPECT_EQ(s.gray(Save::map).pixels[4], 254);
}

TEST(EncodedResults, KindsHaveNamesAndEndings) {
  const std::vector<std::vector<std::string>> want{{"map", ".png"},
                                                   {"mask", "_mask.png"},
                                                   {"overlay", "_overlay.png"},
                                                   {"cutout", "_cutout.png"},
                                                   {"json", ".json"}};
  ASSERT_EQ(kSaves.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(name_of(kSaves[i]), want[i][0]);
    EXPECT_EQ(ending_of(kSaves[i]), want[i][1]);
  }
}

TEST(EncodedResults, DefaultsAreThoseTheHelpNames) {
  const ResultOptions options;
  EXPECT_EQ(options.threshold, 0.5);
  EXPECT_EQ(options.simplify, 0.0);
  EXPECT_FALSE(options.official);
  EXPECT_TRUE(options.clean_edges);
  EXPECT_FALSE(options.instances);
}

TEST(EncodedResults, OfClassesNeedIds) {
  Small s(std::vector<float>(72, 0.0F));
  s.result.channels = 3;
  EXPECT_THROW((void)s.bytes(Save::mask), UsageError);
}

}  // namespace
}  // namespace sam2unet::results
