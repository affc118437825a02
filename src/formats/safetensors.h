// Names of element types and limits of the safetensors format, for its reader and its writer.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/tensor.h"

namespace sam2unet::formats {

inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  // the format's own limit
inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

/// "F32", "BF16", ...
std::string_view safetensors_name(DType dtype);
std::optional<DType> safetensors_dtype(std::string_view name);

}  // namespace sam2unet::formats
