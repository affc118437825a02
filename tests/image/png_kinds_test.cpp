// PNGs chunk by chunk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "image/kinds.h"
#include "sam2unet/image.h"
#include "support/profiles.h"

namespace sam2unet {
namespace {

using test::Bytes;
using test::decoded;
using test::refusal;
using testing::ElementsAre;
using testing::HasSubstr;

// A chunk of a PNG with its checksum, and what zlib makes of bytes that it does not compress.
Bytes be32(unsigned v) {
  return Bytes().u8({static_cast<int>(v >> 24), static_cast<int>(v >> 16 & 255),
                     static_cast<int>(v >> 8 & 255), static_cast<int>(v & 255)});
}
Bytes chunk(std::string_view type, const Bytes& data) {
  const Bytes body = Bytes().text(type).add(data);
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte b : body.span()) {
    crc ^= static_cast<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
  }
  return be32(static_cast<unsigned>(data.size())).add(body).add(be32(~crc));
}
Bytes zlib(const Bytes& data) {
  unsigned a = 1, b = 0;
  for (const std::byte v : data.span()) {
    a = (a + static_cast<unsigned>(v)) % 65521;
    b = (b + a) % 65521;
  }
  Bytes out;
  out.u8({0x78, 0x01});
  constexpr std::size_t kMaxBlock = 65535;
  for (std::size_t at = 0; at < data.size(); at += kMaxBlock) {
    const auto block = data.span().subspan(at, std::min(kMaxBlock, data.size() - at));
    const auto n = static_cast<unsigned>(block.size());
    out.u8({at + n == data.size() ? 1 : 0}).le16(n).le16(~n & 0xFFFF);
    out.text({reinterpret_cast<const char*>(block.data()), block.size()});
  }
  return out.add(be32(b << 16 | a));
}
Bytes png(unsigned width, unsigned height, int depth, int color, const Bytes& rows, const Bytes& before = {},
          const Bytes& behind = {}) {
  const Bytes header = be32(width).add(be32(height)).u8({depth, color, 0, 0, 0});
  return Bytes()
      .text("\x89PNG\r\n\x1A\n")
      .add(chunk("IHDR", header))
      .add(before)
      .add(chunk("IDAT", zlib(rows)))
      .add(behind)
      .add(chunk("IEND", {}));
}

TEST(PngKinds, DeepGrayIsClippedAndNoIdBeyond255) {
  const Bytes file = png(3, 1, 16, 0, Bytes().u8({0, 0, 255, 1, 0, 0, 7}));
  ImageInfo info;
  EXPECT_THAT(decoded(file, ColorMode::gray, &info).pixels, ElementsAre(255, 255, 7));
  EXPECT_TRUE(info.deep);
  EXPECT_THAT(refusal(file, ColorMode::ids), HasSubstr("the value 256"));
  EXPECT_THAT(decoded(png(2, 1, 16, 0, Bytes().u8({0, 0, 255, 0, 7})), ColorMode::ids).pixels,
              ElementsAre(255, 7));
}

TEST(PngKinds, IndicesOfFewBitsArePacked) {
  const Bytes palette = chunk("PLTE", Bytes().u8({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const Bytes file = png(5, 2, 2, 3, Bytes().u8({0, 0x18, 0x80, 0, 0x46, 0x40}), palette);
  EXPECT_THAT(decoded(file, ColorMode::ids).pixels, ElementsAre(0, 1, 2, 0, 2, 1, 0, 1, 2, 1));
  const Image colours = decoded(file, ColorMode::rgb);
  EXPECT_THAT(std::vector<int>(colours.row(0) + 3, colours.row(0) + 9), ElementsAre(4, 5, 6, 7, 8, 9));
}

// Where EXIF may lie: its own chunk, also behind the picture, goes before text as ImageMagick writes it.
TEST(PngKinds, OrientationInEveryPlace) {
  const auto exif_of = [](int value) {
    return Bytes().text("MM").u8(
        {0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0});
  };
  const auto raw = [&](int value, std::string_view digits = "0123456789abcdef") {
    std::string text = "\nexif\n      26\n";
    const Bytes bytes = exif_of(value);
    for (const std::byte b : bytes.span()) {
      text += digits[static_cast<std::size_t>(b) >> 4];
      text += digits[static_cast<std::size_t>(b) & 15];
    }
    return Bytes().text(text);
  };
  const Bytes key = Bytes().text("Raw profile type exif").u8({0});
  const Bytes xmp_key = Bytes().text("XML:com.adobe.xmp").u8({0});
  const Bytes xmp = Bytes().text("<x tiff:Orientation=\"8\"/>");
  const auto orientation = [](const Bytes& before, const Bytes& behind) {
    ImageInfo info;
    decoded(png(1, 1, 8, 0, Bytes().u8({0, 9}), before, behind), ColorMode::gray, &info);
    return info.orientation;
  };
  const Bytes none;
  EXPECT_EQ(orientation(none, none), 1);
  EXPECT_EQ(orientation(chunk("eXIf", exif_of(6)), none), 6);
  EXPECT_EQ(orientation(none, chunk("eXIf", exif_of(6))), 6);
  EXPECT_EQ(orientation(chunk("tEXt", Bytes(key).add(raw(5))), none), 5);
  EXPECT_EQ(orientation(chunk("tEXt", Bytes(key).add(raw(7, "0123456789ABCDEF"))), none), 7);
  EXPECT_EQ(orientation(none, chunk("zTXt", Bytes(key).u8({0}).add(zlib(raw(3))))), 3);
  EXPECT_EQ(orientation(chunk("eXIf", exif_of(6)), chunk("tEXt", Bytes(key).add(raw(5)))), 6);
  EXPECT_EQ(orientation(chunk("iTXt", Bytes(xmp_key).u8({0, 0, 0, 0}).add(xmp)), none), 8);
  EXPECT_EQ(orientation(chunk("iTXt", Bytes(xmp_key).u8({1, 0, 0, 0}).add(zlib(xmp))), none), 8);
  EXPECT_EQ(orientation(chunk("iTXt", Bytes(key).u8({0, 0}).text("en").u8({0, 0}).add(raw(7))), none), 7);
  EXPECT_EQ(orientation(chunk("iTXt", Bytes(xmp_key).u8({0, 0, 0, 0}).add(xmp)), chunk("eXIf", exif_of(2))),
            2);
}

// What Python's zlib.compress(text, 9) makes of an XMP with orientation 8, and of a raw profile with 3.
TEST(PngKinds, TextsAreUnpacked) {
  const Bytes xmp = Bytes().u8({120, 218, 179, 169, 80,  40, 201, 76, 75,  179, 242, 47, 202, 76, 205, 43, 73,
                                44,  201, 204, 207, 179, 85, 178, 80, 210, 183, 3,   0,  116, 50, 8,   106});
  const Bytes raw = Bytes().u8({120, 218, 227, 74, 173, 200, 76, 227, 82,  0, 3,   35,  51, 46, 147, 20,
                                147, 20,  3,   3,  163, 68,  3,  8,   176, 0, 98,  67,  3,  67, 67,  35,
                                32,  109, 12,  21, 51,  68,  98, 131, 1,   0, 216, 208, 13, 106});
  const auto orientation = [](const Bytes& text) {
    ImageInfo info;
    decoded(png(1, 1, 8, 0, Bytes().u8({0, 9}), text, Bytes()), ColorMode::gray, &info);
    return info.orientation;
  };
  const auto key = [](std::string_view name) { return Bytes().text(name).u8({0}); };
  EXPECT_EQ(orientation(chunk("iTXt", key("XML:com.adobe.xmp").u8({1, 0, 0, 0}).add(xmp))), 8);
  EXPECT_EQ(orientation(chunk("zTXt", key("Raw profile type exif").u8({0}).add(raw))), 3);
  EXPECT_EQ(orientation(chunk("iTXt", key("Raw profile type exif").u8({1, 0, 0, 0}).add(raw))), 3);
}

// An ICC profile is of RGB colours: a gray picture has no use for it.
TEST(PngKinds, GrayPicturesTakeNoProfile) {
  std::vector<std::byte> profile = test::rgb_profile();
  const auto kept = [&](const Image& picture) {
    ImageInfo info;
    decode_image(encode_png(picture, profile), {.keep_color_profile = true}, "p", &info);
    return info.color_profile;
  };
  EXPECT_TRUE(kept(Image(3, 2, 1)).empty());
  EXPECT_EQ(encode_png(Image(3, 2, 1), profile), encode_png(Image(3, 2, 1)));
  EXPECT_EQ(kept(Image(3, 2, 3)), profile);
  // No profile, though it looks like one: of another magic, of a size that is no multiple of four.
  test::put_text(profile, 36, "acps");
  EXPECT_TRUE(kept(Image(3, 2, 3)).empty());
  test::put_text(profile, 36, "acsp");
  profile[3] = std::byte{143};
  EXPECT_TRUE(kept(Image(3, 2, 3)).empty());
}

ImageInfo info_with(const Image& picture, const Bytes& before) {
  const std::vector<std::byte> png = encode_png(picture);
  std::vector<std::byte> file(png.begin(), png.begin() + 33);  // with the header
  file.insert(file.end(), before.span().begin(), before.span().end());
  file.insert(file.end(), png.begin() + 33, png.end());
  ImageInfo info;
  decode_image(file, {.mode = ColorMode::rgba}, "x", &info);
  return info;
}

TEST(PngKinds, AlphaIsAChannelOrATransparentColour) {
  EXPECT_FALSE(info_with(Image(2, 2, 1), {}).alpha);
  EXPECT_FALSE(info_with(Image(2, 2, 3), {}).alpha);
  EXPECT_TRUE(info_with(Image(2, 2, 4), {}).alpha);
  EXPECT_TRUE(info_with(Image(2, 2, 1), chunk("tRNS", Bytes().le16(0))).alpha);
  EXPECT_TRUE(info_with(Image(2, 2, 3), chunk("tRNS", Bytes().le32(0).le16(0))).alpha);
}

// Of a text that unpacks to more than 1 MiB the beginning is kept, of one that is damaged nothing.
TEST(PngKinds, LongTextsAreCutOff) {
  const auto orientation = [](std::size_t length, bool damaged) {
    std::string text = "<x tiff:Orientation=\"8\"/>";
    text.resize(length, ' ');
    Bytes packed = zlib(Bytes().text(text));
    if (damaged) packed[packed.size() - 3] ^= std::byte{1};  // of the checksum
    const Bytes key = Bytes().text("XML:com.adobe.xmp").u8({0, 1, 0, 0, 0});
    return info_with(Image(1, 1, 1), chunk("iTXt", Bytes(key).add(packed))).orientation;
  };
  EXPECT_EQ(orientation(100, false), 8);
  EXPECT_EQ(orientation(100, true), 1);
  EXPECT_EQ(orientation((std::size_t{1} << 20) + 1000, false), 8);
}

// A text is the EXIF's or the XMP's by its key alone.
TEST(PngKinds, TextsOfOtherKeysSayNothingOfTheOrientation) {
  const Bytes raw = Bytes().text("\nexif\n      26\n4d4d002a00000008000101120003000000010006000000000000");
  const Bytes xmp = Bytes().text("<x tiff:Orientation=\"8\"/>");
  const auto orientation = [](std::string_view type, std::string_view key, const Bytes& data) {
    return info_with(Image(1, 1, 1), chunk(type, Bytes().text(key).u8({0}).add(data))).orientation;
  };
  EXPECT_EQ(orientation("tEXt", "Raw profile type exif", raw), 6);
  EXPECT_EQ(orientation("tEXt", "Raw profile type iptc", raw), 1);
  EXPECT_EQ(orientation("tEXt", "XML:com.adobe.xmp", xmp), 1);  // which stands in iTXt
  EXPECT_EQ(orientation("zTXt", "Raw profile type exif", Bytes().u8({0}).add(zlib(raw))), 6);
  EXPECT_EQ(orientation("zTXt", "Comment", Bytes().u8({0}).add(zlib(raw))), 1);
  const Bytes before = Bytes().u8({0, 0, 0, 0});
  EXPECT_EQ(orientation("iTXt", "XML:com.adobe.xmp", Bytes(before).add(xmp)), 8);
  EXPECT_EQ(orientation("iTXt", "Comment", Bytes(before).add(xmp)), 1);
  EXPECT_EQ(orientation("iTXt", "Comment", Bytes(before).add(raw)), 1);
}

// The one colour that tRNS names is transparent, of gray and of RGB; no other is.
TEST(PngKinds, OneColourMayBeTransparent) {
  const Bytes gray = png(3, 1, 8, 0, Bytes().u8({0, 7, 8, 7}), chunk("tRNS", Bytes().u8({0, 7})));
  ImageInfo info;
  EXPECT_THAT(decoded(gray, ColorMode::rgba, &info).pixels,
              ElementsAre(7, 7, 7, 0, 8, 8, 8, 255, 7, 7, 7, 0));
  EXPECT_TRUE(info.alpha);
  EXPECT_THAT(decoded(gray).pixels, ElementsAre(7, 8, 7));
  const Bytes rgb =
      png(2, 1, 8, 2, Bytes().u8({0, 1, 2, 3, 1, 2, 4}), chunk("tRNS", Bytes().u8({0, 1, 0, 2, 0, 3})));
  EXPECT_THAT(decoded(rgb, ColorMode::rgba, &info).pixels, ElementsAre(1, 2, 3, 0, 1, 2, 4, 255));
  EXPECT_TRUE(info.alpha);
  EXPECT_FALSE(info.gray);
  EXPECT_THAT(decoded(rgb, ColorMode::rgb).pixels, ElementsAre(1, 2, 3, 1, 2, 4));
}

// Gray of 16 bits is clipped before anything is made of its transparent value: it is opaque.
TEST(PngKinds, DeepGrayIsOpaque) {
  const Bytes file = png(2, 1, 16, 0, Bytes().u8({0, 0, 7, 1, 0}), chunk("tRNS", Bytes().u8({0, 7})));
  ImageInfo info;
  EXPECT_THAT(decoded(file, ColorMode::rgba, &info).pixels, ElementsAre(7, 7, 7, 255, 255, 255, 255, 255));
  EXPECT_TRUE(info.alpha);
  EXPECT_TRUE(info.deep);
}

// An alpha for the first indices; those without one are opaque.
TEST(PngKinds, IndicesMayHaveAlpha) {
  const Bytes palette = chunk("PLTE", Bytes().u8({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const auto file = [&](const Bytes& alpha) {
    return png(3, 1, 8, 3, Bytes().u8({0, 2, 1, 0}), Bytes(palette).add(alpha));
  };
  ImageInfo info;
  EXPECT_THAT(decoded(file(chunk("tRNS", Bytes().u8({0, 90}))), ColorMode::rgba, &info).pixels,
              ElementsAre(7, 8, 9, 255, 4, 5, 6, 90, 1, 2, 3, 0));
  EXPECT_TRUE(info.alpha);
  EXPECT_TRUE(info.palette);
  EXPECT_THAT(decoded(file({}), ColorMode::rgba, &info).pixels,
              ElementsAre(7, 8, 9, 255, 4, 5, 6, 255, 1, 2, 3, 255));
  EXPECT_FALSE(info.alpha);
  EXPECT_THAT(decoded(file(chunk("tRNS", Bytes().u8({0}))), ColorMode::ids).pixels, ElementsAre(2, 1, 0));
}

}  // namespace
}  // namespace sam2unet
