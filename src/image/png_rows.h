// PNG of rows that are made when they are written, so that the whole picture never lies in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::image {

/// Bytes of an RGB PNG of so many pixels. `draw(first, last)` makes some of its rows; it is called from top
/// to bottom.
std::vector<std::byte> encode_drawn_png(int width, int height,
                                        const std::function<Image(int first, int last)>& draw);

/// Some rows of a picture, and `halo` more on both sides where there are any.
struct RowRange {
  int first = 0, last = 0;  ///< with the halo
  int skipped = 0;          ///< rows of the halo above
};
RowRange with_halo(int first, int last, int halo, int height);
ImageView rows_of(const ImageView& image, const RowRange& rows);
/// The rows without the halo.
Image without_halo(Image drawn, const RowRange& rows, int count);

}  // namespace sam2unet::image
