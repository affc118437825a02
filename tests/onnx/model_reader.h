// Reads an ONNX file for the tests: a second opinion on what src/onnx writes, which shares nothing with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace sam2unet::test {

struct OnnxAttribute {
  std::int64_t integer = 0;
  float real = 0.0F;
  std::string text;
  std::vector<std::int64_t> integers;
};

struct OnnxNode {
  std::string op, name;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, OnnxAttribute> attributes;
};

/// Elements as doubles, whatever they are stored as; `type` is TensorProto's number.
struct OnnxTensor {
  int type = 1;
  std::vector<std::int64_t> shape;
  std::vector<double> data;
};

struct OnnxValueInfo {
  std::string name;
  int type = 0;
  std::vector<std::string> shape;  // numbers and names
};

struct OnnxModel {
  std::int64_t ir_version = 0, opset = 0;
  std::string producer;
  std::map<std::string, std::string> metadata;
  std::vector<OnnxNode> nodes;
  std::map<std::string, OnnxTensor> initializers;
  std::vector<OnnxValueInfo> inputs, outputs;
};

/// std::runtime_error where the file is not sound: a field of an unknown number, a length that does not fit.
OnnxModel read_onnx(const std::filesystem::path& path);

}  // namespace sam2unet::test
