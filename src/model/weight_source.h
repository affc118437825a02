// Where weights come from, seen from a backend that packs them: tensors by reference name, as float32.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace sam2unet::model {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// The tensor's elements in row-major order; valid until the next call. WeightsError that names the tensor
  /// if it is missing or has another shape.
  virtual std::span<const float> get(const std::string& name, const Shape& shape) = 0;
};

/// The weights of the golden values: a function of each tensor's name (shared README, "Deterministic
/// weights").
class DeterministicWeights : public WeightSource {
 public:
  std::span<const float> get(const std::string& name, const Shape& shape) override;

 private:
  std::vector<float> buffer_;
};

/// The same generator for inputs: n values in [-1, 1) for a name such as "image:a".
std::vector<double> deterministic_values(std::string_view name, std::int64_t n);

}  // namespace sam2unet::model
