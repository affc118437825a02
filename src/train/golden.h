// Checks the training step against a file of the reference's losses, gradients and updated parameters
// (golden/train_*.safetensors): `sam2unet verify FILE`.
#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/tensor_file.h"
#include "sam2unet/verify.h"

namespace sam2unet::train {

/// Largest differences from the file, each with the name of the tensor where it is.
struct GoldenErrors {
  struct Worst {
    double error = 0.0;
    std::string where;
    int compared = 0;
    void note(double e, const std::string& name) {
      ++compared;
      if (std::isnan(error) || e <= error) return;  // NaN is the worst there is
      error = e;
      where = name;
    }
  };
  Worst inputs;      ///< of ids of classes, which the file has
  Worst losses;      ///< relative to each loss
  Worst gradients;   ///< of the first step, relative to the largest value of the tensor
  Worst norms;       ///< the gradients' 2-norms, relative to each
  Worst parameters;  ///< after the last step, relative to the largest value of the tensor
  Worst buffers;     ///< BatchNorm's running statistics, the same
  Worst evaluation;  ///< logits afterwards, relative to their range

  /// Each with what is allowed in float64.
  std::vector<VerifyCheck> checks() const;
  bool passes_float64() const;
};

/// True if the file is of this kind.
bool is_training_golden(const formats::TensorFile& file);
/// Repeats the file's training run in `dtype` on `device`. FormatError if the file does not say what to run.
GoldenErrors check_training_golden(const formats::TensorFile& file, at::ScalarType dtype = at::kDouble,
                                   at::Device device = at::kCPU);
/// The losses that a float32 network computes where every step begins from the float64 run's parameters,
/// relative to the file's: what float32 costs in one step, before AdamW turns rounding into steps.
GoldenErrors::Worst check_float32_losses(const formats::TensorFile& file);

}  // namespace sam2unet::train
