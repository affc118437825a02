// A queue between two threads that holds only so much: the faster side waits.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace sam2unet::serve {

template <typename T>
class Handover {
 public:
  explicit Handover(std::size_t capacity) : capacity_(capacity) {}

  /// Waits for room; once closed it takes all the same, so that nothing is lost.
  void put(T item) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
      items_.push_back(std::move(item));
    }
    changed_.notify_all();
  }
  /// Waits for an item; none once closed and empty.
  std::optional<T> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> out(std::move(items_.front()));
    items_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return out;
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace sam2unet::serve
