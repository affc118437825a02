// Ids of classes as their colours.
#pragma once

#include "sam2unet/classes.h"
#include "sam2unet/image.h"

namespace sam2unet::data {

/// RGB: every id in the colour that `class_palette` gives it.
Image class_colors(const Image& ids, const ClassTable& table);

}  // namespace sam2unet::data
