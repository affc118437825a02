// s2u_pair: one prediction and its truth.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/planes.h"
#include "capi/status.h"
#include "metrics/camouflage.h"
#include "metrics/context.h"
#include "metrics/e_measure.h"
#include "metrics/field.h"
#include "metrics/hce.h"
#include "metrics/msiou.h"
#include "metrics/numpy_sum.h"
#include "metrics/s_measure.h"
#include "metrics/scorer.h"
#include "metrics/size_invariant.h"
#include "metrics/weighted_f.h"
#include "sam2unet/errors.h"
#include "sam2unet/s2u_metrics.h"

using namespace sam2unet;
using namespace sam2unet::capi;
using namespace sam2unet::metrics;

struct s2u_pair {
  enum class Kind { none, levels, values } kind = Kind::none;
  Sample sample;  // levels
  Field field;    // values
  WeightedFBuffers buffers;
  std::optional<ThresholdCounts> counted;  // made when asked for

  bool of_levels() const { return kind == Kind::levels; }
  const Sample& truth_sample() const { return of_levels() ? sample : field.quantized; }
  const ThresholdCounts& counts() {
    if (!counted) counted = of_levels() ? threshold_counts(sample) : threshold_counts(field);
    return *counted;
  }
};

namespace {

constexpr std::size_t kPoints = 258;  // adaptive, binary, 256 thresholds

// Metrics that are asked for one by one are set with the same pair again and again: to see that costs much
// less than to prepare it.
bool same_truth(const Sample& s, const ImageView& truth, int threshold) {
  for (int y = 0; y < s.height; ++y) {
    const std::uint8_t* ours = s.truth_row(y);
    const std::uint8_t* theirs = truth.row(y);
    std::uint8_t different = 0;  // a byte, so that a vector holds as many pixels as it has bytes
    for (int x = 0; x < s.width; ++x) {
      const std::uint8_t level = theirs[x] > threshold ? 255 : 0;
      different = static_cast<std::uint8_t>(different | (level ^ ours[x]));
    }
    if (different != 0) return false;
  }
  return true;
}

bool same_levels(const s2u_pair& pair, const ImageView& prediction, const ImageView& truth) {
  const Sample& s = pair.sample;
  if (!pair.of_levels() || s.width != prediction.width || s.height != prediction.height ||
      truth.width != prediction.width || truth.height != prediction.height)
    return false;
  for (int y = 0; y < s.height; ++y) {
    if (std::memcmp(s.prediction_row(y), prediction.row(y), static_cast<std::size_t>(s.width)) != 0)
      return false;
  }
  return same_truth(s, truth, 128);
}

bool same_values(const s2u_pair& pair, const std::vector<double>& values, FieldType type,
                 const ImageView& truth) {
  const Field& f = pair.field;
  return pair.kind == s2u_pair::Kind::values && f.type == type && f.width == truth.width &&
         f.height == truth.height &&
         std::memcmp(f.value.data(), values.data(), values.size() * sizeof(double)) == 0 &&
         same_truth(f.quantized, truth, 0);
}

void set_levels(s2u_pair& pair, const ImageView& prediction, const ImageView& truth) {
  if (same_levels(pair, prediction, truth)) return;
  pair.kind = s2u_pair::Kind::none;  // until all of it is there
  pair.counted.reset();
  pair.sample.assign(prediction, truth);
  pair.kind = s2u_pair::Kind::levels;
}

void set_values(s2u_pair& pair, const std::vector<double>& values, FieldType type, const ImageView& truth) {
  if (same_values(pair, values, type, truth)) return;
  pair.kind = s2u_pair::Kind::none;
  pair.counted.reset();
  pair.field.assign(values, type, truth);
  pair.kind = s2u_pair::Kind::values;
}

s2u_pair& ready(s2u_pair* pair) {
  need(pair, "the pair");
  if (pair->kind == s2u_pair::Kind::none)
    throw UsageError("the pair holds nothing yet: call s2u_pair_set() first");
  return *pair;
}

void put(const Confusion& c, std::int64_t* to) {
  to[0] = c.tp;
  to[1] = c.fp;
  to[2] = c.tn;
  to[3] = c.fn;
}

void put_confusion(const ThresholdCounts& t, std::int64_t* adaptive, std::int64_t* binary,
                   std::int64_t* curve) {
  if (adaptive != nullptr) put(t.adaptive, adaptive);
  if (binary != nullptr) put(t.binary, binary);
  if (curve == nullptr) return;
  for_each_threshold(t.counts, t.foreground, t.background,
                     [&](int i, const Confusion& c, bool) { put(c, curve + 4 * i); });
}

// Of a caller's number, which may be none of the enumeration's: it is not read as one.
Measure measure_of(const s2u_measure* from) {
  std::int32_t number = 0;
  static_assert(sizeof(number) == sizeof(*from));
  std::memcpy(&number, from, sizeof(number));
  switch (number) {
    case S2U_F_MEASURE:
      return Measure::fm;
    case S2U_PRECISION:
      return Measure::pre;
    case S2U_RECALL:
      return Measure::rec;
    case S2U_FPR:
      return Measure::fpr;
    case S2U_IOU:
      return Measure::iou;
    case S2U_DICE:
      return Measure::dice;
    case S2U_SPECIFICITY:
      return Measure::spec;
    case S2U_BER:
      return Measure::ber;
    case S2U_OVERALL_ACCURACY:
      return Measure::oa;
    case S2U_KAPPA:
      return Measure::kappa;
  }
  throw UsageError("there is no measure " + std::to_string(number));
}

struct Wanted {
  std::vector<Measure> measures;
  const double* beta2;

  Wanted(const s2u_measure* list, const double* betas, std::size_t count) : beta2(betas) {
    if (count == 0) return;
    need(list, "the list of measures");
    need(betas, "the list of beta2");
    for (std::size_t k = 0; k < count; ++k) measures.push_back(measure_of(list + k));
  }
};

// values[k][258]
void put_measures(const ThresholdCounts& t, const Wanted& wanted, double* values) {
  const auto put_point = [&](std::size_t at, const Confusion& c) {
    const MeasureValues all = measures_of(c);
    for (std::size_t k = 0; k < wanted.measures.size(); ++k) {
      const Measure m = wanted.measures[k];
      values[k * kPoints + at] =
          m == Measure::fm ? f_measure(c, wanted.beta2[k]) : all[static_cast<std::size_t>(m)];
    }
  };
  put_point(0, t.adaptive);
  put_point(1, t.binary);
  for_each_threshold(t.counts, t.foreground, t.background, [&](int i, const Confusion& c, bool same) {
    const std::size_t at = 2 + static_cast<std::size_t>(i);
    if (!same) return put_point(at, c);
    for (std::size_t k = 0; k < wanted.measures.size(); ++k)
      values[k * kPoints + at] = values[k * kPoints + at - 1];
  });
}

// Masks of the targets take as much memory as the picture each. Past what PySODMetrics can do (a bit for each
// in 64) there are none.
constexpr std::size_t kMaxMasks = 63;

std::vector<std::vector<std::uint8_t>> masks_of(const Sample& truth) {
  if (const std::size_t targets = count_targets(truth); targets > kMaxMasks) {
    throw UsageError("the truth has " + std::to_string(targets) + " targets, and maps of floats may have " +
                     std::to_string(kMaxMasks));
  }
  return target_masks(truth);
}

std::vector<ThresholdCounts> targets_of(const s2u_pair& pair, std::size_t expected) {
  std::vector<ThresholdCounts> out;
  if (pair.of_levels()) {
    out = target_counts(pair.sample);
  } else {
    for (const auto& mask : masks_of(pair.field.quantized))
      out.push_back(threshold_counts_in(pair.field, mask));
  }
  if (out.size() != expected) {
    throw UsageError("the truth has " + std::to_string(out.size()) + " targets, not " +
                     std::to_string(expected));
  }
  return out;
}

// |pred - gt| of every pixel, as numpy has it.
class NumpysErrors {
 public:
  explicit NumpysErrors(const Sample& s) : sample_(s) {
    for (std::size_t v = 0; v < 256; ++v) {
      error_[v] = s.levels.value[v];
      error_[256 + v] = std::abs(s.levels.value[v] - 1);
    }
  }

  /// Of `count` pixels from `first` on, in reading order.
  void write(std::int64_t first, std::int64_t count, double* to) const {
    int y = static_cast<int>(first / sample_.width), x = static_cast<int>(first % sample_.width);
    for (const double* end = to + count; to != end; ++y, x = 0) {
      const std::uint8_t *pred = sample_.prediction_row(y), *truth = sample_.truth_row(y);
      const int last = static_cast<int>(std::min<std::int64_t>(sample_.width, x + (end - to)));
      for (; x < last; ++x) *to++ = error_[static_cast<std::size_t>((truth[x] & 1) << 8 | pred[x])];
    }
  }

 private:
  const Sample& sample_;
  std::array<double, 512> error_;
};

// np.mean(np.abs(pred - gt)) to the last bit, which exact sums of integers are not.
double numpys_mae(const Sample& s) {
  const NumpysErrors errors(s);
  const auto write = [&](std::int64_t first, std::int64_t n, double* to) { errors.write(first, n, to); };
  return numpy_sum_in_pieces<double>(write, s.pixels()) / static_cast<double>(s.pixels());
}

// sum_in(mask) for the targets and for what is outside of all of them.
template <typename SumIn>
TargetErrors errors_in(const std::vector<std::vector<std::uint8_t>>& masks, std::int64_t pixels,
                       const SumIn& sum_in) {
  TargetErrors out;
  std::vector<std::uint8_t> outside(static_cast<std::size_t>(pixels), 1);
  const auto error_of = [&](const std::vector<std::uint8_t>& mask) {
    return ErrorSum{sum_in(mask), std::count(mask.begin(), mask.end(), 1)};
  };
  for (const auto& mask : masks) {
    for (std::size_t i = 0; i < mask.size(); ++i) outside[i] = mask[i] != 0 ? 0 : outside[i];
    out.targets.push_back(error_of(mask));
  }
  out.outside = error_of(outside);
  return out;
}

TargetErrors errors_of_targets(const s2u_pair& pair) {
  if (!pair.of_levels()) {
    return errors_in(masks_of(pair.field.quantized), pair.field.pixels(),
                     [&](const auto& mask) { return error_sum_in(pair.field, mask); });
  }
  const Sample& s = pair.sample;
  if (count_targets(s) > kMaxMasks) return target_errors(s);
  std::vector<double> errors(static_cast<std::size_t>(s.pixels()));
  NumpysErrors(s).write(0, s.pixels(), errors.data());
  return errors_in(masks_of(s), s.pixels(), [&](const auto& mask) {
    return numpy_sum<double>(
        [&](std::int64_t i) {
          const auto k = static_cast<std::size_t>(i);
          return mask[k] != 0 ? errors[k] : 0.0;
        },
        s.pixels());
  });
}

double checked_alpha(double alpha) {
  if (!(alpha > 0 && alpha <= 1000)) throw UsageError("alpha must be a number from 0 (not included) to 1000");
  return alpha;
}

PredictionValues prediction_of(const s2u_pair& pair) {
  if (pair.of_levels()) return prediction_values(pair.sample);
  PredictionValues out{pair.field.width, pair.field.value, 0};
  for (const double v : out.values) out.sum += v;
  return out;
}

void put_target_errors(const s2u_pair& pair, std::size_t expected, double* sums, std::int64_t* pixels) {
  const TargetErrors errors = errors_of_targets(pair);
  if (errors.targets.size() != expected) {
    throw UsageError("the truth has " + std::to_string(errors.targets.size()) + " targets, not " +
                     std::to_string(expected));
  }
  sums[0] = errors.outside.sum;
  pixels[0] = errors.outside.pixels;
  for (std::size_t k = 0; k < expected; ++k) {
    sums[1 + k] = errors.targets[k].sum;
    pixels[1 + k] = errors.targets[k].pixels;
  }
}

void put_msiou(const s2u_pair& pair, const MsiouOptions& options, double* adaptive, double* binary,
               double* curve) {
  if (pair.of_levels()) {
    const Levels& l = pair.sample.levels;
    const Sample& s = pair.sample;
    std::vector<int> cuts{l.adaptive_cut, l.binary_cut};
    for (int t = 0; t <= 256 && curve != nullptr; ++t) cuts.push_back(t == 0 ? 0 : l.cut_for(t));
    const std::vector<double> scores =
        msiou_at({s.width, s.height, s.prediction.data(), s.stride, s.truth.data(), s.stride}, cuts, options);
    if (adaptive != nullptr) *adaptive = scores[0];
    if (binary != nullptr) *binary = scores[1];
    if (curve != nullptr) std::copy(scores.begin() + 2, scores.end(), curve);
    return;
  }
  const Sample& s = pair.field.quantized;
  if (curve != nullptr) {
    std::vector<int> cuts;
    for (int t = 0; t <= 256; ++t) cuts.push_back(t);
    const std::vector<double> scores =
        msiou_at({s.width, s.height, s.prediction.data(), s.stride, s.truth.data(), s.stride}, cuts, options);
    std::copy(scores.begin(), scores.end(), curve);
  }
  const auto score_of = [&](const Bitmap& mask) {
    Image plane(s.width, s.height, 1);
    for (int y = 0; y < s.height; ++y) {
      for (int x = 0; x < s.width; ++x) plane.row(y)[x] = mask.at(x, y) ? 1 : 0;
    }
    const int cut = 1;
    return msiou_at({s.width, s.height, plane.pixels.data(), s.width, s.truth.data(), s.stride}, {&cut, 1},
                    options)[0];
  };
  if (adaptive != nullptr) *adaptive = score_of(adaptive_mask(pair.field));
  if (binary != nullptr) *binary = score_of(binary_mask(pair.field));
}

}  // namespace

extern "C" {

s2u_status* s2u_pair_new(s2u_pair** out) {
  return guarded([&] {
    need(out, "the output");
    *out = new s2u_pair;
  });
}

void s2u_pair_free(s2u_pair* pair) {
  delete pair;
}

s2u_status* s2u_pair_set(s2u_pair* pair, const s2u_plane* prediction, const s2u_plane* truth) {
  return guarded([&] {
    need(pair, "the pair");
    const ImageView gt = bytes_of(truth, "the truth", 1);
    need(prediction, "the prediction");
    if (prediction->type == S2U_U8) {
      if (truth->type != S2U_U8) throw UsageError("a prediction of grey levels wants a truth of grey levels");
      return set_levels(*pair, bytes_of(prediction, "the prediction", 1), gt);
    }
    if (truth->type != S2U_BOOL) throw UsageError("a prediction of floats wants a boolean truth");
    if (prediction->width != truth->width || prediction->height != truth->height) {
      throw UsageError("prediction and truth differ in size: resize the prediction first");
    }
    set_values(*pair, values_of(prediction, "the prediction"),
               prediction->type == S2U_F32 ? FieldType::f32 : FieldType::f64, gt);
  });
}

s2u_status* s2u_pair_mae(s2u_pair* pair, double* out) {
  return guarded([&] {
    const s2u_pair& p = ready(pair);
    need(out, "the output");
    *out = p.of_levels() ? numpys_mae(p.sample) : mean_absolute_error(p.field);
  });
}

s2u_status* s2u_pair_s_measure(s2u_pair* pair, double alpha, double* out) {
  return guarded([&] {
    const s2u_pair& p = ready(pair);
    need(out, "the output");
    *out = p.of_levels() ? s_measure(p.sample, alpha, EmptyRegion::nan) : s_measure(p.field, alpha);
  });
}

s2u_status* s2u_pair_e_measure(s2u_pair* pair, double* adaptive, double* curve) {
  return guarded([&] {
    const ThresholdCounts& t = ready(pair).counts();
    if (adaptive != nullptr) *adaptive = e_measure(t.adaptive);
    if (curve == nullptr) return;
    Curve values;
    e_curve(t.counts, t.foreground, t.background, values);
    std::copy(values.begin(), values.end(), curve);
  });
}

s2u_status* s2u_pair_weighted_f(s2u_pair* pair, double beta2, double* out) {
  return guarded([&] {
    s2u_pair& p = ready(pair);
    need(out, "the output");
    *out = p.of_levels() ? weighted_f(p.sample, p.buffers, beta2) : weighted_f(p.field, beta2);
  });
}

s2u_status* s2u_pair_hce(s2u_pair* pair, int32_t relax, double epsilon, double* out) {
  return guarded([&] {
    const s2u_pair& p = ready(pair);
    need(out, "the output");
    if (relax < 0) throw UsageError("relax must not be negative");
    if (!(epsilon >= 0 && epsilon < 1e30)) throw UsageError("epsilon must be a number from 0 to 1e30");
    const Bitmap pred =
        p.of_levels() ? predicted_at(p.sample, p.sample.levels.binary_cut) : binary_mask(p.field);
    *out = human_correction_effort(pred, truth_of(p.truth_sample()), {.relax = relax, .epsilon = epsilon});
  });
}

s2u_status* s2u_pair_confusion(s2u_pair* pair, int64_t* adaptive, int64_t* binary, int64_t* curve) {
  return guarded([&] { put_confusion(ready(pair).counts(), adaptive, binary, curve); });
}

s2u_status* s2u_pair_measures(s2u_pair* pair, const s2u_measure* measures, const double* beta2, size_t count,
                              double* values) {
  return guarded([&] {
    const Wanted wanted(measures, beta2, count);
    if (count > 0) need(values, "the output");
    put_measures(ready(pair).counts(), wanted, values);
  });
}

s2u_status* s2u_pair_msiou(s2u_pair* pair, int32_t levels, int32_t half, double* adaptive, double* binary,
                           double* curve) {
  return guarded([&] {
    const MsiouOptions options{levels,
                               half != 0 ? MsiouOptions::PlusOne::in_half : MsiouOptions::PlusOne::in_double};
    put_msiou(ready(pair), options, adaptive, binary, curve);
  });
}

s2u_status* s2u_pair_context(s2u_pair* pair, double beta2, double alpha, double* out) {
  return guarded([&] {
    const s2u_pair& p = ready(pair);
    need(out, "the output");
    *out = context_measure(p.truth_sample(),
                           context_maps(p.truth_sample(), prediction_of(p), checked_alpha(alpha)), beta2, {});
  });
}

s2u_status* s2u_pair_camouflage(s2u_pair* pair, const s2u_plane* picture, double beta2, double alpha,
                                double gamma, double lambda, double* out) {
  return guarded([&] {
    const s2u_pair& p = ready(pair);
    need(out, "the output");
    const Sample& truth = p.truth_sample();
    const std::vector<double> degree = camouflage_degree(truth, bytes_of(picture, "the picture", 3),
                                                         {.gamma = gamma, .spatial_weight = lambda});
    *out = context_measure(truth, context_maps(truth, prediction_of(p), checked_alpha(alpha)), beta2, degree);
  });
}

s2u_status* s2u_pair_target_count(s2u_pair* pair, size_t* out) {
  return guarded([&] {
    need(out, "the output");
    *out = count_targets(ready(pair).truth_sample());
  });
}

s2u_status* s2u_pair_target_confusion(s2u_pair* pair, size_t targets, int64_t* adaptive, int64_t* binary,
                                      int64_t* curve) {
  return guarded([&] {
    const std::vector<ThresholdCounts> all = targets_of(ready(pair), targets);
    for (std::size_t k = 0; k < all.size(); ++k) {
      put_confusion(all[k], adaptive == nullptr ? nullptr : adaptive + 4 * k,
                    binary == nullptr ? nullptr : binary + 4 * k,
                    curve == nullptr ? nullptr : curve + 1024 * k);
    }
  });
}

s2u_status* s2u_pair_target_measures(s2u_pair* pair, size_t targets, const s2u_measure* measures,
                                     const double* beta2, size_t count, double* values) {
  return guarded([&] {
    const Wanted wanted(measures, beta2, count);
    const std::vector<ThresholdCounts> all = targets_of(ready(pair), targets);
    if (count > 0 && targets > 0) need(values, "the output");
    for (std::size_t k = 0; k < all.size(); ++k) put_measures(all[k], wanted, values + k * count * kPoints);
  });
}

s2u_status* s2u_pair_target_errors(s2u_pair* pair, size_t targets, double* sums, int64_t* pixels) {
  return guarded([&] {
    need(sums, "the output");
    need(pixels, "the output");
    put_target_errors(ready(pair), targets, sums, pixels);
  });
}
}
