#include "model/tensor_names.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>

namespace sam2unet::model {
namespace {

// Names of modules that wrap another: torch.nn.DataParallel and AveragedModel, torch.compile, FSDP,
// DeepSpeed, activation checkpointing. No part of SAM2 or SAM2-UNet is called so.
constexpr auto kWrappers = std::to_array<std::string_view>(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_forward_module", "_checkpoint_wrapped_module"});

// What tells a network, the surest first. Whatever stands before it is the network's prefix.
constexpr auto kAnchors = std::to_array<std::string_view>(
    {"encoder.patch_embed.proj.weight", "image_encoder.trunk.patch_embed.proj.weight",
     "trunk.patch_embed.proj.weight", "encoder.blocks.0.prompt_learn.0.weight", "patch_embed.proj.weight"});

// Of several networks, the one that was trained.
constexpr auto kUsual = std::to_array<std::string_view>({"", "model.", "net.", "network."});

std::string without_wrappers(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('.'), name.size());
    const std::string_view part = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (!name.empty() && std::ranges::count(kWrappers, part) > 0)
      continue;  // the last part is the tensor's own
    if (!out.empty()) out += '.';
    out += part;
  }
  return out;
}

// thop's and AveragedModel's counters.
bool is_counter(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  return last == "total_ops" || last == "total_params" || name == "n_averaged";
}

// The prefixes under which the surest anchor there is stands.
std::vector<std::string> prefixes_of(const std::vector<std::string>& names) {
  for (const std::string_view anchor : kAnchors) {
    std::vector<std::string> out;
    for (const std::string& name : names) {
      if (!name.ends_with(anchor)) continue;
      const std::string prefix = name.substr(0, name.size() - anchor.size());
      if (prefix.empty() || prefix.ends_with('.')) out.push_back(prefix);
    }
    if (!out.empty()) return out;
  }
  return {};
}

}  // namespace

TidiedNames tidy_names(formats::TensorFile& file) {
  TidiedNames out;
  std::vector<std::string> names;
  for (const auto& t : file.tensors()) names.push_back(without_wrappers(t.name));
  const std::vector<std::string> prefixes = prefixes_of(names);
  if (prefixes.empty()) return out;
  const auto usual =
      std::ranges::find_if(kUsual, [&](std::string_view p) { return std::ranges::count(prefixes, p) > 0; });
  if (prefixes.size() > 1 && usual == kUsual.end()) {
    out.rivals = prefixes;
    return out;
  }
  const std::string prefix = prefixes.size() == 1 ? prefixes.front() : std::string(*usual);
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& stored = file.tensors()[i].name;
    const bool counter = is_counter(names[i]);
    if (!counter && names[i].starts_with(prefix) && names[i].size() > prefix.size()) {
      std::string name = names[i].substr(prefix.size());
      if (!seen.insert(name).second) name = stored;  // two that were told apart by their wrappers alone
      names[i] = std::move(name);
    } else {
      out.left_out.push_back(stored);
      names[i].clear();
    }
  }
  file.rename(std::move(names));
  return out;
}

}  // namespace sam2unet::model
