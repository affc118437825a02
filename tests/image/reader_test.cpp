// Readers that keep their memory, large files, formats by their names, and files that ask for too much work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/file.h"
#include "image/kinds.h"
#include "image/picture_reader.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/profiles.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

using test::Bytes;
using test::decoded;
using test::refusal;
using testing::Each;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// One reader for pictures of all formats, sizes and modes, in whatever order they come; after a file that
// cannot be read it reads the next as if nothing had been.
TEST(PictureReader, GivesWhatReadingEachAloneGives) {
  const test::TempDir dir;
  write_file(dir / "broken.png", std::string_view("\x89PNG\r\n\x1A\n and no more"));
  const std::vector<std::byte> whole = encode_png(test::picture(40, 30, 3));
  write_file(dir / "cut.png", {whole.data(), whole.size() / 2});
  std::vector<std::filesystem::path> files;
  for (const auto& e : std::filesystem::directory_iterator(test::repository_data() / "image" / "files"))
    files.push_back(e.path());
  std::sort(files.begin(), files.end());
  ASSERT_GT(files.size(), 80u);
  image::PictureReader reader;
  for (const ColorMode mode : {ColorMode::rgb, ColorMode::gray, ColorMode::rgba}) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const DecodeOptions options{.mode = mode, .apply_exif_orientation = i % 2 == 0};
      if (i % 9 == 4) {
        EXPECT_THROW(reader.read(dir / "broken.png", options), ImageError);
      }
      if (i % 9 == 5) {
        EXPECT_THROW(reader.read(dir / "cut.png", options), ImageError);
      }
      if (i % 9 == 6) {
        EXPECT_THROW(reader.read(dir / "missing.png", options), FileError);
      }
      ImageInfo info, want_info;
      Image& got = reader.read(files[i], options, &info);
      const Image want = read_image(files[i], options, &want_info);
      EXPECT_EQ(got.width, want.width) << files[i];
      EXPECT_EQ(got.height, want.height) << files[i];
      EXPECT_EQ(got.channels, want.channels) << files[i];
      EXPECT_TRUE(got.pixels == want.pixels) << files[i];
      EXPECT_EQ(info.format, want_info.format);
      EXPECT_EQ(info.orientation, want_info.orientation);
      EXPECT_EQ(info.deep, want_info.deep);
      std::fill(got.pixels.begin(), got.pixels.end(), std::uint8_t{77});  // which the caller may do
    }
  }
}

// From 32 MiB on a file is mapped instead of read: the same pixels, and the same words where it is cut off.
TEST(ReadImage, ALargeFileIsAPictureLikeAnyOther) {
  const test::TempDir dir;
  constexpr int kWidth = 6000, kHeight = 5601;
  Image want(kWidth, kHeight, 1);
  for (int x = 0; x < kWidth; ++x) want.row(0)[x] = static_cast<std::uint8_t>(x * 31 % 251);
  for (int y = 1; y < kHeight; ++y) std::copy_n(want.row(0) + y % 97, kWidth - 97, want.row(y));
  std::string file = "P5 6000 5601 255\n";
  file.append(reinterpret_cast<const char*>(want.pixels.data()), want.pixels.size());
  ASSERT_GT(file.size(), std::size_t{32} << 20);
  write_file(dir / "large.pgm", file);
  ImageInfo info;
  const Image got = read_image(dir / "large.pgm", {.mode = ColorMode::gray}, &info);
  EXPECT_EQ(info.format, ImageFormat::pnm);
  EXPECT_TRUE(info.gray);
  EXPECT_TRUE(got.pixels == want.pixels);
  file.pop_back();
  write_file(dir / "large.pgm", file);
  EXPECT_THAT(test::message_of<ImageError>([&] { read_image(dir / "large.pgm"); }),
              testing::AllOf(StartsWith("cannot decode " + (dir / "large.pgm").string() + ": "),
                             HasSubstr("after 5600 of 5601 rows")));
  EXPECT_THROW(read_image(dir / "large.pgm", {.max_pixels = 1000}), ImageError);
}

TEST(ImageFormats, AreCalledAsTheirMakersCallThem) {
  const std::vector<std::pair<ImageFormat, std::string_view>> names{
      {ImageFormat::jpeg, "JPEG"}, {ImageFormat::png, "PNG"}, {ImageFormat::webp, "WebP"},
      {ImageFormat::tiff, "TIFF"}, {ImageFormat::bmp, "BMP"}, {ImageFormat::pnm, "PNM"},
      {ImageFormat::gif, "GIF"}};
  for (const auto& [format, name] : names) EXPECT_EQ(name_of(format), name);
}

// By their first bytes alone.
TEST(ImageFormats, AreToldByHowTheyBegin) {
  using namespace std::string_literals;
  const auto told = [](const std::string& text) { return detect_image_format(Bytes().text(text).span()); };
  const std::vector<std::pair<std::string, ImageFormat>> begins{
      {"\xFF\xD8\xFF"s, ImageFormat::jpeg}, {"\x89PNG\r\n\x1A\n"s, ImageFormat::png},
      {"RIFF....WEBP"s, ImageFormat::webp}, {"II*\0"s, ImageFormat::tiff},
      {"MM\0*"s, ImageFormat::tiff},        {"II+\0"s, ImageFormat::tiff},
      {"MM\0+"s, ImageFormat::tiff},        {"BM"s, ImageFormat::bmp},
      {"P1\n"s, ImageFormat::pnm},          {"P2 "s, ImageFormat::pnm},
      {"P3\t"s, ImageFormat::pnm},          {"P4\r"s, ImageFormat::pnm},
      {"P5#"s, ImageFormat::pnm},           {"P6\n"s, ImageFormat::pnm},
      {"Pf\n"s, ImageFormat::pnm},          {"GIF87a"s, ImageFormat::gif},
      {"GIF89a"s, ImageFormat::gif}};
  for (const auto& [begin, format] : begins) {
    EXPECT_EQ(told(begin), format) << begin;
    EXPECT_EQ(told(begin + "more"), format) << begin;
    EXPECT_NE(told(begin.substr(0, begin.size() - 1)), format) << begin;
  }
  for (const std::string& other : {"RIFF....WAVE"s, "P7\n"s, "P0\n"s, "PF\n"s, "P5x"s, "GIF88a"s, "II*\1"s,
                                   "MM*\0"s, "MB"s, "\x89PNG\n\x1A\n"s, ""s})
    EXPECT_EQ(told(other), std::nullopt) << other;
}

// A progressive JPEG of one gray block: quantised by ones, one code of one bit, which says "no difference";
// its first scan is all but the last bit of the mean, every other says this bit, 0, once more.
Bytes jpeg_of_scans(int scans) {
  Bytes out;
  out.u8({0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0});
  for (int i = 0; i < 64; ++i) out.u8({1});
  out.u8({0xFF, 0xC2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0});
  out.u8({0xFF, 0xC4, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  for (int i = 0; i < scans; ++i) out.u8({0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, i == 0 ? 0x01 : 0x10, 0x7F});
  return out.u8({0xFF, 0xD9});
}

// A small file may not ask for any number of passes over its picture.
TEST(Hostile, AJpegHasFiveHundredScansAtMost) {
  for (const int scans : {1, 2, 500}) {
    const Image gray = decoded(jpeg_of_scans(scans));
    ASSERT_EQ(gray.pixels.size(), 64u) << scans;
    EXPECT_THAT(gray.pixels, Each(128)) << scans;
  }
  for (const int scans : {501, 700})
    EXPECT_THAT(refusal(jpeg_of_scans(scans)), EndsWith("the JPEG is damaged (it has more than 500 scans)"))
        << scans;
}

// A stream's colours are those of the same profile; gray has none.
TEST(PngStream, TakesTheColourProfile) {
  const std::vector<std::byte> profile = test::rgb_profile();
  for (const int channels : {1, 3, 4}) {
    const Image picture = test::picture(9, 7, channels);
    PngStream stream(9, 7, channels, {.palette = {}, .color_profile = profile, .sink = {}});
    stream.add(picture);
    const std::vector<std::byte> png = stream.finish();
    EXPECT_EQ(png, encode_png(picture, profile)) << channels;
    EXPECT_EQ(png == encode_png(picture), channels == 1) << channels;
  }
}

// As it is, with the profile, where edges are not to be cleaned; cleaned ones have it too.
TEST(CutOut, IsWrittenWithItsProfile) {
  const std::vector<std::byte> profile = test::rgb_profile();
  Image rgba = test::picture(20, 14, 4);
  const auto written = [&](const CutoutOptions& options) {
    std::vector<std::byte> out;
    write_cutout_png(rgba, options, profile,
                     [&](auto bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); });
    return out;
  };
  EXPECT_EQ(written({.clean_edges = false}), encode_png(rgba, profile));
  Image opaque(20, 14, 1);
  std::fill(opaque.pixels.begin(), opaque.pixels.end(), std::uint8_t{255});
  EXPECT_EQ(written({.clean_edges = true}), encode_png(cut_out(rgba, opaque), profile));
  rgba = Image(3, 2, 3);
  EXPECT_EQ(test::message_of<UsageError>([&] { written({}); }),
            "a cut-out is an RGBA picture of at least one pixel");
}

}  // namespace
}  // namespace sam2unet
