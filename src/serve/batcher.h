// Decoded pictures, gathered into batches that the network sees at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "serve/metrics.h"
#include "serve/work.h"

namespace sam2unet::serve {

class Batcher {
 public:
  /// `batch` 0 is what each model says is fastest. Whole pictures go to `computed`, which may wait.
  Batcher(int batch, Milliseconds delay, Metrics& metrics, std::function<void(Ticket)> computed)
      : batch_(batch), delay_(delay), metrics_(metrics), computed_(std::move(computed)) {}

  /// Waits for room, so that only a few pictures are decoded ahead of the network.
  void put(Ticket ticket);
  /// Runs the network until the batcher is closed and empty; in threads of its own, of which as many have a
  /// batch at a time as keep the device busy.
  void run();
  void close();

 private:
  struct Waiting {
    Ticket ticket;
    Clock::time_point since;
  };

  std::size_t batch_of(const Task& task) const;
  bool may_begin() const;
  /// The oldest picture and those that can go with it; nothing once closed and empty.
  std::vector<Ticket> gather();
  std::vector<Ticket> take_compatible(std::size_t most);
  void compute(std::vector<Ticket>& tickets);
  void compute_alone(const Ticket& ticket);
  void segment(std::span<const Ticket> tickets);

  const int batch_;
  const Milliseconds delay_;
  Metrics& metrics_;
  const std::function<void(Ticket)> computed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  int computing_ = 0;  // batches
  bool gathering_ = false, closed_ = false;
};

}  // namespace sam2unet::serve
