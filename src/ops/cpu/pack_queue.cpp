#include "ops/cpu/pack_queue.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <utility>

#include "ops/cpu/threads.h"

namespace sam2unet::ops {
namespace {

// Each has memory for the largest tensor (21 MB of L's), and all share the bandwidth.
constexpr int kMaxThreads = 4;

}  // namespace

std::span<float> LoadMemory::take(std::size_t n) {
  if (values_.size() < n) values_.resize(n);  // never smaller again: growing writes zeros
  return std::span(values_).first(n);
}

void PackQueue::run() {
  const auto jobs = std::exchange(jobs_, {});
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t failed = jobs.size();
  std::exception_ptr failure;
  const auto work = [&](std::int64_t, std::int64_t) {
    LoadMemory memory;
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      try {
        jobs[i](memory);
      } catch (...) {
        next = jobs.size();  // those before it have begun, and one of them may fail yet
        const std::lock_guard lock(mutex);
        if (i < failed) failure = std::current_exception();
        failed = std::min(failed, i);
      }
    }
  };
  const int threads = std::min(available_threads(0), kMaxThreads);
  parallel_rows(threads, threads, work);
  if (failure) std::rethrow_exception(failure);
}

void add_or_do(PackQueue* queue, PackQueue::Job job) {
  if (queue != nullptr) return queue->add(std::move(job));
  LoadMemory memory;
  job(memory);
}

}  // namespace sam2unet::ops
