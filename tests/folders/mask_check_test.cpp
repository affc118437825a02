// What tells one kind of mask from another, at the very limits; and how alike two pictures must be.
#include "data/mask_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/class_check.h"
#include "data/duplicates.h"
#include "data/name_difference.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/doctor.h"
#include "sam2unet/listing.h"
#include "support/temp_dir.h"

namespace sam2unet::data {
namespace {

using testing::HasSubstr;

// 100 x 100: black on the left, white on the right, the edge between columns 49 and 50.
Image halves() {
  Image m(100, 100, 1);
  for (int y = 0; y < 100; ++y) std::fill_n(m.row(y) + 50, 50, std::uint8_t{255});
  return m;
}

// So many pixels of a level, row by row from the left edge on.
void put(Image& m, int first, int count, int level) {
  for (int i = first; i < first + count; ++i) m.row(i / 40)[i % 40] = static_cast<std::uint8_t>(level);
}

MaskKind kind(const Image& m, ImageFormat format = ImageFormat::png) {
  ImageInfo info;
  info.format = format;
  return check_mask(m, info).kind;
}

TEST(MaskCheck, LowNumbersAreClassesUpTo64) {
  for (const int highest : {64, 65}) {
    Image m(100, 100, 1);
    put(m, 0, 5, 32);
    put(m, 5, 5, highest);
    EXPECT_EQ(kind(m), highest == 64 ? MaskKind::class_ids : MaskKind::dim);
  }
  Image two(100, 100, 1);  // of two levels one is no class's number
  put(two, 0, 500, 2);
  EXPECT_EQ(kind(two), MaskKind::dim);
}

// Half a percent of the pixels; of levels that compression leaves, within 24 of the ends, two percent.
TEST(MaskCheck, AFlatLevelIsAClassFromAShareOn) {
  for (const auto& [level, least] : {std::pair(127, 50), {25, 50}, {230, 50}, {24, 200}, {231, 200}}) {
    Image m = halves();
    put(m, 0, least, level);
    EXPECT_EQ(kind(m), MaskKind::class_ids) << level;
    m = halves();
    put(m, 0, least - 1, level);
    EXPECT_EQ(kind(m), MaskKind::good) << level;
  }
}

// One pixel in a hundred may be of other levels.
TEST(MaskCheck, FlatLevelsCoverNearlyAll) {
  for (const int others : {100, 101}) {
    Image m = halves();
    put(m, 0, 400, 127);
    for (int i = 0; i < 4; ++i) put(m, 400 + 25 * i, i == 3 ? others - 75 : 25, 60 + i);
    EXPECT_EQ(kind(m), others == 100 ? MaskKind::class_ids : MaskKind::good) << others;
  }
}

// Of more than sixteen pixels and more than eight levels, with the format that leaves no doubt.
TEST(MaskCheck, AFewPixelsAndAFewLevelsAreNoNoise) {
  for (const int pixels : {16, 17}) {
    Image m = halves();
    for (int i = 0; i < pixels; ++i) put(m, i, 1, 40 + i);
    EXPECT_EQ(kind(m, ImageFormat::jpeg), pixels == 16 ? MaskKind::good : MaskKind::jpeg_noise);
  }
  for (const int between : {6, 7}) {  // beside 0 and 255
    Image m = halves();
    for (int i = 0; i < 35; ++i) put(m, i, 1, 40 + i % between);
    EXPECT_EQ(kind(m, ImageFormat::jpeg), between == 6 ? MaskKind::good : MaskKind::jpeg_noise);
  }
}

// Along the edge: more than 95 of a hundred within 24 levels of black are compression's.
TEST(MaskCheck, SoftEdgesHaveAllLevels) {
  for (const int near : {95, 96}) {
    Image m = halves();
    for (int y = 0; y < 100; ++y) m.row(y)[49] = static_cast<std::uint8_t>(y < near ? 1 + y % 24 : 60 + y);
    EXPECT_EQ(kind(m), near == 95 ? MaskKind::good : MaskKind::jpeg_noise) << near;
  }
}

// Of a hundred two may lie more than four pixels off the edge.
TEST(MaskCheck, SoftEdgesLieAtTheEdge) {
  for (const int far : {2, 3})
    for (const int column : {45, 46}) {
      Image m = halves();
      for (int y = 0; y < 100; ++y) m.row(y)[y < far ? column : 49] = static_cast<std::uint8_t>(40 + y % 20);
      EXPECT_EQ(kind(m), far == 3 && column == 45 ? MaskKind::jpeg_noise : MaskKind::good) << far << column;
    }
}

TEST(MaskCheck, ChannelsMayDifferByEight) {
  for (const int difference : {8, 9}) {
    const auto low = std::uint8_t{100}, high = static_cast<std::uint8_t>(100 + difference);
    for (const auto& rgb : std::vector<std::array<std::uint8_t, 3>>{
             {high, low, low}, {low, high, high}, {low, low, high}, {high, high, low}}) {
      Image m(10, 10, 3);
      for (int i = 0; i < 50; ++i) std::fill_n(m.pixels.begin() + 3 * i, 3, std::uint8_t{255});
      std::copy(rgb.begin(), rgb.end(), m.pixels.end() - 3);
      EXPECT_EQ(kind(m) == MaskKind::colour, difference == 9);
    }
  }
}

TEST(MaskCheck, AShapeInAlphaHasOneColour) {
  Image m(3, 2, 4);
  EXPECT_FALSE(is_shape_in_alpha(m));  // and no shape
  m.pixels[23] = 1;                    // the last pixel's alpha
  EXPECT_TRUE(is_shape_in_alpha(m));
  EXPECT_EQ(kind(m), MaskKind::alpha);
  for (const std::size_t other : {20U, 21U, 22U}) {
    Image colours = m;
    colours.pixels[other] = 1;
    EXPECT_FALSE(is_shape_in_alpha(colours)) << other;
  }
  EXPECT_FALSE(is_shape_in_alpha(Image(3, 2, 3)));
}

// Twelve of 256 comparisons of neighbours may differ, and less than eight levels on the mean.
TEST(Duplicates, MayDifferInTwelveBitsAndEightLevels) {
  Fingerprint a;
  a.width = a.height = 50;
  for (const int bits : {12, 13}) {
    Fingerprint b = a;
    for (int i = 0; i < bits; ++i) b.bits.at(static_cast<std::size_t>(i % 4)) |= std::uint64_t{1} << (5 * i);
    EXPECT_EQ(alike(a, b), bits == 12) << bits;
  }
  for (const int sum : {8 * 17 * 16 - 1, 8 * 17 * 16}) {
    Fingerprint b = a;
    for (int i = 0; i < sum; ++i) ++b.thumbnail.at(static_cast<std::size_t>(i % (17 * 16)));
    EXPECT_EQ(alike(a, b), sum < 8 * 17 * 16) << sum;
    EXPECT_EQ(alike(b, a), sum < 8 * 17 * 16) << sum;
  }
}

// 20 x 10 pixels, of which so many have ids that are no class, each so often.
bool looks_compressed(const std::vector<int>& unknown) {
  Image m(20, 10, 1);
  std::size_t at = 0;
  for (std::size_t k = 0; k < unknown.size(); ++k)
    for (int n = 0; n < unknown[k]; ++n) m.pixels[at++] = static_cast<std::uint8_t>(10 + k);
  ImageInfo info;
  info.format = ImageFormat::png;
  return check_class_mask(m, info, nullptr, default_class_table(3)).jpeg_made;
}

// Eight unknown ids or more, three quarters of which have less than a fiftieth of the pixels.
TEST(ClassCheck, ManyRareIdsAreCompressions) {
  EXPECT_TRUE(looks_compressed(std::vector<int>(8, 1)));
  EXPECT_FALSE(looks_compressed(std::vector<int>(7, 1)));
  EXPECT_TRUE(looks_compressed({3, 3, 3, 3, 3, 3, 4, 4}));
  EXPECT_FALSE(looks_compressed({3, 3, 3, 3, 3, 4, 4, 4}));
}

TEST(ClassCheck, FiveUnknownIdsAreNamedTheLowerFirst) {
  Image m(10, 1, 1);
  m.pixels = {9, 8, 7, 6, 5, 0, 0, 0, 0, 0};
  EXPECT_EQ(describe(to_class_mask(m, default_class_table(3)).unknown),
            "the ids 5 (1 pixel), 6 (1 pixel), 7 (1 pixel), 8 (1 pixel), 9 (1 pixel) are no classes");
  m.pixels[5] = 4;
  m.pixels[6] = 9;
  EXPECT_EQ(
      describe(to_class_mask(m, default_class_table(3)).unknown),
      "the ids 9 (2 pixels), 4 (1 pixel), 5 (1 pixel), 6 (1 pixel), 7 (1 pixel) and 1 more are no classes");
}

TEST(DoctorJson, HasEverything) {
  Diagnosis d;
  d.images = 7;
  d.pairs = 5;
  d.findings.push_back({"one", "what", "mend", {"a.png", "b\xFF.png"}, {}});
  d.findings.push_back({"two", "which", "look", {"c.png", "d.png"}, {{"c.png", "d.png"}}});
  d.census.classes = {{"background", 90, 2}, {"road", 4, 1}};
  d.census.ignored_pixels = 6;
  d.census.pixels = 100;
  EXPECT_EQ(nlohmann::json::parse(to_json(d)), nlohmann::json::parse(R"({
      "images": 7, "pairs": 5, "clean": false,
      "findings": [{"kind": "one", "message": "what", "remedy": "mend", "files": ["a.png", "b\ufffd.png"]},
                   {"kind": "two", "message": "which", "remedy": "look", "files": ["c.png", "d.png"],
                    "groups": [["c.png", "d.png"]]}],
      "classes": {"each": [{"id": 0, "name": "background", "pixels": 90, "masks": 2},
                           {"id": 1, "name": "road", "pixels": 4, "masks": 1}],
                  "ignored_pixels": 6, "pixels": 100}})"));
  EXPECT_EQ(to_json(Diagnosis{}),
            "{\n \"images\": 0,\n \"pairs\": 0,\n \"clean\": true,\n \"findings\": []\n}\n");
}

TEST(NameDifference, TellsWhatIsToBeDone) {
  const auto text = [](const std::set<std::string>& a, const std::set<std::string>& b) {
    return find_difference(a, b).text;
  };
  EXPECT_EQ(text({"x", "y"}, {"x_gt", "y_gt"}),
            "the second ones all end in \"_gt\": give that suffix, or rename them without it");
  EXPECT_EQ(text({"im_x", "im_y"}, {"x", "y"}),
            "the first ones all begin with \"im_\": give that prefix, or rename them without it");
  EXPECT_EQ(
      text({"im_1", "im_2"}, {"gt_1", "gt_2"}),
      "the first ones all begin with \"im_\", the second ones begin with \"gt_\": give both, or rename them "
      "without it");
  EXPECT_EQ(text({"1_a", "2_a"}, {"1_b", "2_b"}),
            "the first ones all end in \"_a\", the second ones end in \"_b\": give both, or rename them "
            "without it");
  EXPECT_EQ(text({"One"}, {"one"}),
            "they differ in upper and lower case, which is kept apart: rename one side");
  EXPECT_EQ(text({"a07"}, {"a7"}), "they differ in leading zeros: rename one side");
  // Half of the names are enough, less are not.
  EXPECT_THAT(text({"p", "q", "r", "s"}, {"p_gt", "q_gt", "u", "v"}), HasSubstr("\"_gt\""));
  EXPECT_THAT(text({"p", "q", "r", "s"}, {"p_gt", "t", "u", "v"}), HasSubstr("files pair by name"));
  // A zero within a number is none that leads.
  EXPECT_THAT(text({"a10"}, {"a1"}), testing::Not(HasSubstr("leading zeros")));
  EXPECT_THAT(text({"a100"}, {"a10"}), testing::Not(HasSubstr("leading zeros")));
  // In the same folder alone.
  EXPECT_THAT(text({"s/x", "s/y"}, {"s/x_gt", "s/y_gt"}), HasSubstr("\"_gt\""));
  EXPECT_THAT(text({"s/x", "s/y"}, {"t/x_gt", "t/y_gt"}), HasSubstr("files pair by name"));
}

TEST(Listing, EveryFormatThatIsNotReadIsNamed) {
  const test::TempDir dir;
  const std::vector<std::string> foreign{"heic", "heif", "hif", "avif", "jp2", "j2k", "j2c", "jpx", "jpf",
                                         "jxl",  "psd",  "psb", "dng",  "cr2", "cr3", "nef", "arw", "orf",
                                         "rw2",  "raf",  "tga", "exr",  "hdr", "ico", "svg", "dcm"};
  for (const std::string& extension : foreign) std::ofstream(dir / ("a." + extension)) << "x";
  for (const char* extension : {"txt", "json", "xml", "mat"})
    std::ofstream(dir / (std::string("a.") + extension)) << "x";
  EXPECT_EQ(list_pictures(dir.path()).not_read.size(), foreign.size());
  EXPECT_EQ(
      describe_not_read({"d/a.heic", "d/b.heic", "d/c.heic", "d/d.heic", "d/e.heic"}),
      "5 files of picture formats that are not read were left out: a.heic, b.heic, c.heic, d.heic, e.heic; "
      "convert them to JPEG or PNG");
  EXPECT_THAT(describe_not_read({"a.heic", "b.heic", "c.heic", "d.heic", "e.heic", "f.heic"}),
              HasSubstr("e.heic and 1 more; "));
}

// A sequence's pictures may lie two folders deeper.
TEST(Listing, SubfoldersAreLookedIntoForAHint) {
  const test::TempDir dir;
  for (const char* folder : {"one/a/b", "two/a/b/c"}) std::filesystem::create_directories(dir / folder);
  std::ofstream(dir / "one/a/b/x.png") << "x";
  std::ofstream(dir / "two/a/b/c/x.png") << "x";
  const PictureList list = list_pictures(dir.path());
  EXPECT_THAT(list.subfolders, testing::ElementsAre(dir / "one"));
  EXPECT_EQ(describe_empty("d", list), "no pictures in d itself, but 1 of its subfolders holds some: one");
  EXPECT_EQ(describe_empty("d", {}),
            "no pictures in d (looked for .jpg, .png, .webp, .tif, .bmp, .gif, .ppm and the like)");
}

}  // namespace
}  // namespace sam2unet::data
