// HetNet's protocol for mirror segmentation (He, Lin and Lau, AAAI 2023), its eval.py and misc.py.
#pragma once

#include "metrics/record.h"
#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// Works on the raw maps: truth == 255, prediction >= 127.5. Ratios that are 0 / 0 there are 0 here.
MirrorScores mirror_scores(const ImageView& prediction, const ImageView& truth);

/// Precision and recall, each with 1e-4 added above and below; entry t: level > t, strictly.
void mirror_curves(const LevelCounts& counts, Curve& precision, Curve& recall);

/// Largest of (1 + b) p r / (b p + r), b = 0.3, over the 256 thresholds of the data set's mean precision and
/// recall.
double mirror_f(const Curve& mean_precision, const Curve& mean_recall);

}  // namespace sam2unet::metrics
