// The service as a process: its signals, its defaults, and TLS.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "running.h"
#include "started.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class ServeStarted : public testing::Test {
 protected:
  void tiny() { write_tiny_weights(dir / "tiny.safetensors"); }
  TempDir dir;
};

TEST_F(ServeStarted, SignalsLoadAgainAndEndIt) {
  tiny();
  Started s(dir.path(), {"-w", "tiny.safetensors", "--access-log", "off", "-j", "1", "--precision", "bf16"});
  const std::uint16_t port = s.port();
  s.signal(SIGHUP);
  EXPECT_TRUE(s.says("loaded again"));
  Client c(port);
  c.send(request("GET", "/v1/models"));
  const auto models = nlohmann::json::parse(c.read().body).at("models");
  EXPECT_EQ(models.at(0).at("name"), "sam2unet");
  EXPECT_EQ(models.at(0).at("version"), 2);
  EXPECT_EQ(models.at(0).at("precision"), "bf16");
  s.signal(SIGINT);
  EXPECT_TRUE(s.says("shutting down: finishing what runs"));
  EXPECT_EQ(s.wait(), 0);
  EXPECT_EQ(fs::file_size(dir / "stdout"), 0U);
}

// Unless it is told otherwise, a line for each request goes to standard output, at once.
TEST_F(ServeStarted, ItsLogIsStandardOutput) {
  tiny();
  Started s(dir.path(), {"-w", "tiny.safetensors", "-j", "1"});
  Client c(s.port());
  c.send(request("GET", "/healthz") + request("GET", "/nothing"));
  EXPECT_EQ(c.read().status, 200);
  EXPECT_EQ(c.read().status, 404);
  EXPECT_EQ(s.end(), 0);
  std::ifstream in(dir / "stdout");
  std::vector<std::string> paths;
  for (std::string line; std::getline(in, line);) paths.push_back(nlohmann::json::parse(line).at("path"));
  EXPECT_THAT(paths, testing::ElementsAre("/healthz", "/nothing"));
}

// Where the system allows no more open files, connections on which nothing happens make room, the oldest
// first.
TEST_F(ServeStarted, IdleConnectionsMakeRoomForNewOnes) {
  tiny();
  Started s(dir.path(), {"-w", "tiny.safetensors", "--access-log", "off", "-j", "1"}, 48);
  const std::uint16_t port = s.port();
  EXPECT_THAT(s.said(), HasSubstr("warning: the system allows 48 open files, fewer than "));
  std::vector<Client> clients;
  const auto has_first_ended = [&] { return !clients.empty() && clients.front().is_readable(0); };
  while (clients.size() < 48 && !has_first_ended()) {
    clients.emplace_back(port);
    clients.back().send(request("GET", "/healthz"));
    ASSERT_EQ(clients.back().read().status, 200) << clients.size();
  }
  ASSERT_TRUE(has_first_ended());
  EXPECT_TRUE(clients.front().ended());
  EXPECT_FALSE(clients.at(1).is_readable(0));
}

// The second one does not wait for the request that is under way.
TEST_F(ServeStarted, ASecondSignalEndsItAtOnce) {
  tiny();
  Started s(dir.path(), {"-w", "tiny.safetensors", "--access-log", "off", "-j", "1", "--drain-timeout",
                         "1440m", "--body-timeout", "1440m"});
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(c.take(25), HasSubstr("100"));
  s.signal(SIGTERM);
  EXPECT_TRUE(s.says("shutting down"));
  s.signal(SIGTERM);
  EXPECT_EQ(s.wait(), 0);
  EXPECT_THAT(s.said(), Not(HasSubstr("cut off")));
}

TEST_F(ServeStarted, DrainingIsCutOffAfterItsTime) {
  tiny();
  Started s(dir.path(),
            {"-w", "tiny.safetensors", "--access-log", "off", "-j", "1", "--drain-timeout", "50ms"});
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(c.take(25), HasSubstr("100"));
  s.signal(SIGTERM);
  EXPECT_TRUE(s.says("the time to finish is over; requests are cut off (--drain-timeout)"));
  EXPECT_EQ(s.wait(), 0);
}

// The documentation's table is what the program says, and what a service has that is told nothing.
TEST_F(ServeStarted, DefaultsAreThoseOfTheDocumentation) {
  const std::string help = run(program("sam2unet"), {"serve", "--help"}).out;
  const auto default_of = [&](const std::string& option) {
    std::smatch m;
    const std::regex line("\n *(?:-[a-z], *)?" + option + " [A-Z]+(?:=| \\[)([^ \\]]+)");
    return std::regex_search(help, m, line) ? m[1].str() : std::string();
  };
  std::ifstream in(fs::path(S2U_SOURCE_DIR) / "docs" / "service.md");
  std::size_t rows = 0;
  const std::regex row(R"(\| (`--[^|]*`) \| ([^|]+) \|.*)"), name("`(--[a-z-]+)`"), value("[^, ]+");
  for (std::string line; std::getline(in, line);) {
    std::smatch m;
    if (!std::regex_match(line, m, row)) continue;
    const std::string names = m[1], values = m[2];
    std::sregex_iterator n(names.begin(), names.end(), name), v(values.begin(), values.end(), value);
    for (; n != std::sregex_iterator(); ++n, ++v, ++rows) {
      ASSERT_NE(v, std::sregex_iterator()) << line;
      EXPECT_EQ(default_of((*n)[1]), v->str()) << (*n)[1];
    }
  }
  EXPECT_EQ(rows, 16U);
  for (const auto& [option, usual] : {std::pair{"--host", "127.0.0.1"},
                                      {"--port", "8080"},
                                      {"--batch", "0"},
                                      {"--batch-delay", "5ms"},
                                      {"--access-log", "-"}})
    EXPECT_EQ(default_of(option), usual);
  const serve::Options o;
  const serve::Limits& l = o.limits;
  EXPECT_EQ(l.connections, 1024U);
  EXPECT_EQ(l.header, 16384U);
  EXPECT_EQ(l.upload, 33554432U);
  EXPECT_EQ(l.parts, 1000U);
  EXPECT_EQ(l.pixels, 67108864);
  EXPECT_EQ(l.side, 2048);
  EXPECT_EQ(l.in_flight, 536870912U);
  EXPECT_EQ(l.answer, 268435456U);
  EXPECT_EQ(l.requests, 10000U);
  EXPECT_EQ(l.header_time, std::chrono::seconds(10));
  EXPECT_EQ(l.body_time, std::chrono::minutes(2));
  EXPECT_EQ(l.write_time, std::chrono::minutes(2));
  EXPECT_EQ(l.idle_time, std::chrono::seconds(75));
  EXPECT_EQ(o.host, "127.0.0.1");
  EXPECT_EQ(o.port, 8080);
  EXPECT_EQ(o.queue, 64U);
  EXPECT_EQ(o.batch, 0);
  EXPECT_EQ(o.batch_delay, std::chrono::milliseconds(5));
  EXPECT_EQ(o.workers, 0);
  EXPECT_EQ(o.deadline, std::chrono::seconds(30));
  EXPECT_EQ(o.drain_time, std::chrono::seconds(30));
  EXPECT_FALSE(o.rembg_alias);
  EXPECT_FALSE(o.handle_signals);
}

// A file that is not there ends it (1) where the options are taken; what is no value is a wrong use (2).
TEST_F(ServeStarted, WholeNumbersHaveBounds) {
  const auto code = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"serve", "--port", "0", "-w", "a=/nowhere/x.safetensors"});
    return run(program("sam2unet"), arguments).exit_code;
  };
  struct Bounds {
    const char *option, *least, *below, *most, *above;
  };
  std::vector<std::string> least, most;
  for (const Bounds& b : {Bounds{"--max-pixels", "1", "0", "268435456", "268435457"},
                          {"--max-size", "32", "31", "8192", "8193"},
                          {"--max-parts", "1", "0", "100000", "100001"},
                          {"--max-connections", "1", "0", "1000000", "1000001"},
                          {"--max-requests", "1", "0", "1000000000", "1000000001"},
                          {"--queue", "1", "0", "1000000", "1000001"},
                          {"--batch", "0", "-1", "256", "257"},
                          {"-j", "0", "-1", "1024", "1025"}}) {
    least.insert(least.end(), {b.option, b.least});
    most.insert(most.end(), {b.option, b.most});
    EXPECT_EQ(code({b.option, b.below}), 2) << b.option;
    EXPECT_EQ(code({b.option, b.above}), 2) << b.option;
  }
  EXPECT_EQ(code(least), 1);
  EXPECT_EQ(code(most), 1);
  EXPECT_EQ(code({"--port", "65536"}), 2);
}

TEST_F(ServeStarted, WhatDoesNotGoTogetherIsSaid) {
  const auto err = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"serve", "--port", "0", "-w", "a=/nowhere/x.safetensors"});
    return run(program("sam2unet"), arguments).err;
  };
  EXPECT_THAT(err({"--max-header", "1023"}), HasSubstr("--max-header must be from 1K to 1M"));
  EXPECT_THAT(err({"--max-upload", "2M", "--max-in-flight", "1M"}),
              HasSubstr("--max-in-flight must be at least --max-upload: no body would ever fit"));
  EXPECT_THAT(err({"--max-upload", "1M", "--max-in-flight", "1M"}),
              HasSubstr("listening on http://127.0.0.1:"));
  EXPECT_THAT(err({"--tls-key", "k"}), HasSubstr("--tls-cert and --tls-key belong together"));
  EXPECT_THAT(err({"--cors", "https://"}), Not(HasSubstr("--cors")));
  for (const char* bad : {"*", "ftp://a", "https://a/b", "http://a/"})
    EXPECT_THAT(err({"--cors", bad}),
                HasSubstr(std::string("--cors ") + bad + ": an origin is a scheme and a host"));
  EXPECT_THAT(err({"--cors", "http://a", "--cors", "https://b:1"}), Not(HasSubstr("origin is")));
  EXPECT_THAT(run(program("sam2unet"), {"serve", "--port", "0", "-w", "=/nowhere/x.pth", "-w", "n=a=b"}).err,
              HasSubstr("/nowhere/x.pth"));
}

// As many connections as are asked for, and 128 files beside them.
TEST_F(ServeStarted, FewOpenFilesAreWarnedOf) {
  const auto err = [&](const std::string& limit, const std::string& connections) {
    return run("/bin/sh",
               {"-c", "ulimit -n " + limit + " && exec \"$0\" \"$@\"", program("sam2unet").string(), "serve",
                "--port", "0", "-w", "a=/nowhere/x.safetensors", "--max-connections", connections})
        .err;
  };
  EXPECT_THAT(
      err("200", "73"),
      HasSubstr("warning: the system allows 200 open files, fewer than 201 connections need; `ulimit -n` "
                "raises it"));
  EXPECT_THAT(err("200", "72"), Not(HasSubstr("warning")));
  // A soft limit is raised as far as is needed.
  const auto raised =
      run("/bin/sh", {"-c", "ulimit -Sn 100 && exec \"$0\" \"$@\"", program("sam2unet").string(), "serve",
                      "--port", "0", "-w", "a=/nowhere/x.safetensors", "--max-connections", "72"});
  EXPECT_THAT(raised.err, Not(HasSubstr("warning")));
  EXPECT_THAT(raised.err, HasSubstr("listening on"));
}

TEST_F(ServeStarted, AddressesOfIpv6StandInBrackets) {
  const auto f =
      run(program("sam2unet"), {"serve", "--port", "0", "--host", "::1", "-w", "a=/nowhere/x.safetensors"});
  if (f.err.find("cannot listen") != std::string::npos) GTEST_SKIP() << "no IPv6 here";
  EXPECT_THAT(f.err, HasSubstr("listening on http://[::1]:"));
  EXPECT_THAT(f.err, Not(HasSubstr("warning")));
}

// --- TLS, as another program speaks it

class ServeTls : public ServeStarted {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b"}) {
      const Finished made =
          sh(std::string("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                         "-days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout ") +
             name + ".key -out " + name + ".pem");
      if (made.exit_code != 0) GTEST_SKIP() << "no program openssl that makes certificates: " << made.err;
    }
    if (serve({"--tls-cert", "a.pem", "--tls-key", "a.key"}).find("built without OpenSSL") !=
        std::string::npos)
      GTEST_SKIP() << "built without OpenSSL";
  }
  Finished sh(const std::string& line) { return run("/bin/sh", {"-c", line}, {.folder = dir.path()}); }
  std::string serve(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"serve", "--port", "0", "-w", "a=/nowhere/x.safetensors"});
    return run(program("sam2unet"), arguments, {.folder = dir.path()}).err;
  }
};

TEST_F(ServeTls, AnswersAreEncrypted) {
  tiny();
  Started s(dir.path(), {"-w", "tiny.safetensors", "--access-log", "off", "-j", "1", "--tls-cert", "a.pem",
                         "--tls-key", "a.key", "--max-header", "2K"});
  const std::string port = std::to_string(s.port());
  EXPECT_THAT(s.said(), HasSubstr("listening on https://127.0.0.1:"));
  const auto ask = [&](const std::string& sent, const std::string& options) {
    std::ofstream(dir / "request", std::ios::binary | std::ios::trunc) << sent;
    return sh("(cat request; sleep 0.3) | openssl s_client -quiet -connect 127.0.0.1:" + port +
              " -verify_return_error -CAfile a.pem -verify_hostname localhost " + options);
  };
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const Finished f = ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", version);
    EXPECT_THAT(f.out, testing::StartsWith("HTTP/1.1 200 OK\r\n")) << f.err;
    EXPECT_THAT(f.out, testing::EndsWith("\r\n\r\nalive\n"));
  }
  const Finished long_header = ask("GET / HTTP/1.1\r\nX: " + std::string(3000, 'x') + "\r\n\r\n", "");
  EXPECT_THAT(long_header.out, testing::StartsWith("HTTP/1.1 431 "));
  // Whoever speaks plain HTTP gets nothing that could be taken for an answer.
  Client plain(static_cast<std::uint16_t>(std::stoi(port)));
  plain.send(request("GET", "/healthz"));
  EXPECT_EQ(plain.read().status, 0);
  EXPECT_EQ(s.end(), 0);
}

TEST_F(ServeTls, FilesThatAreNoneAreTold) {
  EXPECT_THAT(serve({"--tls-cert", "none.pem", "--tls-key", "a.key"}),
              HasSubstr("none.pem: no certificate can be read from it: "));
  EXPECT_THAT(serve({"--tls-cert", "a.key", "--tls-key", "a.key"}),
              HasSubstr("a.key: no certificate can be read from it: "));
  for (const char* other : {"b.key", "a.pem", "none.key"})
    EXPECT_THAT(serve({"--tls-cert", "a.pem", "--tls-key", other}),
                HasSubstr(std::string(other) + ": no key of that certificate can be read from it: "));
}

}  // namespace
}  // namespace sam2unet::test
