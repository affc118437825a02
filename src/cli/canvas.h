// What the results of a picture of any size are made of: a byte or two per pixel, instead of probabilities.
#pragma once

#include <vector>

#include "outputs.h"
#include "sam2unet/draw.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

struct Canvas {
  /// Of one foreground: the map in 8 bits, 255 where it reaches the threshold, and what that part measures.
  Image gray, mask;
  MaskSummary summary;
  /// Of several classes: the most probable one, and its probability in 255ths.
  Image ids, confidence;
};

struct CanvasOptions {
  std::vector<Save> saves;  ///< what is not needed for these is not kept
  double threshold = 0.5;
  bool instances = false;
};

/// Segments the picture and keeps what its results need; of the result only how it was made is left.
Canvas segment_to_canvas(const Segmenter& segmenter, const ImageView& picture, const SegmentOptions& options,
                         const CanvasOptions& how);

}  // namespace sam2unet::cli
