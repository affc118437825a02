#include "data/pairing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet::data {

namespace {

namespace fs = std::filesystem;

std::string lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

using Pictures = std::map<std::string, fs::path>;

// What all stems of `longer` have after a stem of `shorter`, if they agree on it: "_mask".
std::string common_suffix(const Pictures& shorter, const Pictures& longer) {
  std::string suffix;
  for (const auto& [stem, path] : shorter) {
    const auto next = longer.upper_bound(stem);
    if (next == longer.end() || !next->first.starts_with(stem)) return {};
    const std::string rest = next->first.substr(stem.size());
    if (!suffix.empty() && rest != suffix) return {};
    suffix = rest;
  }
  return suffix;
}

// Why nothing pairs, if it can be told.
std::string reason(const Pictures& first, const Pictures& second) {
  std::set<std::string> folded;
  for (const auto& [stem, path] : first) folded.insert(lower(stem));
  for (const auto& [stem, path] : second) {
    if (folded.contains(lower(stem)))
      return "they differ in upper and lower case, which is kept apart: rename one side";
  }
  if (const std::string s = common_suffix(first, second); !s.empty()) {
    return fmt::format("the second ones all end in \"{}\": rename them without it", s);
  }
  if (const std::string s = common_suffix(second, first); !s.empty()) {
    return fmt::format("the first ones all end in \"{}\": rename them without it", s);
  }
  return "files pair by name without extension: rename one side, or check that the folders belong together";
}

}  // namespace

Pictures pictures_by_stem(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) throw FileError(fmt::format("{}: no such folder", folder.string()));
  if (!fs::is_directory(folder, error)) throw UsageError(fmt::format("{}: not a folder", folder.string()));
  fs::directory_iterator it(folder, error);
  if (error) throw FileError(fmt::format("{}: cannot list the folder: {}", folder.string(), error.message()));
  Pictures out;
  for (const fs::directory_entry& entry : it) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with('.') || !has_image_extension(path) ||
        !entry.is_regular_file(error))
      continue;
    const auto [at, is_new] = out.emplace(path.stem().string(), path);
    if (!is_new) {
      throw UsageError(
          fmt::format("{} and {} have one name; which of them is meant cannot be told: remove one",
                      at->second.string(), path.filename().string()));
    }
  }
  return out;
}

Pairing pair_by_stem(const fs::path& first, const fs::path& second) {
  const Pictures left = pictures_by_stem(first);
  const Pictures right = pictures_by_stem(second);
  for (const auto& [pictures, folder] : {std::pair{&left, &first}, std::pair{&right, &second}}) {
    if (pictures->empty()) throw UsageError(fmt::format("{}: no pictures in this folder", folder->string()));
  }
  Pairing out;
  for (const auto& [stem, path] : left) {
    const auto partner = right.find(stem);
    if (partner == right.end()) {
      out.first_alone.push_back(path);
    } else {
      out.pairs.push_back({stem, path, partner->second});
    }
  }
  for (const auto& [stem, path] : right) {
    if (!left.contains(stem)) out.second_alone.push_back(path);
  }
  if (out.pairs.empty()) {
    throw UsageError(fmt::format("no file of {} (such as {}) has a partner in {} (such as {}): {}",
                                 first.string(), left.begin()->second.filename().string(), second.string(),
                                 right.begin()->second.filename().string(), reason(left, right)));
  }
  return out;
}

std::string describe_unpaired(const std::vector<fs::path>& alone, const fs::path& partner_folder,
                              std::size_t names) {
  std::string list;
  for (std::size_t i = 0; i < std::min(names, alone.size()); ++i) {
    list += (i == 0 ? "" : ", ") + alone[i].filename().string();
  }
  if (alone.size() > names) list += fmt::format(" and {} more", alone.size() - names);
  return fmt::format("{} file{} of {} {} no partner in {}: {}", alone.size(), alone.size() == 1 ? "" : "s",
                     alone.front().parent_path().string(), alone.size() == 1 ? "has" : "have",
                     partner_folder.string(), list);
}

}  // namespace sam2unet::data
