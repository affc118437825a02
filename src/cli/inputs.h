// The pictures that a command line names.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sam2unet::cli {

struct Input {
  std::filesystem::path file;    // empty for the picture on stdin
  std::filesystem::path folder;  // where below the output folder its results go: subfolders met on the way
  std::vector<std::byte> bytes;  // of the picture on stdin

  bool from_stdin() const { return file.empty(); }
  /// For messages and for names of results.
  std::string name() const { return from_stdin() ? "stdin" : file.string(); }
};

struct Inputs {
  std::vector<Input> pictures;        // each file once, in the order given, folders sorted by name
  std::vector<std::string> problems;  // one line for each name that leads nowhere
};

/// Files, folders, globs, and "-": one picture's bytes, or a list of paths, one a line, on stdin.
Inputs collect_inputs(const std::vector<std::string>& names, bool recursive);

/// Tells a picture from a list of paths.
bool looks_like_picture(const std::vector<std::byte>& bytes);

}  // namespace sam2unet::cli
