// An overlay's rows, drawn when all that they depend on is there.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "sam2unet/draw.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"

namespace sam2unet::image {

class OverlayRows {
 public:
  /// The overlay of some rows of the picture and those of its mask or ids.
  using Draw = std::function<Image(const ImageView& picture, const ImageView& labels)>;

  /// An overlay's pixel depends on the labels up to `halo` rows away.
  OverlayRows(const ImageView& picture, int halo, Draw draw, ByteSink sink);
  void add(const ImageView& labels);
  std::vector<std::byte> finish() { return png_.finish(); }

 private:
  void take(const ImageView& labels);

  ImageView picture_;
  int halo_;
  Draw draw_;
  PngStream png_;
  Image kept_;                // labels from row `first_` on
  int first_ = 0, done_ = 0;  // rows drawn
};

/// The thickness of the line around a mask or a class, that suits the picture where the options leave it
/// open.
int outline_of(const OverlayOptions& options, const ImageView& picture);
/// Of a mask, as draw_overlay.
OverlayRows overlay_rows(const ImageView& picture, const OverlayOptions& options, ByteSink sink);

}  // namespace sam2unet::image
