// Measures of the outline: boundary IoU, 95 % Hausdorff distance, average symmetric surface distance. The
// prediction is binary at 0.5 after the normalisation.
#pragma once

#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Boundary IoU (Cheng et al., CVPR 2021): IoU of what an erosion by round(2 % of the diagonal), at least 1,
/// takes from both masks. 0 where neither mask has a pixel, like the IoU.
double boundary_iou(const Sample& sample);

struct SurfaceDistances {
  double hd95 = 0;  ///< pixels
  double assd = 0;  ///< pixels
};

/// As hd95 and assd of MedPy 0.5: distances from each border pixel (a foreground pixel with a background
/// neighbour above, below, left or right, outside counting as background) to the nearest of the other mask's,
/// from both masks. hd95 is numpy's linear 95th percentile of all of them, assd their mean (up to MedPy 0.4
/// it was the mean of the two masks' means). Where MedPy raises: 0 if both masks are empty, the picture's
/// diagonal if one is.
SurfaceDistances surface_distances(const Sample& sample);

}  // namespace sam2unet::metrics
