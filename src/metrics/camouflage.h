// Camouflage degree of each foreground pixel (Wang et al., arXiv 2512.07076), as PySODMetrics'
// context_measure.py, class CamouflageContextMeasure: how well patches of the surrounding background rebuild
// the foreground.
#pragma once

#include <vector>

#include "metrics/bitmap.h"
#include "metrics/sample.h"
#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// [height, width] in [0, 1], zero outside of the foreground; empty (all zero) where foreground or
/// surroundings hold no 7x7 patch, which includes pictures smaller than that, for which the reference raises.
/// UsageError if `picture` is not RGB of the sample's size.
struct CamouflageOptions {
  double gamma = 8;
  double spatial_weight = 20;  ///< of the place beside the colours, in the search for the nearest patch
};
std::vector<double> camouflage_degree(const Sample& sample, const ImageView& picture,
                                      const CamouflageOptions& options = {});

/// What cv2.dilate(mask, numpy.ones((20, 20))) adds to `inner`: the background around it.
Bitmap surroundings(const Bitmap& inner);

/// CIEDE2000 between two colours in CIE Lab (L, a, b).
double delta_e2000(const double (&lab1)[3], const double (&lab2)[3]);

}  // namespace sam2unet::metrics
