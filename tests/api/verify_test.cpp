// Whole-model golden values: the reference's outputs and every named intermediate result.
#include "sam2unet/verify.h"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;

void expect_all_ok(const fs::path& path, const VerifyOptions& options, std::size_t least_checks) {
  std::size_t checks = 0;
  const bool ok = verify(path, options, [&](const VerifyCheck& c) {
    ++checks;
    EXPECT_TRUE(c.ok()) << path << " " << c.name << ": " << c.error << " " << c.unit;
  });
  EXPECT_TRUE(ok);
  EXPECT_GE(checks, least_checks);
}

TEST(GoldenForward, CarriedFiles) {
  std::size_t files = 0;
  for (const auto& f : fs::directory_iterator(test::repository_data() / "golden")) {
    if (!f.path().filename().string().starts_with("forward_")) continue;
    expect_all_ok(f.path(), {}, 15);
    ++files;
  }
  EXPECT_GE(files, 2u);
}

TEST(GoldenForward, AllFilesBesideTheCheckout) {
  const auto shared = test::shared_data();
  if (!shared) return;  // a user's clone runs on what the repository carries
  for (const auto& f : fs::directory_iterator(*shared / "golden")) {
    if (f.path().filename().string().starts_with("forward_")) expect_all_ok(f.path(), {}, 15);
  }
}

// Other widths and several classes.
TEST(GoldenForward, CarriedFilesOfForks) {
  std::size_t files = 0;
  for (const auto& f : fs::directory_iterator(test::repository_data() / "golden_widths")) {
    if (!f.path().filename().string().starts_with("forward_")) continue;
    expect_all_ok(f.path(), {}, 9);
    ++files;
  }
  EXPECT_GE(files, 2u);
}

TEST(GoldenForward, AllFilesOfForksBesideTheCheckout) {
  const auto shared = test::shared_data();
  if (!shared || !fs::exists(*shared / "golden_widths"))
    GTEST_SKIP() << "no golden_widths beside the checkout";
  for (const auto& f : fs::directory_iterator(*shared / "golden_widths")) {
    if (f.path().filename().string().starts_with("forward_")) expect_all_ok(f.path(), {}, 15);
  }
}

TEST(GoldenPictures, AllBesideTheCheckout) {
  const auto shared = test::shared_data();
  if (!shared) return;
  VerifyOptions options;
  options.weights = *shared / "weights" / "sam2unet_t_duts.pth";
  expect_all_ok(*shared / "golden" / "predict", options, 25 * 3);
}

TEST(GoldenForward, AChangedValueIsFound) {
  const test::TempDir dir;
  const fs::path copy = dir / "forward.safetensors";
  fs::copy_file(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors", copy);
  {
    std::fstream f(copy, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(-4, std::ios::end);
    const float wrong = 1e6F;
    f.write(reinterpret_cast<const char*>(&wrong), 4);
  }
  int failed = 0;
  EXPECT_FALSE(verify(copy, {}, [&](const VerifyCheck& c) { failed += c.ok() ? 0 : 1; }));
  EXPECT_EQ(failed, 1);
}

TEST(Verify, SaysWhatItNeeds) {
  const test::TempDir dir;
  const auto ignore = [](const VerifyCheck&) {};
  EXPECT_THROW(verify(dir.path(), {}, ignore), UsageError);  // pictures without weights
  EXPECT_THROW(verify(dir / "nothing.safetensors", {}, ignore), FileError);
  // Pictures with nothing beside them to compare with prove nothing.
  VerifyOptions options;
  options.weights = default_model_path();
  Image picture(9, 7, 3);
  for (std::size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<std::uint8_t>(i);
  fs::create_directories(dir / "image");
  write_png(dir / "image" / "a.png", picture);
  EXPECT_THROW(verify(dir.path(), options, ignore), FormatError);
  fs::create_directories(dir / "resized");
  write_png(dir / "resized" / "a.png", resize_pillow(picture, 64, 32, ResizeFilter::bilinear));
  EXPECT_TRUE(verify(dir.path(), options, ignore));
}

}  // namespace
}  // namespace sam2unet
