#include "data/pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

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
    return test::message_of([&] { pair_by_stem(dir / "a", dir / "b"); });
  }
  test::TempDir dir;
};

TEST_F(PairingTest, PairsByStemAndNamesTheRest) {
  for (const char* name :
       {"a/1.jpg", "a/2.png", "a/x.tiff", "a/notes.txt", "a/.hidden.png", "b/1.png", "b/2.PNG", "b/3.bmp"})
    put(name);
  std::filesystem::create_directories(dir / "a" / "folder.png");
  const Pairing p = pair_by_stem(dir / "a", dir / "b");
  ASSERT_EQ(p.pairs.size(), 2u);
  EXPECT_EQ(p.pairs[0].stem, "1");
  EXPECT_EQ(p.pairs[0].first, dir / "a" / "1.jpg");
  EXPECT_EQ(p.pairs[1].second, dir / "b" / "2.PNG");
  EXPECT_THAT(p.first_alone, ElementsAre(dir / "a" / "x.tiff"));
  EXPECT_THAT(p.second_alone, ElementsAre(dir / "b" / "3.bmp"));
}

TEST_F(PairingTest, ADotInAStemBelongsToIt) {
  for (const char* name : {"a/p.1.jpg", "a/p.2.jpg", "b/p.1.png", "b/p.2.png"}) put(name);
  EXPECT_EQ(pair_by_stem(dir / "a", dir / "b").pairs.size(), 2u);
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
  EXPECT_THAT(refusal(), HasSubstr("no pictures in this folder"));
}

TEST(Unpaired, NamesAFewAndCountsTheRest) {
  EXPECT_EQ(describe_unpaired({"d/a.png"}, "e"), "1 file of d has no partner in e: a.png");
  EXPECT_EQ(describe_unpaired({"d/a.png", "d/b.png", "d/c.png"}, "e", 2),
            "3 files of d have no partner in e: a.png, b.png and 1 more");
}

}  // namespace
}  // namespace sam2unet::data
