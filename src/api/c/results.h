// What s2u_segment() gives out.
#pragma once

#include <cstdint>
#include <vector>

#include "sam2unet/sam2unet.h"
#include "sam2unet/segmenter.h"

struct s2u_segmentation {
  sam2unet::Segmentation value;
};

namespace sam2unet::capi {

/// An s2u_fit.
std::int32_t to_c(Fit fit);

/// All or none.
void hand_out_results(std::vector<Segmentation> results, s2u_segmentation** out);

}  // namespace sam2unet::capi
