#include "ops/cuda/device_arena.h"

namespace sam2unet::ops::cuda {

DeviceArena::Handle DeviceArena::take(std::size_t bytes) {
  Block* best = nullptr;
  for (const auto& b : blocks_) {
    if (!b->taken && b->memory.bytes() >= bytes &&
        (best == nullptr || b->memory.bytes() < best->memory.bytes()))
      best = b.get();
  }
  if (best == nullptr) {
    blocks_.push_back(std::make_unique<Block>(Block{.memory = Memory(bytes, MemoryKind::device)}));
    best = blocks_.back().get();
  }
  best->taken = true;
  return {best->memory.data(), [best](std::byte*) { best->taken = false; }};
}

std::size_t DeviceArena::bytes() const {
  std::size_t sum = 0;
  for (const auto& b : blocks_) sum += b->memory.bytes();
  return sum;
}

}  // namespace sam2unet::ops::cuda
