// Under which names results are written, so that nothing that matters is overwritten.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "inputs.h"
#include "results/results.h"

namespace sam2unet::cli {

using results::Save;

/// Gives every input a stem of its own in the output folder.
class OutputNames {
 public:
  OutputNames(std::filesystem::path folder, std::vector<Save> saves, const std::vector<Input>& inputs);

  /// FOLDER/[SUBFOLDER/]STEM: the input's stem; its name with extension, or a numbered stem, where a result
  /// would have the name of another input's result or of an input file itself.
  std::filesystem::path take(const Input& input);

 private:
  bool is_free(const std::filesystem::path& stem) const;

  std::filesystem::path folder_;
  std::vector<Save> saves_;
  std::set<std::filesystem::path> taken_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> input_files_;  // device and inode
};

/// Looks, before any work is done, whether results can be written to these files ("": not wanted, "-":
/// standard output). UsageError if two would go to one place or one is a folder, FileError if its folder
/// takes no files.
void check_result_files(const std::vector<std::string>& files);

/// Writes a result to a file, whole or not at all, to standard output where `file` is "-",
/// nowhere where it is empty. FileError.
void write_result(const std::string& file, const std::string& text);

/// The file that a stem and a kind of result make.
std::filesystem::path file_of(const std::filesystem::path& stem, Save save);

}  // namespace sam2unet::cli
