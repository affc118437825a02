#include "metrics/curves.h"

#include <algorithm>

#include "metrics/numpy_sum.h"

namespace sam2unet::metrics {

LevelCounts quantized_counts(const Histograms& histogram, const Levels& levels) {
  LevelCounts counts;
  for (std::size_t v = static_cast<std::size_t>(levels.low); v <= static_cast<std::size_t>(levels.high);
       ++v) {
    counts.foreground[levels.quantized[v]] += histogram.foreground[v];
    counts.background[levels.quantized[v]] += histogram.background[v];
  }
  return counts;
}

Confusion confusion_at(const Histograms& histogram, int cut) {
  Confusion c;
  for (int v = 0; v < 256; ++v) {
    const auto i = static_cast<std::size_t>(v);
    (v >= cut ? c.tp : c.fn) += histogram.foreground[i];
    (v >= cut ? c.fp : c.tn) += histogram.background[i];
  }
  return c;
}

void measure_curves(const LevelCounts& counts, std::int64_t foreground, std::int64_t background,
                    MeasureCurves& out) {
  for_each_threshold(counts, foreground, background, [&](int i, const Confusion& c, bool same) {
    const auto at = static_cast<std::size_t>(i);
    if (same) {
      for (Curve& curve : out) curve[at] = curve[at - 1];
      return;
    }
    const MeasureValues values = measures_of(c);
    for (std::size_t m = 0; m < kMeasures; ++m) out[m][at] = values[m];
  });
}

double mean_of(const Curve& curve) {
  return numpy_sum<double>([&](std::int64_t i) { return curve[static_cast<std::size_t>(i)]; }, 256) / 256;
}

double max_of(const Curve& curve) {
  return *std::max_element(curve.begin(), curve.end());
}

}  // namespace sam2unet::metrics
