#include "data/name_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>

namespace sam2unet::data {

namespace {

using Names = std::set<std::string>;

constexpr std::size_t kTried = 16;  // names from which an affix is guessed

std::string lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

// Runs of digits without their leading zeros.
std::string without_zeros(const std::string& s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto digit = [&](std::size_t k) {
      return k < s.size() && std::isdigit(static_cast<unsigned char>(s[k]));
    };
    const bool leading = s[i] == '0' && (i == 0 || !digit(i - 1) || out.empty() || out.back() == '\1');
    if (leading && digit(i + 1)) {
      if (out.empty() || out.back() != '\1') out += '\1';
      continue;
    }
    out += s[i];
  }
  std::erase(out, '\1');
  return out;
}

struct Split {
  std::string folder, stem;
};
Split split(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? Split{"", name}
                                    : Split{name.substr(0, slash + 1), name.substr(slash + 1)};
}

// How many of `plain` are in `decorated` with this before and behind their stems.
std::size_t count_with(const Names& plain, const Names& decorated, const std::string& prefix,
                       const std::string& suffix) {
  std::size_t n = 0;
  for (const std::string& name : plain) {
    const Split s = split(name);
    n += decorated.count(fmt::format("{}{}{}{}", s.folder, prefix, s.stem, suffix));
  }
  return n;
}

struct Affix {
  std::string prefix, suffix;
  std::size_t matches = 0;
};

// The prefix or suffix that most names of `decorated` have beside a name of `plain`. "1" stands at the start
// of "10_mask" too: each candidate is counted.
Affix find_affix(const Names& plain, const Names& decorated) {
  std::map<std::pair<std::string, std::string>, std::size_t> candidates;
  std::size_t tried = 0;
  for (const std::string& name : plain) {
    if (++tried > kTried) break;
    const Split p = split(name);
    for (const std::string& other : decorated) {
      const Split d = split(other);
      if (d.folder != p.folder || d.stem.size() <= p.stem.size()) continue;
      if (d.stem.starts_with(p.stem)) candidates[{"", d.stem.substr(p.stem.size())}] = 0;
      if (d.stem.ends_with(p.stem)) candidates[{d.stem.substr(0, d.stem.size() - p.stem.size()), ""}] = 0;
      if (candidates.size() > 1000) break;
    }
  }
  Affix best;
  for (const auto& [affix, unused] : candidates) {
    const std::size_t n = count_with(plain, decorated, affix.first, affix.second);
    const std::size_t size = affix.first.size() + affix.second.size();
    if (n > best.matches || (n == best.matches && size < best.prefix.size() + best.suffix.size()))
      best = {affix.first, affix.second, n};
  }
  return best;
}

// What all stems have in front (or behind), up to their numbers.
std::string common_part(const Names& names, bool behind) {
  std::string common;
  bool is_first = true;
  for (const std::string& name : names) {
    std::string stem = split(name).stem;
    if (behind) std::ranges::reverse(stem);
    if (is_first) common = stem;
    is_first = false;
    const auto [a, b] = std::ranges::mismatch(common, stem);
    common.erase(a, common.end());
  }
  while (!common.empty() && std::isdigit(static_cast<unsigned char>(common.back())) != 0) common.pop_back();
  if (behind) std::ranges::reverse(common);
  return common;
}

// Both sides have their own: "img_1" and "mask_1".
std::size_t count_both(const Names& first, const Names& second, const std::string& a, const std::string& b,
                       bool behind) {
  std::size_t n = 0;
  for (const std::string& name : first) {
    const Split s = split(name);
    const std::string shared =
        behind ? s.stem.substr(0, s.stem.size() - a.size()) + b : b + s.stem.substr(a.size());
    n += second.count(s.folder + shared);
  }
  return n;
}

}  // namespace

NameDifference find_difference(const Names& first, const Names& second) {
  Names folded;
  for (const std::string& name : first) folded.insert(lower(name));
  const auto is_folded = [&](const std::string& name) { return folded.contains(lower(name)); };
  if (std::ranges::any_of(second, is_folded))
    return {"they differ in upper and lower case, which is kept apart: rename one side", {}, {}};

  Names numbers;
  for (const std::string& name : first) numbers.insert(without_zeros(name));
  if (std::ranges::any_of(second, [&](const std::string& n) { return numbers.contains(without_zeros(n)); }))
    return {"they differ in leading zeros: rename one side", {}, {}};
  const std::size_t enough = (std::min(first.size(), second.size()) + 1) / 2;
  const Affix on_second = find_affix(first, second), on_first = find_affix(second, first);
  const bool second_is_longer = on_second.matches >= on_first.matches;
  if (const Affix& a = second_is_longer ? on_second : on_first; a.matches >= enough && a.matches > 0) {
    const bool behind = !a.suffix.empty();
    NameDifference out{fmt::format("the {} ones all {} \"{}\": give that {}, or rename them without it",
                                   second_is_longer ? "second" : "first", behind ? "end in" : "begin with",
                                   behind ? a.suffix : a.prefix, behind ? "suffix" : "prefix"),
                       {},
                       {}};
    (second_is_longer ? out.second : out.first) = {a.prefix, a.suffix};
    return out;
  }
  // Of one name each, everything is common.
  for (const bool behind : {false, true}) {
    if (first.size() < 2 || second.size() < 2) break;
    const std::string a = common_part(first, behind), b = common_part(second, behind);
    if (a.empty() || b.empty() || a == b || count_both(first, second, a, b, behind) < enough) continue;
    const char* verb = behind ? "end in" : "begin with";
    const auto affix = [&](const std::string& s) { return behind ? NameAffix{{}, s} : NameAffix{s, {}}; };
    return {fmt::format("the first ones all {} \"{}\", the second ones {} \"{}\": give both, or rename them "
                        "without it",
                        verb, a, verb, b),
            affix(a), affix(b)};
  }
  return {"files pair by name without extension: rename one side, or check that the folders belong together",
          {},
          {}};
}

}  // namespace sam2unet::data
