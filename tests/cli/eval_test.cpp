// `sam2unet eval` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "eval/folders.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/shared_data.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class EvalTest : public testing::Test {
 protected:
  EvalTest() { folders.put_discs(3); }
  Finished eval(std::vector<std::string> arguments, RunOptions options = {}) {
    arguments.insert(arguments.begin(), "eval");
    options.folder = folders.dir.path();
    return run(program("sam2unet"), arguments, options);
  }
  std::string get(const std::string& name) {
    const auto bytes = read_file(folders.dir / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  MapFolders folders;
};

TEST_F(EvalTest, PrintsTheTableAndWritesTheFiles) {
  const Finished r = eval({"--pred", "maps", "--gt", "gt", "--json", "o.json", "--csv", "o.csv",
                           "--dataset-csv", "d.csv", "--html", "o.html", "--worst", "1"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("method  images"));
  EXPECT_THAT(r.out, HasSubstr("95 %"));
  EXPECT_THAT(r.out, HasSubstr("0 of 3 ground truths are empty"));
  EXPECT_THAT(r.out, HasSubstr("worst by S, maps"));
  EXPECT_EQ(nlohmann::json::parse(get("o.json")).at("count"), 3);
  EXPECT_THAT(get("o.csv"), HasSubstr("maps,a.png"));
  EXPECT_THAT(get("d.csv"), HasSubstr("maps,S,"));
  EXPECT_THAT(get("o.html"), HasSubstr("<svg"));
}

// As the reference, --official leaves pictures as they are stored; the truth is as they are shown.
TEST_F(EvalTest, PicturesAreTurnedUprightUnlessOfficial) {
  const std::filesystem::path photo = test::repository_data() / "image" / "files" / "exif6.jpg";
  std::filesystem::create_directories(folders.dir / "photos");
  std::filesystem::create_directories(folders.dir / "truths");
  std::filesystem::copy_file(photo, folders.dir / "photos" / "a.jpg");
  const Image shown = read_image(photo);
  Image truth(shown.width, shown.height, 1);
  truth.pixels[0] = 255;
  ASSERT_NE(truth.width, truth.height);
  write_png(folders.dir / "truths" / "a.png", truth);
  for (const bool official : {false, true}) {
    std::vector<std::string> arguments{"--images", "photos", "--gt",  "truths",
                                       "--size",   "64",     "--csv", "o.csv"};
    if (official) arguments.emplace_back("--official");
    const Finished r = eval(arguments);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const std::string table = get("o.csv");
    // name, width, height, empty_truth, counted, resized
    EXPECT_THAT(table,
                HasSubstr(fmt::format("a.png,{},{},0,1,{},", truth.width, truth.height, official ? 1 : 0)));
  }
}

TEST_F(EvalTest, ComparesMethodsAndShowsThePublishedRow) {
  std::filesystem::copy(folders.gt(), folders.dir / "perfect");  // a folder is not scored against itself
  const Finished r = eval({"--pred", "one=maps", "--pred", "two=perfect", "--gt", "gt", "--protocol", "cod",
                           "--paper", "CAMO", "--bootstrap", "0"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("one "));
  EXPECT_THAT(r.out, HasSubstr("two "));
  EXPECT_THAT(r.out, HasSubstr("SAM2-UNet (published)          0.884  0.861  0.932  0.042"));
  EXPECT_THAT(r.out, HasSubstr("arXiv 2508.03566"));
  EXPECT_THAT(r.out, Not(HasSubstr("95 %")));
}

TEST_F(EvalTest, JsonOnStandardOutputIsNothingElse) {
  const Finished r = eval({"--pred", "maps", "--gt", "gt", "--json", "-"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(r.out).at("name"), "maps");
}

TEST_F(EvalTest, WarnsOnStandardErrorAndStrictRefuses) {
  std::filesystem::remove(folders.pred() / "a.png");
  const Finished loose = eval({"--pred", "maps", "--gt", "gt"});
  EXPECT_EQ(loose.exit_code, 0);
  EXPECT_THAT(loose.err, HasSubstr("warning: maps: 1 file of gt has no partner in maps: a.png"));
  const Finished strict = eval({"--pred", "maps", "--gt", "gt", "--strict"});
  EXPECT_EQ(strict.exit_code, 2);
  EXPECT_EQ(strict.out, "");
}

TEST_F(EvalTest, AnUnreadableMapMakesTheExitCodeOne) {
  write_file(folders.pred() / "b.png", std::string_view("nothing"));
  const Finished r = eval({"--pred", "maps", "--gt", "gt"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, HasSubstr("b.png"));
  EXPECT_THAT(r.out, HasSubstr("maps         2"));
}

// A file's name up to its ending is the method's; what is after another dot is a part of the name.
TEST_F(EvalTest, AMethodIsCalledAsItsWeights) {
  std::filesystem::create_directories(folders.images());
  for (const char* name : {"a.png", "b.png", "c.png"}) write_png(folders.images() / name, picture(20, 20, 3));
  for (const auto& [file, method] : {std::pair{"sam2.1-t", "sam2.1-t"}, {"v1.5.safetensors", "v1.5"}}) {
    write_tiny_weights(folders.dir / file);
    const Finished r =
        eval({"--images", "images", "--gt", "gt", "--weights", file, "--size", "32", "--json", "-"});
    EXPECT_EQ(nlohmann::json::parse(r.out).at("name"), method) << r.err;
  }
}

TEST_F(EvalTest, WhatCannotBePredictedIsTold) {
  write_tiny_weights(folders.dir / "tiny.safetensors");
  std::filesystem::create_directories(folders.images());
  for (const char* name : {"a.png", "b.png"}) {
    const Image gt = read_image(folders.gt() / name);
    write_png(folders.images() / name, picture(gt.width, gt.height, 3));
  }
  std::ofstream(folders.images() / "b.png") << "no picture";
  const Finished r =
      eval({"--images", "images", "--gt", "gt", "--weights", "tiny.safetensors", "--size", "64"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, AllOf(HasSubstr("b.png"), HasSubstr("has no partner in images: c.png")));
}

TEST_F(EvalTest, PredictsAndScoresInOnePass) {
  write_tiny_weights(folders.dir / "tiny.safetensors");
  std::filesystem::create_directories(folders.images());
  for (const char* name : {"a.png", "b.png", "c.png"}) {
    const Image gt = read_image(folders.gt() / name);
    write_png(folders.images() / name, picture(gt.width, gt.height, 3));
  }
  const std::vector<std::string> model = {"--weights", "tiny.safetensors", "--size", "64"};
  std::vector<std::string> arguments = {"--images", "images", "--gt",     "gt",     "--json",
                                        "one.json", "--html", "one.html", "--name", "x"};
  arguments.insert(arguments.end(), model.begin(), model.end());
  const Finished one = eval(arguments);
  EXPECT_EQ(one.exit_code, 0) << one.err;
  std::vector<std::string> predict = {"predict", "images", "-o", "written"};
  predict.insert(predict.end(), model.begin(), model.end());
  RunOptions here;
  here.folder = folders.dir.path();
  EXPECT_EQ(run(program("sam2unet"), predict, here).exit_code, 0);
  EXPECT_EQ(eval({"--pred", "written", "--images", "images", "--gt", "gt", "--json", "two.json"}).exit_code,
            0);
  EXPECT_EQ(nlohmann::json::parse(get("one.json")).at("dataset"),
            nlohmann::json::parse(get("two.json")).at("dataset"));
  EXPECT_THAT(get("one.html"), HasSubstr(">prediction<"));

  // By the other fit too, which gives other maps.
  arguments.insert(arguments.end(), {"--fit", "letterbox"});
  predict.insert(predict.end(), {"--fit", "letterbox"});
  EXPECT_EQ(eval(arguments).exit_code, 0);
  EXPECT_EQ(run(program("sam2unet"), predict, here).exit_code, 0);
  EXPECT_EQ(eval({"--pred", "written", "--images", "images", "--gt", "gt", "--json", "three.json"}).exit_code,
            0);
  const auto letterboxed = nlohmann::json::parse(get("one.json")).at("dataset");
  EXPECT_EQ(letterboxed, nlohmann::json::parse(get("three.json")).at("dataset"));
  EXPECT_NE(letterboxed, nlohmann::json::parse(get("two.json")).at("dataset"));
}

TEST_F(EvalTest, WrongUsageIsSaidInOneLineAndBeforeAnyWork) {
  std::filesystem::create_directories(folders.dir / "empty");
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--gt", "gt"}, "what is to be scored"},
      {{"--pred", "maps"}, "--gt is required"},
      {{"--pred", "maps", "--gt", "nowhere"}, "nowhere: no such folder"},
      {{"--pred", "maps", "--gt", "gt", "--weights", "x"}, "leave one out"},
      {{"--pred", "maps", "--gt", "gt", "--device", "cuda"}, "leave one out"},
      {{"--pred", "maps", "--gt", "gt", "--precision", "bf16"}, "leave one out"},
      {{"--pred", "maps", "--gt", "gt", "--size", "352"}, "leave one out"},
      {{"--pred", "maps", "--gt", "gt", "--worst-by", "x"}, "pictures have no such value"},
      {{"--pred", "maps", "--gt", "gt", "--paper"}, "no published row is known"},
      {{"--pred", "maps", "--pred", "maps", "--gt", "gt"}, "give them names"},
      {{"--pred", "maps", "--gt", "gt", "--protocol", "x"}, "--protocol"},
      {{"--pred", "maps", "--gt", "gt", "--json", "no/such/folder/o.json"}, "no/such/folder"},
      {{"--pred", "maps", "--gt", "gt", "--html", "gt"}, "gt is a folder"},
      {{"--pred", "maps", "--gt", "gt", "--json", "-", "--csv", "-"}, "two results would be written"},
      {{"--pred", "maps", "--gt", "gt", "--json", "x", "--csv", "./x"}, "two results would be written"},
      {{"--pred", "a=maps", "--pred", "b=gt", "--gt", "gt", "--name", "x"}, "--name names one method"},
      {{"--pred", "a=maps", "--pred", "a=gt", "--gt", "gt"}, "two predictions are called a"},
      {{"--pred", "maps", "--gt", "gt", "--empty", "zero"}, "--empty"},
      {{"--pred", "empty", "--gt", "gt"}, "no pictures in empty"},
  };
  for (const auto& [arguments, message] : cases) {
    const Finished r = eval(arguments);
    EXPECT_NE(r.exit_code, 0) << message;
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_EQ(r.out, "") << message;
  }
}

}  // namespace
}  // namespace sam2unet::test
