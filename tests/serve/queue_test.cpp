// The queue by itself: whose turn it is, how much it holds, what is taken out of it.
#include "serve/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "serve/handover.h"

namespace sam2unet::serve {
namespace {

class Queue : public testing::Test {
 protected:
  SharedTask task(const std::string& client, std::size_t pictures = 1) {
    auto t = std::make_shared<Task>();
    t->exchange = std::make_shared<Exchange>(budget, [](const Response&) {});
    t->exchange->forget();
    t->client = client;
    t->pieces.resize(pictures);
    t->accepted = now;
    t->deadline = now + std::chrono::seconds(30);
    t->done = [this](Task& ended) { done += ended.client; };
    return t;
  }
  // The client whose picture is next, and which of its request; waits for none.
  static std::string next(FairQueue& queue) {
    if (queue.size() == 0) return {};
    const auto ticket = queue.pop();
    return ticket ? ticket->task->client + std::to_string(ticket->index) : std::string();
  }

  Budget budget{1 << 20};
  Clock::time_point now = Clock::now();
  std::string done;
};

TEST_F(Queue, HoldsAsManyRequestsAsMayWait) {
  FairQueue queue(2);
  EXPECT_TRUE(queue.push(task("a")));
  EXPECT_FALSE(queue.full());
  EXPECT_TRUE(queue.push(task("b")));
  EXPECT_TRUE(queue.full());
  EXPECT_FALSE(queue.push(task("c")));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(next(queue), "a0");
  EXPECT_TRUE(queue.push(task("c")));
  queue.close();
  EXPECT_FALSE(queue.push(task("d")));
  EXPECT_EQ(next(queue), "b0");
  EXPECT_EQ(next(queue), "c0");
  EXPECT_FALSE(queue.pop());
}

TEST_F(Queue, ClientsTakeTurnsPictureByPicture) {
  FairQueue queue(8);
  queue.push(task("a", 3));
  queue.push(task("b"));
  queue.push(task("a"));
  queue.push(task("c", 2));
  for (const char* wanted : {"a0", "b0", "c0", "a0", "c1", "a1", "a2"}) EXPECT_EQ(next(queue), wanted);
  EXPECT_EQ(queue.size(), 0u);
}

TEST_F(Queue, OnlyWhatWasNotBegunIsTooLate) {
  FairQueue queue(8);
  const SharedTask begun = task("a", 2), waiting = task("b", 2);
  queue.push(begun);
  EXPECT_EQ(next(queue), "a0");
  queue.push(waiting);
  queue.sweep(now + std::chrono::seconds(29));
  EXPECT_EQ(queue.size(), 2u);
  queue.sweep(now + std::chrono::seconds(30));
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(done, "b");
  for (const Piece& p : waiting->pieces) {
    ASSERT_TRUE(p.problem);
    EXPECT_EQ(p.problem->status, 504);
    EXPECT_EQ(p.problem->reason, Refusal::deadline);
  }
  EXPECT_FALSE(begun->pieces[1].problem);
  EXPECT_EQ(next(queue), "a1");
}

TEST_F(Queue, WorkOfClientsThatLeftIsTakenOut) {
  FairQueue queue(8);
  const SharedTask gone = task("a", 3), stays = task("b");
  queue.push(gone);
  queue.push(stays);
  EXPECT_EQ(next(queue), "a0");
  gone->exchange->abandon();
  queue.sweep(now);
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_FALSE(gone->pieces[0].problem);  // under way
  EXPECT_EQ(gone->pieces[1].problem->status, 499);
  EXPECT_EQ(done, "");  // until the one under way is through
  finish({gone, 0});
  EXPECT_EQ(done, "a");
  queue.drop_all();
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(done, "ab");
}

// Between two threads: the faster side waits, and nothing is lost at the end.
TEST(Handover, HoldsSoManyAndGivesThemInOrder) {
  Handover<int> h(2);
  h.put(1);
  h.put(2);
  std::atomic<bool> is_in{false};
  std::thread third([&] {
    h.put(3);
    is_in = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(is_in.load());
  EXPECT_EQ(h.take(), 1);
  third.join();
  h.close();
  h.put(4);  // though it is full
  EXPECT_EQ(h.take(), 2);
  EXPECT_EQ(h.take(), 3);
  EXPECT_EQ(h.take(), 4);
  EXPECT_FALSE(h.take());
}

// However many wait.
TEST(Handover, ClosingWakesEveryone) {
  Handover<int> h(2);
  std::atomic<int> waiting{0}, ended{0};
  std::vector<std::thread> takers;
  for (int i = 0; i < 3; ++i)
    takers.emplace_back([&] {
      ++waiting;
      EXPECT_FALSE(h.take());
      ++ended;
    });
  while (waiting.load() < 3) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until they sleep, most likely
  h.close();
  for (std::thread& t : takers) t.join();
  EXPECT_EQ(ended.load(), 3);
}

}  // namespace
}  // namespace sam2unet::serve
