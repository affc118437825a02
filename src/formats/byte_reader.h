// Little-endian reading out of a span, each step checked against its end.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "sam2unet/errors.h"

namespace sam2unet::formats {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian and read in place");

class ByteReader {
 public:
  /// `what` names the bytes in messages ("pickle", "zip directory").
  ByteReader(std::span<const std::byte> bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }

  std::span<const std::byte> take(std::uint64_t n) {
    if (n > remaining()) {
      throw FormatError(
          fmt::format("{} ends early: {} bytes wanted at byte {}, {} left; the file is truncated or damaged",
                      what_, n, position_, remaining()));
    }
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(n));
    position_ += static_cast<std::size_t>(n);
    return part;
  }
  std::string_view text(std::uint64_t n) {
    const auto part = take(n);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  /// Up to, and past, the next newline, which is not part of the result.
  std::string_view line() {
    const auto rest = std::string_view(reinterpret_cast<const char*>(bytes_.data()) + position_, remaining());
    const std::size_t n = rest.find('\n');
    if (n == std::string_view::npos) {
      throw FormatError(
          fmt::format("{} ends in the middle of a line; the file is truncated or damaged", what_));
    }
    position_ += n + 1;
    return rest.substr(0, n);
  }
  std::uint8_t u8() { return read<std::uint8_t>(); }
  std::uint16_t u16() { return read<std::uint16_t>(); }
  std::uint32_t u32() { return read<std::uint32_t>(); }
  std::uint64_t u64() { return read<std::uint64_t>(); }

 private:
  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> bytes_;
  std::string_view what_;
  std::size_t position_ = 0;
};

}  // namespace sam2unet::formats
