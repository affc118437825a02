#include <algorithm>

#include <gtest/gtest.h>

#include "core/file.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/pictures.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

TEST(WritePng, ReadsBackTheSame) {
  const test::TempDir dir;
  for (const auto& [w, h] : {std::pair{1, 1}, {7, 3}, {300, 200}, {3, 500}}) {
    const Image rgb = test::picture(w, h, 3);
    write_png(dir / "a.png", rgb);
    EXPECT_EQ(read_image(dir / "a.png").pixels, rgb.pixels);
    const Image gray = test::picture(w, h, 1);
    write_png(dir / "a.png", gray);
    ImageInfo info;
    EXPECT_EQ(read_image(dir / "a.png", {.mode = ColorMode::gray}, &info).pixels, gray.pixels);
    EXPECT_TRUE(info.gray);
  }
}

TEST(WritePng, KeepsColourUnderAlpha) {
  const Image rgba = test::picture(20, 10, 4);
  EXPECT_EQ(decode_image(encode_png(rgba)).pixels, convert_color(rgba, ColorMode::rgb).pixels);
}

TEST(WritePng, TakesAViewWithGaps) {
  const Image whole = test::picture(30, 20, 3);
  const ImageView part{whole.row(5) + 4 * 3, 11, 9, 3, 30 * 3};
  const Image back = decode_image(encode_png(part));
  for (int y = 0; y < 9; ++y) EXPECT_TRUE(std::equal(back.row(y), back.row(y) + 33, part.row(y))) << y;
}

TEST(WritePng, LeavesNothingBehindOnFailure) {
  const test::TempDir dir;
  EXPECT_THROW(write_png(dir / "no" / "a.png", test::picture(2, 2, 1)), FileError);
  EXPECT_THROW(write_png(dir / "a.png", ImageView{}), UsageError);
  const Image odd = test::picture(2, 2, 2);
  EXPECT_THROW(write_png(dir / "a.png", odd), UsageError);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

}  // namespace
}  // namespace sam2unet
