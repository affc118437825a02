// PNG of rows that come one after the other, so that the whole picture never lies in memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "sam2unet/color.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// The same bytes as `encode_png`, or with a palette as `encode_indexed_png`.
class SAM2UNET_API PngStream {
 public:
  /// 1, 3 or 4 channels; with colours 1, whose values are indices. UsageError for anything else.
  PngStream(int width, int height, int channels, std::span<const Color> palette = {});
  ~PngStream();
  PngStream(PngStream&&) noexcept;
  PngStream& operator=(PngStream&&) noexcept;
  PngStream(const PngStream&) = delete;
  PngStream& operator=(const PngStream&) = delete;

  /// The next rows, from top to bottom. UsageError if they are no such rows, or more than there are.
  void add(const ImageView& rows);
  /// UsageError if rows are missing.
  std::vector<std::byte> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet
