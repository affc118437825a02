#include "inputs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string_view>
#include <system_error>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/listing.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::byte> read_stdin() {
  std::vector<std::byte> out;
  constexpr std::size_t kStep = 1 << 16;
  while (true) {
    const std::size_t used = out.size();
    out.resize(used + kStep);
    const ssize_t n = ::read(STDIN_FILENO, out.data() + used, kStep);
    if (n < 0 && errno != EINTR) {
      throw FileError(fmt::format("cannot read standard input: {}", std::generic_category().message(errno)));
    }
    out.resize(used + (n > 0 ? static_cast<std::size_t>(n) : 0));
    if (n == 0) return out;
  }
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) out.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The same for a file that is named twice, if by two spellings; two links to one file stay two.
fs::path spelled_once(const fs::path& path) {
  std::error_code error;
  const fs::path folder = fs::canonical(path.has_parent_path() ? path.parent_path() : ".", error);
  return error ? path : folder / path.filename();
}

class Collector {
 public:
  explicit Collector(Subfolders subfolders) : subfolders_(subfolders) {}

  void add_name(const std::string& name) {
    if (name == "-") return add_stdin();
    std::error_code error;
    if (fs::exists(fs::path(name), error)) return add_path(name);
    if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory) {
      return problem(fmt::format("cannot open {}: {}", name, error.message()));
    }
    if (!is_pattern(name)) {
      return problem(fmt::format("cannot open {}: no such file or folder", name));
    }
    const auto found = match_pattern(name);
    if (found.empty()) return problem(fmt::format("nothing matches {}", name));
    for (const auto& path : found) add_path(path);
  }

  Inputs take() { return std::move(inputs_); }

 private:
  bool is_new(const fs::path& path) { return seen_.insert(spelled_once(path)).second; }

  void problem(std::string line) { inputs_.problems.push_back(std::move(line)); }

  void add_path(const fs::path& path) {
    std::error_code error;
    if (fs::is_directory(path, error))
      add_folder(path);
    else if (is_tar(path))
      add_tar(path);
    else
      add_file(path, {});
  }

  // Its pictures, in its order; what else a data set keeps beside them is passed over.
  void add_tar(const fs::path& path) {
    if (!is_new(path)) return;
    try {
      const auto archive = std::make_shared<const Archive>(path);
      const std::size_t before = inputs_.pictures.size();
      for (const tar::Member& member : archive->tar.members()) {
        const fs::path name = member.name;
        if (!has_image_extension(name) || name.filename().string().starts_with("._")) continue;
        inputs_.pictures.push_back({path / name, name.parent_path(), {}, archive, member.bytes});
      }
      if (inputs_.pictures.size() == before) problem(fmt::format("no pictures in {}", path.string()));
    } catch (const Error& e) {
      problem(e.what());
    }
  }

  void add_file(const fs::path& path, const fs::path& folder) {
    if (!is_new(path)) return;
    inputs_.pictures.push_back({path, folder, {}});
  }

  void add_folder(const fs::path& folder) {
    PictureList list;
    try {
      list = list_pictures(folder, subfolders_);
    } catch (const Error& e) {
      return problem(e.what());
    }
    if (list.pictures.empty()) {
      return problem(describe_empty(folder, list) + (list.subfolders.empty() ? "" : " (-r looks into them)"));
    }
    if (!list.not_read.empty()) problem(describe_not_read(list.not_read));
    for (const ListedPicture& picture : list.pictures) add_file(picture.file, picture.below.parent_path());
  }

  void add_stdin() {
    if (stdin_read_) return;
    stdin_read_ = true;
    std::vector<std::byte> bytes = read_stdin();
    if (bytes.empty()) return problem("standard input is empty; give it a picture, or a list of paths");
    if (looks_like_picture(bytes)) {
      inputs_.pictures.push_back({{}, {}, std::move(bytes)});
      return;
    }
    if (text_of(bytes).find('\0') != std::string_view::npos) {
      return problem("standard input is neither a picture of a known format nor a list of paths");
    }
    for (const auto& line : lines_of(text_of(bytes))) {
      // `find` names what macOS keeps beside a file on other file systems, too.
      if (line != "-" && !fs::path(line).filename().string().starts_with("._")) add_name(line);
    }
  }

  Subfolders subfolders_;
  bool stdin_read_ = false;
  std::set<fs::path> seen_;
  Inputs inputs_;
};

}  // namespace

bool is_tar(const fs::path& file) {
  return file.extension() == ".tar" || file.extension() == ".TAR";
}

bool looks_like_picture(const std::vector<std::byte>& bytes) {
  if (!detect_image_format(bytes)) return false;
  // "BMW.jpg" begins like a BMP, and "P1 ..." like a PNM: a first line that names a file is a list.
  const auto lines = lines_of(text_of(bytes).substr(0, 4096));
  std::error_code error;
  return lines.empty() || lines[0].find('\0') != std::string::npos || !fs::exists(lines[0], error);
}

Inputs collect_inputs(const std::vector<std::string>& names, Subfolders subfolders) {
  Collector collector(subfolders);
  for (const auto& name : names) collector.add_name(name);
  return collector.take();
}

}  // namespace sam2unet::cli
