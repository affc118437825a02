// The device's memory of activations, handed out and taken back in the same order for every picture, so that
// after the first one of a size nothing is allocated and addresses repeat, as a recorded graph needs it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "ops/cuda/runtime.h"

namespace sam2unet::ops::cuda {

class DeviceArena {
 public:
  /// A block of at least `bytes`, free again when the last copy of the handle ends; the arena outlives them.
  /// Work on one stream may use a block again at once, since it is done in order.
  using Handle = std::shared_ptr<std::byte>;
  Handle take(std::size_t bytes);
  std::size_t bytes() const;
  /// Frees all memory; only while no block is taken.
  void clear() { blocks_.clear(); }

 private:
  struct Block {
    Memory memory;
    bool taken = false;
  };
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace sam2unet::ops::cuda
