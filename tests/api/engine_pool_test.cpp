// The pool of sessions over one network: who gets which, and for how many sizes each keeps what it made.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "api/engine.h"
#include "model/network.h"
#include "ops/counting_ops.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

// A session that computes nothing and counts how often it was to forget its sizes.
class Session : public ops::CountingOps {
 public:
  explicit Session(int threads) : threads_(threads) {}
  int threads() const { return threads_; }
  void forget() { ++forgotten; }
  int forgotten = 0;

 private:
  int threads_;
};

class EnginePool : public testing::Test {
 protected:
  // The session that a pass over pictures of that size gets.
  Session* session_for(const ops::Extent& input) {
    Session* got = nullptr;
    engine.with_session(input, [&](Session& s) { got = &s; });
    return got;
  }
  ops::CountingWeights weights;
  std::vector<int> made;  // the threads of each
  api::Engine<Session> engine{model::Network<ops::CountingWeights>::make(weights, test::tiny_config()),
                              [this](int threads) {
                                made.push_back(threads);
                                return std::make_unique<Session>(threads);
                              },
                              1};
};

TEST_F(EnginePool, OneServesPassesThatComeOneAfterTheOther) {
  EXPECT_TRUE(made.empty());  // none before one is needed
  Session* first = session_for({1, 32, 32, 3});
  EXPECT_EQ(session_for({1, 64, 32, 3}), first);
  EXPECT_EQ(session_for({1, 32, 32, 3}), first);
  EXPECT_EQ(made, std::vector<int>{1});
  EXPECT_EQ(engine.network().config, test::tiny_config());
}

// A pass that begins while another goes on has a session of its own, which stays for the next time.
TEST_F(EnginePool, NobodyHasTheSessionOfAnother) {
  for (int turn = 0; turn < 3; ++turn) {
    engine.with_session({1, 32, 32, 3}, [&](Session& outer) {
      engine.with_session({1, 32, 32, 3}, [&](Session& inner) { EXPECT_NE(&inner, &outer); });
    });
    EXPECT_EQ(made.size(), 2u);
  }
}

TEST_F(EnginePool, ASessionComesBackFromAPassThatFails) {
  const auto fails = [](Session&) { throw std::runtime_error("no"); };
  for (int turn = 0; turn < 3; ++turn)
    EXPECT_THROW(engine.with_session({1, 32, 32, 3}, fails), std::runtime_error);
  EXPECT_EQ(made.size(), 1u);
}

// Eight sizes; a ninth is the first of eight others. Batches are sizes too.
TEST_F(EnginePool, EightSizesAreKept) {
  const std::vector<ops::Extent> eight{{1, 32, 32, 3}, {2, 32, 32, 3}, {1, 64, 32, 3}, {1, 32, 64, 3},
                                       {1, 96, 32, 3}, {1, 32, 96, 3}, {3, 64, 64, 3}, {4, 64, 64, 3}};
  Session* session = session_for(eight[0]);
  for (int turn = 0; turn < 3; ++turn)
    for (const ops::Extent& e : eight) session_for(e);
  EXPECT_EQ(session->forgotten, 0);
  session_for({1, 128, 128, 3});
  EXPECT_EQ(session->forgotten, 1);
  for (std::size_t i = 0; i < 7; ++i) session_for(eight[i]);  // new again
  session_for({1, 128, 128, 3});
  EXPECT_EQ(session->forgotten, 1);
  session_for(eight[7]);
  EXPECT_EQ(session->forgotten, 2);
  EXPECT_EQ(made.size(), 1u);
}

}  // namespace
}  // namespace sam2unet
