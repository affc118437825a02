// The repository's photo with EXIF, whatever its orientation shall be.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "support/shared_data.h"

namespace sam2unet::test {

/// The bytes of exif6.jpg with this number in place of the 6.
inline std::string turned_photo(char orientation) {
  std::ifstream file(repository_data() / "image" / "files" / "exif6.jpg", std::ios::binary);
  std::string photo{std::istreambuf_iterator<char>(file), {}};
  const std::string tag{0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00, 0x06};  // big endian, a SHORT
  const std::size_t at = photo.find(tag);
  if (at == std::string::npos) throw std::runtime_error("exif6.jpg has no orientation");
  photo[at + tag.size() - 1] = orientation;
  return photo;
}

}  // namespace sam2unet::test
