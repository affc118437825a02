// Pictures of a data set on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

namespace sam2unet::eval {

/// Calls `make_worker()` once per thread and what it gives with every index below `count` once; `progress`
/// (may be empty) is told how many are done, by one thread at a time, and what it throws ends the work and is
/// thrown here. Workers must not throw.
template <class MakeWorker>
void for_each_index(std::size_t count, int threads,
                    const std::function<void(std::size_t done, std::size_t total)>& progress,
                    const MakeWorker& make_worker) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t done = 0;
  std::exception_ptr stop;
  const auto work = [&] {
    auto worker = make_worker();
    for (std::size_t i = next++; i < count; i = next++) {
      worker(i);
      const std::lock_guard lock(mutex);
      ++done;
      if (!progress || stop) continue;
      try {
        progress(done, count);
      } catch (...) {
        stop = std::current_exception();
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> pool;
    const std::size_t workers = std::min(static_cast<std::size_t>(std::max(1, threads)), count);
    for (std::size_t k = 0; k < workers; ++k) pool.emplace_back(work);
  }
  if (stop) std::rethrow_exception(stop);
}

/// Of more threads, as many as work at a time; the others wait for a turn, or are in a predictor.
class Turns {
 public:
  explicit Turns(int threads) : free_(std::max(1, threads)) {}

  class Turn {
   public:
    explicit Turn(Turns& all) : all_(all) { all_.free_.acquire(); }
    ~Turn() { all_.free_.release(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    /// `f()`, which waits for something else: another thread has the turn meanwhile.
    template <class F>
    auto leave_for(const F& f) {
      const Back back{all_};
      return f();
    }

   private:
    struct Back {
      explicit Back(Turns& turns) : all(turns) { all.free_.release(); }
      ~Back() { all.free_.acquire(); }
      Back(const Back&) = delete;
      Back& operator=(const Back&) = delete;
      Turns& all;
    };
    Turns& all_;
  };

 private:
  std::counting_semaphore<> free_;
};

}  // namespace sam2unet::eval
