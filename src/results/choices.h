// What users choose in words, wherever they do: the network's input size, and classes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::results {

/// "N" or "HxW", multiples of 32; nothing (0x0) is what the weights were trained at. UsageError for anything
/// else, which begins with `option`, as the user calls it.
InputSize parse_size(const std::string& text, std::string_view option);

/// Ids of the classes named; all but the background where there are no names. UsageError for an unknown one.
std::vector<int> shown_classes(const ClassTable& table, const std::vector<std::string>& names,
                               std::string_view option);

}  // namespace sam2unet::results
