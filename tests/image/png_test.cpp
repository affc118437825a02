#include <algorithm>

#include <gtest/gtest.h>

#include "core/file.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"
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

// Rows that grow by a level each are next to nothing as differences, rows of eight kinds as they are: so a
// picture is written, and indices.
TEST(WritePng, ColoursAreFilteredAndIndicesNot) {
  const Image noise = test::picture(256, 1, 1);
  Image steps(256, 256, 1);
  for (int y = 0; y < 256; ++y)
    for (int x = 0; x < 256; ++x)
      steps.row(y)[x] = static_cast<std::uint8_t>(noise.pixels[static_cast<std::size_t>(x)] + y);
  EXPECT_LT(encode_png(steps).size(), 4000u);  // of 65536
  const Image kinds = test::picture(200, 8, 1), order = test::picture(400, 1, 1);
  Image ids(200, 400, 1);
  for (int y = 0; y < 400; ++y)
    std::copy_n(kinds.row(order.pixels[static_cast<std::size_t>(y)] % 8), 200, ids.row(y));
  EXPECT_LT(encode_indexed_png(ids, std::vector<Color>(256)).size(), 7000u);  // of 80000
}

TEST(WritePng, LeavesNothingBehindOnFailure) {
  const test::TempDir dir;
  EXPECT_THROW(write_png(dir / "no" / "a.png", test::picture(2, 2, 1)), FileError);
  EXPECT_THROW(write_png(dir / "a.png", ImageView{}), UsageError);
  const Image odd = test::picture(2, 2, 2);
  EXPECT_THROW(write_png(dir / "a.png", odd), UsageError);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(PngStream, IsTheWholePicturesPng) {
  for (const int channels : {1, 3, 4}) {
    const Image picture = test::picture(37, 50, channels);
    for (const int rows : {1, 7, 50}) {
      PngStream stream(37, 50, channels);
      for (int y = 0; y < 50; y += rows)
        stream.add(ImageView(picture.row(y), 37, std::min(rows, 50 - y), channels));
      EXPECT_EQ(stream.finish(), encode_png(picture));
    }
  }
  const std::vector<Color> palette{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  Image ids(20, 10, 1);
  for (std::size_t i = 0; i < ids.pixels.size(); ++i) ids.pixels[i] = static_cast<std::uint8_t>(i % 3);
  PngStream stream(20, 10, 1, {.palette = palette});
  stream.add(ids);
  EXPECT_EQ(stream.finish(), encode_indexed_png(ids, palette));
}

TEST(PngStream, ASinkTakesTheBytesAsTheyCome) {
  const Image picture = test::picture(400, 900, 3);
  std::vector<std::byte> all;
  std::size_t calls = 0, most = 0;
  const auto take = [&](std::span<const std::byte> bytes) {
    ++calls;
    most = std::max(most, bytes.size());
    all.insert(all.end(), bytes.begin(), bytes.end());
  };
  PngStream stream(400, 900, 3, {.palette = {}, .color_profile = {}, .sink = take});
  stream.add(picture);
  EXPECT_TRUE(stream.finish().empty());
  EXPECT_EQ(all, encode_png(picture));
  EXPECT_GT(calls, 3u);
  EXPECT_LT(most, all.size() / 2);
  // What the sink throws comes out, and not through libpng.
  PngStream full(400, 900, 3, {.palette = {}, .color_profile = {}, .sink = [](std::span<const std::byte>) {
                                 throw FileError("the disk is full");
                               }});
  EXPECT_THROW(full.add(picture), FileError);
}

TEST(PngStream, RefusesWhatDoesNotFit) {
  EXPECT_THROW(PngStream(0, 5, 1), UsageError);
  EXPECT_THROW(PngStream(5, 5, 2), UsageError);
  const std::vector<Color> palette{{1, 2, 3}};
  EXPECT_THROW(PngStream(5, 5, 3, {.palette = palette}), UsageError);
  const std::vector<Color> many(257);
  EXPECT_THROW(PngStream(5, 5, 1, {.palette = many}), UsageError);
  PngStream stream(5, 3, 1, {.palette = palette});
  EXPECT_THROW(stream.add(Image(4, 1, 1)), UsageError);
  EXPECT_THROW(stream.add(Image(5, 1, 3)), UsageError);
  EXPECT_THROW(stream.add(Image(5, 4, 1)), UsageError);
  Image odd(5, 1, 1);
  odd.pixels[2] = 1;
  EXPECT_THROW(stream.add(odd), UsageError);
  stream.add(Image(5, 2, 1));
  EXPECT_THROW((void)stream.finish(), UsageError);
  stream.add(Image(5, 1, 1));
  EXPECT_FALSE(stream.finish().empty());
}

}  // namespace
}  // namespace sam2unet
