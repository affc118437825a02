// Every stored form against what Pillow 12.3 makes of it (tests/data/image/README.md).
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/hash.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/pictures.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

std::filesystem::path data() {
  return test::repository_data() / "image";
}

std::string summary(const Image& image) {
  return fmt::format("{}x{}:{:016x}", image.width, image.height,
                     fnv1a(std::as_bytes(std::span(image.pixels))));
}

TEST(Decode, GivesThePixelsOfPillow) {
  std::ifstream expected(data() / "decoded.txt");
  std::string line;
  int files = 0;
  while (std::getline(expected, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    words >> name;
    SCOPED_TRACE(name);
    const std::vector<std::byte> bytes = read_file(data() / "files" / name);
    for (const bool upright : {false, true}) {
      for (const ColorMode mode : {ColorMode::rgb, ColorMode::gray}) {
        std::string want;
        words >> want;
        const Image got = decode_image(bytes, {.mode = mode, .apply_exif_orientation = upright}, name);
        EXPECT_EQ(got.channels, mode == ColorMode::rgb ? 3 : 1);
        EXPECT_EQ(summary(got), want) << "upright " << upright << ", gray " << (mode == ColorMode::gray);
      }
    }
    ++files;
  }
  EXPECT_EQ(files, 72);
}

TEST(Decode, SaysWhatTheFileWas) {
  const auto info = [](const char* name) {
    ImageInfo i;
    read_image(data() / "files" / name, {}, &i);
    return i;
  };
  EXPECT_EQ(info("exif6.jpg").format, ImageFormat::jpeg);
  EXPECT_EQ(info("exif6.jpg").orientation, 6);
  EXPECT_FALSE(info("exif6.jpg").gray);
  EXPECT_TRUE(info("gray.jpg").gray);
  EXPECT_EQ(info("lossy.webp").format, ImageFormat::webp);
  EXPECT_EQ(info("lzw.tif").format, ImageFormat::tiff);
  EXPECT_TRUE(info("palette.tif").palette);
  EXPECT_TRUE(info("color3_8bit.png").palette);
  EXPECT_EQ(info("rgb.bmp").format, ImageFormat::bmp);
  EXPECT_EQ(info("raw.pgm").format, ImageFormat::pnm);
  EXPECT_EQ(name_of(ImageFormat::webp), "WebP");
}

// Turning the corner pixel: where (0, 0) and (1, 0) of a 3 x 2 picture go.
TEST(Orientation, TurnsAsTheTagSays) {
  Image image(3, 2, 1);
  image.pixels = {0, 1, 2, 3, 4, 5};
  const std::vector<std::vector<std::uint8_t>> turned = {
      {0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
      {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (int o = 1; o <= 8; ++o) {
    const Image out = apply_orientation(image, o);
    EXPECT_EQ(out.pixels, turned[static_cast<std::size_t>(o - 1)]) << o;
    EXPECT_EQ(out.width, o >= 5 ? 2 : 3) << o;
  }
  EXPECT_EQ(apply_orientation(image, 0).pixels, image.pixels);
  EXPECT_EQ(apply_orientation(image, 9).pixels, image.pixels);
}

TEST(Color, FollowsTheIntegerFormula) {
  Image image(2, 1, 3);
  image.pixels = {255, 255, 255, 10, 200, 30};
  const Image gray = convert_color(image, ColorMode::gray);
  EXPECT_EQ(gray.pixels,
            (std::vector<std::uint8_t>{255, (10 * 19595 + 200 * 38470 + 30 * 7471 + 0x8000) >> 16}));
  EXPECT_EQ(convert_color(gray, ColorMode::rgb).channels, 3);
  Image alpha(1, 1, 4);
  alpha.pixels = {1, 2, 3, 0};
  EXPECT_EQ(convert_color(alpha, ColorMode::rgb).pixels, (std::vector<std::uint8_t>{1, 2, 3}));
}

TEST(Extension, IsKnownInAnyCase) {
  EXPECT_TRUE(has_image_extension("a/b.JPG"));
  EXPECT_TRUE(has_image_extension("b.tiff"));
  EXPECT_FALSE(has_image_extension("b.txt"));
  EXPECT_FALSE(has_image_extension(".jpg"));
  EXPECT_FALSE(has_image_extension("jpg"));
}

}  // namespace
}  // namespace sam2unet
