// Writes a zip of stored entries, each entry's bytes at a multiple of 64 as PyTorch lays them out.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sam2unet::formats {

class ZipWriter {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  static constexpr std::uint64_t kAlignment = 64;
  static constexpr std::uint64_t kZip64From = 0xFFFFFFFF;

  /// `sink` takes the bytes of the file in order. Sizes and positions from `zip64_from` on are written as
  /// zip64 (tests ask for it without files of 4 GiB).
  explicit ZipWriter(Sink sink, std::uint64_t zip64_from = kZip64From)
      : sink_(std::move(sink)), zip64_from_(zip64_from) {}

  void add(std::string_view name, std::span<const std::byte> data);
  void add(std::string_view name, std::string_view data) { add(name, std::as_bytes(std::span(data))); }
  /// Writes the directory; nothing may be added after it.
  void finish();

 private:
  struct Entry {
    std::string name;
    std::uint32_t crc = 0;
    std::uint64_t size = 0, offset = 0;
  };
  void emit(std::string_view bytes);
  bool is_large(std::uint64_t n) const { return n >= zip64_from_; }

  Sink sink_;
  std::uint64_t zip64_from_;
  std::uint64_t position_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace sam2unet::formats
