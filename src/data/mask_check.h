// What a ground truth's grey levels tell about how it was made.
#pragma once

#include <array>
#include <cstdint>

#include "sam2unet/image.h"

namespace sam2unet::data {

enum class MaskKind {
  good,        ///< 0 and 255, perhaps with soft edges between
  empty,       ///< no pixel above 0
  zero_one,    ///< 0 and 1
  dim,         ///< two levels, and the brighter one is still background: evaluation counts what is above 128
  class_ids,   ///< numbers of classes instead of foreground and background
  jpeg_noise,  ///< levels near 0 and near 255 that lossy compression left
  colour,      ///< channels differ
};

struct MaskReport {
  MaskKind kind = MaskKind::good;
  double foreground = 0;  ///< share of pixels above half of the brightest
};

/// Of the mask as RGB, since a colour mask shows only there.
MaskReport check_mask(const Image& rgb, const ImageInfo& info);

}  // namespace sam2unet::data
