// `sam2unet reproduce` as a user runs it, on a tree that looks like the papers' test sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "core/file.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"
#include "support/turned_photo.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ReproduceTest : public testing::Test {
 protected:
  ReproduceTest() {
    put("data/TestDataset/CAMO/Imgs", "data/TestDataset/CAMO/GT");
    put("data/Kvasir/images", "data/Kvasir/masks");
    fs::create_directories(dir / "weights");
    write_tiny_weights(dir / "weights/SAM2-UNet-COD.safetensors");
  }
  void put(const std::string& images, const std::string& masks) {
    fs::create_directories(dir / images);
    fs::create_directories(dir / masks);
    Image mask(40, 30, 1);
    for (int y = 8; y < 20; ++y) std::fill_n(mask.row(y) + 10, 15, std::uint8_t{255});
    for (const char* name : {"a.png", "b.png"}) {
      write_png(dir / images / name, picture(40, 30, 3));
      write_png(dir / masks / name, mask);
    }
  }
  Finished reproduce(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"reproduce", "--data", "data"});
    return run(program("sam2unet"), arguments, {.folder = dir.path()});
  }
  TempDir dir;
};

TEST_F(ReproduceTest, ComparesWhatHasWeightsAndFailsWhereItIsOff) {
  const Finished r = reproduce({"--weights", "weights", "--json", "o.json", "--html", "o.html"});
  EXPECT_EQ(r.exit_code, 1) << r.err;  // made-up weights
  EXPECT_THAT(r.out, AllOf(HasSubstr("CAMO"), HasSubstr("0.884"), HasSubstr("OFF"),
                           HasSubstr("CAMO: 2 of the papers' 250 pictures (not their test set)")));
  EXPECT_THAT(r.out, Not(HasSubstr("Kvasir")));
  EXPECT_THAT(r.err, HasSubstr("Kvasir is left out: no file of weights is named for it or its task (polyp)"));
  const auto bytes = read_file(dir / "o.json");
  const auto json =
      nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  EXPECT_EQ(json.at("datasets").size(), 1u);
  EXPECT_EQ(json.at("datasets").at(0).at("count"), 2);
  EXPECT_TRUE(fs::exists(dir / "o.html"));
  EXPECT_EQ(reproduce({"--weights", "weights", "--tolerance", "1"}).exit_code, 0);
}

// The reference's test.py opens pictures as they are stored.
TEST_F(ReproduceTest, PicturesStayAsTheyAreStored) {
  const auto scores = [&](char orientation) {
    write_file(dir / "data/TestDataset/CAMO/Imgs/c.jpg", turned_photo(orientation));
    const Image stored =
        read_image(dir / "data/TestDataset/CAMO/Imgs/c.jpg", {.apply_exif_orientation = false});
    Image mask(stored.width, stored.height, 1);
    for (int y = 0; y < mask.height / 3; ++y) std::fill_n(mask.row(y), mask.width / 2, std::uint8_t{255});
    write_png(dir / "data/TestDataset/CAMO/GT/c.png", mask);
    EXPECT_EQ(reproduce({"--weights", "weights", "--json", "o.json", "--tolerance", "1"}).exit_code, 0);
    const auto bytes = read_file(dir / "o.json");
    return nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()))
        .at("datasets")
        .at(0)
        .at("values")
        .dump();
  };
  EXPECT_EQ(scores(3), scores(1));
}

TEST_F(ReproduceTest, OneFileIsForAllThatIsAskedFor) {
  const Finished r = reproduce({"--weights", "weights/SAM2-UNet-COD.safetensors", "--only", "polyp"});
  EXPECT_EQ(r.exit_code, 0) << r.err;  // what is published of it is second-hand and does not decide
  EXPECT_THAT(r.out, AllOf(HasSubstr("Kvasir"), HasSubstr("mDice"), HasSubstr("0.928"),
                           HasSubstr("second-hand"), Not(HasSubstr("CAMO"))));
}

TEST_F(ReproduceTest, ListPredictsNothing) {
  const Finished r = reproduce({"--weights", "weights", "--list"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("data/TestDataset/CAMO/Imgs"), HasSubstr("SAM2-UNet-COD.safetensors")));
}

// Of tasks and of data sets, however they are written.
TEST_F(ReproduceTest, OnlyKnowsNoUpperCase) {
  for (const char* only : {"COD", "Cod", "camo", "CaMo", "sod,COD"}) {
    const Finished r = reproduce({"--weights", "weights", "--list", "--only", only});
    EXPECT_EQ(r.exit_code, 0) << only << r.err;
    EXPECT_THAT(r.out, HasSubstr("data/TestDataset/CAMO/Imgs")) << only;
    EXPECT_EQ(r.err, "") << only;  // of what is not wanted nothing is said
  }
}

TEST_F(ReproduceTest, TilesAndAugmentationAreThoseOfEval) {
  const auto values = [&](std::vector<std::string> how) {
    how.insert(how.begin(), {"--weights", "weights", "--json", "o.json", "--tolerance", "1"});
    const Finished r = reproduce(how);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.err.find("neither stretched nor truncated") != std::string::npos, how.size() > 6u) << r.err;
    const auto bytes = read_file(dir / "o.json");
    return nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()))
        .at("datasets")
        .at(0)
        .at("values");
  };
  const auto plain = values({});
  EXPECT_NE(values({"--tile", "32", "--overlap", "0.5", "--tile-context", "0.5"}), plain);
  EXPECT_NE(values({"--tta", "hflip"}), plain);
  const std::pair<std::vector<std::string>, const char*> wrong[] = {
      {{"--tile", "x"}, "--tile x: give the side"},
      {{"--overlap", "0.5"}, "add --tile"},
      {{"--tta", "flip"}, "--tta flip: unknown augmentation"},
  };
  for (auto [arguments, says] : wrong) {
    arguments.insert(arguments.begin(), {"--weights", "weights"});
    const Finished r = reproduce(arguments);
    EXPECT_EQ(r.exit_code, 2) << says;
    EXPECT_THAT(r.err, HasSubstr(says));
  }
}

TEST_F(ReproduceTest, WhatIsWrongIsSaidFirst) {
  EXPECT_THAT(reproduce({"--weights", "none"}).err, HasSubstr("none: no such file"));
  EXPECT_THAT(reproduce({"--weights", "data"}).err, HasSubstr("holds no .pth"));
  const Finished r = reproduce({"--weights", "weights", "--only", "sod"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr("found CAMO, Kvasir"));
  fs::remove_all(dir / "data");
  fs::create_directories(dir / "data");
  EXPECT_THAT(reproduce({"--weights", "weights"}).err, HasSubstr("no test set of the papers is here"));
}

}  // namespace
}  // namespace sam2unet::test
