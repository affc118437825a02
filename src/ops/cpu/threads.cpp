#include "ops/cpu/threads.h"

#include <omp.h>

#include <algorithm>
#include <exception>

#include "core/forked.h"
#include "sam2unet/cores.h"

namespace sam2unet::ops {

int available_threads(int wanted) {
  if (omp_in_parallel() != 0) return 1;  // also where nesting is allowed: oneDNN counts on it
  if (forked()) return 1;
  int threads = wanted;
  if (threads <= 0) {
    threads = omp_get_max_threads();
    // OpenMP knows no quotas. Any other number than its own default was somebody's wish. Read once: pictures
    // cost no files.
    static const int cores = available_cores();
    if (threads == omp_get_num_procs()) threads = std::min(threads, cores);
  }
  return std::clamp(threads, 1, omp_get_thread_limit());
}

ThreadScope::ThreadScope(int threads)
    : threads_before_(omp_get_max_threads()), dynamic_before_(omp_get_dynamic()) {
  omp_set_num_threads(threads);
  omp_set_dynamic(0);  // else OpenMP may give fewer
}

ThreadScope::~ThreadScope() {
  omp_set_num_threads(threads_before_);
  omp_set_dynamic(dynamic_before_);
}

void parallel_rows(int threads, std::int64_t rows, void (*part)(void*, std::int64_t, std::int64_t),
                   void* context) {
  const std::int64_t parts = std::min<std::int64_t>(rows, threads == 1 ? 1 : std::int64_t{threads} * 4);
  if (parts <= 1) {
    if (rows > 0) part(context, 0, rows);
    return;
  }
  std::exception_ptr failure;  // must not leave the parallel region
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (std::int64_t i = 0; i < parts; ++i) {
    try {
      part(context, rows * i / parts, rows * (i + 1) / parts);
    } catch (...) {
#pragma omp critical(sam2unet_parallel_rows)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace sam2unet::ops
