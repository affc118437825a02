// Where a run's results go, as -o says.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "inputs.h"
#include "outputs.h"

namespace sam2unet::cli {

struct Target {
  std::filesystem::path folder;  // of a tar its own name: results are named as if it were a folder
  bool to_stdout = false;
  std::filesystem::path file;  // of the only result, if that is what -o names
  bool is_tar = false;
};

/// UsageError where results of these kinds, of these pictures, cannot go where `output` says.
Target target_of(const std::string& output, const std::vector<Save>& saves,
                 const std::vector<Input>& pictures);

/// FileError if it cannot be made, or takes no files.
void make_folder(const std::filesystem::path& folder);

/// UsageError if results would lie among the pictures, where the next run, or another's list, would take them
/// for pictures.
void check_apart(const Target& target, const std::vector<Input>& pictures, Subfolders subfolders);

}  // namespace sam2unet::cli
