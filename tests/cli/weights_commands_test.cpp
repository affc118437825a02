// `info` and `convert` as a user runs them.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
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
