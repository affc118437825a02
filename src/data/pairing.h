// Pictures of two places that belong together: those with the same name but for the extension.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sam2unet/listing.h"

namespace sam2unet::data {

/// A folder or a pattern, and what its names have beside the shared part.
struct Side {
  std::filesystem::path place;
  NameAffix affix = {};

  // NOLINTNEXTLINE(google-explicit-constructor): a folder without an affix is the usual side
  Side(std::filesystem::path p, NameAffix a = {}) : place(std::move(p)), affix(std::move(a)) {}
};

/// Files by name: the stem less the affix, behind the folders below the place ("seq1/0001"). In NFC, since
/// macOS takes names apart that others compose.
using Pictures = std::map<std::string, ListedPicture>;

struct PairOptions {
  bool recursive = false;  ///< look into subfolders too

  Subfolders subfolders() const { return recursive ? Subfolders::search : Subfolders::skip; }
};

struct Named {
  Pictures pictures;
  std::vector<std::filesystem::path> not_read;  ///< of formats that are not read
};

/// The pictures of a side that have its affix. FileError if it cannot be listed; PairingError if two have one
/// name (a.png and a.jpg), as it cannot be told which is meant.
Named pictures_by_name(const Side& side, const PairOptions& options = {});

struct Pair {
  std::string name;
  std::filesystem::path first, second;
};

struct Pairing {
  std::vector<Pair> pairs;  ///< in the order of their names
  std::vector<std::filesystem::path> first_alone, second_alone;
  std::vector<std::filesystem::path> not_read;  ///< of both sides
};

/// Pairs by name, upper and lower case kept apart. Results of ours beside maps (STEM_mask, _overlay, _cutout)
/// are no strangers. PairingError if a side has no pictures, if a file stands on both, or if nothing pairs;
/// the message then shows a name of each, and what they differ in where that is the same for all.
Pairing pair_by_name(const Side& first, const Side& second, const PairOptions& options = {});

/// "3 files of DIR have no partner in DIR: a.png, b.png and 1 more"; at most `names` are named.
std::string describe_unpaired(const std::vector<std::filesystem::path>& alone,
                              const std::filesystem::path& partner_place, std::size_t names = 5);

}  // namespace sam2unet::data
