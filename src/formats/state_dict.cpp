#include "formats/state_dict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "formats/text.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

// Where checkpoints keep the weights; those of the moving average after those that were trained.
constexpr auto kUsualKeys = std::to_array<std::string_view>(
    {"model", "state_dict", "model_state_dict", "model_state", "net", "network", "weights", "params",
     "checkpoint", "module", "ema", "model_ema", "state_dict_ema"});
constexpr int kMaxDepth = 3;

std::vector<StateDict::Entry> entries_of(const PickleMachine& machine, const Value& dict) {
  std::vector<StateDict::Entry> out;
  std::unordered_map<std::string_view, std::size_t> seen;
  const auto items = machine.items(dict);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (!items[i].is(ValueKind::text)) continue;
    if (items[i + 1].is(ValueKind::object) && !items[i + 1].text.empty()) {
      // Loaded without it, the result might be another than PyTorch's, which would call what is named here.
      throw FormatError(fmt::format(
          "'{}' among its tensors is an object of '{}', not a tensor; nothing was executed. If you trust the "
          "file, load it in Python and save model.state_dict() alone",
          printable(items[i].text), items[i + 1].text));
    }
    if (!items[i + 1].is(ValueKind::tensor)) continue;
    const std::string_view name = items[i].text;
    if (!is_valid_utf8(name))
      throw FormatError(fmt::format("a tensor's name is not text: '{}'", printable(name)));
    const auto [it, is_new] = seen.emplace(name, out.size());
    if (is_new) {
      out.push_back({name, items[i + 1].id});
    } else {
      out[it->second].tensor = items[i + 1].id;  // as in Python: the last value, in the first one's place
    }
  }
  return out;
}

struct Found {
  std::string path;
  Value dict;
};

// Hostile files hold dicts that hold themselves, or one dict a million times: each is looked at once.
class Search {
 public:
  explicit Search(const PickleMachine& machine) : machine_(machine) {}

  /// `v` itself or the dicts of tensors in it; two at most, since two are already one too many.
  std::vector<Found> operator()(const Value& v, const std::string& path, int depth = 0) {
    if (depth > kMaxDepth || !visited_.insert(v.id).second) return {};
    const auto items = machine_.items(v);
    const auto join = [&](std::string_view key) {
      return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
    };
    std::array<const Value*, kUsualKeys.size()> usual{};
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (!items[i].is(ValueKind::text) || !items[i + 1].is(ValueKind::dict)) continue;
      const auto it = std::ranges::find(kUsualKeys, items[i].text);
      if (it != kUsualKeys.end()) usual[static_cast<std::size_t>(it - kUsualKeys.begin())] = &items[i + 1];
    }
    for (std::size_t k = 0; k < usual.size(); ++k) {
      if (usual[k] == nullptr) continue;
      if (auto found = (*this)(*usual[k], join(kUsualKeys[k]), depth + 1); !found.empty()) return found;
    }
    if (holds_tensors(v)) return {{path, v}};
    std::vector<Found> all;
    for (std::size_t i = 0; i + 1 < items.size() && all.size() < 2; i += 2) {
      if (items[i].is(ValueKind::text) && holds_tensors(items[i + 1])) {
        all.push_back({join(printable(items[i].text)), items[i + 1]});
      }
    }
    return all;
  }

 private:
  bool holds_tensors(const Value& v) {
    if (!v.is(ValueKind::dict)) return false;
    const auto [it, is_new] = holds_.emplace(v.id, false);
    if (!is_new) return it->second;
    const auto items = machine_.items(v);
    for (std::size_t i = 0; i + 1 < items.size() && !it->second; i += 2) {
      it->second = items[i].is(ValueKind::text) && items[i + 1].is(ValueKind::tensor);
    }
    return it->second;
  }

  const PickleMachine& machine_;
  std::unordered_set<std::uint32_t> visited_;
  std::unordered_map<std::uint32_t, bool> holds_;
};

}  // namespace

StateDict find_state_dict(const PickleMachine& machine, const Value& root, std::string_view foreign) {
  if (!root.is(ValueKind::dict) && !root.text.empty() && !root.is(ValueKind::text)) {
    throw FormatError(fmt::format(
        "it holds an object of '{}', not a dict of tensors; nothing was executed. Load it in Python and save "
        "model.state_dict() alone",
        printable(root.text)));
  }
  if (!root.is(ValueKind::dict)) {
    throw FormatError(
        fmt::format("it holds {}, not a dict of tensors; save model.state_dict()", name_of(root.kind)));
  }
  const auto found = Search(machine)(root, "");
  if (found.empty()) {
    throw FormatError(fmt::format(
        "no tensors in it, neither as a state_dict nor under 'model', 'state_dict' or the like{}",
        foreign.empty()
            ? ""
            : fmt::format("; it holds an object of '{}', which is not read: load it in Python and save "
                          "model.state_dict() alone",
                          printable(foreign))));
  }
  if (found.size() > 1) {
    throw FormatError(
        fmt::format("several sets of tensors in it ('{}', '{}'); save the one to use alone, or under 'model'",
                    found[0].path, found[1].path));
  }
  return {found[0].path, entries_of(machine, found[0].dict)};
}

std::string common_prefix(const std::vector<std::string_view>& names) {
  constexpr auto kPrefixes = std::to_array<std::string_view>({"module.", "_orig_mod.", "model.", "net."});
  std::string prefix;
  if (names.empty()) return prefix;
  while (true) {
    const auto all_go_on_with = [&](std::string_view p) {
      return std::ranges::all_of(names, [&](std::string_view n) {
        return n.size() > prefix.size() + p.size() && n.substr(prefix.size(), p.size()) == p;
      });
    };
    const auto next = std::ranges::find_if(kPrefixes, all_go_on_with);
    if (next == kPrefixes.end()) return prefix;
    prefix += *next;
  }
}

}  // namespace sam2unet::formats
