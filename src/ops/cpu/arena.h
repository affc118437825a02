// Memory of the activations of one picture after another: blocks are handed out and taken back in the same
// order each time, so after the first picture of a size nothing is allocated.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "ops/cpu/large_pages.h"

namespace sam2unet::ops {

class Arena {
 public:
  /// Kernels read whole vectors: up to this many bytes past a block's end may be read (never written).
  static constexpr std::size_t kSlack = 512;

  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Index of a block of at least `bytes`: the smallest free one that is large enough, else a new one.
  std::size_t take(std::size_t bytes);
  /// A further user of a block; it is free when all have given it back.
  void share(std::size_t block) { ++blocks_[block].users; }
  void give_back(std::size_t block) { --blocks_[block].users; }
  int users(std::size_t block) const { return blocks_[block].users; }
  float* data(std::size_t block) const { return reinterpret_cast<float*>(blocks_[block].memory.get()); }

  /// Frees all memory; only while no block is taken.
  void clear() {
    blocks_.clear();
    pages_ = {};
  }
  std::size_t bytes() const;

 private:
  struct Block {
    std::shared_ptr<std::byte> memory;
    std::size_t size = 0;
    int users = 0;
  };
  LargePages pages_;
  std::vector<Block> blocks_;
};

}  // namespace sam2unet::ops
