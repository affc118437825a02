#include "data/pairing.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>

#include "data/name_difference.h"
#include "sam2unet/errors.h"

namespace sam2unet::data {

namespace {

namespace fs = std::filesystem;
using Remedy = PairingError::Remedy;

// Composed as Linux and Windows write it; a name that is no UTF-8 stays.
std::string nfc(const std::string& name) {
  const bool ascii = std::ranges::all_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return name;
  utf8proc_uint8_t* composed = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(name.data()),
                                 static_cast<utf8proc_ssize_t>(name.size()), &composed,
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  if (size < 0) return name;
  return {reinterpret_cast<const char*>(composed), static_cast<std::size_t>(size)};
}

bool has_affix(std::string_view stem, const NameAffix& affix) {
  return stem.size() > affix.prefix.size() + affix.suffix.size() && stem.starts_with(affix.prefix) &&
         stem.ends_with(affix.suffix);
}

// A side that names its files by more than the folder: those of the other side are then the rest.
bool is_narrow(const Side& side) {
  return !side.affix.empty() || is_pattern(side.place);
}

fs::path real(const fs::path& path) {
  std::error_code error;
  fs::path out = fs::canonical(path, error);
  return error ? path : out;
}

using Listed = std::vector<std::pair<std::string, ListedPicture>>;

// The side's files with their names, several of one name included.
Listed names_of(const Side& side, const PictureList& list) {
  const NameAffix affix{nfc(side.affix.prefix), nfc(side.affix.suffix)};
  Listed out;
  for (const ListedPicture& picture : list.pictures) {
    const std::string stem = nfc(picture.file.stem().string());
    if (!affix.empty() && !has_affix(stem, affix)) continue;
    const std::string shared =
        stem.substr(affix.prefix.size(), stem.size() - affix.prefix.size() - affix.suffix.size());
    const fs::path folder = picture.below.parent_path();
    out.emplace_back(folder.empty() ? shared : nfc(folder.generic_string()) + "/" + shared, picture);
  }
  return out;
}

Pictures by_name(const Listed& listed) {
  Pictures out;
  for (const auto& [name, picture] : listed) {
    const auto [at, is_new] = out.emplace(name, picture);
    if (!is_new) {
      throw PairingError(
          fmt::format(
              "{} and {} have one name; which of them is meant cannot be told: if one is the mask of the "
              "other, name each side by a pattern ({} and {}), else move one away",
              at->second.file.string(), picture.file.filename().string(),
              (at->second.file.parent_path() / "*").string() + at->second.file.extension().string(),
              (picture.file.parent_path() / "*").string() + picture.file.extension().string()),
          Remedy::patterns);
    }
  }
  return out;
}

// What a narrow side names is not the other side's, where both look into one folder.
void take_away(const Listed& narrow, Listed& wide) {
  std::set<fs::path> taken;
  for (const auto& [name, picture] : narrow) taken.insert(real(picture.file));
  const auto is_taken = [&](const auto& entry) { return taken.contains(real(entry.second.file)); };
  if (std::ranges::all_of(wide, is_taken)) return;  // nothing would be left: the sides share all files
  std::erase_if(wide, is_taken);
}

[[noreturn]] void refuse_shared(const Side& first, const std::string& what) {
  const std::string folder = first.place.string();
  throw PairingError(
      fmt::format("{}: put one kind into a folder of its own, name each side by a pattern ('{}/*.jpg' and "
                  "'{}/*.png', "
                  "or '{}/*/Imgs' and '{}/*/GT'), or say what stands before or behind the names of one",
                  what, folder, folder, folder, folder),
      Remedy::patterns);
}

void check_apart(const Side& first, const Side& second, const Pictures& left, const Pictures& right) {
  std::set<fs::path> files;
  for (const auto& [name, picture] : left) files.insert(real(picture.file));
  std::vector<fs::path> both;
  for (const auto& [name, picture] : right) {
    if (files.contains(real(picture.file))) both.push_back(picture.file);
  }
  if (both.empty()) return;
  refuse_shared({first.place.parent_path()},
                fmt::format("{} and {} share {} file{} (such as {}), each of which would be its own partner",
                            first.place.string(), second.place.string(), both.size(),
                            both.size() == 1 ? "" : "s", both.front().filename().string()));
}

// Ours beside maps: written by predict --save map,mask,overlay,cutout into one folder.
bool is_our_result(const std::string& name, const Pictures& of_the_side) {
  for (const std::string_view ending : {"_mask", "_overlay", "_cutout"}) {
    if (name.ends_with(ending) && of_the_side.contains(name.substr(0, name.size() - ending.size())))
      return true;
  }
  return false;
}

void check_not_empty(const Side& side, const PictureList& list, const Pictures& named) {
  if (!named.empty()) return;
  if (!list.pictures.empty()) {
    throw PairingError(
        fmt::format("{}: none of its {} pictures has a name with \"{}\" in front and \"{}\" behind",
                    side.place.string(), list.pictures.size(), side.affix.prefix, side.affix.suffix));
  }
  const std::string what = describe_empty(side.place, list);  // names the place, but for what is not read
  throw PairingError(list.not_read.empty() ? what : fmt::format("{}: {}", side.place.string(), what),
                     list.subfolders.empty() ? Remedy::none : Remedy::recursive);
}

}  // namespace

Named pictures_by_name(const Side& side, const PairOptions& options) {
  PictureList list = list_pictures(side.place, options.subfolders());
  return {by_name(names_of(side, list)), std::move(list.not_read)};
}

Pairing pair_by_name(const Side& first, const Side& second, const PairOptions& options) {
  std::error_code ignored;
  const bool one_place = fs::exists(first.place, ignored) && real(first.place) == real(second.place);
  if (one_place && !is_narrow(first) && !is_narrow(second)) {
    refuse_shared(first, fmt::format("{} is named for both sides, so that each file would be its own partner",
                                     first.place.string()));
  }
  const PictureList of_first = list_pictures(first.place, options.subfolders());
  const PictureList of_second = list_pictures(second.place, options.subfolders());
  Listed listed_first = names_of(first, of_first), listed_second = names_of(second, of_second);
  if (is_narrow(second) && !is_narrow(first)) take_away(listed_second, listed_first);
  if (is_narrow(first) && !is_narrow(second)) take_away(listed_first, listed_second);
  const Pictures left = by_name(listed_first), right = by_name(listed_second);
  check_not_empty(first, of_first, left);
  check_not_empty(second, of_second, right);
  check_apart(first, second, left, right);

  Pairing out;
  out.not_read = of_first.not_read;
  out.not_read.insert(out.not_read.end(), of_second.not_read.begin(), of_second.not_read.end());
  std::ranges::sort(out.not_read);
  out.not_read.erase(std::unique(out.not_read.begin(), out.not_read.end()), out.not_read.end());
  for (const auto& [name, picture] : left) {
    const auto partner = right.find(name);
    if (partner != right.end())
      out.pairs.push_back({name, picture.file, partner->second.file});
    else if (!is_our_result(name, left))
      out.first_alone.push_back(picture.file);
  }
  for (const auto& [name, picture] : right) {
    if (!left.contains(name) && !is_our_result(name, right)) out.second_alone.push_back(picture.file);
  }
  if (out.pairs.empty()) {
    std::set<std::string> left_names, right_names;
    for (const auto& [name, picture] : left) left_names.insert(name);
    for (const auto& [name, picture] : right) right_names.insert(name);
    const NameDifference d = find_difference(left_names, right_names);
    throw PairingError(
        fmt::format("no file of {} (such as {}) has a partner in {} (such as {}): {}", first.place.string(),
                    left.begin()->second.file.filename().string(), second.place.string(),
                    right.begin()->second.file.filename().string(), d.text),
        d.first.empty() && d.second.empty() ? Remedy::none : Remedy::affixes, d.first, d.second);
  }
  return out;
}

std::string describe_unpaired(const std::vector<fs::path>& alone, const fs::path& partner_place,
                              std::size_t names) {
  std::string list;
  for (std::size_t i = 0; i < std::min(names, alone.size()); ++i) {
    list += (i == 0 ? "" : ", ") + alone[i].filename().string();
  }
  if (alone.size() > names) list += fmt::format(" and {} more", alone.size() - names);
  return fmt::format("{} file{} of {} {} no partner in {}: {}", alone.size(), alone.size() == 1 ? "" : "s",
                     alone.front().parent_path().string(), alone.size() == 1 ? "has" : "have",
                     partner_place.string(), list);
}

}  // namespace sam2unet::data
