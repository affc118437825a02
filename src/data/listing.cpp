#include "sam2unet/listing.h"

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet {

PairingError::~PairingError() = default;  // the home of its vtable

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWildcards = "*?[{";

// Names of picture formats that cameras, telephones and scanners write and that are not read.
bool is_foreign_picture(const fs::path& path) {
  static constexpr auto kExtensions = std::to_array<std::string_view>(
      {".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".j2c", ".jpx", ".jpf",
       ".jxl",  ".psd",  ".psb", ".dng",  ".cr2", ".cr3", ".nef", ".arw", ".orf",
       ".rw2",  ".raf",  ".tga", ".exr",  ".hdr", ".ico", ".svg", ".dcm"});
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

// Walks folders; a folder that is reached twice, by a link or a circle of links, is listed once.
class Walk {
 public:
  explicit Walk(Subfolders subfolders) : subfolders_(subfolders) {}

  void add_folder(const fs::path& folder, const fs::path& below) {
    struct stat st = {};
    if (::stat(folder.c_str(), &st) == 0 && !folders_.insert({st.st_dev, st.st_ino}).second) return;
    std::error_code error;
    fs::directory_iterator it(folder, error);
    if (error)
      throw FileError(fmt::format("{}: cannot list the folder: {}", folder.string(), error.message()));
    std::vector<fs::path> entries;
    for (const fs::directory_iterator end; it != end; it.increment(error)) {
      entries.push_back(it->path());
      if (error) break;
    }
    if (error)
      throw FileError(fmt::format("{}: cannot list the folder: {}", folder.string(), error.message()));
    std::sort(entries.begin(), entries.end());
    for (const fs::path& entry : entries) add(entry, below / entry.filename());
  }

  void add(const fs::path& path, const fs::path& below) {
    if (is_hidden(path)) return;
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    if (fs::is_directory(status)) {
      if (path.filename() == "__MACOSX") return;  // what macOS puts into archives
      if (subfolders_ == Subfolders::search)
        add_folder(path, below);
      else if (holds_pictures(path))
        list_.subfolders.push_back(path);
      return;
    }
    // A link that leads nowhere is listed: whoever reads it will say so.
    if (!fs::is_regular_file(status) && status.type() != fs::file_type::not_found) return;
    if (has_image_extension(path))
      list_.pictures.push_back({path, below});
    else if (is_foreign_picture(path))
      list_.not_read.push_back(path);
  }

  PictureList take() {
    const auto by_file = [](const ListedPicture& a, const ListedPicture& b) { return a.file < b.file; };
    std::sort(list_.pictures.begin(), list_.pictures.end(), by_file);
    const auto same = [](const ListedPicture& a, const ListedPicture& b) { return a.file == b.file; };
    list_.pictures.erase(std::unique(list_.pictures.begin(), list_.pictures.end(), same),
                         list_.pictures.end());
    std::sort(list_.not_read.begin(), list_.not_read.end());
    return std::move(list_);
  }

 private:
  // A folder of a sequence may keep its pictures one level deeper ("seq1/GT").
  static bool holds_pictures(const fs::path& folder) {
    std::error_code error;
    fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error);
    constexpr int kMaxSeen = 10'000;
    for (int seen = 0; !error && it != fs::recursive_directory_iterator() && seen < kMaxSeen; ++seen) {
      if (!is_hidden(it->path()) && has_image_extension(it->path())) return true;
      if (it.depth() >= 2) it.disable_recursion_pending();
      it.increment(error);
    }
    return false;
  }

  Subfolders subfolders_;
  std::set<std::pair<dev_t, ino_t>> folders_;
  PictureList list_;
};

std::vector<fs::path> parts_of(const fs::path& path) {
  return {path.begin(), path.end()};
}

bool has_wildcard(const fs::path& part) {
  return part.string().find_first_of(kWildcards) != std::string::npos;
}

// The parts of a match that stand where the pattern has wildcards. Aligned at the end, since "~" may have
// become several parts.
fs::path matched_part(const fs::path& match, const fs::path& pattern) {
  const std::vector<fs::path> of_match = parts_of(match), of_pattern = parts_of(pattern);
  fs::path out;
  for (std::size_t i = 0; i < of_match.size(); ++i) {
    const std::size_t from_end = of_match.size() - i;
    if (from_end <= of_pattern.size() && has_wildcard(of_pattern[of_pattern.size() - from_end]))
      out /= of_match[i];
  }
  return out;
}

std::string listed(const std::vector<fs::path>& files) {
  constexpr std::size_t kNamed = 5;
  std::string out;
  for (std::size_t i = 0; i < std::min(kNamed, files.size()); ++i)
    out += (i == 0 ? "" : ", ") + files[i].filename().string();
  if (files.size() > kNamed) out += fmt::format(" and {} more", files.size() - kNamed);
  return out;
}

}  // namespace

std::vector<fs::path> match_pattern(const std::string& pattern) {
  glob_t found = {};
  std::vector<fs::path> out;
  if (::glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      if (!is_hidden(found.gl_pathv[i])) out.emplace_back(found.gl_pathv[i]);
    }
  }
  ::globfree(&found);
  return out;
}

bool is_pattern(const fs::path& place) {
  std::error_code ignored;
  return place.string().find_first_of("*?[{~") != std::string::npos && !fs::exists(place, ignored);
}

PictureList list_pictures(const fs::path& place, Subfolders subfolders) {
  std::error_code error;
  Walk walk(subfolders);
  if (is_pattern(place)) {
    const std::vector<fs::path> found = match_pattern(place.string());
    if (found.empty()) throw FileError(fmt::format("nothing matches {}", place.string()));
    for (const fs::path& path : found) {
      const fs::path below = matched_part(path, place);
      if (fs::is_directory(path, error))
        walk.add_folder(path, below);
      else
        walk.add(path, below.empty() ? path.filename() : below);
    }
    return walk.take();
  }
  if (!fs::exists(place, error)) throw FileError(fmt::format("{}: no such folder", place.string()));
  if (!fs::is_directory(place, error)) throw UsageError(fmt::format("{}: not a folder", place.string()));
  walk.add_folder(place, {});
  return walk.take();
}

std::string describe_empty(const fs::path& place, const PictureList& list) {
  if (!list.not_read.empty()) return describe_not_read(list.not_read);
  if (!list.subfolders.empty()) {
    return fmt::format("no pictures in {} itself, but {} of its subfolders hold{} some: {}", place.string(),
                       list.subfolders.size(), list.subfolders.size() == 1 ? "s" : "",
                       listed(list.subfolders));
  }
  return fmt::format("no pictures in {} (looked for .jpg, .png, .webp, .tif, .bmp, .gif, .ppm and the like)",
                     place.string());
}

std::string describe_not_read(const std::vector<fs::path>& files) {
  return files.size() == 1
             ? fmt::format(
                   "1 file of a picture format that is not read was left out: {}; convert it to JPEG or PNG",
                   listed(files))
             : fmt::format(
                   "{} files of picture formats that are not read were left out: {}; convert them to JPEG "
                   "or PNG",
                   files.size(), listed(files));
}

}  // namespace sam2unet
