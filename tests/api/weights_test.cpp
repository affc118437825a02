// Inspecting and converting weight files, on the model that comes with the program.
#include "sam2unet/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;

std::vector<float> logits(const fs::path& weights) {
  Image picture(40, 30, 3);
  for (std::size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<std::uint8_t>(i * 31 / 7);
  SegmentOptions options;
  options.size = InputSize::square(64);
  return Segmenter(weights).segment(picture, options).logits;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  const auto [low, high] = std::minmax_element(b.begin(), b.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
  return worst / (*high - *low);
}

TEST(DefaultModel, IsAFullSmallNetworkUnder32MB) {
  const auto info = inspect_weights(default_model_path());
  EXPECT_EQ(info.contents, "full SAM2-UNet");
  EXPECT_EQ(info.variant, "t");
  EXPECT_EQ(info.parameters, 29'547'715);
  EXPECT_LE(info.file_size, 32'000'000u);
  EXPECT_TRUE(info.missing.empty() && info.misshapen.empty() && info.unexpected.empty());
}

TEST(Convert, PthAndBackIsTheSameNetwork) {
  const test::TempDir dir;
  convert_weights(default_model_path(), dir / "f32.pth", {.precision = WeightsPrecision::f32});
  convert_weights(dir / "f32.pth", dir / "back.safetensors");
  EXPECT_EQ(inspect_weights(dir / "f32.pth").contents, "full SAM2-UNet");
  const auto want = logits(default_model_path());
  EXPECT_EQ(logits(dir / "f32.pth"), want);
  EXPECT_EQ(logits(dir / "back.safetensors"), want);
}

TEST(Convert, HalfPrecisionsStayClose) {
  const test::TempDir dir;
  const auto want = logits(default_model_path());
  convert_weights(default_model_path(), dir / "f16.safetensors", {.precision = WeightsPrecision::f16});
  EXPECT_LT(difference(logits(dir / "f16.safetensors"), want), 5e-3);
  convert_weights(default_model_path(), dir / "bf16.pth", {.precision = WeightsPrecision::bf16});
  EXPECT_LT(difference(logits(dir / "bf16.pth"), want), 5e-2);
}

TEST(Convert, Int8OfInt8IsTheSame) {
  const test::TempDir dir;
  convert_weights(default_model_path(), dir / "again.safetensors", {.precision = WeightsPrecision::int8});
  EXPECT_LT(difference(logits(dir / "again.safetensors"), logits(default_model_path())), 1e-4);
}

TEST(Convert, ATaskFileAndATrunkMakeTheWholeAgain) {
  const test::TempDir dir;
  convert_weights(default_model_path(), dir / "task.safetensors", {.task_only = true});
  const auto info = inspect_weights(dir / "task.safetensors");
  EXPECT_EQ(info.contents, "task-only SAM2-UNet");
  EXPECT_EQ(info.variant, "t");
  EXPECT_LT(info.file_size, 4'000'000u);
  EXPECT_THROW(Segmenter s(dir / "task.safetensors"), WeightsError);
  ConvertOptions join;
  join.trunk = default_model_path();
  convert_weights(dir / "task.safetensors", dir / "whole.safetensors", join);
  EXPECT_EQ(logits(dir / "whole.safetensors"), logits(default_model_path()));
}

TEST(Convert, RefusesWhatCannotBe) {
  const test::TempDir dir;
  const auto model = default_model_path();
  EXPECT_THROW(convert_weights(model, dir / "x.onnx"), UsageError);
  EXPECT_THROW(convert_weights(model, dir / "x.pth", {.precision = WeightsPrecision::int8}), UsageError);
  EXPECT_THROW(convert_weights(model, model), UsageError);
  EXPECT_THROW(convert_weights(dir / "none.pth", dir / "x.pth"), FileError);
  EXPECT_THROW(convert_weights(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors",
                               dir / "x.pth"),
               WeightsError);
  EXPECT_THROW(convert_weights(model, dir / "no" / "x.pth"), FileError);
  EXPECT_TRUE(fs::is_empty(dir.path()));  // nothing half-written
}

TEST(Inspect, AnythingReadableIsDescribed) {
  const auto info =
      inspect_weights(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors");
  EXPECT_EQ(info.contents, "unknown");
  EXPECT_FALSE(info.tensors.empty());
}

}  // namespace
}  // namespace sam2unet
