// Threshold metrics from cumulative histograms: one confusion matrix for each of the 256 thresholds.
#pragma once

#include <array>
#include <cstdint>

#include "metrics/confusion.h"
#include "metrics/sample.h"

namespace sam2unet::metrics {

/// Entry i belongs to the threshold 255 - i, the order in which the reference accumulates.
using Curve = std::array<double, 256>;

/// Histograms over the quantized levels 0..255, which is all the threshold metrics need of an image.
struct LevelCounts {
  std::array<std::uint32_t, 256> foreground{};
  std::array<std::uint32_t, 256> background{};
};

LevelCounts quantized_counts(const Histograms& histogram, const Levels& levels);

/// adp: threshold min(2 mean, 1); mean and max over the 256 thresholds; bin: prediction > 0.5.
struct Summary {
  double adp = 0;
  double mean = 0;
  double max = 0;
  double bin = 0;
};

/// Pixels at or above a raw grey level are foreground of the prediction.
Confusion confusion_at(const Histograms& histogram, int cut);

/// Calls visit(i, confusion, same) for i = 0..255; `same` says that it is the matrix of i - 1 again.
template <typename Visit>
void for_each_threshold(const LevelCounts& counts, std::int64_t foreground, std::int64_t background,
                        const Visit& visit) {
  std::int64_t tp = 0;
  std::int64_t fp = 0;
  for (int i = 0; i < 256; ++i) {
    const auto level = static_cast<std::size_t>(255 - i);
    tp += counts.foreground[level];
    fp += counts.background[level];
    const bool same = i > 0 && counts.foreground[level] == 0 && counts.background[level] == 0;
    visit(i, Confusion{tp, fp, background - fp, foreground - tp}, same);
  }
}

/// The eleven curves, indexed by Measure.
using MeasureCurves = std::array<Curve, kMeasures>;
void measure_curves(const LevelCounts& counts, std::int64_t foreground, std::int64_t background,
                    MeasureCurves& out);

double mean_of(const Curve& curve);
double max_of(const Curve& curve);

}  // namespace sam2unet::metrics
