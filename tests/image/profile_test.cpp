// What stands beside the pixels: colour profiles of the formats that keep them, of RGB pictures and where
// they are asked for, and alpha and long texts of PNGs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"
#include "support/profiles.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using testing::IsEmpty;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string file_of(const char* name) {
  return text_of(read_file(test::repository_data() / "image" / "files" / name));
}
std::string number(std::size_t v, int bytes, bool little) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(v >> 8 * (little ? i : bytes - 1 - i) & 255);
  return out;
}

std::vector<std::byte> profile_in(const std::string& file, bool asked = true) {
  ImageInfo info;
  decode_image(std::as_bytes(std::span(file)), {.keep_color_profile = asked}, "x", &info);
  return info.color_profile;
}

// Behind the start of the file: segments of the second application, numbered from 1 on.
std::string with_segments(const std::string& jpeg, const std::vector<std::string>& parts) {
  std::string out = jpeg.substr(0, 2);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string body = std::string("ICC_PROFILE\0", 12) + number(i + 1, 1, false) +
                             number(parts.size(), 1, false) + parts[i];
    out += "\xFF\xE2" + number(body.size() + 2, 2, false) + body;
  }
  return out + jpeg.substr(2);
}

TEST(ProfileKinds, OfAJpeg) {
  const std::vector<std::byte> want = test::rgb_profile();
  const std::string profile = text_of(want);
  const std::string whole = with_segments(file_of("rgb.jpg"), {profile});
  EXPECT_EQ(profile_in(whole), want);
  EXPECT_THAT(profile_in(whole, false), IsEmpty());
  EXPECT_EQ(profile_in(with_segments(file_of("rgb.jpg"), {profile.substr(0, 100), profile.substr(100)})),
            want);
  for (const char* other : {"gray.jpg", "cmyk.jpg"})
    EXPECT_THAT(profile_in(with_segments(file_of(other), {profile})), IsEmpty()) << other;
  EXPECT_THAT(profile_in(file_of("rgb.jpg")), IsEmpty());
}

// A chunk of a PNG with its checksum.
std::string chunk(const std::string& type, const std::string& data) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : type + data) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return number(data.size(), 4, false) + type + data + number(~crc & 0xFFFFFFFFU, 4, false);
}
ImageInfo info_with(const Image& picture, const std::string& before) {
  const std::vector<std::byte> png = encode_png(picture);
  const std::string text = text_of(png);
  const std::string file = text.substr(0, 33) + before + text.substr(33);  // behind the header
  ImageInfo info;
  decode_image(std::as_bytes(std::span(file)), {.mode = ColorMode::rgba}, "x", &info);
  return info;
}

TEST(PngKinds, AlphaIsAChannelOrATransparentColour) {
  EXPECT_FALSE(info_with(Image(2, 2, 1), "").alpha);
  EXPECT_FALSE(info_with(Image(2, 2, 3), "").alpha);
  EXPECT_TRUE(info_with(Image(2, 2, 4), "").alpha);
  EXPECT_TRUE(info_with(Image(2, 2, 1), chunk("tRNS", std::string(2, '\0'))).alpha);
  EXPECT_TRUE(info_with(Image(2, 2, 3), chunk("tRNS", std::string(6, '\0'))).alpha);
}

// Of a text that unpacks to more than 1 MiB the beginning is kept, of one that is damaged nothing.
TEST(PngKinds, LongTextsAreCutOff) {
  const auto orientation = [](std::size_t length, bool damaged) {
    std::string text = "<x tiff:Orientation=\"8\"/>";
    text.resize(length, ' ');
    std::string packed = "\x78\x01";  // in blocks as they are
    unsigned a = 1, b = 0;
    for (const char c : text) {
      a = (a + static_cast<std::uint8_t>(c)) % 65521;
      b = (b + a) % 65521;
    }
    for (std::size_t at = 0; at < length; at += 65535) {
      const std::size_t n = std::min<std::size_t>(65535, length - at);
      packed += number(at + n == length ? 1 : 0, 1, true) + number(n, 2, true) +
                number(~n & 0xFFFF, 2, true) + text.substr(at, n);
    }
    packed += number(damaged ? b ^ 1 : b, 2, false) + number(a, 2, false);
    return info_with(Image(1, 1, 1), chunk("iTXt", std::string("XML:com.adobe.xmp\0\1\0\0\0", 22) + packed))
        .orientation;
  };
  EXPECT_EQ(orientation(100, false), 8);
  EXPECT_EQ(orientation(100, true), 1);
  EXPECT_EQ(orientation((std::size_t{1} << 20) + 1000, false), 8);
}

// 132 bytes are a header and the number of tags, and no profile is shorter; what is behind its end is not of
// it.
TEST(ProfileKinds, LengthsOfAProfile) {
  for (const std::size_t size : {128U, 132U, 136U, 144U}) {
    std::vector<std::byte> profile = test::rgb_profile();
    profile[3] = static_cast<std::byte>(size);
    const std::vector<std::byte> want(profile.begin(), profile.begin() + static_cast<std::ptrdiff_t>(size));
    const auto kept = [&](std::size_t length) {
      return profile_in(with_segments(file_of("rgb.jpg"), {text_of(profile).substr(0, length)}));
    };
    if (size < 132) {
      EXPECT_THAT(kept(size), IsEmpty());
      EXPECT_THAT(kept(144), IsEmpty());
    } else {
      EXPECT_EQ(kept(size), want) << size;
      EXPECT_EQ(kept(144), want) << size;
      EXPECT_THAT(kept(size - 1), IsEmpty()) << size;
    }
  }
}

TEST(ProfileKinds, OfAWebp) {
  const std::vector<std::byte> want = test::rgb_profile();
  const std::string simple = file_of("lossy.webp");
  const Image picture = decode_image(std::as_bytes(std::span(simple)));
  const auto riff_chunk = [](std::string_view type, const std::string& data) {
    return std::string(type) + number(data.size(), 4, true) + data;
  };
  // An extended header that says that there is one, and of what size the picture is.
  const std::string header = number(0x20, 4, true) +
                             number(static_cast<std::size_t>(picture.width - 1), 3, true) +
                             number(static_cast<std::size_t>(picture.height - 1), 3, true);
  const std::string body =
      "WEBP" + riff_chunk("VP8X", header) + riff_chunk("ICCP", text_of(want)) + simple.substr(12);
  const std::string file = "RIFF" + number(body.size(), 4, true) + body;
  EXPECT_EQ(profile_in(file), want);
  EXPECT_THAT(profile_in(file, false), IsEmpty());
  EXPECT_THAT(profile_in(simple), IsEmpty());
}

// A profile says in its first four bytes how long it is: cut off there, and none where that cannot be.
TEST(ProfileKinds, AreAsLongAsTheySay) {
  const std::string profile = text_of(test::rgb_profile());
  const auto said_to_be = [&](std::size_t size) {
    return profile_in(with_segments(file_of("rgb.jpg"), {number(size, 4, false) + profile.substr(4)}));
  };
  ASSERT_EQ(profile.size() % 4, 0u);
  EXPECT_EQ(said_to_be(profile.size()).size(), profile.size());
  for (const std::size_t size :
       {profile.size() + 4, std::size_t{0xFFFFFFFC}, profile.size() - 1, std::size_t{128}, std::size_t{0}})
    EXPECT_THAT(said_to_be(size), IsEmpty()) << size;
  const std::string longer = profile + "four";
  EXPECT_EQ(profile_in(with_segments(file_of("rgb.jpg"), {longer})), test::rgb_profile());
}

}  // namespace
}  // namespace sam2unet
