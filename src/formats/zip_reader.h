// The directory of a zip file whose entries are stored, not compressed: how PyTorch writes checkpoints.
// Entries are spans of the file itself.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sam2unet::formats {

struct ZipEntry {
  std::string_view name;
  std::span<const std::byte> data;  // as it lies in the file
  std::uint32_t crc = 0;
  std::uint16_t flags = 0, method = 0;

  /// The data, which must be stored: FormatError if the entry is compressed or encrypted.
  std::span<const std::byte> stored() const;
};

class ZipArchive {
 public:
  /// FormatError if the directory is damaged, an entry is compressed or encrypted, or lies outside of the
  /// file or across another one, or two have one name. Sizes and positions come from the central directory,
  /// as zip64 too.
  static ZipArchive read(std::span<const std::byte> file);

  /// In directory order.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// nullptr if there is none of that name.
  const ZipEntry* find(std::string_view name) const;

 private:
  std::vector<ZipEntry> entries_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
};

/// FormatError if the entry's bytes do not have its checksum.
void check_crc(const ZipEntry& entry);

}  // namespace sam2unet::formats
