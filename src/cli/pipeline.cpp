#include "pipeline.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>

#include "sam2unet/cores.h"
#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

// Few, because a picture of 20,000 pixels a side takes gigabytes.
constexpr std::size_t kWaiting = 2;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string no_memory_for(const Input& input) {
  return "not enough memory for " + input.name() + "; make it smaller first";
}

}  // namespace

Pipeline::Pipeline(std::vector<Input> inputs, Stages stages, std::size_t batch)
    : inputs_(std::move(inputs)),
      stages_(std::move(stages)),
      batch_(batch),
      decoded_(std::max(kWaiting, batch)),
      segmented_(kWaiting) {}

void Pipeline::run() {
  const auto cores = static_cast<unsigned>(available_cores());
  const std::size_t workers =
      std::min<std::size_t>({std::max(1U, cores / 2), 4, std::max<std::size_t>(inputs_.size(), 1)});
  std::vector<std::thread> decoders;
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < workers; ++i) {
    decoders.emplace_back([this] { decode_all(); });
    writers.emplace_back([this] { deliver_all(); });
  }
  std::thread closer([&] {  // the queue of decoded pictures ends when the last decoder does
    for (auto& t : decoders) t.join();
    decoded_.close();
  });
  segment_all();
  closer.join();
  segmented_.close();
  for (auto& t : writers) t.join();
  if (failure_) std::rethrow_exception(failure_);
}

void Pipeline::decode_all() {
  while (!stopped()) {
    const std::size_t index = next_.fetch_add(1);
    if (index >= inputs_.size()) return;
    const Stopwatch watch;
    Item item{index, {}};
    item.picture.input = std::move(inputs_[index]);
    try {
      stages_.decode(item.picture);
    } catch (const Error& e) {
      finish(index, {e.what(), {}, {}, watch.seconds()});
      continue;
    } catch (const std::bad_alloc&) {
      finish(index, {no_memory_for(item.picture.input), {}, {}, watch.seconds()});
      continue;
    } catch (const std::exception& e) {
      finish(index, {item.picture.input.name() + ": " + e.what(), {}, {}, watch.seconds()});
      continue;
    }
    item.picture.input.bytes = {};
    item.picture.seconds = watch.seconds();
    if (!decoded_.push(std::move(item))) return;
  }
}

// Waits for a whole batch, unless no more will come.
std::vector<Pipeline::Item> Pipeline::pop_batch() {
  std::vector<Item> items;
  while (items.size() < batch_) {
    auto item = decoded_.pop();
    if (!item) break;
    items.push_back(std::move(*item));
  }
  return items;
}

void Pipeline::segment_all() {
  for (auto items = pop_batch(); !items.empty(); items = pop_batch()) {
    if (items.size() == 1 || !segment_together(items)) {
      for (Item& item : items) segment_alone(item);
    }
    for (Item& item : items) {
      if (item.picture.result.width > 0 && !segmented_.push(std::move(item))) return;
    }
  }
}

// False if some picture failed: which one is told by trying each.
bool Pipeline::segment_together(std::vector<Item>& items) {
  try {
    segment(items);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// A picture that fails is reported, and has no result.
void Pipeline::segment_alone(Item& item) {
  try {
    segment({&item, 1});
    return;
  } catch (const std::bad_alloc&) {
    finish(item.index, {no_memory_for(item.picture.input), {}, {}, item.picture.seconds});
  } catch (const std::exception& e) {
    finish(item.index, {item.picture.input.name() + ": " + e.what(), {}, {}, item.picture.seconds});
  }
  item.picture.result.width = 0;
}

void Pipeline::segment(std::span<Item> items) {
  const Stopwatch watch;
  std::vector<Picture*> pictures;
  for (Item& item : items) pictures.push_back(&item.picture);
  stages_.segment(pictures);
  for (Item& item : items) item.picture.seconds += watch.seconds() / static_cast<double>(items.size());
}

void Pipeline::deliver_all() {
  while (auto item = segmented_.pop()) {
    try {
      finish(item->index, stages_.deliver(item->picture, item->index));
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      abort();
    }
  }
}

void Pipeline::finish(std::size_t index, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace(index, std::move(outcome));
  for (auto it = waiting_.find(reported_); it != waiting_.end() && !failure_; it = waiting_.find(reported_)) {
    try {
      stages_.report(it->second);
    } catch (...) {
      failure_ = std::current_exception();
      abort();
    }
    waiting_.erase(it);
    ++reported_;
  }
}

void Pipeline::abort() {
  stop();
  decoded_.close();
  segmented_.close();
}

}  // namespace sam2unet::cli
