// Files as RAII handles: read through a mapping, written to a temporary name and renamed when whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace sam2unet {

/// A read-only private mapping of a whole file.
class MappedFile {
 public:
  /// FileError if it cannot be opened, is a folder, or cannot be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  /// Says that `part` will not be read again soon, so that its pages leave memory. It stays readable.
  void release(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A file that appears under its name only when `commit()` has written all of it to disk: written to a
/// temporary name beside it, synced, renamed. Destroyed without commit, it leaves nothing behind.
class AtomicFile {
 public:
  /// FileError if the folder cannot be written.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends; FileError when the disk is full.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void commit();

 private:
  [[noreturn]] void fail(const char* what, int error) const;
  std::filesystem::path path_, temporary_;
  int fd_ = -1;
};

/// Writes the whole file or nothing.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);
/// Reads the whole file into memory; `path` may be a pipe.
std::vector<std::byte> read_file(const std::filesystem::path& path);
/// The same into `out`, whose memory is used again.
void read_file(const std::filesystem::path& path, std::vector<std::byte>& out);

}  // namespace sam2unet
