#include "train/loader.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sam2unet::train {

Loader::Loader(const std::vector<Pair>& pairs, const LoaderOptions& options, std::uint64_t epoch,
               std::size_t first_batch)
    : pairs_(pairs), options_(options), epoch_(epoch), given_(first_batch), taken_(first_batch) {
  order_ = shuffled(pairs.size(), options.seed, epoch);
  if (options.augment == Augment::none) std::sort(order_.begin(), order_.end());
  const auto b = static_cast<std::size_t>(options.batch);
  batches_ = (order_.size() + b - 1) / b;  // the last may be smaller (train.py:44: no drop_last)
  // A rest with fewer pictures than processes would leave one of them without work.
  if (const std::size_t rest = order_.size() % b;
      rest > 0 && rest < static_cast<std::size_t>(options.world)) {
    --batches_;
  }
  for (int t = 0; t < std::max(1, options.workers); ++t) threads_.emplace_back([this] { work(); });
}

Loader::~Loader() {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  changed_.notify_all();
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    const std::size_t ahead =
        static_cast<std::size_t>(std::max(1, options_.workers)) + 2;  // bounds the memory of waiting batches
    changed_.wait(lock, [&] { return stop_ || taken_ >= batches_ || taken_ < given_ + ahead; });
    if (stop_ || taken_ >= batches_) return;
    const std::size_t index = taken_++;
    lock.unlock();
    Batch batch;
    std::exception_ptr error;
    try {
      batch = make(index);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) {
      failed_[index] = error;
    } else {
      ready_[index] = std::move(batch);
    }
    changed_.notify_all();
  }
}

Batch Loader::make(std::size_t index) const {
  const auto b = static_cast<std::size_t>(options_.batch);
  const std::size_t end = std::min(order_.size(), (index + 1) * b);
  Batch batch;
  for (std::size_t i = index * b + static_cast<std::size_t>(options_.rank); i < end;
       i += static_cast<std::size_t>(options_.world)) {
    batch.members.push_back(order_[i]);
  }
  const auto n = static_cast<std::int64_t>(batch.members.size());
  const std::int64_t s = options_.size;
  batch.image = at::empty({n, s, s, 3}, at::kFloat);
  batch.mask = at::empty({n, s, s, 1}, at::kFloat);
  float* image = batch.image.mutable_data_ptr<float>();
  float* mask = batch.mask.mutable_data_ptr<float>();
  for (const std::size_t member : batch.members) {
    const Sample sample = load_sample(pairs_[member], options_.size, options_.augment,
                                      Random(options_.seed, epoch_ + 1, member));
    image = std::copy(sample.image.begin(), sample.image.end(), image);
    mask = std::copy(sample.mask.begin(), sample.mask.end(), mask);
  }
  return batch;
}

Batch Loader::next() {
  std::unique_lock lock(mutex_);
  const std::size_t index = given_++;
  changed_.notify_all();
  changed_.wait(lock, [&] { return ready_.contains(index) || failed_.contains(index); });
  if (const auto it = failed_.find(index); it != failed_.end()) std::rethrow_exception(it->second);
  Batch batch = std::move(ready_.at(index));
  ready_.erase(index);
  return batch;
}

}  // namespace sam2unet::train
