// Every bound of the service, each with its status and its option's name.
#include <gmock/gmock.h>

#include "running.h"

namespace sam2unet::test {
namespace {

using serve::Milliseconds;
using testing::HasSubstr;

class ServeLimits : public testing::Test {
 protected:
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
  void TearDown() override { gate->open(); }
};

TEST_F(ServeLimits, BodyByItsAnnouncedLengthBeforeItIsSent) {
  options.limits.upload = 1000;
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n");
  const Answer a = c.read();
  EXPECT_EQ(a.status, 413);
  EXPECT_THAT(a.body, HasSubstr("1000"));
  EXPECT_THAT(a.body, HasSubstr("--max-upload"));
  EXPECT_TRUE(c.ended());
}

TEST_F(ServeLimits, BodyInChunksThatGrowsPastIt) {
  options.limits.upload = 1000;
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20; ++i) c.send("40\r\n" + std::string(64, 'x') + "\r\n");
  const Answer a = c.read();
  EXPECT_EQ(a.status, 413);
  EXPECT_THAT(a.body, HasSubstr("--max-upload"));
}

TEST_F(ServeLimits, ChunkWhoseLineDoesNotEnd) {
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;a=" +
         std::string(64 << 10, 'x'));
  EXPECT_EQ(c.read().status, 400);
}

TEST_F(ServeLimits, ChunkedBodyIsReadWhole) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  const std::string body = png();
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const char byte : body) c.send(std::string("1;x=y\r\n") + byte + "\r\n");
  c.send("0\r\nTrailer: 1\r\n\r\n");
  EXPECT_EQ(c.read().status, 200);
}

TEST_F(ServeLimits, Header) {
  options.limits.header = 2000;
  Running s(options, gate);
  Client c(s.port());
  c.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(3000, 'x') + "\r\n\r\n");
  const Answer a = c.read();
  EXPECT_EQ(a.status, 431);
  EXPECT_THAT(a.body, HasSubstr("2000"));
  EXPECT_THAT(a.body, HasSubstr("--max-header"));
}

TEST_F(ServeLimits, TimeToSendAHeader) {
  options.limits.header_time = Milliseconds(50);
  Running s(options, gate);
  Client c(s.port());
  c.send("GET /healthz HTTP/1.1\r\nHo");
  const Answer a = c.read();
  EXPECT_EQ(a.status, 408);
  EXPECT_THAT(a.body, HasSubstr("0.05 s (--header-timeout)"));
  EXPECT_TRUE(c.ended());
}

TEST_F(ServeLimits, TimeToSendABody) {
  options.limits.body_time = Milliseconds(50);
  options.limits.header_time = options.limits.idle_time = std::chrono::hours(1);  // other clocks than this
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc");
  const Answer a = c.read();
  EXPECT_EQ(a.status, 408);
  EXPECT_THAT(a.body, HasSubstr("--body-timeout"));
}

TEST_F(ServeLimits, SilentConnectionsEnd) {
  options.limits.header_time = options.limits.idle_time = Milliseconds(50);
  Running s(options, gate);
  Client never(s.port());
  EXPECT_TRUE(never.ended());
  Client once(s.port());
  once.send(request("GET", "/healthz"));
  EXPECT_EQ(once.read().status, 200);
  EXPECT_TRUE(once.ended());
}

// Each silence has its own limit: before the first request it is the header's, afterwards the idle one.
TEST_F(ServeLimits, SilenceBeforeTheFirstRequestIsTheHeadersTime) {
  options.limits.header_time = Milliseconds(50);
  options.limits.idle_time = std::chrono::hours(1);
  Running s(options, gate);
  Client never(s.port());
  EXPECT_TRUE(never.ended());
}

TEST_F(ServeLimits, SilenceBetweenRequestsIsTheIdleTime) {
  options.limits.header_time = std::chrono::hours(1);
  options.limits.idle_time = Milliseconds(50);
  Running s(options, gate);
  Client once(s.port());
  once.send(request("GET", "/healthz"));
  EXPECT_EQ(once.read().status, 200);
  EXPECT_TRUE(once.ended());
}

// One that says nothing counts beside the one that asks.
TEST_F(ServeLimits, ConnectionsCountFromTheirBeginning) {
  Running s(options, gate);
  const Client silent(s.port());
  EXPECT_TRUE(s.sees("sam2unet_connections 2"));
}

TEST_F(ServeLimits, ClientThatTakesNoAnswerIsCutOff) {
  gate->open();
  options.limits.write_time = Milliseconds(100);
  options.limits.pixels = 1 << 24;
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  for (int i = 0; i < 400; ++i) c.send(request("GET", "/openapi.json"));  // 14 MB of answers
  EXPECT_TRUE(s.sees("sam2unet_connections 1"));                          // the one that asks
}

TEST_F(ServeLimits, Pixels) {
  gate->open();
  options.limits.pixels = 100;
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", png(10, 10)).status, 200);
  const Answer a = s.ask("POST", "/v1/segment", "", png(10, 11));
  EXPECT_EQ(a.status, 413);
  EXPECT_THAT(a.body, HasSubstr("more than the 100 allowed"));
  EXPECT_THAT(a.body, HasSubstr("--max-pixels"));
}

TEST_F(ServeLimits, Parts) {
  gate->open();
  options.limits.parts = 2;
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/v1/segment", form_header(), form({{"a.png", png()}, {"b.png", png()}})).status,
            200);
  const Answer a = s.ask("POST", "/v1/segment", form_header(),
                         form({{"a.png", png()}, {"b.png", png()}, {"c.png", png()}}));
  EXPECT_EQ(a.status, 413);
  EXPECT_THAT(a.body, HasSubstr("--max-parts"));
}

TEST_F(ServeLimits, AnswerOfSeveralFiles) {
  gate->open();
  options.limits.answer = 150;  // one map of 8 x 6 fits, two do not
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment", form_header(),
                         form({{"a.png", png()}, {"b.png", png()}, {"c.png", png()}}));
  EXPECT_EQ(a.status, 200);
  EXPECT_THAT(a.body, HasSubstr("--max-answer"));
}

TEST_F(ServeLimits, RequestsOfAConnection) {
  options.limits.requests = 2;
  Running s(options, gate);
  Client c(s.port());
  c.send(request("GET", "/healthz"));
  EXPECT_EQ(c.read().header("connection"), "");
  c.send(request("GET", "/healthz"));
  EXPECT_EQ(c.read().header("connection"), "close");
  EXPECT_TRUE(c.ended());
}

TEST_F(ServeLimits, ConnectionsMakeRoomByTheirIdleOnes) {
  options.limits.connections = 3;
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> idle;
  for (int i = 0; i < 3; ++i) idle.emplace_back(s.port());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(s.ask("GET", "/healthz").status, 200);
  EXPECT_TRUE(idle.front().ended());
}

TEST_F(ServeLimits, ConnectionsThatAllWorkAreAllThereAre) {
  options = half_options(gate, 2);
  options.limits.connections = 2;
  options.batch_delay = Milliseconds(20'000);  // both stand at the gate together, or none
  Running s(options, gate);
  s.wait_for("ready");
  Client a(s.port()), b(s.port());
  a.send(request("POST", "/v1/segment", "", png()));
  b.send(request("POST", "/v1/segment", "", png()));
  gate->wait_for(1);
  const Answer refused = Client(s.port()).read();
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("--max-connections"));
  gate->open();
  EXPECT_EQ(a.read().status, 200);
  EXPECT_EQ(b.read().status, 200);
}

TEST_F(ServeLimits, BytesInFlight) {
  options.limits.in_flight = 5000;
  options.limits.upload = 5000;
  Running s(options, gate);
  s.wait_for("ready");
  Client first(s.port());
  const std::string body(4500, 'x');
  first.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4600\r\n\r\n" + body);
  ASSERT_TRUE(s.sees("sam2unet_in_flight_bytes 4500"));
  const Answer a = s.ask("POST", "/v1/segment", "", std::string(1000, 'x'));
  EXPECT_EQ(a.status, 429);
  EXPECT_THAT(a.body, HasSubstr("--max-in-flight"));
  EXPECT_NE(a.header("retry-after"), "");
  first.close();
  EXPECT_TRUE(s.sees("sam2unet_in_flight_bytes 0"));
}

TEST_F(ServeLimits, CompressedBodyThatIsTooLargeInside) {
  options.limits.upload = 100'000;
  Running s(options, gate);
  s.wait_for("ready");
  // 10 MB of zeros in gzip, made by zlib; the header and one long run.
  const auto bomb = [] {
    std::string out;
    FILE* p = ::popen("head -c 10000000 /dev/zero | gzip -c", "r");
    char buffer[4096];
    for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, p)) > 0;) out.append(buffer, n);
    ::pclose(p);
    return out;
  }();
  ASSERT_LT(bomb.size(), 100'000U);
  const Answer a = s.ask("POST", "/v1/segment", "Content-Encoding: gzip\r\n", bomb);
  EXPECT_EQ(a.status, 413);
  EXPECT_THAT(a.body, HasSubstr("--max-upload"));
}

TEST_F(ServeLimits, NetworkInput) {
  options.limits.side = 64;
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment?size=96", "", png());
  EXPECT_EQ(a.status, 400);
  EXPECT_THAT(a.body, HasSubstr("--max-size"));
}

// Scales are of the size that is asked for, or else of the weights' own, 352.
TEST_F(ServeLimits, ScaledNetworkInput) {
  gate->open();
  options.limits.side = 640;
  Running s(options, gate);
  s.wait_for("ready");
  for (const auto& [query, status] : {std::pair{"tta=scale=1.5", 200},
                                      {"tta=scale=2", 400},
                                      {"size=256&tta=scale=2", 200},
                                      {"size=352&tta=scale=2", 400}})
    EXPECT_EQ(s.ask("POST", std::string("/v1/segment?") + query, "", png()).status, status) << query;
}

// What is made of pictures is held too: there is room for the picture, and not for its map beside it.
TEST_F(ServeLimits, BytesOfAnswersInFlight) {
  gate->open();
  options.limits.upload = png().size();
  options.limits.in_flight = png().size() + 20;
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment", "", png());
  EXPECT_EQ(a.status, 429);
  EXPECT_THAT(a.body, HasSubstr("too many bytes are held by requests (--max-in-flight); try again later"));
  EXPECT_EQ(a.header("retry-after"), "1");
  EXPECT_TRUE(s.sees("sam2unet_in_flight_bytes 0"));
  EXPECT_TRUE(s.sees("sam2unet_refusals_total{reason=\"memory_full\"} 1"));
}

TEST_F(ServeLimits, PixelsOfWhatIsToBeCutOut) {
  gate->open();
  options.limits.pixels = 100;
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), form({{"cat.png", png(10, 10)}})).status, 200);
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), form({{"cat.png", png(10, 11)}})).status, 413);
}

}  // namespace
}  // namespace sam2unet::test
