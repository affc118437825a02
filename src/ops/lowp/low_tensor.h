// An activation of the low-precision backend: [B,H,W,C] in float32 or bfloat16, where channels may come from
// several places. A concatenation or the five parts of a fan are views; nothing is copied for them.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "ops/concept.h"
#include "ops/cpu/arena.h"
#include "ops/lowp/kernels.h"

namespace sam2unet::ops::lowp {

/// A block of an arena, shared by all that look at it; goes back with the last.
class SharedBlock {
 public:
  SharedBlock() = default;
  SharedBlock(Arena& arena, std::size_t bytes) : arena_(&arena), block_(arena.take(bytes)) {}
  ~SharedBlock() {
    if (arena_ != nullptr) arena_->give_back(block_);
  }
  SharedBlock(const SharedBlock& o) : arena_(o.arena_), block_(o.block_) {
    if (arena_ != nullptr) arena_->share(block_);
  }
  SharedBlock(SharedBlock&& o) noexcept : arena_(std::exchange(o.arena_, nullptr)), block_(o.block_) {}
  SharedBlock& operator=(SharedBlock o) noexcept {
    std::swap(arena_, o.arena_);
    std::swap(block_, o.block_);
    return *this;
  }

  std::byte* data() const { return reinterpret_cast<std::byte*>(arena_->data(block_)); }
  /// Nobody else looks at it.
  bool is_sole() const { return arena_->users(block_) == 1; }

 private:
  Arena* arena_ = nullptr;
  std::size_t block_ = 0;
};

class LowTensor {
 public:
  static constexpr std::size_t kParts = 4;
  struct Part {
    SharedBlock block;
    std::int64_t offset = 0;  ///< bytes to the first channel of the first pixel
    std::int64_t stride = 0;  ///< bytes from pixel to pixel
    std::int64_t c = 0;
  };

  LowTensor() = default;
  LowTensor(Arena& arena, const Extent& extent, Element type) : extent_(extent), type_(type), parts_used_(1) {
    const std::int64_t stride = extent.c * size_of(type);
    parts_[0] = {SharedBlock(arena, static_cast<std::size_t>(extent.pixels() * stride)), 0, stride, extent.c};
  }

  const Extent& extent() const { return extent_; }
  Element type() const { return type_; }
  std::size_t parts() const { return parts_used_; }
  const Part& part(std::size_t i) const { return parts_[i]; }
  std::byte* pixel(std::size_t part, std::int64_t m) const {
    const Part& p = parts_[part];
    return p.block.data() + p.offset + m * p.stride;
  }
  RowView rows(std::int64_t first = 0, std::size_t part = 0) const {
    return {pixel(part, first), parts_[part].stride, type_};
  }
  RowTarget target(std::int64_t first = 0) const { return {pixel(0, first), parts_[0].stride, type_}; }
  /// One piece of memory without gaps, which nobody else looks at: an operation may write over it.
  bool is_own() const { return is_dense() && parts_[0].block.is_sole(); }
  bool is_dense() const { return parts_used_ == 1 && parts_[0].stride == extent_.c * size_of(type_); }
  /// Of a dense float32 activation.
  float* data() const { return reinterpret_cast<float*>(pixel(0, 0)); }

  /// Channels first .. first + c of all pixels.
  LowTensor channels(std::int64_t first, std::int64_t c) const {
    LowTensor t = *this;
    t.extent_.c = t.parts_[0].c = c;
    t.parts_[0].offset += first * size_of(type_);
    return t;
  }
  /// Pictures first .. first + count.
  LowTensor pictures(std::int64_t first, std::int64_t count) const {
    LowTensor t = *this;
    t.extent_.b = count;
    for (std::size_t i = 0; i < parts_used_; ++i)
      t.parts_[i].offset += first * extent_.h * extent_.w * parts_[i].stride;
    return t;
  }
  /// Channels of the other behind these; both have one type, and parts enough are left.
  void append(const LowTensor& other) {
    for (std::size_t i = 0; i < other.parts_used_; ++i) parts_[parts_used_++] = other.parts_[i];
    extent_.c += other.extent_.c;
  }

 private:
  Extent extent_;
  Element type_ = Element::f32;
  std::size_t parts_used_ = 0;
  std::array<Part, kParts> parts_;
};

}  // namespace sam2unet::ops::lowp
