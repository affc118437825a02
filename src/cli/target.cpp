#include "target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

// -o FILE.png, as of one picture: a name with a picture's extension that is no folder.
bool names_a_file(const std::string& output, const std::vector<Save>& saves) {
  const fs::path path = output;
  std::error_code ignored;
  if (!path.has_filename() || fs::is_directory(path, ignored)) return false;
  return has_image_extension(path) || (path.extension() == ".json" && saves == std::vector{Save::json});
}

Target file_target(const std::string& output, const std::vector<Save>& saves,
                   const std::vector<Input>& pictures) {
  const fs::path path = output;
  if (pictures.size() != 1) {
    throw UsageError(
        fmt::format("-o {} names one file, for {} pictures; give a folder: -o DIR", output, pictures.size()));
  }
  if (saves.size() != 1) {
    throw UsageError(
        fmt::format("-o {} names one file, for {} kinds of results; choose one with --save, or give a "
                    "folder: -o DIR",
                    output, saves.size()));
  }
  const char* extension = saves[0] == Save::json ? ".json" : ".png";
  if (path.extension() != extension && path.extension() != (saves[0] == Save::json ? ".JSON" : ".PNG")) {
    throw UsageError(fmt::format("-o {}: a {} is written as {}; name it so, or give a folder: -o DIR", output,
                                 name_of(saves[0]), extension));
  }
  std::error_code ignored;
  if (!pictures[0].from_stdin() && fs::equivalent(pictures[0].file, path, ignored))
    throw UsageError(fmt::format("-o {} is the picture itself; choose another name", output));
  return {.folder = path.has_parent_path() ? path.parent_path() : fs::path("."), .file = path};
}

// -o OUT.tar.
Target tar_target(const std::string& output, const std::vector<Input>& pictures) {
  check_result_files({output});
  std::error_code ignored;
  for (const Input& input : pictures) {
    if (input.archive && fs::equivalent(input.archive->path, output, ignored))
      throw UsageError(
          fmt::format("-o {} is the tar that pictures are read from; choose another name", output));
  }
  return {.folder = output, .is_tar = true};
}

}  // namespace

Target target_of(const std::string& output, const std::vector<Save>& saves,
                 const std::vector<Input>& pictures) {
  const bool one_from_stdin = pictures.size() == 1 && pictures[0].from_stdin();
  if (output.empty() && !one_from_stdin) {
    throw UsageError("where should the results go? Give a folder: -o DIR");
  }
  if (!output.empty() && output != "-") {
    if (is_tar(output)) return tar_target(output, pictures);
    if (names_a_file(output, saves)) return file_target(output, saves, pictures);
    return {.folder = output};
  }
  if (saves.size() != 1) {
    throw UsageError(
        "standard output takes one kind of result: choose one with --save, or give a folder: -o DIR");
  }
  if (saves[0] == Save::json) return {.to_stdout = true};
  if (pictures.size() > 1) {
    throw UsageError(fmt::format("standard output takes one picture's {}, not {}; give a folder: -o DIR",
                                 name_of(saves[0]), pictures.size()));
  }
  if (::isatty(STDOUT_FILENO) == 1) {
    throw UsageError(
        "standard output is a terminal, which shows no PNG: redirect it, or give a folder: -o DIR");
  }
  return {.to_stdout = true};
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && !fs::is_directory(folder)) error = std::make_error_code(std::errc::not_a_directory);
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
  if (error)
    throw FileError(fmt::format("cannot write into the folder {}: {}", folder.string(), error.message()));
}

void check_apart(const Target& target, const std::vector<Input>& pictures, Subfolders subfolders) {
  if (target.to_stdout || target.is_tar) return;
  std::error_code ignored;
  const fs::path results = fs::weakly_canonical(fs::absolute(target.folder), ignored);
  std::set<fs::path> folders;
  for (const Input& input : pictures) {
    if (input.archive || input.from_stdin()) continue;
    const fs::path folder = fs::absolute(input.file).parent_path();
    if (!folders.insert(folder).second) continue;
    fs::path real = fs::weakly_canonical(folder, ignored);
    while (subfolders == Subfolders::search && real != results && real.has_relative_path())
      real = real.parent_path();
    if (real == results) {
      throw UsageError(fmt::format(
          "--shard and --resume need results apart from the pictures, which would be mixed up with them: "
          "{} lies in {}; choose another folder: -o DIR",
          input.name(), target.folder.string()));
    }
  }
}

}  // namespace sam2unet::cli
