// Proof of parity on the user's own machine: golden files of the reference against what this program
// computes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sam2unet/export.h"
#include "sam2unet/segmenter.h"

namespace sam2unet {

struct VerifyOptions {
  /// Weights for folders of real pictures; golden files carry their own.
  std::filesystem::path weights;
  int threads = 0;  ///< 0 means all cores
  /// As SegmenterOptions say. Training is checked on "cpu" or a GPU, in float64 always.
  std::string device = "cpu";
  Precision precision = Precision::automatic;
};

/// One compared thing: a tensor of a golden file, or one aspect of a picture.
struct VerifyCheck {
  std::string name;
  double error = 0.0;      ///< largest difference over the reference's range, or as `unit` says
  double tolerance = 0.0;  ///< `error` may be at most this
  std::string unit;        ///< "of range", "relative", "of scale", "grey levels", "of pixels differ"
  bool ok() const { return error <= tolerance; }  // NaN is not ok
};

/// Compares `path` with what this program computes and calls `report` after each check. `path` is
///  - a `forward_*.safetensors`: outputs of the reference on weights that are a function of their names
///    (metadata "config" and "input"), each tensor within 2e-5 of its range (L: 1e-4; bf16: 10 %; int8: 20
///    %);
///  - a `train_*.safetensors`, named train_VARIANT_BxHxW_TAG: the reference's training loop, repeated in
///    float64: losses within 1e-9 of each, gradients and parameters within 1e-7 of a tensor's largest value;
///  - a folder with `image/` and any of `resized/`, `logits.safetensors`, `pred/`, `mask/` + `mask_resized/`.
/// Returns whether all were ok. FileError, FormatError, UsageError (a folder without weights), or
/// UnavailableError where the training component is needed and not installed.
SAM2UNET_API bool verify(const std::filesystem::path& path, const VerifyOptions& options,
                         const std::function<void(const VerifyCheck&)>& report);

}  // namespace sam2unet
