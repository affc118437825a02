// Before the network and behind it: a picture of any size -> the network's input, logits -> probabilities of
// the picture's own size.
#pragma once

#include <cstdint>
#include <span>

#include "image/placement.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {

using image::place;
using image::Placement;
using image::Preparer;
using image::Turn;

/// UsageError if the view is no gray, RGB or RGBA picture of at least one pixel.
void check_picture(const ImageView& picture);
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
/// channel 1 where the sigmoid is 0.5 or more, and the probability of what was decided. Rows first to last
/// [last - first, picture width].
void finish_ids(const PlacedLogits& logits, int first, int last, int threads, std::uint8_t* ids,
                float* confidence);

struct Range {
  float min = 0.0F, max = 0.0F;
};
Range range_of(std::span<const float> map);
/// (p - min) / (max - min + 1e-8), test.py:41.
void stretch(std::span<float> map, const Range& range);

}  // namespace sam2unet::api
