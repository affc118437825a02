// `sam2unet reproduce` as a user runs it, on a tree that looks like the papers' test sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
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

// What test.py's maps give, at 352 x 352, is what `eval --official` gives.
TEST_F(ReproduceTest, TheScoresAreThoseOfTheReferencesMaps) {
  const auto json = [&](const std::string& name) {
    const auto bytes = read_file(dir / name);
    return nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  };
  for (const auto& [ours, theirs] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "--official"}, {{"--tta", "hflip"}, "--tta=hflip"}}) {
    std::vector<std::string> arguments{"--weights", "weights", "--json", "o.json", "--tolerance", "1"};
    arguments.insert(arguments.end(), ours.begin(), ours.end());
    EXPECT_EQ(reproduce(arguments).exit_code, 0);
    const Finished r =
        run(program("sam2unet"),
            {"eval", "--images", "data/TestDataset/CAMO/Imgs", "--gt", "data/TestDataset/CAMO/GT",
             "--weights", "weights/SAM2-UNet-COD.safetensors", "--size", "352", "--json", "e.json", theirs},
            {.folder = dir.path()});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const auto values = json("o.json").at("datasets").at(0).at("values");
    const auto eval = json("e.json");
    const auto dataset =
        eval.contains("dataset") ? eval.at("dataset") : eval.at("SAM2-UNet-COD, hflip").at("dataset");
    EXPECT_EQ(values.at("MAE").at("ours"), dataset.at("MAE"));
    EXPECT_EQ(values.at("S").at("ours"), dataset.at("S"));
    EXPECT_EQ(values.at("fm.adp").at("ours"), dataset.at("fm").at("adp"));
    EXPECT_EQ(json("o.json").at("datasets").at(0).contains("passes"), !ours.empty());
  }
}

TEST_F(ReproduceTest, TheTableIsOursTheirsAndTheDifference) {
  const Finished r = reproduce({"--weights", "weights/SAM2-UNet-COD.safetensors", "--json", "o.json"});
  EXPECT_EQ(r.exit_code, 1);
  const auto bytes = read_file(dir / "o.json");
  const auto json =
      nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  EXPECT_EQ(json.at("tolerance"), 0.002);
  EXPECT_EQ(json.at("reproduced"), false);
  const auto row = [&](int set, const char* key, const char* name, const char* title, const char* published,
                       const char* word) {
    const double ours = json.at("datasets").at(set).at("values").at(key).at("ours");
    return fmt::format("{:<8}  {:>5}  {:.3f}  {}      {:+.3f}  {:>17}\n", name, title, ours, published,
                       ours - std::stod(published), word);
  };
  EXPECT_THAT(r.out,
              testing::StartsWith(
                  "data set  value   ours  paper  difference\n" + row(0, "S", "CAMO", "S", "0.884", "OFF") +
                  row(0, "fm.adp", "", "F", "0.861", "OFF") + row(0, "E_mean", "", "E", "0.932", "OFF") +
                  row(0, "MAE", "", "MAE", "0.042", "OFF") +
                  row(1, "dice.mean", "Kvasir", "mDice", "0.928", "off (second-hand)") +
                  row(1, "iou.mean", "", "mIoU", "0.879", "off (second-hand)") + "\n"));
  EXPECT_THAT(r.out,
              HasSubstr("\nCAMO: 2 of the papers' 250 pictures (not their test set); published: "
                        "SAM2-UNeXT, arXiv 2508.03566, Table 2 (a later paper of the same first authors)\n"));
  const std::string within = reproduce({"--weights", "weights", "--tolerance", "1"}).out;
  EXPECT_THAT(within, AllOf(HasSubstr("  ok\n"), Not(HasSubstr("OFF"))));
}

TEST_F(ReproduceTest, TheListIsATable) {
  fs::rename(dir / "weights/SAM2-UNet-COD.safetensors", dir / "weights/SAM2-UNet-COD.SafeTensors");
  write_file(dir / "weights/cod.txt", std::string_view("no weights"));
  fs::copy_file(dir / "weights/SAM2-UNet-COD.SafeTensors", dir / "weights/polyp.pt");
  const Finished r = reproduce({"--weights", "weights", "--list"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out,
            "data set   task                    pictures             ground truths                           "
            " weights\n"
            "CAMO        cod  data/TestDataset/CAMO/Imgs  data/TestDataset/CAMO/GT  "
            "weights/SAM2-UNet-COD.SafeTensors\n"
            "Kvasir    polyp          data/Kvasir/images         data/Kvasir/masks                   "
            "weights/polyp.pt\n");
}

// A picture that cannot be read fails the set, however far values may be off.
TEST_F(ReproduceTest, APictureThatCannotBeScoredIsAFailure) {
  write_file(dir / "data/TestDataset/CAMO/Imgs/b.png", std::string_view("nothing"));
  write_png(dir / "data/TestDataset/CAMO/GT/z.png", Image(40, 30, 1));
  const Finished r =
      reproduce({"--weights", "weights", "--only", "cod", "--tolerance", "1", "--json", "o.json"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, AllOf(HasSubstr("sam2unet: warning: CAMO: "), HasSubstr("z.png"),
                           HasSubstr("sam2unet: CAMO: "), HasSubstr("b.png")));
  EXPECT_THAT(r.out, HasSubstr("CAMO: 1 of the papers' 250 pictures"));
}

TEST_F(ReproduceTest, ResultsMayGoToStandardOutputAlone) {
  const std::vector<std::string> how{"--weights", "weights", "--only", "cod", "--tolerance", "1"};
  const auto with = [&](const char* option) {
    std::vector<std::string> arguments = how;
    arguments.insert(arguments.end(), {option, "-"});
    return reproduce(arguments).out;
  };
  EXPECT_EQ(nlohmann::json::parse(with("--json")).at("reproduced"), true);
  EXPECT_TRUE(with("--html").starts_with("<!doctype html>"));
  for (const auto& [option, value] : {std::pair("--tolerance", "1.1"),
                                      {"--tolerance", "-0.1"},
                                      {"-j", "1025"},
                                      {"-j", "-1"},
                                      {"--html", "weights"}}) {
    EXPECT_EQ(reproduce({"--weights", "weights", option, value}).exit_code, 2) << option;
  }
  EXPECT_THAT(
      reproduce({"--weights", "weights", "--only", "cod", "--tta", "vflip"}).err,
      HasSubstr(
          "note: with vflip maps are not the reference's test.py's: neither stretched nor truncated\n"));
  const Finished bar = run(program("sam2unet"), {"reproduce", "--data", "data", "--weights", "weights"},
                           {.folder = dir.path(), .terminal = true});
  EXPECT_THAT(bar.err, HasSubstr(" 2/2 CAMO"));
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
