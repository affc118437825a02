// WebP's containers chunk by chunk, and JPEGs that are cut off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/message.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

std::string file_of(const char* name) {
  const auto bytes = read_file(test::repository_data() / "image" / "files" / name);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string little(std::size_t v, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(v >> 8 * i & 255);
  return out;
}
std::string chunk(std::string_view type, const std::string& data) {
  return std::string(type) + little(data.size(), 4) + data + std::string(data.size() % 2, '\0');
}
Image decoded(const std::string& file, ImageInfo& info, bool upright = true) {
  return decode_image(std::as_bytes(std::span(file)), {.apply_exif_orientation = upright}, "x", &info);
}
std::string refusal(const std::string& file) {
  return test::message_of<ImageError>([&] { decode_image(std::as_bytes(std::span(file)), {}, "x"); });
}

// A picture of the simple form in an extended one, whose flags say what stands behind it; `more` columns are
// said to be there than there are.
std::string extended(const std::string& simple, int flags, const std::string& behind, int more = 0) {
  ImageInfo info;
  const Image picture = decoded(simple, info);
  const std::string header = little(static_cast<std::size_t>(flags), 4) +
                             little(static_cast<std::size_t>(picture.width - 1 + more), 3) +
                             little(static_cast<std::size_t>(picture.height - 1), 3);
  const std::string body = "WEBP" + chunk("VP8X", header) + simple.substr(12) + behind;
  return "RIFF" + little(body.size(), 4) + body;
}

// Bit 3 of the flags says that there is EXIF, bit 2 that there is XMP.
TEST(WebpKinds, OrientationIsExifsOrXmps) {
  const std::string simple = file_of("lossy.webp");
  const auto exif = [](char value) {
    return chunk("EXIF",
                 std::string("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0", 19) + value + std::string(6, '\0'));
  };
  const std::string xmp = chunk("XMP ", R"(<x tiff:Orientation="8"/>)");
  ImageInfo info;
  const Image stored = decoded(simple, info);
  ASSERT_NE(stored.width, stored.height);
  EXPECT_EQ(info.orientation, 1);
  const auto expect = [&](const std::string& file, int orientation) {
    const Image turned = decoded(file, info);
    EXPECT_EQ(info.orientation, orientation);
    EXPECT_EQ(turned.pixels, apply_orientation(stored, orientation).pixels) << orientation;
    EXPECT_EQ(turned.width, orientation < 5 ? stored.width : stored.height);
    EXPECT_EQ(decoded(file, info, false).pixels, stored.pixels);
    EXPECT_EQ(info.orientation, orientation);
  };
  expect(extended(simple, 8, exif(6)), 6);
  expect(extended(simple, 4, xmp), 8);
  expect(extended(simple, 12, exif(3) + xmp), 3);
}

TEST(WebpKinds, TellsWhetherThereIsAlpha) {
  ImageInfo info;
  decoded(file_of("lossy.webp"), info);
  EXPECT_FALSE(info.alpha);
  decoded(file_of("lossless_alpha.webp"), info);
  EXPECT_TRUE(info.alpha);
  EXPECT_FALSE(info.gray);
}

TEST(WebpKinds, APictureOfAnotherSizeThanItsCanvasIsDamaged) {
  const std::string simple = file_of("lossy.webp");
  EXPECT_EQ(refusal(extended(simple, 0, "")), "");
  EXPECT_THAT(refusal(extended(simple, 0, "", 1)), EndsWith("the WebP is damaged"));
}

// Eleven pixels wide and six high.
TEST(JpegKinds, RowsBeforeTheCutAreCounted) {
  const std::string rgb = file_of("rgb.jpg"), progressive = file_of("progressive.jpg");
  EXPECT_THAT(refusal(rgb.substr(0, rgb.size() - 20)), HasSubstr(" of 6 rows"));
  EXPECT_THAT(refusal(progressive.substr(0, progressive.size() - 20)), HasSubstr("after 0 of 6 rows"));
}

// The first application's segments are many things: EXIF and XMP by the names with which they begin.
TEST(JpegKinds, OtherSegmentsSayNothingOfTheOrientation) {
  const std::string rgb = file_of("rgb.jpg");
  const auto segment = [](char marker, const std::string& data) {
    const std::size_t n = data.size() + 2;
    return std::string("\xFF") + marker + static_cast<char>(n / 256) + static_cast<char>(n % 256) + data;
  };
  const std::string eight = R"(<x tiff:Orientation="8"/>)", seven = R"(<x tiff:Orientation="7"/>)";
  const std::string xmp = std::string("http://ns.adobe.com/xap/1.0/\0", 29) + eight;
  const std::string other = std::string("http://ns.adobe.com/xmp/extension/\0", 35) + seven;
  const auto orientation = [&](const std::string& segments) {
    ImageInfo info;
    decoded(rgb.substr(0, 2) + segments + rgb.substr(2), info);
    return info.orientation;
  };
  EXPECT_EQ(orientation(segment('\xE1', xmp)), 8);
  EXPECT_EQ(orientation(segment('\xE1', other)), 1);
  EXPECT_EQ(orientation(segment('\xE1', xmp) + segment('\xE1', other)), 8);
  EXPECT_EQ(orientation(segment('\xE1', other) + segment('\xE1', xmp)), 8);
  EXPECT_EQ(orientation(segment('\xE3', xmp)), 1);
}

}  // namespace
}  // namespace sam2unet
