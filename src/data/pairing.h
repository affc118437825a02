// Pictures of two folders that belong together: those with the same name but for the extension.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace sam2unet::data {

/// The pictures of a folder (not of folders in it) by stem, in any of the supported formats. FileError if the
/// folder cannot be listed; UsageError if two pictures have one stem (a.png and a.jpg), as it cannot be told
/// which is meant.
std::map<std::string, std::filesystem::path> pictures_by_stem(const std::filesystem::path& folder);

struct Pair {
  std::string stem;
  std::filesystem::path first, second;
};

struct Pairing {
  std::vector<Pair> pairs;  ///< in the order of their stems
  std::vector<std::filesystem::path> first_alone, second_alone;
};

/// Pairs by stem, upper and lower case kept apart. UsageError if a folder has no pictures, or if nothing
/// pairs; the message then shows a name of each, and what they differ in where that is the same for all (a
/// suffix, the case).
Pairing pair_by_stem(const std::filesystem::path& first, const std::filesystem::path& second);

/// "3 files of DIR have no partner: a.png, b.png and 1 more"; at most `names` are named.
std::string describe_unpaired(const std::vector<std::filesystem::path>& alone,
                              const std::filesystem::path& partner_folder, std::size_t names = 5);

}  // namespace sam2unet::data
