// Tensors on their way from one file to another: their elements converted when they are written.
#pragma once

#include <string>
#include <vector>

#include "formats/tensor_file.h"
#include "sam2unet/weights.h"

namespace sam2unet::api {

/// A tensor of an open file and the name it gets. int8 weights stand for themselves and their scales.
struct SourceTensor {
  const formats::TensorFile* file = nullptr;
  std::string stored_name;
  std::string name;
  bool is_weight = false;  // of a linear layer or a convolution: [out, in, ...]
};

/// Appends what is written for `source`: itself, or int8 and scales. The file must stay open until it is
/// written.
void append_converted(const SourceTensor& source, WeightsPrecision precision,
                      std::vector<formats::PendingTensor>& out);

/// max |row| / 127 for each row of a [rows, n] matrix; 1 for a row of zeros. WeightsError if a value is not
/// finite.
std::vector<float> row_scales(const std::vector<float>& values, std::size_t rows, std::string_view name);

}  // namespace sam2unet::api
