// The input size as commands take it.
#pragma once

#include <string>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

/// "N" or "HxW", multiples of 32; nothing (0x0) is what the weights were trained at. UsageError for anything
/// else.
InputSize parse_size(const std::string& text);

}  // namespace sam2unet::cli
