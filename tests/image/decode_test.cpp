// Every stored form against what Pillow 12.3 makes of it (tests/data/image/README.md).
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/hash.h"
#include "image/orientation.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/profiles.h"
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
  EXPECT_EQ(files, 84);
}

// Transparent colours, palettes with alpha, multiplied colours: all as Pillow's convert("RGBA").
TEST(Decode, GivesTheAlphaOfPillow) {
  std::ifstream expected(data() / "decoded_rgba.txt");
  std::string line;
  int files = 0, with_alpha = 0;
  while (std::getline(expected, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name, want;
    words >> name >> want;
    ImageInfo info;
    const Image got = read_image(data() / "files" / name,
                                 {.mode = ColorMode::rgba, .apply_exif_orientation = false}, &info);
    EXPECT_EQ(got.channels, 4);
    EXPECT_EQ(summary(got), want) << name;
    ++files;
    with_alpha += info.alpha ? 1 : 0;
  }
  EXPECT_EQ(files, 77);
  EXPECT_GE(with_alpha, 10);
}

TEST(Decode, TellsGrayOfMoreThan8Bits) {
  const auto deep = [](const char* name) {
    ImageInfo info;
    read_image(data() / "files" / name, {.mode = ColorMode::gray}, &info);
    return info.deep;
  };
  for (const char* name : {"color0_16bit.png", "i16.tif", "i32.tif", "f32.tif", "wide.pgm", "gray.pfm"})
    EXPECT_TRUE(deep(name)) << name;
  // Colours keep their high byte with every reader.
  for (const char* name :
       {"color2_16bit.png", "color0_8bit.png", "wide.ppm", "gray.jpg", "la.tif", "raw.pgm"})
    EXPECT_FALSE(deep(name)) << name;
}

TEST(Decode, NamesFormatsThatAreNotRead) {
  const auto message = [](const std::string& bytes) {
    return test::message_of<ImageError>([&] { decode_image(std::as_bytes(std::span(bytes))); });
  };
  using namespace std::string_literals;
  EXPECT_NE(message("\0\0\0\x18"s + "ftypheic....").find("it is HEIC"), std::string::npos);
  EXPECT_NE(message("\0\0\0\x1C"s + "ftypavif....").find("it is AVIF"), std::string::npos);
  EXPECT_NE(message("\0\0\0\x0CjP  \r\n"s).find("it is JPEG 2000"), std::string::npos);
  EXPECT_NE(message("\0\x05\x16\x07\0\2"s).find("AppleDouble"), std::string::npos);
}

// Where nothing is said a picture is upright RGB without its profile, of a file as of its bytes.
TEST(Decode, WithoutAWordIsUprightRgb) {
  for (const char* name : {"exif6.jpg", "exif6.png", "gray.jpg"}) {
    const Image want =
        read_image(data() / "files" / name, {.mode = ColorMode::rgb, .apply_exif_orientation = true});
    ASSERT_EQ(want.channels, 3);
    EXPECT_EQ(want.width > want.height, std::string_view(name) == "gray.jpg") << name;  // 11 x 6 as stored
    for (const Image& got :
         {read_image(data() / "files" / name), decode_image(read_file(data() / "files" / name))}) {
      EXPECT_EQ(got.width, want.width) << name;
      EXPECT_EQ(got.pixels, want.pixels) << name;
    }
  }
  ImageInfo info;
  decode_image(encode_png(test::picture(5, 4, 3), test::rgb_profile()), {}, "p", &info);
  EXPECT_TRUE(info.color_profile.empty());
}

// A profile goes through: written by encode_png, read again, also from a JPEG.
TEST(Decode, ColourProfilesGoWithThePixels) {
  std::vector<std::byte> profile = test::rgb_profile();
  const std::vector<std::byte> png = encode_png(test::picture(5, 4, 4), profile);
  ImageInfo info;
  decode_image(png, {.mode = ColorMode::rgba, .keep_color_profile = true}, "p", &info);
  EXPECT_EQ(info.color_profile, profile);
  decode_image(png, {.mode = ColorMode::rgba}, "p", &info);
  EXPECT_TRUE(info.color_profile.empty());  // only where asked for
  // What is none, or of other colours, is left out.
  test::put_text(profile, 16, "CMYK");
  EXPECT_EQ(encode_png(test::picture(5, 4, 4), profile), encode_png(test::picture(5, 4, 4)));
  profile.resize(20);
  EXPECT_EQ(encode_png(test::picture(5, 4, 4), profile), encode_png(test::picture(5, 4, 4)));
}

// EXIF that is longer than a segment goes on in the next, behind the same six bytes.
TEST(Decode, ExifOfSeveralSegments) {
  const std::vector<std::byte> whole = read_file(data() / "files" / "exif6.jpg");
  std::string text(reinterpret_cast<const char*>(whole.data()), whole.size());
  const std::string begin("Exif\0\0", 6);
  const std::size_t at = text.find(begin), length_at = at - 2;  // FF E1 LENGTH "Exif\0\0" ...
  ASSERT_NE(at, std::string::npos);
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<std::uint8_t>(text[i]));
  };
  const std::size_t length = byte(length_at) * 256 + byte(length_at + 1);
  const std::string content = text.substr(at + 6, length - 8);
  const auto segment = [&](const std::string& part) {
    const std::size_t n = part.size() + 8;
    return std::string("\xFF\xE1") + static_cast<char>(n / 256) + static_cast<char>(n % 256) + begin + part;
  };
  for (std::size_t cut = 1; cut < content.size(); ++cut) {
    const std::string parted = text.substr(0, length_at - 2) + segment(content.substr(0, cut)) +
                               segment(content.substr(cut)) + text.substr(length_at + length);
    ImageInfo info;
    decode_image(std::as_bytes(std::span(parted)), {}, "p", &info);
    ASSERT_EQ(info.orientation, 6) << cut;
  }
}

// Whatever it is read as.
TEST(Decode, SaysThatAFileIsGray) {
  for (const ColorMode mode : {ColorMode::rgb, ColorMode::gray, ColorMode::rgba, ColorMode::ids}) {
    for (const char* name : {"color4_8bit.png", "gray.jpg"}) {
      ImageInfo i;
      read_image(data() / "files" / name, {.mode = mode}, &i);
      EXPECT_TRUE(i.gray) << name << " as " << static_cast<int>(mode);
    }
  }
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

// Image.getexif: the tag of the EXIF where it is there, whatever its value, and only else XMP's.
TEST(Orientation, OfExifGoesBeforeXmps) {
  const auto exif = [](char value) {
    const char bytes[] = {'M', 'M', 0, 42, 0, 0, 0,     8, 0, 1, 1, 0x12, 0,
                          3,   0,   0, 0,  1, 0, value, 0, 0, 0, 0, 0,    0};
    return std::vector<std::uint8_t>(std::begin(bytes), std::end(bytes));
  };
  const std::string_view eight = R"(<x tiff:Orientation="8"/>)";
  EXPECT_EQ(image::orientation_of(exif(6), {}), 6);
  EXPECT_EQ(image::orientation_of(exif(6), eight), 6);
  EXPECT_EQ(image::orientation_of(exif(1), eight), 1);
  EXPECT_EQ(image::orientation_of(exif(9), eight), 1);
  EXPECT_EQ(image::orientation_of({}, eight), 8);
  EXPECT_EQ(image::orientation_of({}, {}), 1);
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

// From each number of channels to each mode.
TEST(Color, EveryModeOfEveryNumberOfChannels) {
  using Pixels = std::vector<std::uint8_t>;
  const Pixels colour{10, 200, 30, 99};
  const auto in = [&](int channels, ColorMode mode) {
    Image one(1, 1, channels);
    one.pixels.assign(colour.begin(), colour.begin() + channels);
    const Image out = convert_color(one, mode);
    EXPECT_EQ(static_cast<std::size_t>(out.channels), out.pixels.size());
    return out.pixels;
  };
  EXPECT_EQ(in(1, ColorMode::rgb), (Pixels{10, 10, 10}));
  EXPECT_EQ(in(1, ColorMode::gray), (Pixels{10}));
  EXPECT_EQ(in(1, ColorMode::ids), (Pixels{10}));
  EXPECT_EQ(in(1, ColorMode::rgba), (Pixels{10, 10, 10, 255}));
  for (const int channels : {3, 4}) {
    EXPECT_EQ(in(channels, ColorMode::rgb), (Pixels{10, 200, 30}));
    EXPECT_EQ(in(channels, ColorMode::gray), (Pixels{124}));  // 8146848 / 65536
    EXPECT_EQ(in(channels, ColorMode::ids), (Pixels{10, 200, 30}));
  }
  EXPECT_EQ(in(3, ColorMode::rgba), (Pixels{10, 200, 30, 255}));
  EXPECT_EQ(in(4, ColorMode::rgba), colour);
}

}  // namespace
}  // namespace sam2unet
