// `sam2unet serve` as a user starts it: every option reaches the service.
#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "running.h"
#include "started.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using Json = nlohmann::json;

class ServeCommand : public testing::Test {
 protected:
  ServeCommand() { write_tiny_weights(dir / "tiny.safetensors"); }
  Answer ask(std::uint16_t port, std::string_view method, std::string_view target,
             std::string_view headers = "", std::string_view body = "") {
    Client c(port);
    c.send(request(method, target, headers, body));
    return c.read(method == "HEAD");
  }
  int code(std::vector<std::string> arguments) {
    // A file that is not there ends it where the options are taken.
    arguments.insert(arguments.begin(), {"serve", "--port", "0", "-w", "a=/nowhere/x.safetensors"});
    return run(program("sam2unet"), arguments).exit_code;
  }
  TempDir dir;
};

TEST_F(ServeCommand, LimitsReachTheService) {
  Started s(dir.path(), {"-w",
                         "small=tiny.safetensors",
                         "--max-upload",
                         "2K",
                         "--max-pixels",
                         "100",
                         "--max-size",
                         "64",
                         "--max-parts",
                         "2",
                         "--max-in-flight",
                         "1M",
                         "--max-requests",
                         "2",
                         "--max-header",
                         "2000",
                         "--header-timeout",
                         "50ms",
                         "--body-timeout",
                         "0.06s",
                         "--idle-timeout",
                         "70ms",
                         "--queue",
                         "7",
                         "--access-log",
                         "off",
                         "-j",
                         "1"});
  const std::uint16_t port = s.port();
  const Json models = Json::parse(ask(port, "GET", "/v1/models").body);
  EXPECT_EQ(models.at("limits"), Json({{"upload_bytes", 2048}, {"pixels", 100}, {"files", 2}, {"size", 64}}));
  EXPECT_EQ(models.at("models").at(0).at("name"), "small");
  EXPECT_THAT(
      ask(port, "GET", "/metrics").body,
      AllOf(HasSubstr("sam2unet_queue_limit 7\n"), HasSubstr("sam2unet_in_flight_limit_bytes 1048576\n")));
  EXPECT_THAT(ask(port, "GET", "/", "X: " + std::string(3000, 'x') + "\r\n").body, HasSubstr("2000 bytes"));
  Client header(port);
  header.send("GET / HTTP/1.1\r\n");
  EXPECT_THAT(header.read().body, HasSubstr("0.05 s (--header-timeout)"));
  Client body(port);
  body.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_THAT(body.read().body, HasSubstr("0.06 s (--body-timeout)"));
  Client idle(port);
  idle.send(request("GET", "/healthz"));
  EXPECT_EQ(idle.read().header("connection"), "");
  EXPECT_TRUE(idle.ended());  // or this test takes 75 s
  Client two(port);
  two.send(request("GET", "/healthz") + request("GET", "/healthz"));
  EXPECT_EQ(two.read().header("connection"), "");
  EXPECT_EQ(two.read().header("connection"), "close");
  EXPECT_EQ(s.end(), 0);
}

// More answers than a connection holds, of which none is read.
TEST_F(ServeCommand, WhoTakesNoAnswerIsCutOffAsTold) {
  Started s(dir.path(),
            {"-w", "tiny.safetensors", "--write-timeout", "100ms", "--access-log", "off", "-j", "1"});
  const std::uint16_t port = s.port();
  Client silent(port);
  for (int i = 0; i < 400; ++i) silent.send(request("GET", "/openapi.json"));
  const auto is_alone = [&] {
    return ask(port, "GET", "/metrics").body.find("sam2unet_connections 1\n") != std::string::npos;
  };
  bool alone = false;
  for (int i = 0; i < 1000 && !alone; ++i) {  // long before what is usual, two minutes
    alone = is_alone();
    if (!alone) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(alone);
  EXPECT_EQ(s.end(), 0);
}

TEST_F(ServeCommand, WhoMayAskIsAsTold) {
  std::ofstream(dir / "token") << "0123456789abcdef\n";
  Started s(dir.path(),
            {"-w", "tiny.safetensors", "--token-file", "token", "--cors", "https://app.example.org",
             "--allow-host", "seg.example.org", "--rembg-alias", "--access-log", "log.jsonl", "--max-answer",
             "1", "--batch", "2", "--batch-delay", "20s"});
  const std::uint16_t port = s.port();
  const std::string token = "Authorization: Bearer 0123456789abcdef\r\n";
  EXPECT_EQ(ask(port, "GET", "/v1/models").status, 401);
  EXPECT_EQ(ask(port, "GET", "/v1/models", token).status, 200);
  EXPECT_EQ(ask(port, "GET", "/healthz", "Origin: https://app.example.org\r\n")
                .header("access-control-allow-origin"),
            "https://app.example.org");
  Client named(port);
  named.send("GET /healthz HTTP/1.1\r\nHost: seg.example.org\r\n\r\n");
  EXPECT_EQ(named.read().status, 200);
  // A batch is full with two, and waits for the second.
  Client a(port), b(port);
  a.send(request("POST", "/api/remove?model=u2net", token + form_header(), form({{"a.png", png()}})));
  b.send(request("POST", "/v1/segment", token, png()));
  EXPECT_EQ(a.read().status, 200);
  EXPECT_EQ(b.read().status, 200);
  EXPECT_THAT(ask(port, "GET", "/metrics", token).body, HasSubstr("sam2unet_batches_total 1\n"));
  EXPECT_THAT(
      ask(port, "POST", "/v1/segment", token + form_header(), form({{"a.png", png()}, {"b.png", png()}}))
          .body,
      HasSubstr("1 bytes (--max-answer)"));
  EXPECT_EQ(s.end(), 0);
  std::ifstream log(dir / "log.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(log, line));
  EXPECT_TRUE(Json::parse(line).contains("status"));
}

TEST_F(ServeCommand, UnitsAndTheirBounds) {
  for (const std::vector<std::string>& good :
       std::vector<std::vector<std::string>>{{"--max-header", "1K"},
                                             {"--max-header", "1M"},
                                             {"--max-header", "1024"},
                                             {"--max-upload", "512M"},
                                             {"--max-upload", "0.5G"},
                                             {"--max-upload", "524288KiB"},
                                             {"--max-upload", "536870912B"},
                                             {"--deadline", "1440m"},
                                             {"--deadline", "86400"},
                                             {"--deadline", "86400s"},
                                             {"--deadline", "86400000ms"},
                                             {"--max-pixels", "268435456"},
                                             {"--cors", "https://example.org:8443"}})
    EXPECT_EQ(code(good), 1) << good[0] << " " << good[1];
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{"--max-header", "1023"},
                                             {"--max-header", "1025K"},
                                             {"--max-upload", "513M"},  // --max-in-flight is 512M
                                             {"--max-upload", "0"},
                                             {"--max-upload", "1T"},
                                             {"--max-upload", "1e3"},
                                             {"--max-upload", "M"},
                                             {"--deadline", "1441m"},
                                             {"--deadline", "86401"},
                                             {"--deadline", "25h"},
                                             {"--idle-timeout", "x"},
                                             {"--max-pixels", "0"},
                                             {"--queue", "0"},
                                             {"--batch", "257"},
                                             {"--cors", "https://example.org/"},
                                             {"--cors", "example.org"}})
    EXPECT_EQ(code(bad), 2) << bad[0] << " " << bad[1];
}

}  // namespace
}  // namespace sam2unet::test
