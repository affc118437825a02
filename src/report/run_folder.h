// What the parts of the report share about a run's folder, and the training component with them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/runs.h"

namespace sam2unet::report {

/// The value, as `eval` calls it, that the setting best_by names ("dice": "dice.mean"); another name stands
/// for itself.
std::string criterion_key(const std::string& option);

/// An object of numbers on one line; what is no number (null, text) is NaN. None if it is no object.
std::optional<std::vector<RunValue>> parse_row(std::string_view line);
/// NaN if there is none of that key.
double value_in(const std::vector<RunValue>& values, std::string_view key);

/// At most `count` rows of a .jsonl file, spread evenly over it; none if it is not there.
std::vector<std::vector<RunValue>> sample_rows(const std::filesystem::path& file, std::size_t count);

/// Writes FOLDER/report.html. FileError.
void write_run_report(const std::filesystem::path& folder);

}  // namespace sam2unet::report
