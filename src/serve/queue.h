// What waits for the network. Bounded, and fair: clients take turns, and so do the requests of one client,
// each with one picture at a time. A request of 500 pictures delays another's single one by one picture, not
// by 500.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "serve/work.h"

namespace sam2unet::serve {

class FairQueue {
 public:
  explicit FairQueue(std::size_t capacity) : capacity_(capacity) {}

  /// False if as many requests as may wait do, or it was closed.
  bool push(const SharedTask& task);
  /// Waits for the next picture whose turn it is; none once the queue is closed and empty.
  std::optional<Ticket> pop();
  /// Takes out what need not wait any longer: requests whose client left, and those past their deadline of
  /// which nothing was begun. Their pieces that were not handed out get a problem.
  void sweep(Clock::time_point now);
  /// As if all clients had left.
  void drop_all();
  void close();

  std::size_t size() const;
  bool full() const { return size() >= capacity_; }
  std::size_t capacity() const { return capacity_; }

 private:
  struct Line {  // of one client
    std::string client;
    std::deque<SharedTask> tasks;
  };
  struct Removed {
    SharedTask task;
    std::size_t first = 0;
    Problem problem;
  };
  /// Takes out what `why` has a problem for. Held: the mutex.
  template <typename Why>
  std::vector<Removed> remove(Why&& why);
  static void fail(std::vector<Removed>& removed);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::list<Line> lines_;  // the front one is next
  std::size_t size_ = 0;   // tasks
  bool closed_ = false;
};

}  // namespace sam2unet::serve
