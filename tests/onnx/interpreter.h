// Runs an ONNX graph by naive loops, as the operators' specification (opset 17) says: a clone without any
// runtime proves what is exported.
#pragma once

#include <map>
#include <string>

#include "onnx/model_reader.h"

namespace sam2unet::test {

enum class Arithmetic {
  exact,    // in double
  float32,  // every float result rounded, as a runtime has it
};

/// All values of the graph, inputs, initializers and results, by name. std::runtime_error for an operator, or
/// a use of one, that the exporter has no business with.
std::map<std::string, OnnxTensor> run_onnx(const OnnxModel& model,
                                           const std::map<std::string, OnnxTensor>& inputs,
                                           Arithmetic arithmetic = Arithmetic::exact);

}  // namespace sam2unet::test
