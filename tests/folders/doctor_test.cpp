// A sound data set, spoiled in each way that is looked for.
#include "sam2unet/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/duplicates.h"
#include "data/mask_check.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/pictures.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/turned_photo.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A scene of its own for each number: soft blobs of colour.
Image scene(int number, int width = 96, int height = 72) {
  Image m(width, height, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double u = static_cast<double>(x) / width, v = static_cast<double>(y) / height;
        const double wave = std::sin(9 * u + number * 1.7 + c) * std::cos(7 * v - number * 2.3) +
                            std::sin((5 + number % 7) * (u - v) + c);
        m.row(y)[3 * x + c] = static_cast<std::uint8_t>(std::lround(127.5 + 60 * wave));
      }
    }
  }
  return m;
}

Image mask(int width = 96, int height = 72, int low = 0, int high = 255) {
  Image m(width, height, 1);
  std::fill(m.pixels.begin(), m.pixels.end(), static_cast<std::uint8_t>(low));
  for (int y = height / 4; y < height / 2; ++y) {
    for (int x = width / 4; x < width / 2; ++x) m.row(y)[x] = static_cast<std::uint8_t>(high);
  }
  return m;
}

class DoctorTest : public testing::Test {
 protected:
  DoctorTest() {
    for (const char* folder : {"images", "masks", "test"}) std::filesystem::create_directories(dir / folder);
    for (int i = 0; i < 6; ++i) put(i, scene(i), mask());
  }
  static std::string name(int i) { return std::string(1, static_cast<char>('a' + i)) + ".png"; }
  void put(int i, const Image& picture, const Image& truth) {
    write_png(dir / "images" / name(i), picture);
    write_png(dir / "masks" / name(i), truth);
  }
  Diagnosis look(bool test = false) {
    DoctorOptions o;
    o.images = dir / "images";
    o.masks = dir / "masks";
    if (test) o.test_images = dir / "test";
    return diagnose(o);
  }
  /// The only finding there is.
  Finding only(bool test = false) {
    const Diagnosis d = look(test);
    EXPECT_THAT(d.findings, SizeIs(1)) << to_json(d);
    if (d.findings.empty()) return {};
    EXPECT_FALSE(d.findings[0].remedy.empty());
    EXPECT_FALSE(d.clean());
    return d.findings[0];
  }
  test::TempDir dir;
};

TEST_F(DoctorTest, ASoundDataSetIsClean) {
  const Diagnosis d = look();
  EXPECT_TRUE(d.clean()) << to_json(d);
  EXPECT_EQ(d.images, 6u);
  EXPECT_EQ(d.pairs, 6u);
}

TEST_F(DoctorTest, SoftEdgesAreSound) {
  Image soft = mask();
  for (int y = 17; y < 37; ++y) {
    for (int x = 23; x < 49; ++x) {
      const bool edge = y == 17 || y == 36 || x == 23 || x == 48;
      if (edge) soft.row(y)[x] = static_cast<std::uint8_t>(40 + 3 * x + y);
    }
  }
  put(2, scene(2), soft);
  EXPECT_TRUE(look().clean()) << to_json(look());
  // JPEG's own levels cannot be told from soft edges: such a mask is never taken for sound.
  ImageInfo info;
  info.format = ImageFormat::png;
  EXPECT_EQ(data::check_mask(soft, info).kind, data::MaskKind::good);
  info.format = ImageFormat::jpeg;
  EXPECT_EQ(data::check_mask(soft, info).kind, data::MaskKind::jpeg_noise);
}

// Masks of 0 and 1, or dim ones: the share is of what is brighter than half of the brightest.
TEST_F(DoctorTest, ForegroundIsToldByTheBrightestLevel) {
  for (const std::uint8_t level : {1, 2, 100, 255}) {
    Image m(10, 10, 1);
    std::fill_n(m.row(0), 30, level);
    EXPECT_DOUBLE_EQ(data::check_mask(m, {}).foreground, 0.3) << int{level};
  }
  Image soft(10, 10, 1);
  std::fill_n(soft.row(0), 10, std::uint8_t{100});
  std::fill_n(soft.row(1), 10, std::uint8_t{50});
  std::fill_n(soft.row(2), 10, std::uint8_t{51});
  EXPECT_DOUBLE_EQ(data::check_mask(soft, {}).foreground, 0.2);
}

TEST_F(DoctorTest, UnpairedFiles) {
  std::filesystem::remove(dir / "masks" / "c.png");
  EXPECT_EQ(only().kind, "unpaired-image");
  EXPECT_THAT(only().files, ElementsAre(dir / "images" / "c.png"));
  std::filesystem::remove(dir / "images" / "c.png");
  std::filesystem::remove(dir / "images" / "d.png");
  EXPECT_EQ(only().kind, "unpaired-mask");
  EXPECT_THAT(only().files, ElementsAre(dir / "masks" / "d.png"));
}

// What has no partner may be spoiled too.
TEST_F(DoctorTest, UnpairedFilesAreLookedAt) {
  std::ofstream(dir / "images" / "b.png") << "no picture";
  std::filesystem::remove(dir / "masks" / "b.png");
  write_png(dir / "masks" / "c.png", mask(96, 72, 0, 0));
  std::filesystem::remove(dir / "images" / "c.png");
  std::map<std::string, std::vector<std::filesystem::path>> found;
  for (const Finding& f : look().findings) found[f.kind] = f.files;
  EXPECT_THAT(found, SizeIs(4));
  EXPECT_THAT(found["unpaired-image"], ElementsAre(dir / "images" / "b.png"));
  EXPECT_THAT(found["unpaired-mask"], ElementsAre(dir / "masks" / "c.png"));
  EXPECT_THAT(found["unreadable"], ElementsAre(dir / "images" / "b.png"));
  EXPECT_THAT(found["empty-mask"], ElementsAre(dir / "masks" / "c.png"));
}

TEST_F(DoctorTest, OtherSize) {
  put(1, scene(1), mask(95, 72));
  const Finding f = only();
  EXPECT_EQ(f.kind, "size-mismatch");
  EXPECT_THAT(f.message, HasSubstr("b.png is 96x72, its mask 95x72"));
}

TEST_F(DoctorTest, MasksOfZeroAndOne) {
  put(0, scene(0), mask(96, 72, 0, 1));
  put(3, scene(3), mask(96, 72, 0, 1));
  const Finding f = only();
  EXPECT_EQ(f.kind, "zero-one-mask");
  EXPECT_THAT(f.files, ElementsAre(dir / "masks" / "a.png", dir / "masks" / "d.png"));
}

TEST_F(DoctorTest, MasksTooDimToCount) {
  put(0, scene(0), mask(96, 72, 0, 128));
  EXPECT_EQ(only().kind, "dim-mask");
  put(0, scene(0), mask(96, 72, 0, 129));
  EXPECT_TRUE(look().clean());
}

TEST_F(DoctorTest, MasksWithCompressionNoise) {
  Image noisy = mask();
  const Image noise = test::picture(96, 72, 1);
  for (std::size_t i = 0; i < noisy.pixels.size(); ++i) {
    const int n = noise.pixels[i] % 12;
    noisy.pixels[i] = static_cast<std::uint8_t>(noisy.pixels[i] == 0 ? n : 255 - n);
  }
  put(0, scene(0), noisy);
  EXPECT_EQ(only().kind, "jpeg-noise-mask");
}

TEST_F(DoctorTest, MasksInColour) {
  Image red(96, 72, 3);
  for (int x = 10; x < 50; ++x) red.row(20)[3 * x] = 255;
  put(0, scene(0), red);
  EXPECT_EQ(only().kind, "colour-mask");
}

TEST_F(DoctorTest, MasksOfClassNumbers) {
  Image classes = mask(96, 72, 0, 1);
  for (int x = 0; x < 30; ++x) classes.row(60)[x] = 17;
  put(0, scene(0), classes);
  EXPECT_EQ(only().kind, "class-id-mask");
  Image spread = mask(96, 72, 0, 255);
  for (int y = 50; y < 70; ++y) std::fill_n(spread.row(y), 40, std::uint8_t{127});
  put(0, scene(0), spread);
  EXPECT_EQ(only().kind, "class-id-mask");
}

TEST_F(DoctorTest, EmptyMasks) {
  put(4, scene(4), mask(96, 72, 0, 0));
  const Finding f = only();
  EXPECT_EQ(f.kind, "empty-mask");
  EXPECT_THAT(f.files, ElementsAre(dir / "masks" / "e.png"));
}

TEST_F(DoctorTest, InvertedMasks) {
  for (int i = 0; i < 5; ++i) put(i, scene(i), mask(96, 72, 255, 0));
  EXPECT_TRUE(look().clean());  // five of six: large objects are possible
  put(5, scene(5), mask(96, 72, 255, 0));
  EXPECT_EQ(only().kind, "inverted-masks");
  EXPECT_THAT(only().message, HasSubstr("6 of 6"));
}

TEST_F(DoctorTest, TurnedPictures) {
  std::filesystem::remove(dir / "images" / "a.png");
  std::filesystem::copy_file(test::repository_data() / "image" / "files" / "exif6.jpg",
                             dir / "images" / "a.jpg");
  const Image stored = read_image(dir / "images" / "a.jpg", {.apply_exif_orientation = false});
  // As people draw masks: on the picture as it is shown.
  write_png(dir / "masks" / "a.png", mask(stored.height, stored.width));
  EXPECT_EQ(only().kind, "exif-rotated");
  EXPECT_THAT(only().files, ElementsAre(dir / "images" / "a.jpg"));
}

TEST_F(DoctorTest, EveryTurnAndWhetherItSwapsTheSides) {
  std::filesystem::remove(dir / "images" / "a.png");
  const Image stored = read_image(test::repository_data() / "image" / "files" / "exif6.jpg",
                                  {.apply_exif_orientation = false});
  write_png(dir / "masks" / "a.png", mask(stored.height, stored.width));
  for (char turn = 1; turn <= 8; ++turn) {
    std::ofstream(dir / "images" / "a.jpg", std::ios::binary) << test::turned_photo(turn);
    std::vector<std::string> kinds, expected;
    for (const Finding& f : look().findings) kinds.push_back(f.kind);
    if (turn != 1) expected.emplace_back("exif-rotated");
    // The mask is as the picture is shown where that swaps its sides, else of another size.
    if (turn < 5) expected.emplace_back("size-mismatch");
    EXPECT_EQ(kinds, expected) << int{turn};
  }
}

TEST_F(DoctorTest, UnreadableFiles) {
  std::ofstream(dir / "images" / "b.png") << "no picture";
  std::ofstream(dir / "masks" / "c.png") << "";
  const Finding f = only();
  EXPECT_EQ(f.kind, "unreadable");
  EXPECT_THAT(f.files, SizeIs(2));
  EXPECT_THAT(f.message, HasSubstr("b.png"));
}

TEST_F(DoctorTest, TheSamePictureTwice) {
  // Smaller, and a little brighter.
  Image copy = resize_pillow(scene(1), 64, 48, ResizeFilter::bicubic);
  for (auto& v : copy.pixels) v = static_cast<std::uint8_t>(std::min(255, v + 3));
  put(6, copy, mask(64, 48));
  const Finding f = only();
  EXPECT_EQ(f.kind, "duplicate");
  EXPECT_THAT(f.groups, ElementsAre(ElementsAre(dir / "images" / "b.png", dir / "images" / "g.png")));
}

TEST_F(DoctorTest, TestPicturesAmongTheTrainingOnes) {
  write_png(dir / "test" / "x.png", scene(20));
  EXPECT_TRUE(look(true).clean()) << to_json(look(true));
  write_png(dir / "test" / "y.png", scene(3));
  const Finding f = only(true);
  EXPECT_EQ(f.kind, "train-test-duplicate");
  EXPECT_THAT(f.groups, ElementsAre(ElementsAre(dir / "images" / "d.png", dir / "test" / "y.png")));
  EXPECT_EQ(look(true).images, 8u);
}

TEST_F(DoctorTest, EverythingAtOnceIsAllNamed) {
  put(0, scene(0), mask(96, 72, 0, 1));
  put(1, scene(1), mask(50, 50));
  put(2, scene(3), mask(96, 72, 0, 0));
  std::ofstream(dir / "images" / "e.png") << "no picture";
  std::filesystem::remove(dir / "masks" / "f.png");
  std::set<std::string> kinds;
  for (const Finding& f : look().findings) kinds.insert(f.kind);
  EXPECT_EQ(kinds, (std::set<std::string>{"duplicate", "empty-mask", "size-mismatch", "unpaired-image",
                                          "unreadable", "zero-one-mask"}));
}

TEST_F(DoctorTest, Json) {
  put(0, scene(1), mask());
  const nlohmann::json j = nlohmann::json::parse(to_json(look()));
  EXPECT_EQ(j.at("clean"), false);
  EXPECT_EQ(j.at("pairs"), 6);
  EXPECT_EQ(j.at("findings").at(0).at("kind"), "duplicate");
  EXPECT_EQ(j.at("findings").at(0).at("groups").at(0).size(), 2u);
  EXPECT_TRUE(j.at("findings").at(0).contains("remedy"));
}

TEST_F(DoctorTest, SameForAnyNumberOfThreads) {
  put(0, scene(1), mask(96, 72, 0, 1));
  DoctorOptions o;
  o.images = dir / "images";
  o.masks = dir / "masks";
  o.threads = 1;
  const std::string one = to_json(diagnose(o));
  o.threads = 5;
  EXPECT_EQ(to_json(diagnose(o)), one);
  o.threads = -1;
  EXPECT_THROW(diagnose(o), UsageError);
}

TEST_F(DoctorTest, MasksInAlpha) {
  Image shape(96, 72, 4);
  for (int y = 10; y < 40; ++y) {
    for (int x = 10; x < 40; ++x) shape.row(y)[4 * x + 3] = 255;
  }
  put(1, scene(1), shape);
  const Finding f = only();
  EXPECT_EQ(f.kind, "alpha-mask");
  EXPECT_THAT(f.files, ElementsAre(dir / "masks" / "b.png"));
}

TEST_F(DoctorTest, DeepPicturesAndMasks) {
  std::filesystem::remove(dir / "images" / "a.png");
  std::filesystem::remove(dir / "masks" / "b.png");
  std::ofstream deep(dir / "images" / "a.pgm", std::ios::binary),
      truth(dir / "masks" / "b.pgm", std::ios::binary);
  deep << "P5 96 72 65535\n";
  truth << "P5 96 72 65535\n";
  for (int y = 0; y < 72; ++y) {
    for (int x = 0; x < 96; ++x) {
      deep << static_cast<char>(x) << static_cast<char>(y);
      const char v = y > 20 && y < 40 && x > 20 && x < 40 ? '\xFF' : '\0';
      truth << v << v;
    }
  }
  deep.close();
  truth.close();
  std::map<std::string, std::vector<std::filesystem::path>> found;
  for (const Finding& f : look().findings) found[f.kind] = f.files;
  EXPECT_THAT(found["deep-image"], ElementsAre(dir / "images" / "a.pgm"));
  EXPECT_THAT(found["deep-mask"], ElementsAre(dir / "masks" / "b.pgm"));
}

TEST_F(DoctorTest, FormatsThatAreNotRead) {
  std::ofstream(dir / "images" / "IMG_1.HEIC") << "x";
  const Finding f = only();
  EXPECT_EQ(f.kind, "format-not-read");
  EXPECT_THAT(f.files, ElementsAre(dir / "images" / "IMG_1.HEIC"));
}

// Each frame of a slow change is like the next, the last one not like the first.
TEST(Duplicates, AChainIsNotOneGroup) {
  std::vector<data::Fingerprint> prints;
  for (int i = 0; i <= 8; ++i) {
    Image frame = scene(1);
    for (auto& v : frame.pixels) v = static_cast<std::uint8_t>(std::min(255, v + 5 * i));
    prints.push_back(data::fingerprint(frame));
  }
  ASSERT_TRUE(data::alike(prints[0], prints[1]));
  ASSERT_FALSE(data::alike(prints[0], prints[8]));
  const auto groups = data::group_duplicates(prints);
  ASSERT_GE(groups.size(), 2u);
  for (const auto& group : groups) {
    for (const std::size_t i : group) EXPECT_TRUE(data::alike(prints[group[0]], prints[i]));
  }
}

TEST(Duplicates, AnotherShapeIsAnotherPicture) {
  const auto wide = data::fingerprint(scene(1, 120, 72)), high = data::fingerprint(scene(1, 72, 120));
  EXPECT_FALSE(data::alike(wide, high));
  EXPECT_TRUE(
      data::alike(wide, data::fingerprint(resize_pillow(scene(1, 120, 72), 60, 36, ResizeFilter::bicubic))));
}

// Sides that a rounding to whole pixels makes are the same shape, those of another cut are not: 96 x 72 is 4
// : 3, 96 x 70 within three percent of it, 96 x 69 not.
TEST(Duplicates, AShapeIsTheSameWithinThreePercent) {
  const auto whole = data::fingerprint(scene(1, 96, 72));
  const auto of_height = [](int height) {
    return data::fingerprint(resize_pillow(scene(1, 96, 72), 96, height, ResizeFilter::bicubic));
  };
  for (const int height : {70, 74}) EXPECT_TRUE(data::alike(whole, of_height(height))) << height;
  for (const int height : {69, 75}) EXPECT_FALSE(data::alike(whole, of_height(height))) << height;
}

TEST(Duplicates, DifferentScenesAreNotTheSame) {
  std::vector<data::Fingerprint> prints;
  for (int i = 0; i < 60; ++i) prints.push_back(data::fingerprint(scene(i)));
  EXPECT_THAT(data::group_duplicates(prints), IsEmpty());
  prints.push_back(prints[7]);
  prints.push_back(prints[7]);
  EXPECT_THAT(data::group_duplicates(prints), ElementsAre(ElementsAre(7, 60, 61)));
  EXPECT_THAT(data::group_duplicates({}), IsEmpty());
}

// The masks of Kvasir are JPEG; those of ECSSD are clean.
TEST(Doctor, KnownDataSets) {
  const auto shared = test::shared_data();
  if (!shared) GTEST_SKIP() << "needs the development data beside the checkout";
  const auto look = [&](const char* set) {
    DoctorOptions o;
    o.images = *shared / "data" / set / "images";
    o.masks = *shared / "data" / set / "masks";
    return diagnose(o);
  };
  EXPECT_TRUE(look("ecssd/test").clean());
  const Diagnosis kvasir = look("kvasir/test");
  ASSERT_THAT(kvasir.findings, SizeIs(1));
  EXPECT_EQ(kvasir.findings[0].kind, "jpeg-noise-mask");
  EXPECT_EQ(kvasir.findings[0].files.size(), 40u);
}

TEST_F(DoctorTest, TestPicturesAreLookedAtLikeTheOthers) {
  std::ofstream(dir / "test" / "x.png") << "no picture";
  EXPECT_EQ(only(true).kind, "unreadable");
  std::ofstream(dir / "test" / "x.jpg", std::ios::binary) << test::turned_photo(6);
  std::filesystem::remove(dir / "test" / "x.png");
  EXPECT_EQ(only(true).kind, "exif-rotated");
  EXPECT_THAT(only(true).files, ElementsAre(dir / "test" / "x.jpg"));
  EXPECT_EQ(look(true).pairs, 6u);
  std::ofstream(dir / "test" / "y.heic") << "x";
  EXPECT_EQ(look(true).findings.at(0).kind, "format-not-read");
}

// As the reference reads it, without the tag, a turned picture is another: upright it is the same.
TEST_F(DoctorTest, APictureTurnedByItsTagIsTheSamePicture) {
  std::ofstream(dir / "test" / "x.jpg", std::ios::binary) << test::turned_photo(6);
  const Image upright = read_image(dir / "test" / "x.jpg", {.apply_exif_orientation = true});
  put(6, upright, mask(upright.width, upright.height));
  std::vector<std::string> kinds;
  for (const Finding& f : look(true).findings) kinds.push_back(f.kind);
  EXPECT_THAT(kinds, ElementsAre("exif-rotated", "train-test-duplicate"));
}

TEST_F(DoctorTest, InvertedAreMostOfAtLeastThree) {
  // Of three and of two; half of the pixels is not most.
  for (int i = 3; i < 6; ++i) {
    std::filesystem::remove(dir / "images" / name(i));
    std::filesystem::remove(dir / "masks" / name(i));
  }
  for (int i = 0; i < 3; ++i) put(i, scene(i), mask(96, 72, 255, 0));
  EXPECT_EQ(only().kind, "inverted-masks");
  EXPECT_THAT(only().message, HasSubstr("in 3 of 3 masks"));
  Image half(96, 72, 1);
  std::fill_n(half.pixels.begin(), half.pixels.size() / 2, std::uint8_t{255});
  put(2, scene(2), half);
  EXPECT_TRUE(look().clean()) << to_json(look());
  std::filesystem::remove(dir / "images" / name(2));
  std::filesystem::remove(dir / "masks" / name(2));
  EXPECT_TRUE(look().clean()) << to_json(look());
}

// Nine of ten are enough.
TEST_F(DoctorTest, InvertedAreNineOfTen) {
  for (int i = 0; i < 10; ++i) put(i, scene(i), i < 9 ? mask(96, 72, 255, 0) : mask());
  EXPECT_EQ(only().kind, "inverted-masks");
  EXPECT_THAT(only().message, HasSubstr("in 9 of 10 masks"));
  EXPECT_THAT(only().files, SizeIs(9));
}

// What shows no foreground, or cannot be read, is none of the masks that this is told by.
TEST_F(DoctorTest, InvertedAreToldByMasksThatShowSomething) {
  Image shape(96, 72, 4);
  std::fill_n(shape.pixels.begin(), 4, std::uint8_t{0});
  shape.pixels[3] = 255;
  for (int i = 0; i < 3; ++i) put(i, scene(i), mask(96, 72, 255, 0));
  put(3, scene(3), mask(96, 72, 0, 0));
  put(4, scene(4), shape);
  std::ofstream(dir / "masks" / name(5)) << "no picture";
  std::map<std::string, std::string> found;
  for (const Finding& f : look().findings) found[f.kind] = f.message;
  EXPECT_THAT(found, SizeIs(4));
  EXPECT_THAT(found["inverted-masks"], HasSubstr("in 3 of 3 masks"));
  EXPECT_EQ(found.count("unreadable"), 1u);
  // Nor do they make two up to three.
  put(2, scene(2), mask(96, 72, 0, 0));
  for (const Finding& f : look().findings) EXPECT_NE(f.kind, "inverted-masks");
}

// One is told as one, and what is wrong first stands first.
TEST_F(DoctorTest, FilesAreCounted) {
  const auto messages = [&] {
    std::vector<std::string> out;
    for (const Finding& f : look().findings) out.push_back(f.message.substr(0, f.message.find(':')));
    return out;
  };
  std::filesystem::remove(dir / "masks" / name(0));
  std::filesystem::remove(dir / "images" / name(1));
  std::ofstream(dir / "images" / name(2)) << "no picture";
  put(3, scene(3), mask(50, 50));
  put(4, scene(4), mask(96, 72, 0, 0));
  EXPECT_THAT(messages(),
              ElementsAre("1 picture has no mask of the same name", "1 mask has no picture of the same name",
                          "1 file cannot be read",
                          "1 picture has another size than the mask (d.png is 96x72, its mask 50x50)",
                          "1 mask is empty"));
  put(6, scene(6), mask(50, 50));
  put(7, scene(7), mask(96, 72, 0, 0));
  put(8, scene(8), mask());
  put(9, scene(9), mask());
  std::filesystem::remove(dir / "masks" / name(8));
  std::filesystem::remove(dir / "images" / name(9));
  EXPECT_THAT(messages(),
              ElementsAre("2 pictures have no mask of the same name",
                          "2 masks have no picture of the same name", "1 file cannot be read",
                          "2 pictures have another size than the mask (d.png is 96x72, its mask 50x50)",
                          "2 masks are empty"));
}

TEST_F(DoctorTest, SubfoldersAndAffixes) {
  DoctorOptions o;
  o.images = dir / "set";
  o.masks = dir / "truth";
  for (const char* folder : {"set/one", "set/two", "truth/one", "truth/two", "more/deep"})
    std::filesystem::create_directories(dir / folder);
  for (const char* folder : {"one", "two"}) {
    write_png(dir / "set" / folder / "im_0.png", scene(folder[0]));
    write_png(dir / "truth" / folder / "0_gt.png", mask());
  }
  write_png(dir / "more" / "deep" / "x.png", scene(7));
  EXPECT_THROW(diagnose(o), PairingError);
  o.recursive = true;
  EXPECT_THROW(diagnose(o), PairingError);
  o.image_affix.prefix = "im_";
  EXPECT_THROW(diagnose(o), PairingError);
  o.mask_affix.suffix = "_gt";
  o.test_images = dir / "more";
  const Diagnosis d = diagnose(o);
  EXPECT_EQ(d.pairs, 2u);
  EXPECT_EQ(d.images, 3u);
}

TEST_F(DoctorTest, HowFarItIsCountsEveryFile) {
  DoctorOptions o;
  o.images = dir / "images";
  o.masks = dir / "masks";
  std::vector<std::size_t> seen;
  o.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 12u);
    seen.push_back(done);
  };
  diagnose(o);
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  o.progress = [](std::size_t, std::size_t) { throw std::runtime_error("enough"); };
  EXPECT_THROW(diagnose(o), std::runtime_error);
  o.progress = {};
  o.threads = 1024;
  EXPECT_TRUE(diagnose(o).clean());
  o.threads = 1025;
  EXPECT_THROW(diagnose(o), UsageError);
}

// 0 to 127 in one corner: what to multiply by follows from the brightest of them.
TEST_F(DoctorTest, DimMasksAreToldTheirFactor) {
  put(0, scene(0), mask(96, 72, 0, 102));
  put(1, scene(1), mask(96, 72, 0, 51));
  const Finding f = only();
  EXPECT_EQ(f.kind, "dim-mask");
  EXPECT_THAT(f.message, HasSubstr("2 masks have no level above 128 (the highest is 102)"));
  EXPECT_THAT(f.remedy, HasSubstr("multiply by 2.5."));
}

}  // namespace
}  // namespace sam2unet
