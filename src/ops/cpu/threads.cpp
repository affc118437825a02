#include "ops/cpu/threads.h"

#include <omp.h>

#include <algorithm>

namespace sam2unet::ops {

int available_threads(int wanted) {
  if (omp_in_parallel() != 0) return 1;  // also where nesting is allowed: oneDNN counts on it
  return std::clamp(wanted > 0 ? wanted : omp_get_max_threads(), 1, omp_get_thread_limit());
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

}  // namespace sam2unet::ops
