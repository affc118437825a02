// Writes a tar file that appears under its name only when all of it is on disk.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/file.h"

namespace sam2unet::tar {

class TarWriter {
 public:
  /// FileError if the folder cannot be written.
  explicit TarWriter(const std::filesystem::path& path) : file_(path) {}

  /// A plain file of mode 0644, of user and group 0 and time 0: the same members are the same bytes, whoever
  /// writes them when. Names that ustar has no room for, or that are not ASCII, get a PAX header. FileError.
  void add(std::string_view name, std::span<const std::byte> bytes);
  /// Without it nothing is left behind.
  void commit();

 private:
  void add_block(std::string_view name, std::string_view prefix, std::span<const std::byte> bytes, char type);

  AtomicFile file_;
};

}  // namespace sam2unet::tar
