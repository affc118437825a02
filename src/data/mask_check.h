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
  alpha,       ///< one colour all over: the shape stands in alpha alone
};

struct MaskReport {
  MaskKind kind = MaskKind::good;
  double foreground = 0;  ///< share of pixels above half of the brightest
  int brightest = 0;      ///< grey level
};

/// Of the mask as RGB or RGBA, since a colour mask shows only there, and one that keeps its shape in alpha
/// only here.
MaskReport check_mask(const Image& mask, const ImageInfo& info);

/// Whether the colours of an RGBA picture are the same all over while its alpha is not.
bool is_shape_in_alpha(const Image& rgba);

}  // namespace sam2unet::data
