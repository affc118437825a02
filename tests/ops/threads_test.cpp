// How many threads there are, and how rows are shared out among them.
#include "ops/cpu/threads.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "sam2unet/cores.h"

namespace sam2unet::ops {
namespace {

TEST(Threads, AsManyAsWantedButNoneInsideOthers) {
  EXPECT_EQ(available_threads(3), 3);
  EXPECT_EQ(available_threads(1), 1);
  EXPECT_EQ(available_threads(1 << 30), std::min(1 << 30, omp_get_thread_limit()));
  EXPECT_EQ(available_threads(-1), available_threads(0));
  EXPECT_GE(available_threads(0), 1);
  const int before = omp_get_max_threads();
  omp_set_num_threads(omp_get_num_procs() + 3);  // somebody's wish, whatever the cores are
  EXPECT_EQ(available_threads(0), omp_get_num_procs() + 3);
  omp_set_num_threads(omp_get_num_procs());  // its own default, which knows no quotas
  EXPECT_EQ(available_threads(0), std::min(omp_get_num_procs(), available_cores()));
  omp_set_num_threads(before);
  std::atomic<int> most{0};
  parallel_rows(2, 8, [&](std::int64_t, std::int64_t) {
    const int inside = available_threads(5);
    for (int seen = most.load(); inside > seen && !most.compare_exchange_weak(seen, inside);) {
    }
  });
  EXPECT_EQ(most.load(), 1);
}

// OpenMP's threads are not there behind a fork.
TEST(Threads, OneInAForkedProcess) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(available_threads(5));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST(Threads, AScopeGivesBackWhatWas) {
  const int threads = omp_get_max_threads(), dynamic = omp_get_dynamic();
  omp_set_dynamic(1);
  {
    const ThreadScope scope(threads + 2);
    EXPECT_EQ(omp_get_max_threads(), threads + 2);
    EXPECT_EQ(omp_get_dynamic(), 0);
  }
  EXPECT_EQ(omp_get_max_threads(), threads);
  EXPECT_NE(omp_get_dynamic(), 0);
  omp_set_dynamic(dynamic);
}

std::vector<std::pair<std::int64_t, std::int64_t>> parts_of(int threads, std::int64_t rows) {
  std::vector<std::pair<std::int64_t, std::int64_t>> parts;
  std::mutex mutex;
  parallel_rows(threads, rows, [&](std::int64_t first, std::int64_t last) {
    const std::lock_guard lock(mutex);
    parts.emplace_back(first, last);
  });
  std::sort(parts.begin(), parts.end());
  return parts;
}

TEST(Threads, EveryRowOnceInPartsThatFollowEachOther) {
  for (const int threads : {1, 2, 3})
    for (const std::int64_t rows : {0, 1, 2, 7, 8, 9, 1000}) {
      const auto parts = parts_of(threads, rows);
      std::int64_t at = 0;
      for (const auto& [first, last] : parts) {
        EXPECT_EQ(first, at);
        EXPECT_LT(first, last);
        at = last;
      }
      EXPECT_EQ(at, rows);
      EXPECT_EQ(parts.size(),
                static_cast<std::size_t>(threads == 1 ? std::min<std::int64_t>(rows, 1)
                                                      : std::min<std::int64_t>(rows, 4 * threads)));
    }
}

TEST(Threads, WhatAPartThrowsIsThrown) {
  for (const int threads : {1, 2})
    EXPECT_THROW(parallel_rows(threads, 8,
                               [](std::int64_t first, std::int64_t) {
                                 if (first < 2) throw std::runtime_error("x");
                               }),
                 std::runtime_error);
}

}  // namespace
}  // namespace sam2unet::ops
