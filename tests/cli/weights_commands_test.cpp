// `info` and `convert` as a user runs them.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class WeightsCommands : public testing::Test {
 protected:
  WeightsCommands() { write_tiny_weights(dir_ / "tiny.safetensors"); }
  Finished sam2unet(const std::vector<std::string>& arguments, RunOptions options = {}) {
    options.folder = dir_.path();
    return run(program("sam2unet"), arguments, options);
  }
  void expect_refusal(const Finished& f, int code, const std::string& because) {
    EXPECT_EQ(f.exit_code, code);
    EXPECT_EQ(f.out, "");
    EXPECT_THAT(f.err, StartsWith("sam2unet: "));
    EXPECT_THAT(f.err, HasSubstr(because));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1);
  }
  TempDir dir_;
};

TEST_F(WeightsCommands, InfoAsTextAndAsJson) {
  const auto text = sam2unet({"info", "tiny.safetensors", "--tensors"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("full SAM2-UNet, variant custom"));
  EXPECT_THAT(text.out, HasSubstr("f32   [1, 64, 1, 1]  head.weight"));
  const auto json = sam2unet({"info", "tiny.safetensors", "--json"});
  EXPECT_EQ(json.exit_code, 0) << json.err;
  const auto j = nlohmann::json::parse(json.out);
  EXPECT_EQ(j.at("format"), "safetensors");
  EXPECT_EQ(j.at("config").at("embed_dim"), 16);
  EXPECT_EQ(j.at("tensors").size(), model::tensor_table(tiny_config()).size());
}

TEST_F(WeightsCommands, ConvertThereAndBack) {
  const auto there =
      sam2unet({"convert", "tiny.safetensors", "task.safetensors", "--task-only", "--dtype", "bf16"});
  EXPECT_EQ(there.exit_code, 0) << there.err;
  EXPECT_THAT(there.out, HasSubstr("task-only SAM2-UNet"));
  const auto back = sam2unet({"convert", "task.safetensors", "whole.pth", "--trunk", "tiny.safetensors"});
  EXPECT_EQ(back.exit_code, 0);
  EXPECT_THAT(back.err, HasSubstr("note: "));  // a custom network in a .pth
  EXPECT_EQ(formats::TensorFile::open(dir_ / "whole.pth").tensors().size(),
            model::tensor_table(tiny_config()).size());
}

// Two pictures: what is measured is stored, shown, and dropped where the weights become others.
TEST_F(WeightsCommands, GatesAreMeasuredStoredAndFollowed) {
  std::filesystem::create_directory(dir_ / "pictures");
  write_png(dir_ / "pictures/a.png", picture(50, 40, 3));
  write_png(dir_ / "pictures/b.png", picture(64, 64, 1));
  const auto told = sam2unet({"convert", "tiny.safetensors", "gated.safetensors", "--gates", "pictures"});
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("int8        changes maps by "));
  EXPECT_THAT(told.out, HasSubstr("on 2 pictures"));
  EXPECT_THAT(sam2unet({"info", "gated.safetensors"}).out, HasSubstr("bf16        changes maps by "));
  const auto j = nlohmann::json::parse(sam2unet({"info", "gated.safetensors", "--json"}).out);
  ASSERT_EQ(j.at("measured").size(), 2U);
  EXPECT_GT(j.at("measured")[0].at("change"), 0.0);
  EXPECT_LT(j.at("measured")[0].at("change"), j.at("measured")[1].at("change"));
  EXPECT_EQ(j.at("measured_pictures"), 2);
  // No draft is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 3);

  const std::vector<std::string> predict{"predict", "pictures/a.png", "-o", "out", "--size", "64",
                                         "-v",      "--weights"};
  const auto with = [&](const std::string& weights, const std::vector<std::string>& more) {
    auto arguments = predict;
    arguments.push_back(weights);
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto f = sam2unet(arguments);
    EXPECT_EQ(f.exit_code, 0) << f.err;
    return f.err;
  };
  EXPECT_THAT(with("gated.safetensors", {"--precision", "auto"}), HasSubstr("(auto: int8 "));
  EXPECT_THAT(with("tiny.safetensors", {"--precision", "auto"}),
              HasSubstr("computes f32 on cpu (auto: the weights carry no"));
  EXPECT_THAT(with("gated.safetensors", {}), HasSubstr("computes f32 on cpu\n"));

  EXPECT_EQ(sam2unet({"convert", "gated.safetensors", "again.safetensors"}).exit_code, 0);
  EXPECT_THAT(sam2unet({"info", "again.safetensors"}).out, HasSubstr("on 2 pictures"));
  EXPECT_EQ(sam2unet({"convert", "gated.safetensors", "other.safetensors", "--dtype", "bf16"}).exit_code, 0);
  EXPECT_EQ(
      nlohmann::json::parse(sam2unet({"info", "other.safetensors", "--json"}).out).at("measured").size(), 0U);
}

TEST_F(WeightsCommands, GatesThatCannotBeHad) {
  std::filesystem::create_directory(dir_ / "none");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "x.safetensors", "--gates", "none"}), 1, "none");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "x.pth", "--gates", "none"}), 2, ".pth");
  expect_refusal(
      sam2unet({"convert", "tiny.safetensors", "x.safetensors", "--gates", "none", "--calibrate", "none"}), 2,
      "--calibrate");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "x.safetensors", "--gates", "none", "--task-only"}),
                 2, "whole SAM2-UNet");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 2);
}

TEST_F(WeightsCommands, HostileFilesAreOneLineAndExitCode1) {
  for (const char* name : {"hostile_eval.pth", "hostile_os_system.pth", "hostile_not_a_zip.pth",
                           "hostile_short_storage.pth", "hostile_truncated.pth"}) {
    expect_refusal(sam2unet({"info", (repository_data() / "pth" / name).string()}), 1, name);
  }
  expect_refusal(sam2unet({"convert", (repository_data() / "pth" / "hostile_eval.pth").string(), "x.pth"}), 1,
                 "eval");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "x.pth"));
}

TEST_F(WeightsCommands, WrongUseAndFullDisk) {
  expect_refusal(sam2unet({"info", "none.pth"}), 1, "no such file");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "x.onnx"}), 2, "extension");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "x.pth", "--dtype", "f12"}), 2,
                 "f12 is none of f32, f16");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "tiny.safetensors"}), 2, "one file");
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "no/x.pth"}), 1, "no/x.pth");
  RunOptions full;
  full.file_size_limit = 100'000;
  expect_refusal(sam2unet({"convert", "tiny.safetensors", "x.pth"}, full), 1, "x.pth");
  for (const auto& command : std::vector<std::vector<std::string>>{{"info", "tiny.safetensors"},
                                                                   {"man"},
                                                                   {"completion", "bash"},
                                                                   {"--version"},
                                                                   {"predict", "--help"}}) {
    const Finished f = sam2unet(command, {.out_to = "/dev/full"});
    expect_refusal(f, 1, "disk is full");
  }
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_.path())) ++files;
  EXPECT_EQ(files, 1);  // nothing half-written
}

}  // namespace
}  // namespace sam2unet::test
