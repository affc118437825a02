// Colour profiles of the formats that keep them, of RGB pictures and where they are asked for.
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

// A profile says in its first four bytes how long it is. 132 bytes are a header and the number of tags, and
// no profile is shorter; what is behind its end is not of it, and it is none where that cannot be.
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
  const std::string profile = text_of(test::rgb_profile());
  ASSERT_EQ(profile.size(), 144u);
  for (const std::size_t size : {std::size_t{148}, std::size_t{0xFFFFFFFC}, std::size_t{143}, std::size_t{0}})
    EXPECT_THAT(profile_in(with_segments(file_of("rgb.jpg"), {number(size, 4, false) + profile.substr(4)})),
                IsEmpty())
        << size;
  EXPECT_EQ(profile_in(with_segments(file_of("rgb.jpg"), {profile + "four"})), test::rgb_profile());
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
  // An animation, of one frame that fills it.
  const std::string size = header.substr(4);
  const std::string frame = number(0, 6, true) + size + number(100, 3, true) + number(0, 1, true);
  const std::string moving = "WEBP" + riff_chunk("VP8X", number(0x22, 4, true) + size) +
                             riff_chunk("ICCP", text_of(want)) + riff_chunk("ANIM", number(0, 6, true)) +
                             riff_chunk("ANMF", frame + simple.substr(12));
  const std::string animation = "RIFF" + number(moving.size(), 4, true) + moving;
  EXPECT_EQ(profile_in(animation), want);
  EXPECT_EQ(decode_image(std::as_bytes(std::span(animation))).pixels, picture.pixels);
}

}  // namespace
}  // namespace sam2unet
