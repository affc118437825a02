// Which way up: the orientation tag of EXIF and XMP.
#pragma once

#include <optional>
#include <string_view>

#include "image/decoders.h"

namespace sam2unet::image {

/// The orientation in an EXIF block (a small TIFF file, perhaps after "Exif\0\0"), if it holds one.
std::optional<int> exif_orientation(Bytes exif);
/// The orientation in an XMP packet, if it holds one.
std::optional<int> xmp_orientation(std::string_view xmp);
/// As Pillow: EXIF first, XMP where EXIF has none, 1 where neither has.
int orientation_of(Bytes exif, std::string_view xmp);

}  // namespace sam2unet::image
