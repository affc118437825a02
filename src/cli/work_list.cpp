#include "work_list.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "manifest.h"

namespace sam2unet::cli {

namespace fs = std::filesystem;

WorkList::WorkList(const Target& target, const std::vector<Save>& saves, std::vector<Input> pictures,
                   const std::optional<Shard>& shard)
    : target_(target), saves_(saves), pictures_(std::move(pictures)) {
  if (shard) {
    std::stable_sort(pictures_.begin(), pictures_.end(),
                     [](const Input& a, const Input& b) { return a.name() < b.name(); });
  }
  OutputNames names(target.folder, saves, pictures_);
  const fs::path folder = target.folder.lexically_normal();
  for (const Input& input : pictures_) {
    const fs::path stem = target.to_stdout ? fs::path() : names.take(input);
    slots_.push_back(
        {stem, stem.empty() ? input.name() : stem.lexically_relative(folder).string(), input.name()});
  }
  if (shard) keep([&](std::size_t i) { return shard->has(i); });
}

template <typename Chosen>
void WorkList::keep(Chosen chosen) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < pictures_.size(); ++i) {
    if (!chosen(i)) continue;
    if (kept != i) {
      pictures_[kept] = std::move(pictures_[i]);
      slots_[kept] = std::move(slots_[i]);
    }
    ++kept;
  }
  pictures_.erase(pictures_.begin() + static_cast<std::ptrdiff_t>(kept), pictures_.end());
  slots_.resize(kept);
}

std::size_t WorkList::leave_out_done(const Manifest* manifest) {
  const std::size_t all = slots_.size();
  const auto is_recorded = [&](const Slot& s) {
    return manifest == nullptr || manifest->is_done(s.key, s.input);
  };
  const auto is_there = [&](const Slot& s) {
    return std::all_of(saves_.begin(), saves_.end(), [&](Save save) {
      std::error_code ignored;
      return fs::exists(file(s, save), ignored);
    });
  };
  if (target_.is_tar) {
    std::error_code ignored;
    const bool is_done =
        fs::exists(target_.folder, ignored) && std::all_of(slots_.begin(), slots_.end(), is_recorded);
    keep([&](std::size_t) { return !is_done; });
  } else {
    keep([&](std::size_t i) { return !is_recorded(slots_[i]) || !is_there(slots_[i]); });
  }
  return all - slots_.size();
}

fs::path WorkList::file(const Slot& slot, Save save) const {
  return target_.file.empty() ? file_of(slot.stem, save) : target_.file;
}

}  // namespace sam2unet::cli
