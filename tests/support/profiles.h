// Colour profiles for tests.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace sam2unet::test {

inline void put_text(std::vector<std::byte>& bytes, std::size_t at, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) bytes[at + i] = static_cast<std::byte>(text[i]);
}

/// The header of an ICC profile of a display's RGB, which is all that is looked at.
inline std::vector<std::byte> rgb_profile() {
  std::vector<std::byte> profile(144);
  profile[3] = std::byte{144};
  put_text(profile, 8, std::string_view("\x02\x10\0\0", 4));
  put_text(profile, 12, "mntrRGB XYZ ");
  put_text(profile, 36, "acsp");
  put_text(profile, 68, std::string_view("\0\0\xF6\xD6\0\1\0\0\0\0\xD3\x2D", 12));  // D50
  return profile;
}

}  // namespace sam2unet::test
