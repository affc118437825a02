// Writing results safely.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "sam2unet/errors.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// The file system does not take this name (too long, a folder in its place, characters it does not know);
/// others it may take.
class SAM2UNET_API NameError : public FileError {
 public:
  using FileError::FileError;
  ~NameError() override;
};

/// Writes a file that appears under its name only when all of it is on disk, replacing what was there:
/// written to a temporary name in the same folder, synced, renamed. FileError, NameError; nothing is left
/// behind then.
SAM2UNET_API void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
SAM2UNET_API void write_atomically(const std::filesystem::path& path, std::string_view text);

/// The same of bytes that come one after the other.
class SAM2UNET_API AtomicWriter {
 public:
  /// FileError, NameError where the file cannot be.
  explicit AtomicWriter(const std::filesystem::path& path);
  /// Without `commit` nothing is left behind.
  ~AtomicWriter();
  AtomicWriter(AtomicWriter&&) noexcept;
  AtomicWriter& operator=(AtomicWriter&&) noexcept;
  AtomicWriter(const AtomicWriter&) = delete;
  AtomicWriter& operator=(const AtomicWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet
