// ONNX Runtime, where it is installed: opened when it is asked for, by its C API, which is a table of
// functions whose places never change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "onnx/graph.h"

namespace sam2unet::onnx {

/// A tensor that goes into a session or came out of it.
struct RuntimeTensor {
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;  // dense, row-major
};

class RuntimeSession {
 public:
  /// Opens ONNX Runtime (the file or folder that SAM2UNET_ONNXRUNTIME names, else where the system's loader
  /// finds it) and loads the model. UnavailableError that says how to get it; FormatError where it refuses
  /// the model. 0 threads: as many as it likes.
  RuntimeSession(const std::filesystem::path& model, int threads);
  ~RuntimeSession();
  RuntimeSession(const RuntimeSession&) = delete;
  RuntimeSession& operator=(const RuntimeSession&) = delete;

  /// "1.32.0"
  const std::string& version() const;
  /// Of the model's own metadata; empty if it has none of that name.
  std::string metadata(const std::string& key) const;
  std::map<std::string, RuntimeTensor> run(const std::string& input, const RuntimeTensor& value,
                                           const std::vector<std::string>& outputs);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet::onnx
