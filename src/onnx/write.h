// Writes a graph as an ONNX file (a ModelProto), whole or not at all.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "onnx/graph.h"

namespace sam2unet::onnx {

inline constexpr int kOpset = 17, kIrVersion = 8;

struct ModelInfo {
  std::string version;  ///< of this program, which made it
  std::map<std::string, std::string> metadata;
};

/// Needs memory for the largest initializer, not for all of them. FileError; UsageError where the file would
/// pass protobuf's limit of 2 GiB.
void write_model(const std::filesystem::path& path, const Graph& graph, const ModelInfo& info);

}  // namespace sam2unet::onnx
