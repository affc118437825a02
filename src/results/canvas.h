// What the results of a picture of any size are made of: a byte or two per pixel, instead of probabilities.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "results/results.h"
#include "sam2unet/classes.h"
#include "sam2unet/draw.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::results {

struct Canvas {
  /// PNGs that were encoded as their rows came: the map (or ids), and the mask.
  std::vector<std::byte> map_png, mask_png;
  /// Of one foreground: the map in 8 bits, 128 and more where it reaches the threshold, and what that part
  /// measures. At a threshold of 0.5 the two are one, and `mask` is empty. Empty where nothing but the PNGs
  /// above needs them.
  Image gray, mask;
  MaskSummary summary;
  /// Of several classes: the most probable one, its probability in 255ths where instances need it, and what
  /// each class measures.
  Image ids, confidence;
  std::vector<MaskSummary> classes;

  const Image& inside() const { return mask.pixels.empty() ? gray : mask; }
};

struct CanvasOptions {
  std::vector<Save> saves;  ///< what is not needed for these is not kept
  double threshold = 0.5;
  bool instances = false;
  const ClassTable* table = nullptr;  ///< of several classes
  std::span<const int> shown;         ///< those that masks are of
};

/// Segments the picture and keeps what its results need; of the result only how it was made is left.
Canvas segment_to_canvas(const Segmenter& segmenter, const ImageView& picture, const SegmentOptions& options,
                         const CanvasOptions& how);

}  // namespace sam2unet::results
