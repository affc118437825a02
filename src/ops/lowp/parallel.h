// Tasks on the session's threads.
#pragma once

#include <omp.h>

#include <cstdint>

namespace sam2unet::ops::lowp {

/// f(i, thread) for i in 0 .. n, each handed to whoever is free. f does not throw.
template <class F>
void parallel_tasks(int threads, std::int64_t n, F&& f) {
  if (threads == 1 || n == 1) {
    for (std::int64_t i = 0; i < n; ++i) f(i, 0);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (std::int64_t i = 0; i < n; ++i) f(i, omp_get_thread_num());
}

}  // namespace sam2unet::ops::lowp
