// What is made of one picture segmented into several classes.
#pragma once

#include <cstddef>
#include <vector>

#include "results/results.h"

namespace sam2unet::results {

/// The bytes of one kind of result: the ids as indexed PNG (map), the chosen classes' mask, overlay, cut-out,
/// or a JSON object on one line. The result must hold ids.
std::vector<std::byte> encode_class_result(const Subject& picture, const ResultOptions& options, Save save);

}  // namespace sam2unet::results
