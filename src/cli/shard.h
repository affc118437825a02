// One machine's part of a list that several work on.
#pragma once

#include <cstddef>
#include <string>

namespace sam2unet::cli {

/// Every N-th thing of a sorted list, from number I on: the N parts are disjoint, and together the list.
struct Shard {
  std::size_t index = 0, count = 1;

  bool has(std::size_t position) const { return position % count == index; }
};

/// "I/N" with I from 0 to N - 1; "auto" and "auto/N": I, and without N the number of parts, from the
/// variables that SLURM's job arrays and Kubernetes' indexed jobs set. UsageError that says what is missing.
Shard parse_shard(const std::string& text);

}  // namespace sam2unet::cli
