// The limits of what an evaluation is asked for, and its threads.
#include "eval/arguments.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "eval/pool.h"
#include "sam2unet/errors.h"

namespace sam2unet::eval {
namespace {

TEST(Arguments, CountsUpToTheirLimits) {
  const auto accepted = [](int EvaluateOptions::*field, int value) {
    EvaluateOptions o;
    o.*field = value;
    try {
      check(o);
    } catch (const UsageError&) {
      return false;
    }
    return true;
  };
  const struct {
    int EvaluateOptions::*field;
    int max;
  } limits[] = {{&EvaluateOptions::resamples, 1'000'000},
                {&EvaluateOptions::threads, 1024},
                {&EvaluateOptions::predicting, 4096}};
  for (const auto& l : limits) {
    EXPECT_TRUE(accepted(l.field, 0)) << l.max;
    EXPECT_TRUE(accepted(l.field, l.max)) << l.max;
    EXPECT_FALSE(accepted(l.field, -1)) << l.max;
    EXPECT_FALSE(accepted(l.field, l.max + 1)) << l.max;
  }
}

// Every index once, whatever the number of threads; without `progress` too.
TEST(Pool, EveryIndexOnce) {
  for (const int threads : {0, 1, 3, 50}) {
    std::vector<std::atomic<int>> seen(20);
    std::vector<std::size_t> told;
    const auto worker = [&] { return [&](std::size_t i) { ++seen[i]; }; };
    for_each_index(
        seen.size(), threads,
        [&](std::size_t done, std::size_t total) {
          EXPECT_EQ(total, 20u);
          told.push_back(done);
        },
        worker);
    for_each_index(seen.size(), threads, {}, worker);
    for (const auto& n : seen) EXPECT_EQ(n, 2) << threads;
    ASSERT_EQ(told.size(), 20u);
    for (std::size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i], i + 1);
  }
}

// What `progress` throws arrives, and it is not called again: not for what another thread was at just then.
TEST(Pool, WhatProgressThrowsEndsTheWork) {
  std::barrier both(2);
  std::atomic<int> worked = 0;
  int told = 0;
  EXPECT_THROW(for_each_index(
                   100, 2,
                   [&](std::size_t, std::size_t) {
                     ++told;
                     throw std::runtime_error("enough");
                   },
                   [&] {
                     return [&](std::size_t) {
                       ++worked;
                       both.arrive_and_wait();
                     };
                   }),
               std::runtime_error);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(worked, 2);
}

// So many work at a time, and who is away leaves its turn to another and has it back afterwards.
TEST(Pool, TurnsAreSoMany) {
  Turns turns(2);
  std::atomic<int> working = 0, most = 0;
  const auto note = [&](int n) {
    int before = most;
    while (n > before && !most.compare_exchange_weak(before, n)) {
    }
  };
  for_each_index(200, 8, {}, [&] {
    return [&](std::size_t) {
      Turns::Turn turn(turns);
      note(++working);
      std::this_thread::yield();
      --working;
      EXPECT_EQ(turn.leave_for([] { return 7; }), 7);
      note(++working);
      std::this_thread::yield();
      --working;
    };
  });
  EXPECT_LE(most, 2);
  EXPECT_GE(most, 1);
}

// All eight are away at once, of which two may work: else the last would never come.
TEST(Pool, WhoIsAwayHoldsNobodyUp) {
  Turns turns(2);
  std::barrier all(8);
  std::atomic<int> back = 0;
  for_each_index(8, 8, {}, [&] {
    return [&](std::size_t) {
      Turns::Turn turn(turns);
      turn.leave_for([&] { all.arrive_and_wait(); });
      ++back;
    };
  });
  EXPECT_EQ(back, 8);
}

TEST(Arguments, NamesOfPictures) {
  EXPECT_EQ(shown_name("0001", "gt/0001_gt.png"), "0001_gt.png");
  EXPECT_EQ(shown_name("seq1/left/0001", "gt/seq1/left/0001_gt.png"), "seq1/left/0001_gt.png");
  EXPECT_EQ(folder_name("a/b"), "b");
  EXPECT_EQ(folder_name("a/b/"), "b");
  EXPECT_EQ(folder_name("a/b/."), "b");
  EXPECT_EQ(folder_name("a/b/.."), "a");
}

TEST(Arguments, UnpairedFilesAreAddedToWhatIsKnown) {
  std::vector<std::string> warnings{"before"};
  std::vector<std::filesystem::path> unpaired{"x"};
  note_unpaired({}, "p", true, warnings, unpaired);
  EXPECT_EQ(warnings.size(), 1U);
  note_unpaired({"d/a.png", "d/b.png"}, "p", false, warnings, unpaired);
  EXPECT_EQ(warnings,
            (std::vector<std::string>{"before", "2 files of d have no partner in p: a.png, b.png"}));
  EXPECT_EQ(unpaired, (std::vector<std::filesystem::path>{"x", "d/a.png", "d/b.png"}));
  EXPECT_THROW(note_unpaired({"d/c.png"}, "p", true, warnings, unpaired), UsageError);
  EXPECT_EQ(warnings.size(), 2U);
  EXPECT_EQ(unpaired.size(), 3U);
}

}  // namespace
}  // namespace sam2unet::eval
