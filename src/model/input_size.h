// The size of pictures that weights were trained at, as weight files carry it.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace sam2unet::model {

struct TrainedSize {
  int height = 0, width = 0;
};

/// Key of a safetensors file's metadata: "352", or "HEIGHTxWIDTH".
inline constexpr const char* kInputSize = "input_size";

/// What the metadata says; nothing where it says none, or none that a network can take (sides are multiples
/// of 32 up to 8192).
std::optional<TrainedSize> trained_size(const std::map<std::string, std::string>& metadata);

}  // namespace sam2unet::model
