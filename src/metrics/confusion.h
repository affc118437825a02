// The eleven measures of a 2x2 confusion matrix, as PySODMetrics' fmeasurev2.py computes them: every ratio
// with a zero denominator is 0.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sam2unet::metrics {

struct Confusion {
  std::int64_t tp = 0;
  std::int64_t fp = 0;
  std::int64_t tn = 0;
  std::int64_t fn = 0;

  Confusion& operator+=(const Confusion& other);
};

enum class Measure { fm, f1, pre, rec, fpr, iou, dice, spec, ber, oa, kappa };
inline constexpr std::size_t kMeasures = 11;
using MeasureValues = std::array<double, kMeasures>;

/// "fm", "f1", "pre", ... as the JSON spells them.
std::string_view name_of(Measure measure);

/// All eleven, indexed by Measure.
MeasureValues measures_of(const Confusion& c);

/// F-measure alone: (beta2 + 1) p r / (beta2 p + r).
double f_measure(const Confusion& c, double beta2);

}  // namespace sam2unet::metrics
