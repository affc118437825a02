// Overlays of masks and ids that come in bands, so that neither they nor the overlay lie in memory whole.
#pragma once

#include <memory>
#include <span>

#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"

namespace sam2unet {

/// Writes the PNG of an overlay as its rows come; lines of an outline need only the rows around them.
class SAM2UNET_API OverlayStream {
 public:
  /// As encode_overlay_png, of rows of a mask. The picture's memory stays the caller's.
  OverlayStream(const ImageView& picture, const OverlayOptions& options, ByteSink sink);
  /// As encode_class_overlay_png, of rows of ids.
  OverlayStream(const ImageView& picture, const ClassTable& table, std::span<const int> shown,
                const OverlayOptions& options, ByteSink sink);
  ~OverlayStream();
  OverlayStream(OverlayStream&&) noexcept;
  OverlayStream& operator=(OverlayStream&&) noexcept;
  OverlayStream(const OverlayStream&) = delete;
  OverlayStream& operator=(const OverlayStream&) = delete;

  /// The next rows of the mask or ids, from top to bottom. UsageError if they are no such rows, or more than
  /// there are.
  void add(const ImageView& rows);
  /// UsageError if rows are missing.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet
