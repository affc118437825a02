// Verifying folders of several pictures: the order, which files belong to which, and what is told of all
// together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/file.h"
#include "formats/tensor_file.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/verify.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"
#include "support/turned_photo.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

// A tensor of another size than the network's agrees with nothing, whatever its numbers are.
TEST(VerifyGolden, SizesMustAgree) {
  const test::TempDir dir;
  const auto golden =
      formats::TensorFile::open(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors");
  std::vector<formats::NamedTensor> tensors = golden.tensors();
  const auto changed =
      std::find_if(tensors.begin(), tensors.end(), [](const auto& t) { return t.name != "out"; });
  ASSERT_NE(changed, tensors.end());
  ASSERT_TRUE(changed->view.is_dense());
  const std::int64_t fewer = changed->view.numel() - 1;
  changed->view.shape = {fewer};
  changed->view.strides = {1};
  formats::write_safetensors(dir / "fewer.safetensors", tensors, golden.metadata());
  std::size_t wrong = 0;
  EXPECT_FALSE(verify(dir / "fewer.safetensors", {}, [&](const VerifyCheck& c) {
    EXPECT_EQ(c.ok(), c.name != changed->name) << c.name;
    EXPECT_EQ(std::isinf(c.error), c.name == changed->name) << c.name;
    wrong += c.ok() ? 0 : 1;
  }));
  EXPECT_EQ(wrong, 1u);
}

class VerifyFolder : public testing::Test {
 protected:
  VerifyFolder() {
    for (const char* name : {"image", "resized", "pred", "mask", "mask_resized"})
      fs::create_directories(folder / name);
    test::write_tiny_weights(weights, false, {{"input_size", "32x32"}});
  }
  // What is told, a line each: name, error, unit.
  std::vector<std::string> told(const VerifyOptions& more = {}) {
    std::vector<std::string> out;
    VerifyOptions options = more;
    options.weights = weights;
    options.threads = 1;
    verify(folder, options, [&](const VerifyCheck& c) {
      char error[32];
      std::snprintf(error, sizeof error, "%.6g", c.error);
      out.push_back(c.name + ": " + error + " " + c.unit);
    });
    return out;
  }
  // The reference's map of a picture, some pixels of which are another level.
  void put_prediction(const std::string& name, const Image& picture, int changed) {
    SegmentOptions official;
    official.official = true;
    Image map = Segmenter(weights, {.threads = 1}).segment(picture, official).to_gray();
    for (std::size_t i = 0; i < static_cast<std::size_t>(changed); ++i)
      map.pixels[i] = static_cast<std::uint8_t>(map.pixels[i] < 128 ? map.pixels[i] + 1 : map.pixels[i] - 1);
    write_png(folder / "pred" / name, map);
  }
  test::TempDir dir;
  const fs::path weights = dir / "tiny.safetensors", folder = dir / "set";
};

// 4 of 100 and 6 of 300 pixels are 10 of 400: the pictures count by their pixels.
TEST_F(VerifyFolder, PixelsOfAllPicturesAreCountedTogether) {
  const Image b = test::picture(30, 10, 3), a = test::picture(10, 10, 3);
  write_png(folder / "image/b.png", b);
  write_png(folder / "image/a.png", a);
  write_png(folder / "image/c.png", a);  // of which there is nothing
  write_file(folder / "image/notes.txt", std::string_view("no picture"));
  fs::create_directories(folder / "image/d.png");
  put_prediction("b.png", b, 6);
  put_prediction("a.png", a, 4);
  EXPECT_THAT(told(),
              ElementsAre("a.png prediction: 1 grey levels", "a.png prediction: 0.04 of pixels differ",
                          "b.png prediction: 1 grey levels", "b.png prediction: 0.02 of pixels differ",
                          "all predictions: 0.025 of pixels differ"));
  put_prediction("a.png", a, 0);
  EXPECT_EQ(told().back(), "all predictions: 0.015 of pixels differ");
}

// A photo's results are PNGs of its name; it is opened as it is stored, as the reference does.
TEST_F(VerifyFolder, PhotosAreTakenAsTheyAreStored) {
  write_file(folder / "image/p.jpg", test::turned_photo(6));
  const Image stored = read_image(folder / "image/p.jpg", {.apply_exif_orientation = false});
  const Image shown = read_image(folder / "image/p.jpg");
  ASSERT_NE(stored.width, shown.width);
  write_png(folder / "resized/p.png", resize_pillow(stored, 64, 32, ResizeFilter::bilinear));
  EXPECT_THAT(told(), ElementsAre("p.jpg resized: 0 grey levels"));
  write_file(folder / "mask/p.jpg", test::turned_photo(6));
  const Image mask =
      read_image(folder / "mask/p.jpg", {.mode = ColorMode::gray, .apply_exif_orientation = false});
  write_png(folder / "mask_resized/p.png", resize_pillow(mask, 20, 10, ResizeFilter::bicubic));
  write_png(folder / "mask/q.png", Image(8, 8, 1));  // of which there is nothing
  EXPECT_THAT(told(), ElementsAre("p.jpg resized: 0 grey levels", "p.jpg mask resized: 0 grey levels"));
}

// Plane behind plane, one for each class; whole, and of every eighth row and column.
TEST_F(VerifyFolder, LogitsOfEveryClassAreCompared) {
  auto config = test::tiny_config();
  config.out_channels = 3;
  test::write_weights(dir / "three.safetensors", config, {{"input_size", "32x64"}});
  const Image picture = test::picture(50, 30, 3);
  write_png(folder / "image/a.png", picture);
  const std::vector<float> logits =
      Segmenter(dir / "three.safetensors", {.threads = 1}).segment(picture).logits;
  ASSERT_EQ(logits.size(), 3u * 32 * 64);
  const auto error_of = [&](const std::vector<float>& values, const Shape& shape) {
    formats::write_safetensors(
        folder / "logits.safetensors",
        {{"logits:a.png",
          {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, shape.dense_strides()}}},
        {});
    std::vector<double> errors;
    verify(folder, {.weights = dir / "three.safetensors", .threads = 1}, [&](const VerifyCheck& c) {
      EXPECT_EQ(c.name, "a.png logits");
      errors.push_back(c.error);
    });
    EXPECT_EQ(errors.size(), 1u);
    return errors.at(0);
  };
  std::vector<float> thin, other = logits;
  for (std::size_t k = 0; k < 3; ++k)
    for (std::size_t y = 0; y < 32; y += 8)
      for (std::size_t x = 0; x < 64; x += 8) thin.push_back(logits[(k * 32 + y) * 64 + x]);
  EXPECT_LT(error_of(logits, {1, 3, 32, 64}), 1e-6);
  EXPECT_LT(error_of(thin, {1, 3, 4, 8}), 1e-6);
  std::swap_ranges(other.begin() + 32 * 64, other.begin() + 2 * 32 * 64, other.begin() + 2 * 32 * 64);
  EXPECT_GT(error_of(other, {1, 3, 32, 64}), 1e-3);
}

// The device and the precision are those that were asked for.
TEST_F(VerifyFolder, OptionsReachTheNetwork) {
  write_png(folder / "image/a.png", test::picture(10, 10, 3));
  EXPECT_EQ(test::message_of<UsageError>([&] { told({.device = "abacus"}); }),
            "device abacus: must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu");
  EXPECT_THAT(test::message_of<UsageError>([&] { told({.precision = Precision::tf32}); }),
              testing::StartsWith("precision tf32: the device cpu computes in"));
}

// Nor are golden values compared on another device than the one that was asked for.
TEST(VerifyGolden, OptionsReachTheNetwork) {
  const auto says = [](const VerifyOptions& options) {
    return test::message_of<UsageError>([&] {
      verify(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors", options,
             [](const VerifyCheck&) {});
    });
  };
  EXPECT_THAT(says({.device = "abacus"}), testing::StartsWith("device abacus: must be cpu"));
  EXPECT_THAT(says({.precision = Precision::f16}), testing::StartsWith("precision f16: the device cpu"));
}

}  // namespace
}  // namespace sam2unet
