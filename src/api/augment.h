// Test-time augmentation: a picture is shown to the network in several variants, and each is undone on the
// logits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "api/backend.h"
#include "api/picture.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {

/// One way to show a picture.
struct Variant {
  Turn turn = Turn::none;
  double scale = 1.0;  ///< of the network's input

  bool is_plain() const { return turn == Turn::none && scale == 1.0; }
};

/// The picture as it is, and what was asked for. UsageError for scales that cannot be meant.
std::vector<Variant> variants_of(const Augmentation& augmentation);
/// The network's input for a variant: scaled to the nearest multiple of 32, and lying where the picture does.
InputSize input_of(const Variant& variant, const InputSize& size);

/// The logits of an upright picture.
struct OwnedLogits {
  std::vector<float> values;  ///< [K,h,w]
  int channels = 1;
  Placement placement;

  PlacedLogits view() const { return {values, channels, placement}; }
};
/// Undoes a turn: values are moved, none is computed. `placement` is that of the turned picture.
OwnedLogits upright(std::vector<float> planes, int channels, const Placement& placement, Turn turn);

/// [h,w,K] -> [K,h,w]
std::vector<float> to_planes(std::span<const float> values, std::size_t channels);
/// WeightsError if a value is NaN or infinite.
void check_finite(std::span<const float> logits);

/// How pictures go through the network.
struct PassOptions {
  InputSize size;
  Fit fit = Fit::squash;
  PillowVersion pillow = PillowVersion::v12;
  std::vector<Variant> variants = {Variant{}};
  std::size_t batch = 1;  ///< how many inputs the network sees at once
  int channels = 1;       ///< K
};
/// Of one picture, in the order of the variants.
using VariantLogits = std::vector<OwnedLogits>;

/// Runs pictures through the network in all variants. Not for two threads at once.
class Passes {
 public:
  /// Refers to the backend.
  Passes(const Backend& backend, PassOptions options) : backend_(backend), options_(std::move(options)) {}
  const PassOptions& options() const { return options_; }
  std::vector<VariantLogits> run(std::span<const ImageView> pictures);

 private:
  struct Job {
    std::size_t picture = 0, variant = 0;
    Placement placement;  // of the turned picture
  };
  void run_together(std::span<const ImageView> pictures, std::span<const Job> jobs,
                    std::vector<VariantLogits>& out);

  const Backend& backend_;
  PassOptions options_;
  Preparer preparer_;
  std::vector<Image> inputs_;
};

}  // namespace sam2unet::api
