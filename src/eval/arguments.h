// What every evaluation does with its options and folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sam2unet/evaluate.h"

namespace sam2unet::eval {

/// UsageError for resamples or threads that cannot be meant.
void check(const EvaluateOptions& options);
/// As many as asked for, or all cores.
int threads_of(const EvaluateOptions& options);
/// The last part of the path, "a" for "x/a/".
std::string folder_name(const std::filesystem::path& folder);
/// What a picture is called in results: the folders of the name it pairs by, and its ground truth's file
/// name.
std::string shown_name(const std::string& pair_name, const std::filesystem::path& truth);

/// Files without a partner: a warning, or UsageError where `strict`.
void note_unpaired(const std::vector<std::filesystem::path>& alone, const std::filesystem::path& partner,
                   bool strict, std::vector<std::string>& warnings,
                   std::vector<std::filesystem::path>& unpaired);

}  // namespace sam2unet::eval
