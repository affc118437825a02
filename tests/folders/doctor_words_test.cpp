// What doctor says, word by word: of one file, of several, and what is to be done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/class_check.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/doctor.h"
#include "support/pictures.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/turned_photo.h"

namespace sam2unet {
namespace {

using Words = std::map<std::string, std::pair<std::string, std::string>>;  // message and remedy by kind

Image mask(int width, int height, int high = 255) {
  Image m(width, height, 1);
  for (int y = height / 4; y < height / 2; ++y)
    std::fill_n(m.row(y) + width / 4, width / 4, static_cast<std::uint8_t>(high));
  return m;
}

// A gray picture of 16 bits; where the mask is white all bits are set.
std::string deep(const Image& m) {
  std::string out = "P5 " + std::to_string(m.width) + " " + std::to_string(m.height) + " 65535\n";
  for (const std::uint8_t v : m.pixels) out += std::string(2, static_cast<char>(v));
  return out;
}

class DoctorWords : public testing::Test {
 protected:
  DoctorWords() {
    for (const char* folder : {"i", "m", "t"}) std::filesystem::create_directories(dir / folder);
    for (int n = 0; n < 4; ++n) put(mask(31, 30));
  }
  // Another picture each time, and its mask.
  std::string put(const Image& truth) {
    const std::string name = "p" + std::to_string(count_++);
    Image picture = test::picture(truth.width, truth.height + count_, 3);  // each size is another noise
    picture.height = truth.height;
    picture.pixels.resize(picture.pixels.size() -
                          std::size_t{3} * static_cast<std::size_t>(truth.width * count_));
    write_png(dir / "i" / (name + ".png"), picture);
    write_png(dir / "m" / (name + ".png"), truth);
    return name;
  }
  void put_bytes(const std::string& file, const std::string& bytes) const {
    std::ofstream(dir / file, std::ios::binary) << bytes;
  }
  Words said() const {
    Words out;
    for (const Finding& f :
         diagnose({.images = dir / "i", .masks = dir / "m", .test_images = dir / "t"}).findings)
      out[f.kind] = {f.message, f.remedy};
    return out;
  }
  test::TempDir dir;

 private:
  int count_ = 0;
};

TEST_F(DoctorWords, OfEveryKindOfTrouble) {
  const auto spoil = [&] {
    put(mask(33, 30, 1));
    put(mask(33, 30, 102));
    put(mask(33, 30, 0));
    Image classes = mask(33, 30, 1);
    std::fill_n(classes.row(20), 30, std::uint8_t{17});
    put(classes);
    Image red(33, 30, 3);
    for (int x = 10; x < 20; ++x) red.row(20)[3 * x] = 255;
    put(red);
    Image noisy = mask(33, 30);
    const Image noise = test::picture(33, 30, 1);
    for (std::size_t i = 0; i < noisy.pixels.size(); ++i)
      noisy.pixels[i] =
          static_cast<std::uint8_t>(noisy.pixels[i] == 0 ? noise.pixels[i] % 12 : 255 - noise.pixels[i] % 12);
    put(noisy);
    Image shape(33, 30, 4);
    for (int x = 5; x < 20; ++x) shape.row(20)[4 * x + 3] = 255;
    put(shape);
    const std::string deep_picture = put(mask(33, 30)), deep_mask = put(mask(33, 30));
    std::filesystem::remove(dir / "i" / (deep_picture + ".png"));
    put_bytes("i/" + deep_picture + ".pgm", deep(test::picture(33, 30, 1)));
    std::filesystem::remove(dir / "m" / (deep_mask + ".png"));
    put_bytes("m/" + deep_mask + ".pgm", deep(mask(33, 30)));
    put_bytes("i/" + deep_picture + ".heic", "x");
    const std::string turned = put(mask(6, 11));
    std::filesystem::remove(dir / "i" / (turned + ".png"));
    put_bytes("i/" + turned + ".jpg", test::turned_photo(6));
    const std::string of_test = put(mask(35, 30));
    std::filesystem::copy_file(dir / "i" / (of_test + ".png"), dir / "t" / (of_test + ".png"));
  };
  spoil();
  const std::string zero_one =
      "0 and 1 instead of 0 and 255: divided by 255 the foreground becomes 0.004, and evaluation sees none";
  const std::string dim =
      "no level above 128 (the highest is 102): evaluation counts what is above 128, so it sees no "
      "foreground";
  const std::string deep_image =
      "gray of 16 bits or floating point: levels are clipped to 0..255 as Pillow does, which makes most such "
      "pictures white, or black";
  const std::string deep_truth =
      "gray of 16 bits or floating point: readers bring them to 8 bits in different ways, and evaluation "
      "refuses "
      "them";
  const std::string exif =
      "stored turned, with an EXIF tag that says so: the reference ignores the tag, so picture and mask may "
      "lie "
      "across each other";
  const std::string empty =
      "empty: most measures are 0 there whatever is predicted, and training learns to predict nothing";
  const std::string ids =
      "numbers of classes (three or more flat levels) instead of foreground and background";
  const std::string colour =
      "in colour: read as gray, each colour becomes another level, and red or blue count as background";
  const std::string jpeg =
      "levels near 0 and 255 that lossy compression left: labels are noisy around every edge";
  const std::string alpha = "the shape in alpha alone, which is not read: seen is one colour all over";
  const std::string across =
      "alike in the training and the test pictures: if they are the same, results on the test pictures are "
      "too "
      "good";
  const std::string format = "of a picture format that is not read: HEIC, AVIF, JPEG 2000, raw or the like";
  Words want = {
      {"alpha-mask", {"1 mask keeps " + alpha, "Save the alpha channel as the mask, gray with 8 bits."}},
      {"class-id-mask",
       {"1 mask holds " + ids,
        "Choose the classes that are foreground, and write 255 for them and 0 for the others."}},
      {"colour-mask",
       {"1 mask is " + colour,
        "Turn the colour that means foreground into 255 and every other into 0, in one channel."}},
      {"deep-image",
       {"1 picture is " + deep_image,
        "Scale them to 8 bits, all by one range (a window of the modality, or their least and greatest "
        "level)."}},
      {"deep-mask", {"1 mask is " + deep_truth, "Save them with 8 bits, foreground as 255."}},
      {"dim-mask", {"1 mask has " + dim, "Set the foreground to 255, or multiply by 2.5."}},
      {"empty-mask",
       {"1 mask is " + empty,
        "Remove them if they are mistakes; evaluate by skip or one-if-correct if they are meant."}},
      {"exif-rotated",
       {"1 file is " + exif,
        "Turn the pixels and drop the tag (`mogrify -auto-orient`, `exiftran -a -i`), for pictures and masks "
        "alike."}},
      {"format-not-read", {"1 file is " + format, "Convert them to JPEG or PNG."}},
      {"jpeg-noise-mask",
       {"1 mask has " + jpeg, "Set what is above 127 to 255 and the rest to 0, and save as PNG."}},
      {"train-test-duplicate",
       {"1 picture is " + across, "Look at them, and remove the same ones from the training pictures."}},
      {"zero-one-mask", {"1 mask has " + zero_one, "Multiply the masks by 255."}}};
  EXPECT_EQ(said(), want);
  spoil();
  for (const auto& [kind, message] : Words{{"alpha-mask", {"2 masks keep ", alpha}},
                                           {"class-id-mask", {"2 masks hold ", ids}},
                                           {"colour-mask", {"2 masks are ", colour}},
                                           {"deep-image", {"2 pictures are ", deep_image}},
                                           {"deep-mask", {"2 masks are ", deep_truth}},
                                           {"dim-mask", {"2 masks have ", dim}},
                                           {"empty-mask", {"2 masks are ", empty}},
                                           {"exif-rotated", {"2 files are ", exif}},
                                           {"format-not-read", {"2 files are ", format}},
                                           {"jpeg-noise-mask", {"2 masks have ", jpeg}},
                                           {"train-test-duplicate", {"2 pictures are ", across}},
                                           {"zero-one-mask", {"2 masks have ", zero_one}}})
    want[kind].first = message.first + message.second;
  // The two deep pictures, and the two turned ones, are the same.
  want["duplicate"] = {
      "2 groups of pictures are alike: if they are the same, they count more than once",
      "Look at them: of the same ones keep one, and compare their masks, of which one is wrong "
      "where they differ."};
  EXPECT_EQ(said(), want);
}

TEST_F(DoctorWords, OfFilesThatDoNotBelongTogether) {
  const std::string a = put(mask(30, 20)), b = put(mask(30, 20)), c = put(mask(30, 20)),
                    d = put(mask(30, 20));
  std::filesystem::remove(dir / "i" / (a + ".png"));
  std::filesystem::remove(dir / "m" / (b + ".png"));
  write_png(dir / "m" / (c + ".png"), mask(29, 20));
  put_bytes("m/" + d + ".png", "x");
  const std::string missing = "; names pair without their extension, upper and lower case apart.";
  EXPECT_EQ(
      said(),
      (Words{{"unpaired-mask",
              {"1 mask has no picture of the same name",
               "Add the missing pictures, or remove the masks" + missing}},
             {"unpaired-image",
              {"1 picture has no mask of the same name",
               "Add the missing masks, or remove the pictures" + missing}},
             {"size-mismatch",
              {"1 picture has another size than the mask (" + c +
                   ".png is 30x20, its mask 29x20): they may not belong together",
               "Check that the pairs belong together; if they do, resize the masks to their pictures with "
               "nearest neighbour."}},
             {"unreadable",
              {"1 file cannot be read: cannot decode " + (dir / "m" / (d + ".png")).string() +
                   ": it is of an unknown format, not a JPEG, PNG, WebP, TIFF, BMP, PNM or GIF picture; "
                   "convert it to one of these",
               "Get the file again from its source, or remove it together with its partner."}}}));
}

// They spoil no training.
TEST_F(DoctorWords, OfTestPicturesThatAreAlike) {
  for (const char* name : {"x.png", "y.png"}) write_png(dir / "t" / name, test::picture(50, 40, 3));
  EXPECT_EQ(
      said(),
      (Words{{"duplicate",
              {"1 group of pictures are alike: if they are the same, they count more than once",
               "Look at them: of the same ones keep one, and compare their masks, of which one is wrong "
               "where they differ."}}}));
}

Words said_of(const std::vector<data::ClassMaskReport>& reports, int classes) {
  std::vector<data::CheckedClassMask> masks;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    masks.push_back({std::to_string(i) + ".png", reports[i]});
    masks.back().report.pixels.resize(static_cast<std::size_t>(classes));  // as readers make them: [K]
  }
  Words out;
  for (const Finding& f : data::class_findings(masks, default_class_table(classes)))
    out[f.kind] = {f.message, f.remedy};
  return out;
}

TEST(ClassWords, OfEveryKindOfTrouble) {
  data::ClassMaskReport good, unknown, colours, jpeg, binary, palette, ignored;
  for (data::ClassMaskReport* r : {&good, &unknown, &colours, &jpeg, &binary, &palette, &ignored})
    r->pixels = {90, 10, 0};
  unknown.unknown = {{.value = 7, .pixels = 2}};
  colours.unknown = {{.is_color = true, .color = {1, 2, 3}, .pixels = 1}};
  jpeg.unknown = {{.value = 8, .pixels = 3}};  // what compression invented, which is not told again
  jpeg.jpeg_made = binary.zero_255 = palette.other_palette = true;
  ignored.pixels = {0, 0, 0};
  ignored.ignored = 100;
  EXPECT_EQ(said_of({good}, 2), Words());
  Words want = {
      {"unknown-ids",
       {"in 1 mask the id 7 (2 pixels) is no class: training and evaluation refuse them",
        "Say in the class file what they stand for: a class of that id, or a line under [remap.ids]."}},
      {"unknown-colours",
       {"in 1 mask the colour #010203 (1 pixel) is no class: training and evaluation refuse them",
        "Say in the class file what they stand for: the colour of a class, or a line under [remap.colors]."}},
      {"jpeg-class-mask",
       {"1 mask went through lossy compression, which invents ids along every edge",
        "Get the masks as PNG from their source; rounding to the nearest id mends flat parts, not edges."}},
      {"palette-order",
       {"the palette of 1 mask has the classes' colours under other indices: palettes are read by index, so "
        "classes are exchanged",
        "Save them as RGB, which is read by colour, or with the palette in the order of the ids."}},
      {"all-ignored",
       {"1 mask has no pixel of any class: nothing is learned from their pictures",
        "Remove them with their pictures if that is not meant."}},
      {"class-never-occurs",
       {"no mask has a pixel of class 2 (class 2): it cannot be learned",
        "Check the ids of the class file against the masks', or leave the class out."}}};
  EXPECT_EQ(said_of({good, unknown, colours, jpeg, palette, ignored}, 3), want);
  want["unknown-ids"].first =
      "in 2 masks the id 7 (4 pixels) is no class: training and evaluation refuse them";
  want["unknown-colours"].first =
      "in 2 masks the colour #010203 (2 pixels) is no class: training and evaluation refuse them";
  want["jpeg-class-mask"].first =
      "2 masks went through lossy compression, which invents ids along every edge";
  want["palette-order"].first =
      "the palettes of 2 masks have the classes' colours under other indices: palettes are read by index, so "
      "classes are exchanged";
  want["all-ignored"].first = "2 masks have no pixel of any class: nothing is learned from their pictures";
  EXPECT_EQ(
      said_of({good, unknown, colours, jpeg, palette, ignored, unknown, colours, jpeg, palette, ignored}, 3),
      want);
  // Half of the masks, and most of the pixels.
  const Words some = said_of({binary, good, good}, 2), half = said_of({binary, good}, 2),
              two = said_of({binary, binary}, 2);
  EXPECT_FALSE(some.contains("zero-255-mask"));
  EXPECT_EQ(
      half.at("zero-255-mask"),
      std::pair(std::string("1 mask holds 0 and 255 alone: 255 is ignored, so they teach only background"),
                std::string("If 255 is a foreground, write its class's id instead, or set another `ignore` "
                            "and 255 under [remap.ids].")));
  EXPECT_EQ(two.at("zero-255-mask").first,
            "2 masks hold 0 and 255 alone: 255 is ignored, so they teach only background");
  binary.pixels = {0, 0, 0};  // 0 is ignored too: one trouble, told once
  EXPECT_FALSE(said_of({binary}, 2).contains("all-ignored"));
  EXPECT_EQ(said_of({good, ignored, ignored}, 2).at("mostly-ignored"),
            std::pair(std::string("66.7 % of all pixels are ignored"),
                      std::string("Check `ignore` and the remappings of the class file.")));
  EXPECT_FALSE(said_of({good, ignored}, 2).contains("mostly-ignored"));
  EXPECT_EQ(said_of({ignored}, 2).at("class-never-occurs").first,
            "no mask has a pixel of class 0 (background), 1 (class 1): it cannot be learned");
}

// TIFF is turned while it is read, so that nothing is left to be turned: its mask is as it is shown.
TEST_F(DoctorWords, OfATurnedTiffNothing) {
  const std::filesystem::path tiff = test::repository_data() / "image" / "files" / "exif5.tif";
  std::filesystem::copy_file(tiff, dir / "i" / "turned.tif");
  const Image shown = read_image(tiff);
  ASSERT_NE(shown.width, shown.height);
  write_png(dir / "m" / "turned.png", mask(shown.width, shown.height));
  EXPECT_EQ(said(), Words());
}

// All files of a finding, group by group, with the test pictures where they belong.
TEST_F(DoctorWords, GroupsOfPicturesThatAreAlike) {
  const auto copy = [&](const char* from, const char* to) {
    std::filesystem::copy_file(dir / from, dir / to);
  };
  copy("i/p0.png", "i/q0.png");
  copy("m/p0.png", "m/q0.png");
  copy("i/p1.png", "t/a1.png");
  copy("i/p1.png", "t/b1.png");
  copy("i/p2.png", "t/a2.png");
  std::map<std::string, Finding> found;
  for (const Finding& f :
       diagnose({.images = dir / "i", .masks = dir / "m", .test_images = dir / "t"}).findings)
    found[f.kind] = f;
  ASSERT_EQ(found.size(), 2U);
  const auto i = [&](const char* name) { return dir / "i" / name; };
  const auto t = [&](const char* name) { return dir / "t" / name; };
  using Files = std::vector<std::filesystem::path>;
  EXPECT_EQ(found["duplicate"].files, (Files{i("p0.png"), i("q0.png")}));
  EXPECT_EQ(found["duplicate"].groups, (std::vector<Files>{{i("p0.png"), i("q0.png")}}));
  EXPECT_EQ(found["train-test-duplicate"].files,
            (Files{i("p1.png"), t("a1.png"), t("b1.png"), i("p2.png"), t("a2.png")}));
  EXPECT_EQ(found["train-test-duplicate"].groups,
            (std::vector<Files>{{i("p1.png"), t("a1.png"), t("b1.png")}, {i("p2.png"), t("a2.png")}}));
  EXPECT_THAT(found["train-test-duplicate"].message, testing::StartsWith("2 pictures are alike in"));
}

}  // namespace
}  // namespace sam2unet
