// Scores pictures one after the other. Not for use by two threads at once: each thread has its own.
#pragma once

#include <memory>

#include "metrics/record.h"
#include "metrics/sample.h"
#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// mean(|prediction - truth|) of a sample.
double mean_absolute_error(const Sample& sample);

class Scorer {
 public:
  explicit Scorer(const MetricSet& set = {});
  ~Scorer();
  Scorer(Scorer&&) noexcept;
  Scorer& operator=(Scorer&&) noexcept;
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  /// Two gray pictures of one size; with `picture` (RGB, the same size) also the camouflage context measure.
  /// UsageError if sizes or channels do not fit.
  ImageScores score(const ImageView& prediction, const ImageView& truth, const ImageView* picture = nullptr);

 private:
  struct Buffers;
  MetricSet set_;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace sam2unet::metrics
