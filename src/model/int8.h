// Weights as 8-bit integers: symmetric, one float32 scale for each output channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "model/weight_source.h"

namespace sam2unet::model {

/// max |row| / 127 for each row of a [rows, n] matrix; 1 for a row of zeros. WeightsError if a value is not
/// finite.
std::vector<float> row_scales(const std::vector<float>& values, std::size_t rows, std::string_view name);

/// value / scale to the nearest integer (of two the even one), -127 to 127.
std::int8_t quantised(float value, float scale);

/// The weights of another source as they are once stored as int8: those of linear layers and convolutions
/// rounded.
class RoundedWeights : public WeightSource {
 public:
  explicit RoundedWeights(const WeightSource& source) : source_(source) {}
  using WeightSource::read;
  void read(const std::string& name, const Shape& shape, std::int64_t first,
            std::span<float> values) const override;

 private:
  const WeightSource& source_;
};

}  // namespace sam2unet::model
