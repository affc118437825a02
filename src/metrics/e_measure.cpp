#include "metrics/e_measure.h"

namespace sam2unet::metrics {

namespace {

// align = 2 a b / (a^2 + b^2 + eps); enhanced = (align + 1)^2 / 4, for the demeaned values a, b of one of
// four parts.
double enhanced(double a, double b) {
  const double align = 2 * (a * b) / (a * a + b * b + kEps);
  return (align + 1) * (align + 1) / 4;
}

}  // namespace

double e_measure(const Confusion& c) {
  const auto size = static_cast<double>(c.tp + c.fp + c.tn + c.fn);
  const auto predicted = static_cast<double>(c.tp + c.fp);
  const std::int64_t truth = c.tp + c.fn;
  double sum = 0;
  if (truth == 0) {
    sum = size - predicted;
  } else if (c.fp + c.tn == 0) {
    sum = predicted;
  } else {
    const double mean_pred = predicted / size;
    const double mean_gt = static_cast<double>(truth) / size;
    sum = enhanced(1 - mean_pred, 1 - mean_gt) * static_cast<double>(c.tp) +
          enhanced(1 - mean_pred, 0 - mean_gt) * static_cast<double>(c.fp) +
          enhanced(0 - mean_pred, 1 - mean_gt) * static_cast<double>(c.fn) +
          enhanced(0 - mean_pred, 0 - mean_gt) * static_cast<double>(c.tn);
  }
  return sum / (size - 1 + kEps);
}

void e_curve(const LevelCounts& counts, std::int64_t foreground, std::int64_t background, Curve& out) {
  for_each_threshold(counts, foreground, background, [&](int i, const Confusion& c, bool same) {
    const auto at = static_cast<std::size_t>(i);
    out[at] = same ? out[at - 1] : e_measure(c);
  });
}

}  // namespace sam2unet::metrics
