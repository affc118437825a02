#include "ops/cpu/pack_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "model/config.h"
#include "model/network.h"
#include "model/weight_source.h"
#include "ops/backends.h"
#include "ops/cpu/threads.h"

namespace sam2unet::ops {
namespace {

TEST(PackQueue, DoesEveryJobOnceWhenItIsRun) {
  std::array<std::atomic<int>, 100> done{};
  PackQueue queue;
  for (auto& d : done) queue.add([&d](LoadMemory&) { ++d; });
  EXPECT_EQ(done[0], 0);
  queue.run();
  for (std::size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i], 1) << i;
  queue.run();
  EXPECT_EQ(done[99], 1);
}

TEST(PackQueue, WithoutAQueueJobsAreDoneAtOnce) {
  int done = 0;
  add_or_do(nullptr, [&](LoadMemory&) { ++done; });
  EXPECT_EQ(done, 1);
  PackQueue queue;
  add_or_do(&queue, [&](LoadMemory&) { ++done; });
  EXPECT_EQ(done, 1);
  queue.run();
  EXPECT_EQ(done, 2);
}

// Which of several wrong tensors is named must not hang on who was faster.
TEST(PackQueue, ALaterFailureDoesNotCountThoughItComesLast) {
  if (available_threads(0) < 2) GTEST_SKIP() << "SKIPPED: one thread";
  for (const int late : {0, 1}) {
    std::atomic<bool> begun{false}, ended{false};
    PackQueue queue;
    for (const int i : {0, 1})
      queue.add([&, i, late](LoadMemory&) {
        if (i == late) {
          begun = true;
          while (!ended) std::this_thread::yield();
          std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the other's has been caught
        } else {
          while (!begun) std::this_thread::yield();
          ended = true;
        }
        throw std::runtime_error(std::to_string(i));
      });
    try {
      queue.run();
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "0") << late;
    }
  }
}

TEST(PackQueue, TheFirstFailureOfAllIsThrown) {
  for (int turn = 0; turn < 50; ++turn) {
    PackQueue queue;
    for (int i = 0; i < 40; ++i)
      queue.add([i](LoadMemory&) {
        if (i >= 7) throw std::runtime_error(std::to_string(i));
      });
    try {
      queue.run();
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "7");
    }
  }
}

TEST(PackQueue, AfterAFailureNoneBegins) {
  std::atomic<int> begun{0};
  PackQueue queue;
  for (int i = 0; i < 10000; ++i)
    queue.add([&](LoadMemory&) {
      ++begun;
      throw std::runtime_error("no");
    });
  EXPECT_THROW(queue.run(), std::runtime_error);
  EXPECT_LE(begun, 100);  // one of each thread, and what they took meanwhile
}

TEST(LoadMemory, HasRoomForWhatIsAsked) {
  LoadMemory memory;
  for (const std::size_t n : {std::size_t{3}, std::size_t{1000}, std::size_t{5}, std::size_t{0}}) {
    const auto values = memory.take(n);
    ASSERT_EQ(values.size(), n);
    std::fill(values.begin(), values.end(), 1.0F);
  }
}

// What is packed by several threads is what is packed by one, in order.
template <class O, class Weights, class... Arguments>
void expect_same_maps(O& o, Arguments... arguments) {
  const model::DeterministicWeights source;
  const auto config =
      model::Config::from_json(R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": []})");
  const auto run = [&](PackQueue* queue) {
    Weights weights(source, arguments..., queue);
    const auto net = model::Network<Weights>::make(weights, config);
    if (queue != nullptr) queue->run();
    const auto in = test::to(o, test::plain_input("image:a", {1, 64, 96, 3}));
    const auto maps = model::sam2unet(o, net, in);
    const auto& values = test::plain_values(o, maps.out);
    const auto n = static_cast<std::size_t>(values.extent().numel());
    return std::vector<float>(values.data(), values.data() + n);
  };
  PackQueue queue;
  EXPECT_EQ(run(&queue), run(nullptr));
}

TEST(PackQueue, NetworksAreTheSame) {
  CpuOps f32(1);
  expect_same_maps<CpuOps, CpuWeights>(f32);
  for (const auto precision : {lowp::LowPrecision::bf16, lowp::LowPrecision::int8}) {
    const auto numerics = lowp::best_numerics(precision);
    lowp::LowOps low(numerics, 1);
    expect_same_maps<lowp::LowOps, lowp::LowWeights>(low, numerics, std::vector<std::string>());
  }
}

}  // namespace
}  // namespace sam2unet::ops
