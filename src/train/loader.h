// Batches in a fixed order, made ahead of time by worker threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "train/dataset.h"

namespace sam2unet::train {

struct Batch {
  /// [B,S,S,3], [B,S,S,1]. Float32: normalised, and in [0,1] or ids; bytes: both as they were read.
  at::Tensor image, mask;
  std::vector<std::size_t> members;  // indices of the pairs
};

struct LoaderOptions {
  int size = 352;
  int batch = 12;
  Augment augment = Augment::official;
  std::uint64_t seed = 0;
  int workers = 2;
  const ClassTable* classes = nullptr;  ///< masks are ids then
  Fit fit = Fit::squash;
  /// Batches of bytes (InputMaker normalises them); of augmentations that mix pixels they are float32 still.
  bool bytes = false;
  bool pinned = false;      ///< in memory that a GPU copies from by itself
  int rank = 0, world = 1;  ///< this process takes every world-th member of each batch, from rank on
};

/// The batches of the epochs from `epoch` up to (not including) `end`, one behind the other: while the last
/// ones of an epoch are used, the first ones of the next are made. They depend on seed and epoch alone.
///
/// Workers take single pictures, those of the earliest batch first, so that the first batch is there soon. At
/// most kAhead batches (and as many pictures as there are workers) are made before they are asked for.
class Loader {
 public:
  Loader(const std::vector<Pair>& pairs, const LoaderOptions& options, std::uint64_t epoch,
         std::size_t first_batch = 0, std::uint64_t end = 0);  ///< end 0: one epoch
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Batches of an epoch.
  std::size_t batches() const { return batches_; }
  /// The next batch; what a worker threw is thrown here. UsageError after the last. Its tensors' memory is
  /// used again once nothing else holds them.
  Batch next();

  static constexpr std::size_t kAhead = 2;

 private:
  struct Order {
    std::uint64_t epoch = 0;
    std::vector<std::size_t> members;
  };
  // A batch under way.
  struct Slot {
    std::uint64_t epoch = 0;
    Batch batch;
    std::size_t started = 0, done = 0;  // pictures
    std::exception_ptr error;
  };
  struct Memory {
    at::Tensor image, mask;
  };

  void work();
  Slot* slot_with_work();
  bool open_next();
  const std::vector<std::size_t>& order_of(std::uint64_t epoch);
  void give_memory(Batch& batch);
  void make(SampleMaker& maker, const Slot& slot, std::size_t at) const;

  const std::vector<Pair>& pairs_;
  const LoaderOptions options_;
  const std::uint64_t end_;
  std::size_t batches_ = 0, most_members_ = 0, most_open_ = 0;
  std::uint64_t next_epoch_;      // of the batch to open next
  std::size_t next_batch_;        // its number in the epoch
  std::deque<Order> orders_;      // of the last two epochs
  std::deque<Slot> open_;         // in the order in which they are given out; references stay valid
  std::vector<Memory> memories_;  // all tensors there are
  bool stop_ = false;
  std::exception_ptr failure_;  // of the loader itself
  std::mutex mutex_;
  std::condition_variable has_work_, has_batch_;
  std::vector<std::jthread> threads_;
};

}  // namespace sam2unet::train
