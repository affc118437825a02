#include "ops/cpu/arena.h"

namespace sam2unet::ops {

std::size_t Arena::take(std::size_t bytes) {
  std::size_t best = blocks_.size();
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& b = blocks_[i];
    if (b.users == 0 && b.size >= bytes && (best == blocks_.size() || b.size < blocks_[best].size)) best = i;
  }
  if (best == blocks_.size()) {
    // The slack stays zero: what overreading kernels see is at least a number.
    blocks_.push_back({pages_.take(bytes + kSlack), bytes, 0});
  }
  blocks_[best].users = 1;
  return best;
}

std::size_t Arena::bytes() const {
  std::size_t sum = 0;
  for (const auto& b : blocks_) sum += b.size + kSlack;
  return sum;
}

}  // namespace sam2unet::ops
