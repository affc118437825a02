// How many threads OpenMP gives, settled beforehand: oneDNN's primitives compute wrong values, silently, with
// fewer threads than they were made for.
#pragma once

namespace sam2unet::ops {

/// As many of `wanted` threads (0: `available_cores`, or what OMP_NUM_THREADS or omp_set_num_threads say) as
/// a parallel region that begins here surely gets: one inside another region, and no more than
/// OMP_THREAD_LIMIT.
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

}  // namespace sam2unet::ops
