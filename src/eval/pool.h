// Pictures of a data set on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
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

}  // namespace sam2unet::eval
