// The pictures of a run, and under which names their results appear.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"
#include "outputs.h"
#include "shard.h"
#include "target.h"

namespace sam2unet::cli {

class Manifest;

/// Where the results of one picture go.
struct Slot {
  std::filesystem::path stem;  // of their files; empty for standard output
  std::string key, input;      // as the manifest names it
};

class WorkList {
 public:
  /// Names are given before the list is cut, so every shard names the results of a picture alike. With a
  /// shard the list is sorted by name.
  WorkList(const Target& target, const std::vector<Save>& saves, std::vector<Input> pictures,
           const std::optional<Shard>& shard);

  /// Leaves out what is done: whose results are there (they appear under their names when they are whole),
  /// and which the manifest, if there is one, tells to have gone well. A tar is there for all of its
  /// pictures, or for none. How many that were.
  std::size_t leave_out_done(const Manifest* manifest);

  std::size_t size() const { return slots_.size(); }
  const Slot& slot(std::size_t index) const { return slots_[index]; }
  /// The file that a kind of result is written to.
  std::filesystem::path file(const Slot& slot, Save save) const;
  /// The list is left with the slots.
  std::vector<Input> take_pictures() { return std::move(pictures_); }

 private:
  template <typename Chosen>
  void keep(Chosen chosen);

  Target target_;
  std::vector<Save> saves_;
  std::vector<Input> pictures_;
  std::vector<Slot> slots_;
};

}  // namespace sam2unet::cli
