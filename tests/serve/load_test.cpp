// What happens when there is more work than the network does: queue, deadline, turns, clients that leave,
// draining, loading again.
#include <gmock/gmock.h>

#include <atomic>
#include <fstream>

#include "running.h"
#include "support/temp_dir.h"

namespace sam2unet::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ServeLoad : public testing::Test {
 protected:
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
  void TearDown() override { gate->open(); }

  /// Models whose files are bad from when that is set.
  std::shared_ptr<std::atomic<bool>> cut_off_when_told() {
    auto bad = std::make_shared<std::atomic<bool>>(false);
    options.open = [gate = gate, bad](const serve::ModelFile&) -> std::unique_ptr<serve::Network> {
      if (bad->load()) throw FormatError("half.safetensors: it is cut off");
      return std::make_unique<HalfNetwork>(gate);
    };
    return bad;
  }
};

TEST_F(ServeLoad, FullQueueAnswers429AndWhatRunsIsAnswered) {
  options.queue = 2;
  Running s(options, gate);
  s.wait_for("ready");
  // One at the gate, a few decoded ahead of it, the rest waits.
  std::vector<Client> clients;
  int accepted = 0;
  Answer refused;
  while (refused.status == 0 && accepted < 100) {
    Client c(s.port());
    c.send(request("POST", "/v1/segment", "", png()));
    if (c.is_readable(300)) {
      refused = c.read();
    } else {
      ++accepted;
      clients.push_back(std::move(c));
    }
  }
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("--queue"));
  EXPECT_GE(std::stoi(refused.header("retry-after")), 1);
  EXPECT_EQ(s.ask("GET", "/healthz").status, 200);  // alive and ready do not hang on the queue
  EXPECT_EQ(s.ask("GET", "/readyz").status, 200);
  EXPECT_TRUE(s.sees("sam2unet_queue_length 2"));
  EXPECT_THAT(s.ask("GET", "/metrics").body, HasSubstr("sam2unet_refusals_total{reason=\"queue_full\"} 1"));
  gate->open();
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
}

// Between a request's head, by which it is let in, and its last byte others may fill the queue.
TEST_F(ServeLoad, AQueueThatFillsMeanwhileAnswers429) {
  options.queue = 1;
  Running s(options, gate);
  s.wait_for("ready");
  const std::string body = png();
  Client late(s.port()), big(s.port());
  late.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_THAT(late.take(25), HasSubstr("100"));
  big.send(request("POST", "/v1/segment", form_header(), form(std::vector<FormFile>(40, {"a.png", png()}))));
  s.fill();
  ASSERT_TRUE(s.sees("sam2unet_queue_length 1"));
  late.send(body);
  const Answer refused = late.read();
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("1 requests wait already (--queue); try again later"));
  EXPECT_GE(std::stoi(refused.header("retry-after")), 1);
  EXPECT_TRUE(s.sees("sam2unet_refusals_total{reason=\"queue_full\"} 1"));
  gate->open();
  EXPECT_EQ(big.read().status, 200);
}

TEST_F(ServeLoad, WhatWaitsTooLongIsTold) {
  options.deadline = serve::Milliseconds(200);
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment", "", png()));
  }
  const Answer last = clients.back().read();
  EXPECT_EQ(last.status, 504);
  EXPECT_THAT(last.body, HasSubstr("0.2 s (--deadline)"));
  gate->open();
  EXPECT_EQ(clients.front().read().status, 200);  // what runs is not cut off
}

TEST_F(ServeLoad, OneClientsManyPicturesDoNotStarveAnothersOne) {
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<FormFile> many(40, {"a.png", png(8, 6)});
  Client big(s.port(), "127.0.0.2"), small(s.port(), "127.0.0.3");
  big.send(request("POST", "/v1/segment", form_header(), form(many)));
  const int ahead = s.fill();
  small.send(request("POST", "/v1/segment", "", png(20, 6)));
  ASSERT_TRUE(s.sees("sam2unet_queue_length 2"));
  gate->open();
  EXPECT_EQ(small.read().status, 200);
  EXPECT_EQ(big.read().status, 200);
  const auto batches = gate->batches();
  std::size_t place = 0;
  while (place < batches.size() && batches[place] != std::vector{20}) ++place;
  EXPECT_LE(place, static_cast<std::size_t>(ahead) + 1);  // behind what was decoded already
  EXPECT_EQ(batches.size(), 41U);
}

TEST_F(ServeLoad, RequestsOfOneAddressTakeTurnsToo) {
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<FormFile> many(40, {"a.png", png(8, 6)});
  Client big(s.port()), small(s.port());
  big.send(request("POST", "/v1/segment", form_header(), form(many)));
  const int ahead = s.fill();
  small.send(request("POST", "/v1/segment", "", png(20, 6)));
  ASSERT_TRUE(s.sees("sam2unet_queue_length 2"));
  gate->open();
  EXPECT_EQ(small.read().status, 200);
  const auto batches = gate->batches();
  std::size_t place = 0;
  while (place < batches.size() && batches[place] != std::vector{20}) ++place;
  EXPECT_LE(place, static_cast<std::size_t>(ahead) + 1);
  EXPECT_EQ(big.read().status, 200);
}

TEST_F(ServeLoad, WorkOfClientsThatLeftIsDropped) {
  Running s(options, gate);
  s.wait_for("ready");
  Client first(s.port());
  first.send(request("POST", "/v1/segment", "", png(8, 6)));
  gate->wait_for(1);
  {
    std::vector<Client> leaving;
    for (int i = 0; i < 10; ++i) {
      leaving.emplace_back(s.port());
      leaving.back().send(request("POST", "/v1/segment", "", png(30, 6)));
    }
    ASSERT_TRUE(
        s.sees("sam2unet_received_bytes_total " + std::to_string(10 * png(30, 6).size() + png(8, 6).size())));
    for (std::size_t i = 0; i < leaving.size(); i += 2) leaving[i].reset();
  }
  // When it is noticed is the server's affair: not before the network goes on.
  EXPECT_TRUE(s.sees("sam2unet_clients_left_total 10"));
  gate->open();
  EXPECT_EQ(first.read().status, 200);
  EXPECT_TRUE(s.sees("sam2unet_refusals_total{reason=\"abandoned\"} 10"));
  EXPECT_TRUE(s.sees("sam2unet_queue_length 0"));
  EXPECT_THAT(gate->batches(), ElementsAre(ElementsAre(8)));
}

TEST_F(ServeLoad, PicturesOfDifferentClientsGoTogether) {
  options = half_options(gate, 4);
  options.batch_delay = serve::Milliseconds(20'000);  // a full batch does not wait for it
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment", "", png(10 + i, 6)));
  }
  gate->open();
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
  ASSERT_EQ(gate->batches().size(), 1U);
  EXPECT_EQ(gate->batches()[0].size(), 4U);
}

// As many as the device says, and no more, though six wait.
TEST_F(ServeLoad, BatchesAreInFlightTogetherWhereThatKeepsTheDeviceBusy) {
  options = half_options(gate, 2, 2);
  options.batch_delay = serve::Milliseconds(20'000);
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment", "", png(10 + i, 6)));
  }
  gate->wait_for(2);
  EXPECT_TRUE(gate->batches().empty());  // both stand at the gate
  gate->let(1);
  gate->wait_for(3);
  gate->open();
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
  const auto batches = gate->batches();
  ASSERT_EQ(batches.size(), 3U);
  for (const auto& b : batches) EXPECT_EQ(b.size(), 2U);
}

// Four at a time, of a device that would have more; the fifth waits for one of them.
TEST_F(ServeLoad, FourBatchesAreInFlightAtMost) {
  options = half_options(gate, 1, 9);
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment", "", png(10 + i, 6)));
  }
  gate->wait_for(4);
  ASSERT_TRUE(s.sees("sam2unet_stage_seconds_count{stage=\"decode\"} 5"));
  EXPECT_TRUE(gate->batches().empty());
  gate->open();
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
}

TEST_F(ServeLoad, OtherOptionsAreAnotherBatch) {
  options = half_options(gate, 4);
  options.batch_delay = serve::Milliseconds(200);
  Running s(options, gate);
  s.wait_for("ready");
  gate->open();
  Client a(s.port()), b(s.port());
  a.send(request("POST", "/v1/segment?size=64", "", png()));
  b.send(request("POST", "/v1/segment?size=96", "", png()));
  EXPECT_EQ(a.read().status, 200);
  EXPECT_EQ(b.read().status, 200);
  EXPECT_EQ(gate->batches().size(), 2U);
}

TEST_F(ServeLoad, DrainingFinishesWhatWasAcceptedAndTakesNoMore) {
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment", "", png()));
  }
  Client uploading(s.port());
  const std::string body = png();
  uploading.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, 10));
  ASSERT_TRUE(s.sees("sam2unet_in_flight_bytes " + std::to_string(6 * body.size() + 10)));
  Client idle(s.port());
  idle.send(request("GET", "/healthz"));
  EXPECT_EQ(idle.read().status, 200);
  s.server().drain();
  s.wait_for("shutting down");
  EXPECT_TRUE(idle.ended());
  EXPECT_EQ(s.ask("GET", "/readyz").status, 503);
  EXPECT_EQ(s.ask("GET", "/healthz").status, 200);
  const Answer refused = s.ask("POST", "/v1/segment", "", png());
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.header("retry-after"), "");
  uploading.send(body.substr(10));
  gate->open();
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
  EXPECT_EQ(uploading.read().status, 200);
  s.wait_until_ended();
  EXPECT_THAT(s.said(), testing::Not(HasSubstr("cut off")));
}

TEST_F(ServeLoad, DrainingHasADeadline) {
  options.drain_time = serve::Milliseconds(100);
  options.deadline = std::chrono::hours(1);
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send(request("POST", "/v1/segment", "", png()));
  gate->wait_for(1);
  s.server().drain();
  const auto is_over = [&] { return s.said().find("the time to finish is over") != std::string::npos; };
  for (int i = 0; i < 3000 && !is_over(); ++i)  // a minute
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_THAT(s.said(), HasSubstr("the time to finish is over; requests are cut off (--drain-timeout)"));
  gate->open();
  s.wait_until_ended();
}

TEST_F(ServeLoad, LoadingAgainDropsNothingAndABadFileChangesNothing) {
  const auto bad = cut_off_when_told();
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send(request("POST", "/v1/segment", "", png()));
  gate->wait_for(1);
  s.server().reload();
  s.wait_for("loaded again");
  EXPECT_THAT(s.ask("GET", "/v1/models").body, HasSubstr("\"version\":2"));
  const auto counted = [&] {
    const std::string text = s.ask("GET", "/metrics").body;
    const auto at = text.find("\nsam2unet_reloads_total{");
    return text.substr(at, text.find("\n#", at) - at);
  };
  EXPECT_EQ(counted(),
            "\nsam2unet_reloads_total{result=\"ok\"} 1\nsam2unet_reloads_total{result=\"failed\"} 0");
  bad->store(true);
  s.server().reload();
  s.wait_for("not loaded again");
  EXPECT_EQ(counted(),
            "\nsam2unet_reloads_total{result=\"ok\"} 1\nsam2unet_reloads_total{result=\"failed\"} 1");
  EXPECT_THAT(s.said(), HasSubstr("it is cut off"));
  EXPECT_THAT(s.ask("GET", "/v1/models").body, HasSubstr("\"version\":2"));
  gate->open();
  EXPECT_EQ(c.read().status, 200);
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", png()).status, 200);
}

// A token that changed together with a file that cannot be read stays what it was, as is said.
TEST_F(ServeLoad, WhereAFileIsBadTheTokenStaysToo) {
  const TempDir dir;
  options.token_file = dir.path() / "token";
  std::ofstream(options.token_file) << "0123456789abcdef0123\n";
  const auto bad = cut_off_when_told();
  Running s(options, gate);
  s.wait_for("ready");
  bad->store(true);
  std::ofstream(options.token_file) << "fedcba9876543210\n";
  s.server().reload();
  s.wait_for("not loaded again, what was loaded stays");
  EXPECT_EQ(s.ask("GET", "/v1/models", "Authorization: Bearer 0123456789abcdef0123\r\n").status, 200);
  bad->store(false);
  s.server().reload();
  s.wait_for("loaded again");
  EXPECT_EQ(s.ask("GET", "/v1/models", "Authorization: Bearer fedcba9876543210\r\n").status, 200);
}

// Files may have changed since they were read, so that whoever asks meanwhile is heard once more.
TEST_F(ServeLoad, WhatIsAskedForWhileLoadingIsDoneOnceMore) {
  auto opened = std::make_shared<std::atomic<int>>(0);
  auto second = std::make_shared<Gate>();
  options.open = [gate = gate, opened, second](const serve::ModelFile&) -> std::unique_ptr<serve::Network> {
    if (++*opened == 2) second->pass({});
    return std::make_unique<HalfNetwork>(gate);
  };
  Running s(options, gate);
  s.wait_for("ready");
  s.server().reload();
  second->wait_for(1);
  s.server().reload();
  s.server().reload();
  second->open();
  EXPECT_TRUE(s.sees("sam2unet_reloads_total{result=\"ok\"} 2"));
  EXPECT_EQ(opened->load(), 3);
  EXPECT_THAT(s.ask("GET", "/v1/models").body, HasSubstr("\"version\":3"));
}

TEST_F(ServeLoad, NotReadyWhileLoading) {
  const auto hold = hold_back(options, gate);
  Running s(options, gate);
  hold->wait_for(1);
  EXPECT_EQ(s.ask("GET", "/healthz").status, 200);
  EXPECT_EQ(s.ask("GET", "/readyz").status, 503);
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", png()).status, 503);
  EXPECT_EQ(s.ask("GET", "/v1/models").status, 503);
  EXPECT_EQ(s.ask("GET", "/v2/models/half").status, 503);
  hold->open();
  s.wait_for("ready");
  EXPECT_EQ(s.ask("GET", "/readyz").status, 200);
}

TEST_F(ServeLoad, FirstLoadThatFailsEndsIt) {
  options.open = [](const serve::ModelFile&) -> std::unique_ptr<serve::Network> {
    throw FileError("it is not there");
  };
  serve::Server server(options);
  EXPECT_THROW(server.run(), FileError);
}

}  // namespace
}  // namespace sam2unet::test
