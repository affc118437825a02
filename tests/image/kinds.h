// Pictures that a test writes byte by byte, and what reading them gives.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/message.h"

namespace sam2unet::test {

/// Files byte by byte.
class Bytes {
 public:
  Bytes& u8(std::initializer_list<int> values) {
    for (const int v : values) bytes_.push_back(static_cast<std::byte>(v));
    return *this;
  }
  Bytes& text(std::string_view text) {
    for (const char c : text) bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  Bytes& le16(unsigned v) { return u8({static_cast<int>(v & 255), static_cast<int>(v >> 8 & 255)}); }
  Bytes& le32(unsigned v) { return le16(v & 0xFFFF).le16(v >> 16); }
  Bytes& add(const Bytes& other) {
    bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
    return *this;
  }
  std::byte& operator[](std::size_t i) { return bytes_[i]; }
  std::size_t size() const { return bytes_.size(); }
  std::span<const std::byte> span() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

inline Image decoded(const Bytes& file, ColorMode mode = ColorMode::gray, ImageInfo* info = nullptr) {
  return decode_image(file.span(), {.mode = mode}, "made", info);
}
inline std::string refusal(const Bytes& file, ColorMode mode = ColorMode::gray) {
  return message_of<ImageError>([&] { decoded(file, mode); });
}

}  // namespace sam2unet::test
