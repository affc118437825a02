#include "outputs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <system_error>

#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/files.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

std::optional<std::pair<std::uint64_t, std::uint64_t>> identity(const fs::path& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  return std::pair<std::uint64_t, std::uint64_t>(st.st_dev, st.st_ino);
}

}  // namespace

fs::path file_of(const fs::path& stem, Save save) {
  fs::path out = stem;
  out += ending_of(save);
  return out;
}

OutputNames::OutputNames(fs::path folder, std::vector<Save> saves, const std::vector<Input>& inputs)
    : folder_(std::move(folder)), saves_(std::move(saves)) {
  for (const Input& input : inputs) {
    if (const auto id = identity(input.file)) input_files_.insert(*id);
  }
}

bool OutputNames::is_free(const fs::path& stem) const {
  return std::none_of(saves_.begin(), saves_.end(), [&](Save save) {
    const fs::path file = file_of(stem, save);
    if (taken_.count(file) != 0) return true;
    const auto id = identity(file);
    return id && input_files_.count(*id) != 0;
  });
}

fs::path OutputNames::take(const Input& input) {
  const fs::path folder = (folder_ / input.folder).lexically_normal();
  const std::string stem = input.from_stdin() ? "stdin" : input.file.stem().string();
  fs::path out = folder / stem;
  if (!is_free(out) && !input.from_stdin()) out = folder / input.file.filename();
  for (int n = 2; !is_free(out); ++n) out = folder / fmt::format("{}-{}", stem, n);
  for (const Save save : saves_) taken_.insert(file_of(out, save));
  return out;
}

void check_result_files(const std::vector<std::string>& files) {
  std::set<std::string> seen;
  for (const std::string& file : files) {
    if (file.empty()) continue;
    const fs::path path = fs::absolute(file).lexically_normal();
    if (!seen.insert(file == "-" ? file : path.string()).second) {
      throw UsageError(fmt::format("two results would be written to {}: name one file for each",
                                   file == "-" ? "standard output" : file));
    }
    if (file == "-") continue;
    if (fs::is_directory(path)) throw UsageError(fmt::format("{} is a folder: name a file in it", file));
    const fs::path folder = path.parent_path();
    std::error_code error;
    if (!fs::exists(folder, error)) error = std::make_error_code(std::errc::no_such_file_or_directory);
    if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
    if (error) throw FileError(fmt::format("{}: cannot write into its folder: {}", file, error.message()));
  }
}

void write_result(const std::string& file, const std::string& text) {
  if (file.empty()) return;
  if (file == "-") {
    write_stdout(text.data(), text.size());
  } else {
    write_atomically(file, text);
  }
}

}  // namespace sam2unet::cli
