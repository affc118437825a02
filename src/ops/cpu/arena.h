// Memory of the activations of one picture after another: blocks are cut from one region, taken back and
// joined again, in the same order each time, so after the first picture of a size nothing is allocated.
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

  /// Index of a block of `bytes`, of the smallest free place that is large enough, else at the region's end.
  std::size_t take(std::size_t bytes);
  /// A further user of a block; it is free when all have given it back.
  void share(std::size_t block) { ++blocks_[block].users; }
  void give_back(std::size_t block) {
    if (--blocks_[block].users == 0) join(block);
  }
  int users(std::size_t block) const { return blocks_[block].users; }
  float* data(std::size_t block) const { return reinterpret_cast<float*>(blocks_[block].memory); }

  /// Frees all memory; only while no block is taken.
  void clear();
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Block {
    std::byte* memory = nullptr;
    std::size_t size = 0;
    int users = 0;
    std::size_t before = kNone, behind = kNone;  // neighbours in memory
  };

  std::size_t smallest_free(std::size_t bytes) const;
  /// A free block of `bytes` at the region's end, of which the last one is a part if it is free.
  std::size_t grow(std::size_t bytes);
  void append(std::size_t bytes);
  /// What a block has beyond `bytes` becomes a free block of its own.
  void split(std::size_t block, std::size_t bytes);
  /// A free block with its free neighbours.
  void join(std::size_t block);
  void swallow_next(std::size_t block);
  std::size_t new_block(const Block& block);

  LargePages pages_;
  std::vector<std::shared_ptr<std::byte>> regions_;  // what pages_ gave
  std::vector<Block> blocks_;
  std::vector<std::size_t> unused_;  // places in blocks_
  std::size_t last_ = kNone;         // in memory
  std::size_t bytes_ = 0;
};

}  // namespace sam2unet::ops
