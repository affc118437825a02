// Regions of ids, as s2u_ids_regions() and s2u_segmentation_regions() give them out.
#pragma once

#include <cstdint>
#include <span>

#include "sam2unet/image.h"
#include "sam2unet/sam2unet.h"

namespace sam2unet::capi {

/// Of `channels` classes, or one foreground; `kind` is an s2u_region_kind.
void hand_out_regions(const ImageView& ids, std::span<const float> confidence, int channels,
                      std::int32_t kind, double tolerance, s2u_regions** out);

}  // namespace sam2unet::capi
