// Weights by the name of a model, by every command that takes weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/predict_fixture.h"
#include "core/file.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
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
