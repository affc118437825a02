#include "data/pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PairingTest : public testing::Test {
 protected:
  void put(const std::string& name) {
    std::filesystem::create_directories((dir / name).parent_path());
    std::ofstream(dir / name) << "x";
  }
  std::string refusal() {
    return test::message_of([&] { pair_by_name(dir / "a", dir / "b"); });
  }
  test::TempDir dir;
};

TEST_F(PairingTest, PairsByStemAndNamesTheRest) {
  for (const char* name :
       {"a/1.jpg", "a/2.png", "a/x.tiff", "a/notes.txt", "a/.hidden.png", "b/1.png", "b/2.PNG", "b/3.bmp"})
    put(name);
  std::filesystem::create_directories(dir / "a" / "folder.png");
  const Pairing p = pair_by_name(dir / "a", dir / "b");
  ASSERT_EQ(p.pairs.size(), 2u);
  EXPECT_EQ(p.pairs[0].name, "1");
  EXPECT_EQ(p.pairs[0].first, dir / "a" / "1.jpg");
  EXPECT_EQ(p.pairs[1].second, dir / "b" / "2.PNG");
  EXPECT_THAT(p.first_alone, ElementsAre(dir / "a" / "x.tiff"));
  EXPECT_THAT(p.second_alone, ElementsAre(dir / "b" / "3.bmp"));
}

TEST_F(PairingTest, ADotInAStemBelongsToIt) {
  for (const char* name : {"a/p.1.jpg", "a/p.2.jpg", "b/p.1.png", "b/p.2.png"}) put(name);
  EXPECT_EQ(pair_by_name(dir / "a", dir / "b").pairs.size(), 2u);
}

TEST_F(PairingTest, SaysWhyNothingPairs) {
  put("a/One.jpg");
  put("b/one.png");
  EXPECT_THAT(refusal(), HasSubstr("upper and lower case"));
  std::filesystem::rename(dir / "b" / "one.png", dir / "b" / "One_mask.png");
  EXPECT_THAT(refusal(), HasSubstr("the second ones all end in \"_mask\""));
  std::filesystem::rename(dir / "b" / "One_mask.png", dir / "b" / "other.png");
  EXPECT_THAT(refusal(), HasSubstr("such as One.jpg"));
  EXPECT_THAT(refusal(), HasSubstr("check that the folders belong together"));
}

TEST_F(PairingTest, TwoFilesOfOneNameAreRefused) {
  for (const char* name : {"a/1.jpg", "a/1.png", "b/1.png"}) put(name);
  EXPECT_THAT(refusal(), HasSubstr("have one name"));
}

TEST_F(PairingTest, FoldersMustBeThereAndHoldPictures) {
  EXPECT_THAT(refusal(), HasSubstr("no such folder"));
  put("a/1.jpg");
  std::filesystem::create_directories(dir / "b");
  EXPECT_THAT(refusal(), HasSubstr("no pictures in"));
}

TEST_F(PairingTest, AnAffixIsFoundForNamesOfAnyLengthAndPairsThem) {
  for (int i = 1; i <= 12; ++i) {
    put("a/" + std::to_string(i) + ".jpg");
    put("b/" + std::to_string(i) + "_mask.png");
  }
  try {
    pair_by_name(dir / "a", dir / "b");
    FAIL();
  } catch (const PairingError& e) {
    EXPECT_THAT(e.what(), HasSubstr("the second ones all end in \"_mask\""));
    EXPECT_EQ(e.remedy(), PairingError::Remedy::affixes);
    EXPECT_TRUE(e.first().empty());
    EXPECT_EQ(e.second().suffix, "_mask");
  }
  const Pairing p = pair_by_name(dir / "a", {dir / "b", {.suffix = "_mask"}});
  EXPECT_EQ(p.pairs.size(), 12u);
  EXPECT_TRUE(p.first_alone.empty() && p.second_alone.empty());
  EXPECT_EQ(p.pairs[1].second, dir / "b" / "10_mask.png");
}

TEST_F(PairingTest, OtherDifferencesAreTold) {
  // "first prefix, first suffix, second prefix, second suffix"
  const auto affixes = [&] {
    try {
      pair_by_name(dir / "a", dir / "b");
    } catch (const PairingError& e) {
      return e.first().prefix + "," + e.first().suffix + "," + e.second().prefix + "," + e.second().suffix;
    }
    return std::string("nothing was thrown");
  };
  const auto refill = [&](const std::vector<std::string>& names) {
    std::filesystem::remove_all(dir / "a");
    std::filesystem::remove_all(dir / "b");
    for (const std::string& name : names) put(name);
  };
  refill({"a/x.jpg", "a/y.jpg", "b/gt_x.png", "b/gt_y.png"});
  EXPECT_EQ(affixes(), ",,gt_,");
  refill({"a/x_rgb.jpg", "a/y_rgb.jpg", "b/x.png", "b/y.png"});
  EXPECT_EQ(affixes(), ",_rgb,,");
  refill({"a/img_1.jpg", "a/img_2.jpg", "a/img_11.jpg", "b/mask_1.png", "b/mask_2.png", "b/mask_11.png"});
  EXPECT_EQ(affixes(), "img_,,mask_,");
  // DRIVE
  refill({"a/21_training.tif", "a/22_training.tif", "b/21_manual1.gif", "b/22_manual1.gif"});
  EXPECT_EQ(affixes(), ",_training,,_manual1");
  EXPECT_EQ(
      pair_by_name({dir / "a", {.suffix = "_training"}}, {dir / "b", {.suffix = "_manual1"}}).pairs.size(),
      2u);
  refill({"a/1.jpg", "a/2.jpg", "b/001.png", "b/002.png"});
  EXPECT_THAT(refusal(), HasSubstr("leading zeros"));
  // Most have the suffix, one picture has no mask.
  refill({"a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1_segmentation.png", "b/2_segmentation.png"});
  EXPECT_EQ(affixes(), ",,,_segmentation");
}

TEST_F(PairingTest, OneFolderOnBothSidesIsRefused) {
  for (const char* name : {"a/1.jpg", "a/1_gt.png", "a/2.jpg", "a/2_gt.png"}) put(name);
  const auto message = [&](const Side& first, const Side& second) {
    return test::message_of<PairingError>([&] { pair_by_name(first, second); });
  };
  EXPECT_THAT(message(dir / "a", dir / "a"), HasSubstr("both sides"));
  std::filesystem::create_directory_symlink(dir / "a", dir / "link");
  EXPECT_THAT(message(dir / "a", dir / "link"), HasSubstr("both sides"));
  EXPECT_THAT(message(dir / "a", dir / "a" / ".." / "a" / ""), HasSubstr("both sides"));
  EXPECT_THAT(message(dir / "a/*", dir / "a/*.png"), HasSubstr("share 2 files"));
  EXPECT_THAT(message({dir / "a/*_gt.png", {.suffix = "_gt"}}, dir / "a/*_gt.png"),
              HasSubstr("share 2 files"));
  put("c/1_gt.png");
  EXPECT_THAT(message({dir / "c", {.suffix = "_gt"}}, dir / "c"), HasSubstr("share 1 file"));
  // Said by suffix or pattern, each file is on one side.
  const Pairing by_suffix = pair_by_name(dir / "a", {dir / "a", {.suffix = "_gt"}});
  EXPECT_EQ(by_suffix.pairs.size(), 2u);
  EXPECT_TRUE(by_suffix.first_alone.empty() && by_suffix.second_alone.empty());
}

TEST_F(PairingTest, PatternsNameTheFilesOfEachSide) {
  for (const char* name : {"a/1.jpg", "a/1.png", "a/2.jpg", "a/2.png"}) put(name);
  EXPECT_EQ(pair_by_name(dir / "a/*.jpg", dir / "a/*.png").pairs.size(), 2u);
  EXPECT_EQ(pair_by_name(dir / "a", dir / "a/*.png").pairs.size(), 2u);
  for (const char* name : {"s/one/Imgs/0.jpg", "s/one/GT/0.png", "s/two/Imgs/0.jpg", "s/two/GT/0.png"})
    put(name);
  const Pairing p = pair_by_name(dir / "s/*/Imgs", dir / "s/*/GT/*.png");
  ASSERT_EQ(p.pairs.size(), 2u);
  EXPECT_EQ(p.pairs[1].name, "two/0");
  EXPECT_EQ(p.pairs[1].second, dir / "s/two/GT/0.png");
  EXPECT_THAT(test::message_of<FileError>([&] { pair_by_name(dir / "a/*.bmp", dir / "a"); }),
              HasSubstr("nothing matches"));
}

// As a shell's user writes them: the pattern's first part has the wildcard.
TEST_F(PairingTest, PatternsOfThisFolder) {
  for (const char* name : {"one/Imgs/0.jpg", "one/GT/0.png", "two/Imgs/0.jpg", "two/GT/0.png"}) put(name);
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  Pairing p;
  const std::string message = test::message_of(
      [&] { p = pair_by_name(std::filesystem::path("*/Imgs"), std::filesystem::path("*/GT")); });
  std::filesystem::current_path(here);
  EXPECT_EQ(message, "");
  ASSERT_EQ(p.pairs.size(), 2u);
  EXPECT_EQ(p.pairs[0].name, "one/0");
  EXPECT_EQ(p.pairs[1].name, "two/0");
}

// Either side may be told by what its names have.
TEST_F(PairingTest, AnAffixOfOneSideTakesItsFilesFromTheOther) {
  for (const char* name : {"a/1.jpg", "a/1_gt.png", "a/2.jpg", "a/2_gt.png"}) put(name);
  const Side narrow(dir / "a", {.suffix = "_gt"}), wide(dir / "a");
  const Pairing behind = pair_by_name(wide, narrow), before = pair_by_name(narrow, wide);
  ASSERT_EQ(behind.pairs.size(), 2u);
  ASSERT_EQ(before.pairs.size(), 2u);
  EXPECT_EQ(behind.pairs[1].first, dir / "a/2.jpg");
  EXPECT_EQ(before.pairs[1].first, dir / "a/2_gt.png");
  EXPECT_EQ(before.pairs[1].second, dir / "a/2.jpg");
  EXPECT_THAT(before.second_alone, ElementsAre());
}

// Our results beside a map are its own, whatever the other side has.
TEST_F(PairingTest, OurResultsAreNoStrangersOnEitherSide) {
  for (const char* name : {"a/1.png", "a/2.png", "a/2_mask.png", "b/1.png", "b/3.png", "b/3_overlay.png"})
    put(name);
  const Pairing p = pair_by_name(dir / "a", dir / "b");
  EXPECT_THAT(p.first_alone, ElementsAre(dir / "a/2.png"));
  EXPECT_THAT(p.second_alone, ElementsAre(dir / "b/3.png"));
}

TEST_F(PairingTest, AFolderPerSequence) {
  for (const char* name : {"a/one/0.jpg", "a/two/0.jpg", "b/one/0.png", "b/two/0.png", "b/two/1.png"})
    put(name);
  try {
    pair_by_name(dir / "a", dir / "b");
    FAIL();
  } catch (const PairingError& e) {
    EXPECT_THAT(e.what(), HasSubstr("2 of its subfolders hold some: one, two"));
    EXPECT_EQ(e.remedy(), PairingError::Remedy::recursive);
  }
  const Pairing p = pair_by_name(dir / "a", dir / "b", {.recursive = true});
  ASSERT_EQ(p.pairs.size(), 2u);
  EXPECT_EQ(p.pairs[0].name, "one/0");
  EXPECT_THAT(p.second_alone, ElementsAre(dir / "b/two/1.png"));
}

TEST_F(PairingTest, WhatIsNoPictureOfTheUsersIsPassedOver) {
  for (const char* name : {"a/1.jpg", "a/._1.jpg", "a/sub/__MACOSX/._1.jpg", "b/1.png", "b/._1.png",
                           "b/2.HEIC", "b/1_mask.png", "b/1_overlay.png", "b/1_cutout.png", "b/x_mask.png"})
    put(name);
  const Pairing p = pair_by_name(dir / "b", dir / "a", {.recursive = true});
  EXPECT_EQ(p.pairs.size(), 1u);
  EXPECT_THAT(p.first_alone, ElementsAre(dir / "b/x_mask.png"));  // ours stand beside their map
  EXPECT_THAT(p.second_alone, testing::IsEmpty());
  EXPECT_THAT(p.not_read, ElementsAre(dir / "b/2.HEIC"));
  const Pairing other = pair_by_name(dir / "a", dir / "b", {.recursive = true});
  EXPECT_EQ(other.pairs.size(), 1u);
  EXPECT_THAT(other.first_alone, testing::IsEmpty());
  EXPECT_THAT(other.second_alone, ElementsAre(dir / "b/x_mask.png"));
}

// "e with acute" composed, as most write it, and taken apart, as macOS does.
TEST_F(PairingTest, BothFormsOfUnicodePair) {
  put("a/caf\xC3\xA9.jpg");
  put("b/cafe\xCC\x81.png");
  put("a/broken\xFF.jpg");
  put("b/broken\xFF.png");
  EXPECT_EQ(pair_by_name(dir / "a", dir / "b").pairs.size(), 2u);
  put("c/caf\xC3\xA9_ma\xC3\x9F.png");
  EXPECT_EQ(pair_by_name(dir / "a", {dir / "c", {.suffix = "_ma\xC3\x9F"}}).pairs.size(), 1u);
}

// A name that is the suffix alone has nothing to pair by.
TEST_F(PairingTest, ASuffixAloneIsNoName) {
  put("a/x.jpg");
  put("c/x_mask.png");
  put("c/_mask.png");
  EXPECT_EQ(pair_by_name(dir / "a", {dir / "c", {.suffix = "_mask"}}).second_alone.size(), 0u);
}

TEST(Listing, LinkedFoldersAreFollowedOnce) {
  const test::TempDir dir;
  std::filesystem::create_directories(dir / "in/sub");
  std::filesystem::create_directories(dir / "elsewhere");
  for (const char* name : {"in/a.png", "in/sub/b.png", "elsewhere/c.png"}) std::ofstream(dir / name) << "x";
  std::filesystem::create_directory_symlink(dir / "elsewhere", dir / "in/link");
  std::filesystem::create_directory_symlink(dir / "elsewhere", dir / "in/link2");
  std::filesystem::create_directory_symlink(dir / "in", dir / "in/sub/circle");
  std::filesystem::create_symlink(dir / "nowhere.png", dir / "in/dangling.png");
  const PictureList list = list_pictures(dir / "in", Subfolders::search);
  std::vector<std::string> below;
  for (const ListedPicture& p : list.pictures) below.push_back(p.below.string());
  EXPECT_THAT(below, ElementsAre("a.png", "dangling.png", "link/c.png", "sub/b.png"));
}

TEST(Listing, FormatsThatAreNotReadAreNamed) {
  EXPECT_EQ(
      describe_not_read({"x/IMG_0001.HEIC"}),
      "1 file of a picture format that is not read was left out: IMG_0001.HEIC; convert it to JPEG or PNG");
  const test::TempDir dir;
  for (const char* name : {"a.heic", "b.AVIF", "c.jp2", "d.jxl", "notes.txt", "e.gif"})
    std::ofstream(dir / name);
  const PictureList list = list_pictures(dir.path());
  EXPECT_EQ(list.not_read.size(), 4u);
  EXPECT_EQ(list.pictures.size(), 1u);  // GIF is read
}

TEST(Unpaired, NamesAFewAndCountsTheRest) {
  EXPECT_EQ(describe_unpaired({"d/a.png"}, "e"), "1 file of d has no partner in e: a.png");
  EXPECT_EQ(describe_unpaired({"d/a.png", "d/b.png", "d/c.png"}, "e", 2),
            "3 files of d have no partner in e: a.png, b.png and 1 more");
}

TEST(Listing, SubfoldersHoldPicturesWhateverElseIsInThem) {
  const test::TempDir dir;
  for (const char* folder : {"in/one/GT", "in/two", "in/.hidden", "in/__MACOSX"})
    std::filesystem::create_directories(dir / folder);
  for (const char* name :
       {"in/one/GT/a.png", "in/two/notes.txt", "in/.hidden/b.png", "in/__MACOSX/c.png", "in/.d.png"})
    std::ofstream(dir / name) << "x";
  const PictureList here = list_pictures(dir / "in", Subfolders::skip);
  EXPECT_THAT(here.pictures, testing::IsEmpty());
  EXPECT_THAT(here.subfolders, ElementsAre(dir / "in/one"));
  const PictureList all = list_pictures(dir / "in", Subfolders::search);
  ASSERT_EQ(all.pictures.size(), 1u);
  EXPECT_EQ(all.pictures[0].file, dir / "in/one/GT/a.png");
  EXPECT_EQ(all.pictures[0].below, "one/GT/a.png");
}

TEST(Listing, PatternsWithBracesAndQuestionMarks) {
  const test::TempDir dir;
  for (const char* name : {"a1.png", "a2.jpg", "b1.png", "a10.png", ".a3.png"})
    std::ofstream(dir / name) << "x";
  const auto names = [&](const std::string& pattern) {
    std::vector<std::string> out;
    for (const ListedPicture& p : list_pictures(dir / pattern).pictures)
      out.push_back(p.file.filename().string());
    return out;
  };
  EXPECT_THAT(names("{a1,b*}.png"), ElementsAre("a1.png", "b1.png"));
  EXPECT_THAT(names("a?.*"), ElementsAre("a1.png", "a2.jpg"));
  EXPECT_THAT(names("a[12].png"), ElementsAre("a1.png"));
  std::ofstream(dir / "[a].png") << "x";  // a file of that name comes before the pattern
  EXPECT_FALSE(is_pattern(dir / "[a].png"));
  EXPECT_TRUE(is_pattern(dir / "[b].png"));
}

TEST_F(PairingTest, WhatIsNotReadOfOneFolderIsToldOnce) {
  for (const char* name : {"a/1.jpg", "a/1_gt.png", "a/x.heic"}) put(name);
  EXPECT_THAT(pair_by_name(dir / "a", {dir / "a", {.suffix = "_gt"}}).not_read,
              ElementsAre(dir / "a/x.heic"));
}

TEST_F(PairingTest, TwoFilesOfOneNameAreToldApartByPatterns) {
  for (const char* name : {"a/1.jpg", "a/1.png", "b/1.png"}) put(name);
  EXPECT_THAT(refusal(), HasSubstr("/a/1.jpg and 1.png have one name"));
  EXPECT_THAT(refusal(), HasSubstr("/a/*.jpg and " + (dir / "a/*.png").string() + ")"));
  try {
    pair_by_name(dir / "a", dir / "b");
  } catch (const PairingError& e) {
    EXPECT_EQ(e.remedy(), PairingError::Remedy::patterns);
  }
}

TEST_F(PairingTest, AnEmptySideTellsWhatItsNamesLack) {
  put("a/1.jpg");
  put("b/1.png");
  EXPECT_THAT(test::message_of<PairingError>([&] {
                pair_by_name({dir / "a", {.prefix = "im", .suffix = "_x"}}, dir / "b");
              }),
              HasSubstr("none of its 1 pictures has a name with \"im\" in front and \"_x\" behind"));
}

// What telephones write is said to be that, of whichever side, and no option would help.
TEST_F(PairingTest, ASideOfFormatsThatAreNotReadIsToldAsSuch) {
  put("a/1.heic");
  put("b/1.png");
  for (const bool is_first : {true, false}) {
    try {
      pair_by_name(dir / (is_first ? "a" : "b"), dir / (is_first ? "b" : "a"));
      FAIL();
    } catch (const PairingError& e) {
      EXPECT_EQ(e.what(),
                (dir / "a").string() +
                    ": 1 file of a picture format that is not read was left out: 1.heic; convert it "
                    "to JPEG or PNG");
      EXPECT_EQ(e.remedy(), PairingError::Remedy::none);
      EXPECT_TRUE(e.first().empty() && e.second().empty());
    }
  }
}

TEST(Listing, WhatAPatternMatchesTwiceIsListedOnce) {
  const test::TempDir dir;
  for (const char* name : {"a1.png", "a2.png", "b1.png"}) std::ofstream(dir / name) << "x";
  std::vector<std::string> names;
  for (const ListedPicture& p : list_pictures(dir / "{b1,a?,a1}.png").pictures)
    names.push_back(p.file.filename().string());
  EXPECT_THAT(names, ElementsAre("a1.png", "a2.png", "b1.png"));
}

// Folders and affixes are composed like names, whichever side takes them apart.
TEST_F(PairingTest, FoldersAndAffixesOfBothFormsOfUnicodePair) {
  put("a/caf\xC3\xA9/1.jpg");
  put("b/cafe\xCC\x81/1.png");
  EXPECT_EQ(pair_by_name(dir / "a", dir / "b", {.recursive = true}).pairs.size(), 1u);
  put("c/1.jpg");
  put("d/\xC3\xA9_1_\xC3\xA9.png");
  const Side apart(dir / "d", {.prefix = "e\xCC\x81_", .suffix = "_e\xCC\x81"});
  const Pairing p = pair_by_name(dir / "c", apart);
  ASSERT_EQ(p.pairs.size(), 1u);
  EXPECT_EQ(p.pairs[0].name, "1");
}

// A prefix and a suffix may not share letters of a name.
TEST_F(PairingTest, AnAffixLeavesSomethingOfAName) {
  put("a/1.jpg");
  put("c/_1_.png");
  put("c/__.png");
  put("c/_.png");
  const Named named = pictures_by_name({dir / "c", {.prefix = "_", .suffix = "_"}});
  ASSERT_EQ(named.pictures.size(), 1u);
  EXPECT_EQ(named.pictures.begin()->first, "1");
  EXPECT_EQ(named.pictures.begin()->second.file, dir / "c/_1_.png");
  EXPECT_EQ(named.pictures.begin()->second.below, "_1_.png");
}

TEST_F(PairingTest, WhatIsNotReadIsToldOfBothSides) {
  for (const char* name : {"a/1.jpg", "a/y.heic", "b/1.png", "b/x.avif"}) put(name);
  EXPECT_THAT(pair_by_name(dir / "b", dir / "a").not_read, ElementsAre(dir / "a/y.heic", dir / "b/x.avif"));
  EXPECT_THAT(pictures_by_name(dir / "a").not_read, ElementsAre(dir / "a/y.heic"));
}

// Our overlay and cut-out beside a map, and a name that only ends like one of them.
TEST_F(PairingTest, EachOfOurResultsIsKnown) {
  for (const char* name : {"a/1.png", "a/1_mask.png", "a/1_overlay.png", "a/1_cutout.png", "a/1_other.png",
                           "a/2_cutout.png", "b/1.png"})
    put(name);
  EXPECT_THAT(pair_by_name(dir / "a", dir / "b").first_alone,
              ElementsAre(dir / "a/1_other.png", dir / "a/2_cutout.png"));
  EXPECT_THAT(pair_by_name(dir / "b", dir / "a").second_alone,
              ElementsAre(dir / "a/1_other.png", dir / "a/2_cutout.png"));
}

TEST(Unpaired, FiveAreNamed) {
  EXPECT_EQ(describe_unpaired({"d/a.png", "d/b.png", "d/c.png", "d/d.png", "d/e.png"}, "x"),
            "5 files of d have no partner in x: a.png, b.png, c.png, d.png, e.png");
  EXPECT_EQ(describe_unpaired({"d/a.png", "d/b.png", "d/c.png", "d/d.png", "d/e.png", "d/f.png"}, "x"),
            "6 files of d have no partner in x: a.png, b.png, c.png, d.png, e.png and 1 more");
}

// A pattern that names a hidden file does not find it either.
TEST(Listing, PatternsFindNothingHidden) {
  const test::TempDir dir;
  for (const char* name : {".a.png", "b.png"}) std::ofstream(dir / name) << "x";
  const PictureList list = list_pictures(dir / "{.a,b}.png");
  ASSERT_EQ(list.pictures.size(), 1u);
  EXPECT_EQ(list.pictures[0].file, dir / "b.png");
  EXPECT_EQ(test::message_of<FileError>([&] { list_pictures(dir / ".a*"); }),
            "nothing matches " + (dir / ".a*").string());
}

// "~" is the user's folder, and none of the parts that tell pictures apart.
TEST(Listing, PatternsOfTheUsersFolder) {
  const test::TempDir dir;
  std::filesystem::create_directories(dir / "x" / "one");
  for (const char* name : {"x/a.png", "x/one/b.png"}) std::ofstream(dir / name) << "x";
  const char* before = std::getenv("HOME");
  const std::string home = before != nullptr ? before : "";
  ::setenv("HOME", dir.path().c_str(), 1);
  const bool is_told = is_pattern("~/x");
  std::vector<std::string> below;
  for (const char* place : {"~/x/a.png", "~/x/*", "~/*/one", "~/x"}) {
    for (const ListedPicture& p : list_pictures(place).pictures) below.push_back(p.below.string());
    below.emplace_back(";");
  }
  if (before != nullptr) {
    ::setenv("HOME", home.c_str(), 1);
  } else {
    ::unsetenv("HOME");
  }
  EXPECT_TRUE(is_told);
  EXPECT_THAT(below, ElementsAre("a.png", ";", "a.png", "one/b.png", ";", "x/b.png", ";", "a.png", ";"));
}

// What would help, in each case: who asks may offer it.
TEST_F(PairingTest, RemediesFitTheTrouble) {
  using Remedy = PairingError::Remedy;
  const auto remedy = [&](const Side& first, const Side& second) {
    try {
      pair_by_name(first, second);
    } catch (const PairingError& e) {
      return e.remedy();
    }
    ADD_FAILURE() << "they pair";
    return Remedy::none;
  };
  for (const char* name : {"a/1.jpg", "b/x.png", "c/sub/1.png", "d/1_gt.png"}) put(name);
  std::filesystem::create_directories(dir / "empty");
  EXPECT_EQ(remedy(dir / "a", dir / "b"), Remedy::none);
  EXPECT_EQ(remedy(dir / "a", dir / "c"), Remedy::recursive);
  EXPECT_EQ(remedy(dir / "c", dir / "a"), Remedy::recursive);
  EXPECT_EQ(remedy(dir / "a", dir / "d"), Remedy::affixes);
  EXPECT_EQ(remedy(dir / "d", dir / "a"), Remedy::affixes);
  EXPECT_EQ(remedy(dir / "a", dir / "empty"), Remedy::none);
  EXPECT_EQ(remedy(dir / "a", dir / "a"), Remedy::patterns);
  EXPECT_EQ(remedy(dir / "a/*", dir / "a/*"), Remedy::patterns);
}

}  // namespace
}  // namespace sam2unet::data
