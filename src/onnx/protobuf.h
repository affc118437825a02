// The wire format of Protocol Buffers, as far as ONNX needs it: variable-length numbers, 32-bit floats, and
// fields with a length (strings, messages).
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace sam2unet::onnx {

class Message {
 public:
  Message& number(std::uint32_t field, std::int64_t value) {
    varint(field << 3U);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& real(std::uint32_t field, float value) {
    varint(field << 3U | 5U);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(bits >> (8 * i) & 0xFFU);
    return *this;
  }
  Message& text(std::uint32_t field, std::string_view value) {
    begin(field, static_cast<std::int64_t>(value.size()));
    bytes_ += value;
    return *this;
  }
  Message& message(std::uint32_t field, const Message& value) { return text(field, value.bytes_); }
  /// Announces a field of `size` bytes, which come from elsewhere.
  Message& begin(std::uint32_t field, std::int64_t size) {
    varint(field << 3U | 2U);
    varint(static_cast<std::uint64_t>(size));
    return *this;
  }

  const std::string& bytes() const { return bytes_; }
  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size()); }

 private:
  void varint(std::uint64_t v) {
    for (; v >= 0x80U; v >>= 7U) bytes_ += static_cast<char>((v & 0x7FU) | 0x80U);
    bytes_ += static_cast<char>(v);
  }
  std::string bytes_;
};

}  // namespace sam2unet::onnx
