// PNG of rows that come one after the other, so that the whole picture never lies in memory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sam2unet/color.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// Takes bytes of a file as they come; what it throws ends the writing.
using ByteSink = std::function<void(std::span<const std::byte>)>;

struct PngStreamOptions {
  std::span<const Color> palette;            ///< of at most 256 colours, whose indices the rows then hold
  std::span<const std::byte> color_profile;  ///< as encode_png takes it; not of gray
  ByteSink sink;                             ///< takes the bytes; without it `finish` returns them
};

/// The same bytes as `encode_png`, or with a palette as `encode_indexed_png`.
class SAM2UNET_API PngStream {
 public:
  /// 1, 3 or 4 channels; with colours 1, whose values are indices. UsageError for anything else.
  PngStream(int width, int height, int channels, const PngStreamOptions& options = {});
  ~PngStream();
  PngStream(PngStream&&) noexcept;
  PngStream& operator=(PngStream&&) noexcept;
  PngStream(const PngStream&) = delete;
  PngStream& operator=(const PngStream&) = delete;

  /// The next rows, from top to bottom. UsageError if they are no such rows, or more than there are.
  void add(const ImageView& rows);
  /// The bytes that no sink took. UsageError if rows are missing.
  std::vector<std::byte> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet
