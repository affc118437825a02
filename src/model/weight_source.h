// Where weights come from, seen from a backend that packs them: tensors by reference name, as float32.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace sam2unet::model {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// The tensor's elements in row-major order from `first` on, as many as `values` has room for.
  /// WeightsError that names the tensor if it is missing or has another shape. From any number of threads.
  virtual void read(const std::string& name, const Shape& shape, std::int64_t first,
                    std::span<float> values) const = 0;
  /// All of them; `values` has room for just as many.
  void read(const std::string& name, const Shape& shape, std::span<float> values) const {
    read(name, shape, 0, values);
  }
  std::vector<float> read(const std::string& name, const Shape& shape) const;
};

/// The weights of the golden values: a function of each tensor's name (shared README, "Deterministic
/// weights").
class DeterministicWeights : public WeightSource {
 public:
  using WeightSource::read;
  void read(const std::string& name, const Shape& shape, std::int64_t first,
            std::span<float> values) const override;
};

/// The same generator for inputs: n values in [-1, 1) for a name such as "image:a".
std::vector<double> deterministic_values(std::string_view name, std::int64_t n);

}  // namespace sam2unet::model
