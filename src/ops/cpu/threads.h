// How many threads OpenMP gives, settled beforehand: oneDNN's primitives compute wrong values, silently, with
// fewer threads than they were made for.
#pragma once

#include <cstdint>
#include <type_traits>

namespace sam2unet::ops {

/// As many of `wanted` threads (0: `available_cores`, or what OMP_NUM_THREADS or omp_set_num_threads say) as
/// a parallel region that begins here surely gets: one inside another region and in a child of fork(), and
/// no more than OMP_THREAD_LIMIT.
int available_threads(int wanted);

/// While it lives, parallel regions of this thread have exactly `threads` threads, which must be available;
/// oneDNN takes its number from there. The caller's settings come back at its end.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int threads_before_, dynamic_before_;
};

/// As below, with `part(context, first, last)`.
void parallel_rows(int threads, std::int64_t rows, void (*part)(void*, std::int64_t, std::int64_t),
                   void* context);
/// Calls `part(first, last)` until all of 0 .. rows are done, on so many available threads, a few parts each.
/// Allocates nothing.
template <class Part>
void parallel_rows(int threads, std::int64_t rows, Part&& part) {
  using P = std::remove_reference_t<Part>;
  parallel_rows(
      threads, rows,
      [](void* context, std::int64_t first, std::int64_t last) { (*static_cast<P*>(context))(first, last); },
      const_cast<void*>(static_cast<const void*>(&part)));
}

}  // namespace sam2unet::ops
