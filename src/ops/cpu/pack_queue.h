// Reading, converting and packing weights on all cores: it is a good part of a program that segments one
// picture.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace sam2unet::ops {

/// A thread's memory for one tensor after the other.
class LoadMemory {
 public:
  /// Room for `n` values, which are none yet; valid until the next call.
  std::span<float> take(std::size_t n);

 private:
  std::vector<float> values_;
};

/// Jobs that need nothing of each other.
class PackQueue {
 public:
  using Job = std::function<void(LoadMemory& memory)>;

  void add(Job job) { jobs_.push_back(std::move(job)); }
  /// Does all, several at a time. Throws what the first of those that failed, in the order of `add`, threw.
  void run();

 private:
  std::vector<Job> jobs_;
};

/// When `queue` is run; at once without one.
void add_or_do(PackQueue* queue, PackQueue::Job job);

/// Part of what jobs write to after their maker has returned it: it may move, but there is only one.
struct OnlyMoved {
  OnlyMoved() = default;
  OnlyMoved(OnlyMoved&&) = default;
  OnlyMoved& operator=(OnlyMoved&&) = default;
};

}  // namespace sam2unet::ops
