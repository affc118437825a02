// Batches in a fixed order, made ahead of time by worker threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "train/dataset.h"

namespace sam2unet::train {

struct Batch {
  at::Tensor image, mask;            // [B,S,S,3], [B,S,S,1] float32
  std::vector<std::size_t> members;  // indices of the pairs
};

struct LoaderOptions {
  int size = 352;
  int batch = 12;
  Augment augment = Augment::official;
  std::uint64_t seed = 0;
  int workers = 2;
  int rank = 0, world = 1;  ///< this process takes every world-th member of each batch, from rank on
};

/// One epoch. The batches depend on seed and epoch alone.
class Loader {
 public:
  Loader(const std::vector<Pair>& pairs, const LoaderOptions& options, std::uint64_t epoch,
         std::size_t first_batch = 0);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::size_t batches() const { return batches_; }
  /// The next batch; what a worker threw is thrown here. Not to be called after the last.
  Batch next();

 private:
  void work();
  Batch make(std::size_t index) const;

  const std::vector<Pair>& pairs_;
  LoaderOptions options_;
  std::uint64_t epoch_;
  std::vector<std::size_t> order_;
  std::size_t batches_ = 0, given_ = 0, taken_ = 0;
  bool stop_ = false;
  std::map<std::size_t, Batch> ready_;
  std::map<std::size_t, std::exception_ptr> failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::jthread> threads_;
};

}  // namespace sam2unet::train
