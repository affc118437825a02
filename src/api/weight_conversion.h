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

}  // namespace sam2unet::api
