// Pictures on their way through the stages: the order of what is told, how many are underway, and how a run
// ends.
#include "cli/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <vector>

#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

using testing::ElementsAre;

class PipelineTest : public testing::Test {
 protected:
  static std::vector<Input> inputs(std::size_t count) {
    std::vector<Input> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back({"p" + std::to_string(i), {}, {}});
    return out;
  }
  // Each stage does nothing but note who came; a picture's line is its name.
  Stages stages() {
    return {[](Picture&) {}, [](Picture&, std::size_t) {},
            [](Picture& p, std::size_t) {
              Outcome out;
              out.line = p.input.name();
              return out;
            },
            [this](const Outcome& o) { told.push_back(o.error.empty() ? o.line : "! " + o.error); },
            [this](int callers) {
              const std::lock_guard lock(mutex);
              expected.push_back(callers);
            }};
  }
  int still_expected() const {
    int sum = 0;
    for (const int n : expected) sum += n;
    return sum;
  }

  std::mutex mutex;
  std::vector<std::string> told;
  std::vector<int> expected;
};

// The first waits for the last; what is told comes in the order of the inputs, with each one's number.
TEST_F(PipelineTest, TellsInTheOrderOfTheInputs) {
  constexpr std::size_t kPictures = 6;
  std::atomic<std::size_t> passed{0};
  std::vector<std::size_t> numbers(kPictures, 99);
  Stages s = stages();
  s.segment = [&](Picture& p, std::size_t index) {
    if (index == 0) {
      while (passed.load() + 1 < kPictures) std::this_thread::yield();
    }
    passed.fetch_add(1);
    EXPECT_EQ(p.input.name(), "p" + std::to_string(index));
  };
  const auto deliver = s.deliver;
  s.deliver = [&](Picture& p, std::size_t index) {
    numbers[index] = index;
    return deliver(p, index);
  };
  Pipeline(inputs(kPictures), s, kPictures).run();
  EXPECT_THAT(told, ElementsAre("p0", "p1", "p2", "p3", "p4", "p5"));
  EXPECT_THAT(numbers, ElementsAre(0, 1, 2, 3, 4, 5));
  // As many threads were told of as there are, before the first came, and each said when it ended.
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(expected.front(), 6);
  EXPECT_EQ(still_expected(), 0);
}

TEST_F(PipelineTest, ThreadsAreAtLeastOneAndNoMoreThanPictures) {
  for (const auto& [pictures, workers, want] : {std::tuple(3, 0, 1), {3, 2, 2}, {3, 9, 3}, {0, 9, 1}}) {
    expected.clear();
    told.clear();
    Pipeline(inputs(static_cast<std::size_t>(pictures)), stages(), static_cast<std::size_t>(workers)).run();
    EXPECT_EQ(expected.front(), want);
    EXPECT_EQ(still_expected(), 0);
    EXPECT_EQ(told.size(), static_cast<std::size_t>(pictures));
  }
}

// As long as it lives, the stacks of so many threads fit into what this process may take.
class FewThreads {
 public:
  explicit FewThreads(std::size_t threads) {
    ::pthread_getattr_default_np(&usual_);
    pthread_attr_t large;
    ::pthread_attr_init(&large);
    ::pthread_attr_setstacksize(&large, kStack);
    ::pthread_setattr_default_np(&large);
    ::pthread_attr_destroy(&large);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    ::getrlimit(RLIMIT_AS, &before_);
    rlimit limit = before_;
    limit.rlim_cur =
        pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + threads * kStack + kStack * 3 / 4;
    ::setrlimit(RLIMIT_AS, &limit);
  }
  ~FewThreads() {
    ::setrlimit(RLIMIT_AS, &before_);
    ::pthread_setattr_default_np(&usual_);
    ::pthread_attr_destroy(&usual_);
  }
  FewThreads(const FewThreads&) = delete;
  FewThreads& operator=(const FewThreads&) = delete;

 private:
  static constexpr std::size_t kStack = std::size_t{512} << 20;
  pthread_attr_t usual_{};
  rlimit before_{};
};

// Who waits for a batch to fill must not wait for those that never came.
TEST_F(PipelineTest, WhereTheSystemAllowsNoMoreThreadsFewerDo) {
  {
    const FewThreads limit(2);
    Pipeline(inputs(6), stages(), 5).run();
  }
  EXPECT_THAT(told, ElementsAre("p0", "p1", "p2", "p3", "p4", "p5"));
  EXPECT_EQ(expected.front(), 5);
  EXPECT_THAT(expected, testing::Contains(-3));
  EXPECT_EQ(still_expected(), 0);
}

TEST_F(PipelineTest, WithoutAnyThreadTheRunFails) {
  {
    const FewThreads limit(0);
    EXPECT_THROW(Pipeline(inputs(6), stages(), 5).run(), std::system_error);
  }
  EXPECT_THAT(told, ElementsAre());
  EXPECT_EQ(still_expected(), 0);
}

// The library's own errors name the picture where its file is what is wrong, and not where the network is.
TEST_F(PipelineTest, WhatFailsIsToldWithItsPicture) {
  Stages s = stages();
  s.decode = [](Picture& p) {
    if (p.input.name() == "p0") throw ImageError("p0: cut off");
    if (p.input.name() == "p1") throw std::bad_alloc();
    if (p.input.name() == "p2") throw std::runtime_error("odd");
  };
  s.segment = [](Picture&, std::size_t index) {
    if (index == 3) throw WeightsError("no number");
    if (index == 4) throw std::bad_alloc();
    if (index == 5) throw std::runtime_error("odd");
  };
  Pipeline(inputs(7), s, 2).run();
  EXPECT_THAT(told, ElementsAre("! p0: cut off", "! not enough memory for p1; make it smaller first",
                                "! p2: odd", "! p3: no number",
                                "! not enough memory for p4; make it smaller first", "! p5: odd", "p6"));
  EXPECT_EQ(still_expected(), 0);
}

// What a picture took before it failed counts too.
TEST_F(PipelineTest, TimesAreThoseOfThePicture) {
  const auto wait = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  std::vector<double> seconds;
  Stages s = stages();
  s.decode = [&](Picture& p) {
    wait();
    if (p.input.name() == "p1") throw ImageError("bad");
  };
  s.segment = [&](Picture& p, std::size_t index) {
    EXPECT_GE(p.seconds, 0.005);
    p.seconds += 100;
    if (index == 2) throw WeightsError("bad");
  };
  s.deliver = [](Picture& p, std::size_t) { return Outcome{{}, {}, {}, p.seconds}; };
  s.report = [&](const Outcome& o) { seconds.push_back(o.seconds); };
  Pipeline(inputs(3), s, 1).run();
  ASSERT_EQ(seconds.size(), 3U);
  EXPECT_GE(seconds[0], 100.005);
  EXPECT_GE(seconds[1], 0.005);
  EXPECT_LT(seconds[1], 100.0);
  EXPECT_GE(seconds[2], 100.005);
}

TEST_F(PipelineTest, FailuresOfDeliveringOrTellingEndTheRun) {
  for (const bool delivering : {true, false}) {
    told.clear();
    expected.clear();
    Stages s = stages();
    if (delivering) {
      s.deliver = [](Picture&, std::size_t index) -> Outcome {
        if (index == 1) throw FileError("disk full");
        return {};
      };
    } else {
      s.report = [this](const Outcome& o) {
        if (o.line == "p1") throw FileError("disk full");
        told.push_back(o.line);
      };
    }
    Pipeline pipeline(inputs(50), s, 1);
    EXPECT_THROW(pipeline.run(), FileError);
    EXPECT_TRUE(pipeline.stopped());
    EXPECT_EQ(told.size(), 1U);  // nothing after the one that failed
    EXPECT_EQ(still_expected(), 0);
  }
}

// Those that are through before the first is told wait for it: where that fails none of them is told.
TEST_F(PipelineTest, NothingIsToldAfterAFailureToTell) {
  std::atomic<int> through{0};
  const auto wait = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  Stages s = stages();
  s.segment = [&](Picture&, std::size_t index) {
    for (int patience = 20000; index == 0 && through.load() < 3 && --patience > 0;) wait(5);
    if (index == 0) wait(20);
  };
  const auto deliver = s.deliver;
  s.deliver = [&](Picture& p, std::size_t index) {
    through.fetch_add(1);
    return deliver(p, index);
  };
  s.report = [this](const Outcome& o) {
    if (o.line == "p0") throw FileError("disk full");
    told.push_back(o.line);
  };
  EXPECT_THROW(Pipeline(inputs(4), s, 4).run(), FileError);
  EXPECT_THAT(told, ElementsAre());
}

TEST_F(PipelineTest, StoppedItEndsWithThoseUnderway) {
  Stages s = stages();
  Pipeline* running = nullptr;
  s.segment = [&](Picture&, std::size_t index) {
    if (index == 2) running->stop();
  };
  Pipeline pipeline(inputs(50), s, 1);
  running = &pipeline;
  EXPECT_FALSE(pipeline.stopped());
  pipeline.run();
  EXPECT_TRUE(pipeline.stopped());
  EXPECT_THAT(told, ElementsAre("p0", "p1", "p2"));
  EXPECT_EQ(still_expected(), 0);
}

// The bytes of a picture that came on standard input are not kept once it is decoded.
TEST_F(PipelineTest, DecodedPicturesKeepNoBytes) {
  std::vector<Input> one = inputs(1);
  one[0].bytes.resize(100);
  Stages s = stages();
  s.decode = [](Picture& p) { EXPECT_EQ(p.input.bytes.size(), 100U); };
  s.segment = [](Picture& p, std::size_t) { EXPECT_TRUE(p.input.bytes.empty()); };
  Pipeline(std::move(one), s, 1).run();
}

// Of small pictures many, of large ones a few: as long as all that are underway take less than the room there
// is, those that are not decoded yet taken for as large as the others.
class PipelineRoom : public PipelineTest {
 protected:
  // How many pictures of so many bytes are underway at most. Each waits until as many are as `want`, and some
  // then for more that should not come. Those `before` are through at once and do not count.
  std::size_t most_underway(int bytes, Room room, std::size_t want, std::size_t before = 0) {
    constexpr std::size_t kPictures = 12;
    std::size_t inside = 0, most = 0;
    int patience = 20000;  // of all together; no test ends by it
    const auto wait = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
    Stages s = stages();
    s.decode = [&](Picture& p) {
      p.pixels = Image(bytes, 1, 1);
      if (std::stoul(p.input.name().substr(1)) < before) return;
      const std::lock_guard lock(mutex);
      most = std::max(most, ++inside);
    };
    s.segment = [&](Picture&, std::size_t index) {
      const auto has_come = [&] {
        const std::lock_guard lock(mutex);
        return most >= want || --patience < 0;
      };
      while (index >= before && !has_come()) wait(5);
      if (index >= before && index < before + want) wait(20);
    };
    s.deliver = [&](Picture&, std::size_t index) {
      const std::lock_guard lock(mutex);
      inside -= index < before ? 0 : 1;
      return Outcome();
    };
    expected.clear();
    Pipeline(inputs(before + kPictures), s, kPictures, room).run();
    EXPECT_EQ(still_expected(), 0);
    return most;
  }
};

TEST_F(PipelineRoom, IsKept) {
  EXPECT_EQ(most_underway(1000, {.few = 1, .bytes = 1}, 1), 1U);
  EXPECT_EQ(most_underway(1000, {.few = 3, .bytes = 1}, 3), 3U);
  // Two before it is known how large they are; then those of which one more is still less than the room.
  EXPECT_EQ(most_underway(1000, {.few = 2, .bytes = 6000}, 5), 5U);
  EXPECT_EQ(most_underway(1000, {.few = 2, .bytes = 6001}, 6), 6U);
  // As many when others took that room before.
  EXPECT_EQ(most_underway(1000, {.few = 2, .bytes = 6000}, 5, 12), 5U);
  EXPECT_EQ(most_underway(10, {.few = 1, .bytes = std::size_t{1} << 30}, 12), 12U);
  EXPECT_EQ(Room().few, 8U);
  EXPECT_EQ(Room().bytes, std::size_t{2} << 30);
}

// Before one is decoded each is taken for 16 MiB: six of them are less than 100.
TEST_F(PipelineRoom, OfPicturesThatNoneKnowsTheSizeOf) {
  std::size_t inside = 0, most = 0;
  int patience = 20000;  // no test ends by it
  const auto wait = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  const auto change = [&](int by) {
    const std::lock_guard lock(mutex);
    inside += static_cast<std::size_t>(by);
    most = std::max(most, inside);
    return most >= 6 || --patience < 0;
  };
  Stages s = stages();
  s.decode = [&](Picture&) {
    change(1);
    while (!change(0)) wait(5);
    wait(20);  // for more that should not come
    change(-1);
  };
  Pipeline(inputs(7), s, 7, {.few = 1, .bytes = std::size_t{100} << 20}).run();
  EXPECT_EQ(most, 6U);
}

}  // namespace
}  // namespace sam2unet::cli
