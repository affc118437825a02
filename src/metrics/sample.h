// A prediction and its ground truth, prepared once for all metrics: binary truth, the reference's min-max
// normalisation as a table over the 256 grey levels, and the histograms from which all threshold metrics
// follow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// numpy.spacing(1), which the reference adds to its denominators.
inline constexpr double kEps = 0x1p-52;

/// What becomes of a raw grey level v of one prediction. PySODMetrics utils.py, prepare_data:
///   pred = pred / 255; if pred.max() != pred.min(): pred = (pred - pred.min()) / (pred.max() - pred.min())
struct Levels {
  std::array<double, 256> value{};            ///< the normalised value, in the reference's double arithmetic
  std::array<std::uint8_t, 256> quantized{};  ///< (value * 255).astype(uint8), which truncates
  int low = 0;                                ///< smallest and largest level that occurs
  int high = 0;
  /// value[v] is (v - offset) / range up to rounding: integer sums over v are exact where that is enough.
  int offset = 0;
  int range = 255;
  int binary_cut = 256;    ///< value[v] > 0.5 exactly for v >= binary_cut
  int adaptive_cut = 256;  ///< value[v] >= min(2 mean, 1) exactly for v >= adaptive_cut

  /// The smallest raw level whose quantized value is at least `threshold` (256 if there is none).
  int cut_for(int threshold) const;
};

/// How often each raw grey level occurs over foreground and background of the truth.
struct Histograms {
  std::array<std::uint32_t, 256> foreground{};
  std::array<std::uint32_t, 256> background{};
};

/// Rows are padded on the right with zeros to `stride` bytes, so that vector code may read past the width.
struct Sample {
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;
  std::vector<std::uint8_t> prediction;  ///< [height, stride] raw grey levels
  std::vector<std::uint8_t> truth;       ///< [height, stride] 255 where the ground truth is > 128, else 0
  Levels levels;
  Histograms histogram;
  std::int64_t foreground = 0;  ///< pixels of the truth

  std::int64_t pixels() const { return std::int64_t{width} * height; }
  std::int64_t background() const { return pixels() - foreground; }
  const std::uint8_t* prediction_row(int y) const { return prediction.data() + y * stride; }
  const std::uint8_t* truth_row(int y) const { return truth.data() + y * stride; }

  /// Fills the sample from two gray pictures of the same size; UsageError if they are not, or have no pixels.
  /// The memory of an earlier use is kept.
  void assign(const ImageView& pred, const ImageView& gt);
};

/// Normalisation table of a prediction with the grey levels that occur in `counts`.
Levels make_levels(const std::array<std::uint32_t, 256>& counts);

/// The smallest level with value[v] >= min(2 * mean, 1). `exact_sum` gives numpy's own sum of all `pixels`
/// values to the last bit; it is asked for only where the mean lies so near a level that the last bit
/// decides.
template <typename ExactSum>
int adaptive_cut(const Levels& levels, const std::array<std::uint32_t, 256>& counts, std::int64_t pixels,
                 const ExactSum& exact_sum) {
  std::int64_t sum = 0;
  for (int v = levels.low; v <= levels.high; ++v) {
    sum += std::int64_t{counts[static_cast<std::size_t>(v)]} * (v - levels.offset);
  }
  const double n = static_cast<double>(pixels);
  double threshold = 2 * (static_cast<double>(sum) / levels.range / n);
  for (int v = levels.low; v <= levels.high; ++v) {
    const double difference = levels.value[static_cast<std::size_t>(v)] - threshold;
    if (counts[static_cast<std::size_t>(v)] != 0 && difference < 1e-9 && difference > -1e-9) {
      threshold = 2 * (exact_sum() / n);
      break;
    }
  }
  if (threshold > 1) threshold = 1;
  int v = levels.low;
  while (v <= levels.high && levels.value[static_cast<std::size_t>(v)] < threshold) ++v;
  return v <= levels.high ? v : 256;
}

}  // namespace sam2unet::metrics
