// Enhanced-alignment measure (Fan et al., IJCAI 2018), as PySODMetrics' sod_metrics.py, class Emeasure.
#pragma once

#include "metrics/curves.h"
#include "metrics/sample.h"

namespace sam2unet::metrics {

/// E-measure of one binarisation. The reference divides by pixels - 1, so a one-pixel picture gives 0 or 1 /
/// eps.
double e_measure(const Confusion& c);

/// The 256 thresholds.
void e_curve(const LevelCounts& counts, std::int64_t foreground, std::int64_t background, Curve& out);

}  // namespace sam2unet::metrics
