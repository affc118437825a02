#include "metrics/scorer.h"

#include "metrics/camouflage.h"
#include "metrics/context.h"
#include "metrics/e_measure.h"
#include "metrics/hce.h"
#include "metrics/mirror.h"
#include "metrics/msiou.h"
#include "metrics/s_measure.h"
#include "metrics/size_invariant.h"
#include "metrics/surface.h"
#include "metrics/weighted_f.h"

namespace sam2unet::metrics {

struct Scorer::Buffers {
  Sample sample;
  WeightedFBuffers weighted_f;
  MeasureCurves curves;
};

Scorer::Scorer(const MetricSet& set) : set_(set), buffers_(std::make_unique<Buffers>()) {}
Scorer::~Scorer() = default;
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;

// mean(|pred - gt|)
double mean_absolute_error(const Sample& s) {
  std::int64_t sum = 0;
  for (int v = s.levels.low; v <= s.levels.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const std::int64_t x = v - s.levels.offset;
    sum += x * s.histogram.background[i] + (s.levels.range - x) * s.histogram.foreground[i];
  }
  return static_cast<double>(sum) / s.levels.range / static_cast<double>(s.pixels());
}

namespace {

void score_thresholds(const Sample& s, MeasureCurves& curves, ImageScores& out) {
  out.counts = quantized_counts(s.histogram, s.levels);
  const Confusion adaptive = confusion_at(s.histogram, s.levels.adaptive_cut);
  out.binary = confusion_at(s.histogram, s.levels.binary_cut);
  out.empty_prediction = out.binary.tp + out.binary.fp == 0;

  Curve e;
  e_curve(out.counts, s.foreground, s.background(), e);
  out.e_adp = e_measure(adaptive);
  out.e_mean = mean_of(e);
  out.e_max = max_of(e);

  measure_curves(out.counts, s.foreground, s.background(), curves);
  const MeasureValues adp = measures_of(adaptive);
  const MeasureValues bin = measures_of(out.binary);
  for (std::size_t m = 0; m < kMeasures; ++m) {
    out.measures[m] = {adp[m], mean_of(curves[m]), max_of(curves[m]), bin[m]};
  }
}

}  // namespace

ImageScores Scorer::score(const ImageView& prediction, const ImageView& truth, const ImageView* picture) {
  Sample& s = buffers_->sample;
  s.assign(prediction, truth);
  ImageScores out;
  out.width = s.width;
  out.height = s.height;
  out.empty_truth = s.foreground == 0;
  score_thresholds(s, buffers_->curves, out);
  out.s = s_measure(s);
  out.weighted_f = weighted_f(s, buffers_->weighted_f);
  out.mae = mean_absolute_error(s);
  if (set_.hce) out.hce = human_correction_effort(predicted_at(s, s.levels.binary_cut), truth_of(s));
  if (set_.msiou) out.msiou = msiou(s, out.msiou_curve);
  if (set_.context) {
    const ContextMaps maps = context_maps(s, prediction_values(s));
    out.cm = context_measure(s, maps, kContextBeta2, {});
    if (picture != nullptr)
      out.ccm = context_measure(s, maps, kCamouflageBeta2, camouflage_degree(s, *picture));
  }
  if (set_.size_invariant) {
    const SizeInvariantResult si = size_invariant(s);
    out.simae = si.mae;
    out.size_invariant = si.f;
  }
  if (set_.boundary) {
    out.boundary_iou = boundary_iou(s);
    const SurfaceDistances distances = surface_distances(s);
    out.hd95 = distances.hd95;
    out.assd = distances.assd;
  }
  if (set_.mirror) out.mirror = mirror_scores(prediction, truth);
  return out;
}

}  // namespace sam2unet::metrics
