// What the pages of all evaluations share.
#pragma once

#include <string>

#include "sam2unet/evaluate.h"

namespace sam2unet::eval {

/// A table's cell with the value and its interval, bold where it is `best`.
std::string cell(const MetricValue* v, double best);

}  // namespace sam2unet::eval
