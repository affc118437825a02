// Reads tar files: ustar with PAX headers, and GNU's long names. Input is hostile: every size is checked
// against the file, names cannot lead out of a folder, and what is no plain file (links, devices) is refused.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sam2unet::tar {

struct Member {
  std::string name;                  // "a/b.jpg": relative, without "." and "..", in the file's own encoding
  std::span<const std::byte> bytes;  // within the tar
};

/// The plain files in a tar, in its order; folders are passed over. FormatError, one line, where it is
/// damaged or holds what it should not; `what` names the tar in it.
std::vector<Member> read_tar(std::span<const std::byte> tar, const std::string& what);

}  // namespace sam2unet::tar
