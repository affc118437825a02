// Reads many pictures, one after the other, without asking for memory each time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::image {

/// Not for two threads at once.
class PictureReader {
 public:
  /// As read_image, whose errors it throws; the picture may be changed and is valid until the next call.
  Image& read(const std::filesystem::path& path, const DecodeOptions& options, ImageInfo* info = nullptr);

 private:
  std::vector<std::byte> file_;
  Image image_;
};

}  // namespace sam2unet::image
