// A tar file on disk: mapped, its members found when it is opened.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "core/file.h"
#include "tar/reader.h"

namespace sam2unet::tar {

class TarFile {
 public:
  /// FileError, FormatError.
  explicit TarFile(const std::filesystem::path& path);

  /// Plain files, in the tar's order. Their bytes stay valid as long as this.
  const std::vector<Member>& members() const { return members_; }
  /// Says that a member will not be read again soon, so that its pages leave memory.
  void release(std::span<const std::byte> bytes) const { file_.release(bytes); }

 private:
  MappedFile file_;
  std::vector<Member> members_;
};

}  // namespace sam2unet::tar
