// The pictures that a command line names.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sam2unet/listing.h"
#include "tar/tar_file.h"

namespace sam2unet::cli {

/// A tar file that pictures are read from, and its name.
struct Archive {
  explicit Archive(const std::filesystem::path& name) : path(name), tar(name) {}

  std::filesystem::path path;
  tar::TarFile tar;
};

struct Input {
  std::filesystem::path file;    // empty for the picture on stdin; TAR/MEMBER for one in a tar
  std::filesystem::path folder;  // where below the output folder its results go: subfolders met on the way
  std::vector<std::byte> bytes;  // of the picture on stdin
  std::shared_ptr<const Archive> archive = nullptr;  // that it is in
  std::span<const std::byte> member = {};            // its bytes there

  bool from_stdin() const { return file.empty(); }
  /// For messages and for names of results.
  std::string name() const { return from_stdin() ? "stdin" : file.string(); }
};

struct Inputs {
  std::vector<Input> pictures;        // each file once, in the order given, folders sorted by name
  std::vector<std::string> problems;  // one line for each name that leads nowhere
};

/// Whether a name is a tar file's (".tar").
bool is_tar(const std::filesystem::path& file);

/// Files, tar files, folders, globs, and "-": one picture's bytes, or a list of paths, one a line, on stdin.
Inputs collect_inputs(const std::vector<std::string>& names, Subfolders subfolders);

/// Tells a picture from a list of paths.
bool looks_like_picture(const std::vector<std::byte>& bytes);

}  // namespace sam2unet::cli
