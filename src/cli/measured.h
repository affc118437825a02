// What a weight file says of lower precisions, for people.
#pragma once

#include <string>
#include <vector>

#include "sam2unet/weights.h"

namespace sam2unet::cli {

/// Lines as those of `info`; none where the file says nothing.
std::vector<std::string> measured_lines(const WeightsInfo& info);

}  // namespace sam2unet::cli
