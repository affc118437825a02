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
  /// Weights for folders of real pictures and ONNX files (of those the default model's if it is empty);
  /// golden files carry their own. A model's name will do (models.h).
  std::filesystem::path weights;
  int threads = 0;  ///< 0 means all cores
  /// As SegmenterOptions say. Training is checked on "cpu" or a GPU, by LibTorch and in float64 always.
  std::string device = "cpu";
  Precision precision = Precision::standard;
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
///    (metadata "config" and "input"), each tensor within 2e-5 of its range (L: 1e-4; tf32: 0.5 %, L: 2
///    %; f16: 2 %; bf16: 10 %; int8: 20 %);
///  - a `train_*.safetensors`, named train_VARIANT_BxHxW_TAG: the reference's training loop, repeated in
///    float64: losses within 1e-9 of each, gradients and parameters within 1e-7 of a tensor's largest value;
///  - an ONNX file that export_onnx wrote, run by ONNX Runtime where that is installed (the library that the
///    system's loader finds, or the file or folder that SAM2UNET_ONNXRUNTIME names): logits of two batches,
///    or maps of three pictures, within 2e-5 of range (int8: 1e-3 of the network with rounded weights; f16: 3
///    %);
///  - a folder with `image/` and any of `resized/`, `logits.safetensors`, `pred/`, `mask/` + `mask_resized/`.
/// Returns whether all were ok. FileError, FormatError, UsageError (a folder without weights), or
/// UnavailableError where the training component or ONNX Runtime is needed and not installed.
SAM2UNET_API bool verify(const std::filesystem::path& path, const VerifyOptions& options,
                         const std::function<void(const VerifyCheck&)>& report);

}  // namespace sam2unet
