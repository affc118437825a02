// A float32 activation [B,H,W,C] in an arena's block; gives the block back at its end. Movable only: values
// that an operation may overwrite are moved into it.
#pragma once

#include <utility>

#include "ops/concept.h"
#include "ops/cpu/arena.h"

namespace sam2unet::ops {

class CpuTensor {
 public:
  CpuTensor() = default;
  CpuTensor(Arena& arena, const Extent& extent)
      : arena_(&arena),
        extent_(extent),
        block_(arena.take(static_cast<std::size_t>(extent.numel()) * sizeof(float))) {}
  ~CpuTensor() {
    if (arena_ != nullptr) arena_->give_back(block_);
  }
  CpuTensor(CpuTensor&& other) noexcept
      : arena_(std::exchange(other.arena_, nullptr)), extent_(other.extent_), block_(other.block_) {}
  CpuTensor& operator=(CpuTensor&& other) noexcept {
    std::swap(arena_, other.arena_);
    std::swap(extent_, other.extent_);
    std::swap(block_, other.block_);
    return *this;
  }
  CpuTensor(const CpuTensor&) = delete;
  CpuTensor& operator=(const CpuTensor&) = delete;

  const Extent& extent() const { return extent_; }
  float* data() const { return arena_->data(block_); }

 private:
  Arena* arena_ = nullptr;
  Extent extent_;
  std::size_t block_ = 0;
};

}  // namespace sam2unet::ops
