#include "ops/cpu/arena.h"

#include <cstring>

namespace sam2unet::ops {
namespace {

constexpr std::size_t kUnit = LargePages::kAlignment;

}  // namespace

std::size_t Arena::take(std::size_t bytes) {
  const std::size_t size = (bytes + kSlack + kUnit - 1) / kUnit * kUnit;
  std::size_t block = smallest_free(size);
  if (block == kNone) block = grow(size);
  split(block, size);
  Block& b = blocks_[block];
  std::memset(b.memory + bytes, 0, size - bytes);  // what overreading kernels see is at least a number
  b.users = 1;
  return block;
}

std::size_t Arena::smallest_free(std::size_t bytes) const {
  std::size_t best = kNone;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& b = blocks_[i];
    if (b.users > 0 || b.size < bytes || i == last_) continue;
    if (best == kNone || b.size < blocks_[best].size) best = i;
  }
  // The end comes last, as it does when the region grows: the second picture's blocks lie where the first
  // one's did.
  const bool fits_end = last_ != kNone && blocks_[last_].users == 0 && blocks_[last_].size >= bytes;
  return best == kNone && fits_end ? last_ : best;
}

std::size_t Arena::grow(std::size_t bytes) {
  if (last_ != kNone && blocks_[last_].users == 0) {
    append(bytes - blocks_[last_].size);
    if (blocks_[last_].size >= bytes) return last_;  // else a new chunk has begun
  }
  append(bytes);
  return last_;
}

void Arena::append(std::size_t bytes) {
  auto region = pages_.take(bytes);
  const bool follows = last_ != kNone && blocks_[last_].memory + blocks_[last_].size == region.get();
  const std::size_t block = new_block({region.get(), bytes, 0, follows ? last_ : kNone, kNone});
  if (follows) blocks_[last_].behind = block;
  last_ = block;
  bytes_ += bytes;
  regions_.push_back(std::move(region));
  join(block);
}

void Arena::split(std::size_t block, std::size_t bytes) {
  const Block whole = blocks_[block];
  if (whole.size == bytes) return;
  const std::size_t rest = new_block({whole.memory + bytes, whole.size - bytes, 0, block, whole.behind});
  blocks_[block].size = bytes;
  blocks_[block].behind = rest;
  if (whole.behind != kNone) blocks_[whole.behind].before = rest;
  if (last_ == block) last_ = rest;
}

void Arena::join(std::size_t block) {
  const std::size_t behind = blocks_[block].behind, before = blocks_[block].before;
  if (behind != kNone && blocks_[behind].users == 0) swallow_next(block);
  if (before != kNone && blocks_[before].users == 0) swallow_next(before);
}

void Arena::swallow_next(std::size_t block) {
  const std::size_t next = blocks_[block].behind;
  blocks_[block].size += blocks_[next].size;
  blocks_[block].behind = blocks_[next].behind;
  if (blocks_[next].behind != kNone) blocks_[blocks_[next].behind].before = block;
  if (last_ == next) last_ = block;
  blocks_[next] = {};  // of no size, so never taken
  unused_.push_back(next);
}

std::size_t Arena::new_block(const Block& block) {
  if (unused_.empty()) {
    blocks_.push_back(block);
    unused_.reserve(blocks_.capacity());  // giving back allocates nothing
    return blocks_.size() - 1;
  }
  const std::size_t place = unused_.back();
  unused_.pop_back();
  blocks_[place] = block;
  return place;
}

void Arena::clear() {
  blocks_.clear();
  unused_.clear();
  regions_.clear();
  pages_ = {};
  last_ = kNone;
  bytes_ = 0;
}

}  // namespace sam2unet::ops
