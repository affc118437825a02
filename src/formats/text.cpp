#include "formats/text.h"

#include <cstdint>

namespace sam2unet::formats {
namespace {

// Bytes of the UTF-8 sequence at text[i] (RFC 3629: shortest form, no surrogates, up to U+10FFFF); 0 if it is
// none.
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<std::uint8_t>(text[k]); };
  const std::uint8_t first = byte(i);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() - i < length) return 0;
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  const std::uint8_t second = byte(i + 1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = sequence_length(text, i);
    if (n == 0) return false;
    i += n;
  }
  return true;
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= kLongest) return out + "...";
    const std::size_t n = sequence_length(text, i);
    const bool shown = n > 1 || (n == 1 && text[i] >= 0x20 && text[i] != 0x7F);
    out += shown ? text.substr(i, n) : std::string_view("?");
    i += n == 0 ? 1 : n;
  }
  return out;
}

}  // namespace sam2unet::formats
