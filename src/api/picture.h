// Before the network and behind it: a picture of any size -> the network's input, logits -> probabilities of
// the picture's own size.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "image/resizer.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {

/// Where a picture lies in the network's input. Around it, if anything, is padding.
struct Placement {
  int picture_width = 0, picture_height = 0;
  InputSize input;
  int x = 0, y = 0, width = 0, height = 0;  ///< in pixels of the input

  bool fills() const { return width == input.width && height == input.height; }
};

/// UsageError if the view is no gray, RGB or RGBA picture of at least one pixel.
void check_picture(const ImageView& picture);
/// Squashed over the whole input; letterboxed to the largest size of the picture's shape, in the middle.
Placement place(const ImageView& picture, const InputSize& input, Fit fit);

/// Makes inputs and keeps its memory from one to the next. Not for two threads at once.
class Preparer {
 public:
  /// The picture resized as Pillow does it (gray repeated, alpha dropped), on the mean colour where it does
  /// not reach. RGB of the placement's input; `out` keeps its memory.
  void prepare(const ImageView& picture, const Placement& placement, PillowVersion pillow, Image& out);

 private:
  image::Resizer resizer_;
  Image resized_;
};

/// Logits of one picture and where it lies among them.
struct PlacedLogits {
  std::span<const float> values;  ///< [K,h,w], h and w of the placement's input
  int channels = 1;
  Placement placement;
};

/// Turns rows of resized logits into a result. `rows` are `channels` pointers to `width` logits each.
enum class Activation {
  none,
  sigmoid,  ///< 1 / (1 + exp(-x))
  softmax,  ///< over the channels
};

/// Rows first to last of the result at the picture's own size, [K, last - first, picture width]: logits
/// resized bilinearly, align_corners false (test.py:38), then activated. On `threads` threads; the result
/// does not depend on their number.
void finish_rows(const PlacedLogits& logits, Activation activation, int first, int last, int threads,
                 float* out);
/// Of the resized logits the most probable class of each pixel (the first of equals) and its softmax; of one
/// channel 1 where the sigmoid is 0.5 or more, and the probability of what was decided.
void finish_ids(const PlacedLogits& logits, int threads, std::uint8_t* ids, float* confidence);

struct Range {
  float min = 0.0F, max = 0.0F;
};
Range range_of(std::span<const float> map);
/// (p - min) / (max - min + 1e-8), test.py:41.
void stretch(std::span<float> map, const Range& range);

}  // namespace sam2unet::api
