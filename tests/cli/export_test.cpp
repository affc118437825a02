// `export` as a user runs it, and `verify` of what it wrote.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "core/file.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class ExportCommand : public testing::Test {
 protected:
  ExportCommand() { write_tiny_weights(dir_ / "tiny.safetensors"); }
  Finished sam2unet(const std::vector<std::string>& arguments, RunOptions options = {}) {
    options.folder = dir_.path();
    return run(program("sam2unet"), arguments, options);
  }
  void expect_refusal(const std::vector<std::string>& arguments, int code, const std::string& because) {
    const Finished f = sam2unet(arguments);
    EXPECT_EQ(f.exit_code, code) << f.err;
    EXPECT_EQ(f.out, "");
    EXPECT_THAT(f.err, StartsWith("sam2unet: "));
    EXPECT_THAT(f.err, HasSubstr(because));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1);
  }
  TempDir dir_;
};

TEST_F(ExportCommand, SaysWhatItWrote) {
  const auto core = sam2unet({"export", "c.onnx", "-w", "tiny.safetensors", "--size", "64"});
  EXPECT_EQ(core.exit_code, 0) << core.err;
  EXPECT_THAT(core.out, StartsWith("c.onnx: core graph, variant custom, 64x64, 1 channel, f32, "));
  const auto full = sam2unet({"export", "f.onnx", "-w", "tiny.safetensors", "--graph", "full", "--size",
                              "32x64", "--dtype", "int8"});
  EXPECT_EQ(full.exit_code, 0) << full.err;
  EXPECT_THAT(full.out, StartsWith("f.onnx: full graph, variant custom, 32x64, 1 channel, int8, "));
  // Of the model that comes with the program, which is large enough to tell 10^6 bytes from 2^20.
  const auto large = sam2unet({"export", "d.onnx"});
  const auto bytes = static_cast<double>(std::filesystem::file_size(dir_ / "d.onnx"));
  EXPECT_GT(bytes, 2e7);
  EXPECT_THAT(large.out, EndsWith(fmt::format(" nodes, {:.1f} MB\n", bytes / 1e6)));
  EXPECT_LT(std::filesystem::file_size(dir_ / "f.onnx"), std::filesystem::file_size(dir_ / "c.onnx"));
}

TEST_F(ExportCommand, WrongUse) {
  expect_refusal({"export", "a.safetensors", "-w", "tiny.safetensors"}, 2, "use .onnx");
  expect_refusal({"export", ".onnx", "-w", "tiny.safetensors"}, 2, "use .onnx");  // no extension, but a name
  expect_refusal({"export"}, 2, "OUT");
  expect_refusal({"export", "a.onnx", "-w", "none.pth"}, 1, "none.pth: no such file");
  expect_refusal({"export", "a.onnx", "-w", "tiny.safetensors", "--size", "350"}, 2, "multiples of 32");
  expect_refusal({"export", "a.onnx", "-w", "tiny.safetensors", "--graph", "half"}, 2, "half");
  expect_refusal({"export", "a.onnx", "-w", "tiny.safetensors", "--dtype", "bf16"}, 2, "bf16");
  expect_refusal({"export", "no/a.onnx", "-w", "tiny.safetensors"}, 1, "no/a.onnx");
  write_tiny_weights(dir_ / "letterbox.safetensors", false, {{"fit", "letterbox"}});
  expect_refusal({"export", "a.onnx", "-w", "letterbox.safetensors", "--graph", "full"}, 2, "letterbox");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "a.onnx"));
}

TEST_F(ExportCommand, AFullDiskLeavesNothing) {
  RunOptions full;
  full.file_size_limit = 100'000;
  const auto f = sam2unet({"export", "a.onnx", "-w", "tiny.safetensors", "--size", "64"}, full);
  EXPECT_EQ(f.exit_code, 1);
  EXPECT_THAT(f.err, HasSubstr("a.onnx"));
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_.path())) ++files;
  EXPECT_EQ(files, 1);
}

TEST_F(ExportCommand, VerifyWithoutARuntimeSaysHowToGetIt) {
  sam2unet({"export", "c.onnx", "-w", "tiny.safetensors", "--size", "64"});
  RunOptions elsewhere;
  elsewhere.environment = {"SAM2UNET_ONNXRUNTIME=" + (dir_ / "none.so").string()};
  const auto f = sam2unet({"verify", "c.onnx", "-w", "tiny.safetensors"}, elsewhere);
  EXPECT_EQ(f.exit_code, 1);
  EXPECT_THAT(f.err, HasSubstr("none.so"));
  EXPECT_THAT(f.err, HasSubstr("pip install onnxruntime"));
  elsewhere.environment = {"SAM2UNET_ONNXRUNTIME=" + dir_.path().string()};
  EXPECT_THAT(sam2unet({"verify", "c.onnx"}, elsewhere).err, HasSubstr("holds no libonnxruntime.so"));
}

// Where SAM2UNET_ONNXRUNTIME names one.
TEST_F(ExportCommand, VerifyComparesByOnnxRuntime) {
  if (std::getenv("SAM2UNET_ONNXRUNTIME") == nullptr)
    GTEST_SKIP() << "SAM2UNET_ONNXRUNTIME names no ONNX Runtime";
  write_weights(dir_ / "nano.safetensors", nano_config());
  for (const std::string graph : {"core", "full"})
    for (const std::string type : {"f32", "f16", "int8"}) {
      const std::string file = graph + type + ".onnx";
      sam2unet(
          {"export", file, "-w", "nano.safetensors", "--graph", graph, "--dtype", type, "--size", "64x96"});
      const auto f = sam2unet({"verify", file, "-w", "nano.safetensors"});
      EXPECT_EQ(f.exit_code, 0) << f.out << f.err;
      EXPECT_THAT(f.out, HasSubstr(file + ": ok"));
    }
  const auto other = sam2unet({"verify", "coref32.onnx", "-w", "tiny.safetensors"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("the weights it was exported from"));
  EXPECT_EQ(sam2unet({"verify", "coref32.onnx"}).exit_code, 2);
  write_file(dir_ / "junk.onnx", std::string_view("no model"));
  EXPECT_THAT(sam2unet({"verify", "junk.onnx"}).err, HasSubstr("ONNX Runtime: "));
}

}  // namespace
}  // namespace sam2unet::test
