// What the pages of all evaluations share.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sam2unet/evaluate.h"

namespace sam2unet::eval {

/// A table's cell with the value and its interval, bold where it is `best`.
std::string cell(const MetricValue* v, double best);

/// The end of an evaluation's list item, how many files could not be scored, and an item for each warning and
/// failure.
std::string troubles(const std::string& name, std::span<const std::string> warnings,
                     std::span<const EvaluationFailure> failures);

/// The list item that says what the intervals are; nothing without resamples.
std::string interval_note(int resamples, std::uint64_t seed);

}  // namespace sam2unet::eval
