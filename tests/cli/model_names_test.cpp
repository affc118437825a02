// Weights by the name of a model, by every command that takes weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/predict_fixture.h"
#include "core/file.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// `named` is a model; the folder of the commands holds no weights of that name.
class ModelNames : public PredictTest {
 protected:
  ModelNames() {
    fs::create_directories(dir / "models");
    fs::copy_file(dir / "tiny.safetensors", dir / "models/named.safetensors");
    fs::create_directories(dir / "work");
    for (const char* place : {"work/in/a.png", "work/data/CAMO/Imgs/a.png", "work/data/CAMO/GT/a.png"})
      put_picture(place, 40, 30);
  }
  Finished sam2unet(const std::vector<std::string>& arguments) {
    RunOptions options;
    options.folder = dir / "work";
    options.environment = {"SAM2UNET_MODELS=" + (dir / "models").string()};
    return run(program("sam2unet"), arguments, options);
  }
  void expect_success(const std::vector<std::string>& arguments, const std::string& out) {
    const Finished f = sam2unet(arguments);
    EXPECT_EQ(f.exit_code, 0) << arguments.front() << ": " << f.err;
    EXPECT_THAT(f.out + f.err, HasSubstr(out)) << arguments.front();
  }
};

TEST_F(ModelNames, PredictIsThatOfTheFileToTheByte) {
  EXPECT_EQ(sam2unet({"predict", "in", "-o", "path", "-w", "../tiny.safetensors", "--size", "64"}).exit_code,
            0);
  const Finished f =
      sam2unet({"predict", "in", "-o", "name", "-w", "named", "--size", "64", "--manifest", "m.jsonl"});
  EXPECT_EQ(f.exit_code, 0) << f.err;
  EXPECT_EQ(get("work/path/a.png"), get("work/name/a.png"));
  EXPECT_THAT(get("work/m.jsonl"), HasSubstr("\"status\":\"ok\""));
}

// Each is told of, in the folder's order, and a sound one behind a damaged one does not mend it.
TEST_F(ModelNames, OneDamagedModelIsEnough) {
  fs::copy_file(dir / "tiny.safetensors", dir / "models/sound.safetensors");
  put("models/named.safetensors", "junk");
  const Finished all = sam2unet({"models", "verify"});
  EXPECT_EQ(all.exit_code, 1);
  EXPECT_THAT(all.out,
              AllOf(HasSubstr("named.safetensors: DAMAGED: "), HasSubstr("sound.safetensors: readable")));
  EXPECT_EQ(sam2unet({"models", "verify", "named", "sound"}).exit_code, 1);
  const Finished one = sam2unet({"models", "verify", "sound"});
  EXPECT_EQ(one.exit_code, 0) << one.out;
  EXPECT_THAT(one.out, Not(HasSubstr("named.safetensors")));
  EXPECT_EQ(sam2unet({"models", "verify", "sound", "none"}).exit_code, 1);
}

// Known ones and the user's own, each with its file where it is here.
TEST_F(ModelNames, ListSaysWhatIsHere) {
  fs::copy_file(dir / "tiny.safetensors", dir / "models/SAM2-UNet-COD.pth");
  const auto entry =
      [all = nlohmann::json::parse(sam2unet({"models", "list", "--json"}).out)](const char* name) {
        for (const auto& one : all)
          if (one.at("name") == name) return one;
        return nlohmann::json();
      };
  EXPECT_EQ(entry("named").at("path"), (dir / "models/named.safetensors").string());
  EXPECT_EQ(entry("named").at("bytes"), fs::file_size(dir / "tiny.safetensors"));
  EXPECT_EQ(entry("sam2unet-cod").at("path"), (dir / "models/SAM2-UNet-COD.pth").string());
  EXPECT_FALSE(entry("sam2-t").contains("path"));
  const std::string text = sam2unet({"models", "list"}).out;
  const auto line = [&](const std::string& name) {
    const auto at = ("\n" + text).find("\n" + name + " ");
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_THAT(line("sam2unet-cod"), AllOf(HasSubstr(" here "), HasSubstr("SAM2-UNet-COD.pth")));
  EXPECT_THAT(line("named"), AllOf(HasSubstr(" here "), HasSubstr("named.safetensors")));
  EXPECT_THAT(line("sam2-t"), HasSubstr(" fetch "));
  EXPECT_THAT(line("sam2unet-sod"), AllOf(HasSubstr(" by hand "), HasSubstr("[weights: ")));
  EXPECT_THAT(entry("sam2-t").at("url").get<std::string>(), StartsWith("https://"));
  EXPECT_FALSE(entry("sam2unet-sod").contains("url"));
  // Each name's file, in the order they were named in.
  EXPECT_EQ(sam2unet({"models", "path", "sam2unet-cod", "named"}).out,
            (dir / "models/SAM2-UNet-COD.pth").string() + "\n" + (dir / "models/named.safetensors").string() +
                "\n");
}

TEST_F(ModelNames, EveryCommandTakesThem) {
  expect_success({"info", "named"}, "models/named.safetensors");
  expect_success({"convert", "named", "task.safetensors", "--task-only"}, "task-only");
  expect_success({"convert", "task.safetensors", "whole.safetensors", "--trunk", "named"}, "full SAM2-UNet");
  expect_success({"export", "o.onnx", "-w", "named", "--size", "64"}, "core graph");
  expect_success({"bench", "-w", "named", "--size", "64", "-n", "1"}, "memory");
  expect_success(
      {"eval", "-w", "named", "--size", "64", "--images", "data/CAMO/Imgs", "--gt", "data/CAMO/GT"}, "named");
  expect_success({"reproduce", "--data", "data", "-w", "named", "--list"}, "models/named.safetensors");
}

TEST_F(ModelNames, AFileOfThatNameComesFirst) {
  put("work/named", "no weights");
  const Finished f = sam2unet({"info", "named"});
  EXPECT_EQ(f.exit_code, 1);
  EXPECT_THAT(f.err, StartsWith("sam2unet: cannot read named: "));
  expect_success({"info", "named.safetensors"}, "models/named.safetensors");
}

TEST_F(ModelNames, WhatIsNotHereIsToldByEveryCommand) {
  const std::vector<std::vector<std::string>> commands = {
      {"predict", "in", "-o", "out", "-w"},
      {"eval", "--images", "data/CAMO/Imgs", "--gt", "data/CAMO/GT", "-w"},
      {"reproduce", "--data", "data", "-w"},
      {"serve", "--port", "0", "-w"},
      {"export", "o.onnx", "-w"},
      {"bench", "-w"},
      {"info"}};
  for (auto command : commands) {
    command.emplace_back("sam2unet-cod");
    const Finished f = sam2unet(command);
    EXPECT_EQ(f.exit_code, 1) << command.front();
    EXPECT_EQ(f.out, "") << command.front();
    EXPECT_THAT(f.err, HasSubstr("sam2unet-cod: no such file, and model sam2unet-cod is not on this machine"))
        << command.front();
    EXPECT_THAT(f.err, HasSubstr("models add SAM2-UNet-COD.pth")) << command.front();
    // The service listens before it reads.
    const int lines = command.front() == "serve" ? 2 : 1;
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), lines) << f.err;
  }
  const Finished unknown = sam2unet({"predict", "in", "-o", "out", "-w", "nmaed"});
  EXPECT_EQ(unknown.exit_code, 1);
  for (const char* told : {"nmaed", "sam2unet-t-duts", "sam2.1-l", "models add"})
    EXPECT_THAT(unknown.err, HasSubstr(told));
}

}  // namespace
}  // namespace sam2unet::test
