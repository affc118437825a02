// A caller's planes, checked.
#pragma once

#include <vector>

#include "sam2unet/image.h"
#include "sam2unet/s2u_base.h"

namespace sam2unet::capi {

/// A view of a plane of bytes with so many channels; UsageError if it is none. `what` names the argument.
ImageView bytes_of(const s2u_plane* plane, const char* what, int channels);

/// A view of a gray, RGB or RGBA picture. What takes pictures knows no rows that run upwards: such are copied
/// to `room`.
ImageView picture_of(const s2u_plane* plane, const char* what, Image& room);
/// The same of one channel.
ImageView mask_of(const s2u_plane* plane, const char* what, Image& room);

/// The values of a one-channel plane of floats or doubles, [height, width].
std::vector<double> values_of(const s2u_plane* plane, const char* what);

}  // namespace sam2unet::capi
