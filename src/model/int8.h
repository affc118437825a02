// Weights as 8-bit integers: symmetric, one float32 scale for each output channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sam2unet::model {

/// max |row| / 127 for each row of a [rows, n] matrix; 1 for a row of zeros. WeightsError if a value is not
/// finite.
std::vector<float> row_scales(const std::vector<float>& values, std::size_t rows, std::string_view name);

/// value / scale to the nearest integer (of two the even one), -127 to 127.
std::int8_t quantised(float value, float scale);

}  // namespace sam2unet::model
