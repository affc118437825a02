#include "train/loader.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sam2unet/errors.h"

namespace sam2unet::train {

Loader::Loader(const std::vector<Pair>& pairs, const LoaderOptions& options, std::uint64_t epoch,
               std::size_t first_batch, std::uint64_t end)
    : pairs_(pairs),
      options_(options),
      end_(end == 0 ? epoch + 1 : end),
      next_epoch_(epoch),
      next_batch_(first_batch) {
  const auto b = static_cast<std::size_t>(options.batch);
  batches_ = (pairs.size() + b - 1) / b;  // the last may be smaller (train.py:44: no drop_last)
  // A rest with fewer pictures than processes would leave one of them without work.
  if (const std::size_t rest = pairs.size() % b; rest > 0 && rest < static_cast<std::size_t>(options.world)) {
    --batches_;
  }
  const auto workers = static_cast<std::size_t>(std::max(1, options.workers));
  const auto world = static_cast<std::size_t>(options.world);
  most_members_ = (b + world - 1) / world;
  most_open_ = kAhead + (workers + most_members_ - 1) / most_members_;
  for (std::size_t t = 0; t < workers; ++t) threads_.emplace_back([this] { work(); });
}

Loader::~Loader() {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  has_work_.notify_all();
}

const std::vector<std::size_t>& Loader::order_of(std::uint64_t epoch) {
  for (const Order& o : orders_) {
    if (o.epoch == epoch) return o.members;
  }
  if (orders_.size() == 2) orders_.pop_front();
  Order& o = orders_.emplace_back();
  o.epoch = epoch;
  o.members = shuffled(pairs_.size(), options_.seed, epoch);
  if (options_.augment == Augment::none) std::sort(o.members.begin(), o.members.end());
  return o.members;
}

// A batch that nobody but the loader holds is overwritten: fresh memory would cost as much as a resize, since
// the system clears every page of it.
void Loader::give_memory(Batch& batch) {
  const auto n = static_cast<std::int64_t>(batch.members.size()),
             most = static_cast<std::int64_t>(most_members_);
  const std::int64_t s = options_.size;
  const auto is_free = [](const Memory& m) {
    return m.image.storage().use_count() == 1 && m.mask.storage().use_count() == 1;
  };
  auto memory = std::find_if(memories_.begin(), memories_.end(), is_free);
  if (memory == memories_.end()) {
    const bool are_bytes = options_.bytes && options_.augment != Augment::strong;
    const auto kind = at::TensorOptions(are_bytes ? at::kByte : at::kFloat).pinned_memory(options_.pinned);
    memory = memories_.insert(memories_.end(),
                              {at::empty({most, s, s, 3}, kind), at::empty({most, s, s, 1}, kind)});
  }
  batch.image = memory->image.narrow(0, 0, n);
  batch.mask = memory->mask.narrow(0, 0, n);
}

// False when there is none to open, or no room for it.
bool Loader::open_next() {
  if (open_.size() >= most_open_ || batches_ == 0) return false;
  if (next_batch_ >= batches_) {
    next_batch_ = 0;
    ++next_epoch_;
  }
  if (next_epoch_ >= end_) return false;
  const auto& order = order_of(next_epoch_);
  const auto b = static_cast<std::size_t>(options_.batch);
  Slot& slot = open_.emplace_back();
  slot.epoch = next_epoch_;
  const std::size_t end = std::min(order.size(), (next_batch_ + 1) * b);
  for (std::size_t i = next_batch_ * b + static_cast<std::size_t>(options_.rank); i < end;
       i += static_cast<std::size_t>(options_.world)) {
    slot.batch.members.push_back(order[i]);
  }
  give_memory(slot.batch);
  ++next_batch_;
  return true;
}

Loader::Slot* Loader::slot_with_work() {
  for (Slot& s : open_) {
    if (s.started < s.batch.members.size()) return &s;
  }
  try {
    return open_next() ? &open_.back() : nullptr;
  } catch (...) {  // no memory
    stop_ = true;
    failure_ = std::current_exception();
    has_batch_.notify_all();
    return nullptr;
  }
}

// Picture `at` of the batch.
void Loader::make(SampleMaker& maker, const Slot& slot, std::size_t at) const {
  const std::size_t member = slot.batch.members[at];
  const at::Tensor image = slot.batch.image.select(0, static_cast<std::int64_t>(at)),
                   mask = slot.batch.mask.select(0, static_cast<std::int64_t>(at));
  const Random random(options_.seed, slot.epoch + 1, member);
  if (image.scalar_type() == at::kByte) {
    maker.make_bytes(pairs_[member], options_.size, options_.augment, random,
                     image.mutable_data_ptr<std::uint8_t>(), mask.mutable_data_ptr<std::uint8_t>());
  } else {
    maker.make(pairs_[member], options_.size, options_.augment, random, image.mutable_data_ptr<float>(),
               mask.mutable_data_ptr<float>());
  }
}

void Loader::work() {
  SampleMaker maker(options_.classes, options_.fit);
  std::unique_lock lock(mutex_);
  while (true) {
    Slot* slot = nullptr;
    has_work_.wait(lock, [&] { return stop_ || (slot = slot_with_work()) != nullptr; });
    if (stop_) return;
    const std::size_t at = slot->started++;
    lock.unlock();
    std::exception_ptr error;
    try {
      make(maker, *slot, at);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) slot->error = error;
    if (++slot->done == slot->batch.members.size()) has_batch_.notify_all();
  }
}

Batch Loader::next() {
  std::unique_lock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  if (open_.empty() && !open_next()) throw UsageError("the loader has no batch left");
  Slot& first = open_.front();
  has_work_.notify_all();
  has_batch_.wait(lock, [&] { return failure_ || first.done == first.batch.members.size(); });
  if (failure_) std::rethrow_exception(failure_);
  const std::exception_ptr error = first.error;
  Batch batch = std::move(first.batch);
  open_.pop_front();
  has_work_.notify_all();
  if (error) std::rethrow_exception(error);
  return batch;
}

}  // namespace sam2unet::train
