// Who may ask.
#include <gmock/gmock.h>

#include <fstream>

#include "running.h"
#include "serve/guard.h"
#include "support/temp_dir.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

class ServeAccess : public testing::Test {
 protected:
  ServeAccess() { gate->open(); }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);

  int status(Running& s, const std::string& headers, const std::string& path = "/v1/models") {
    Client c(s.port());
    c.send("GET " + path + " HTTP/1.1\r\n" + headers + "\r\n");
    return c.read().status;
  }
};

TEST_F(ServeAccess, HostMustBeOnesOwn) {
  options.hosts = {"seg.example.org"};
  Running s(options, gate);
  s.wait_for("ready");
  for (const char* good : {"localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:9", "192.168.1.5",
                           "seg.example.org", "seg.example.org.:80", "app.localhost"})
    EXPECT_EQ(status(s, std::string("Host: ") + good + "\r\n"), 200) << good;
  for (const char* bad : {"evil.example", "localhost.evil.example", "notlocalhost", "", "a b", "[::1",
                          "127.0.0.1.evil.example", "localhost:x"})
    EXPECT_EQ(status(s, std::string("Host: ") + bad + "\r\n"), 403) << bad;
  EXPECT_EQ(status(s, ""), 400);
  EXPECT_EQ(status(s, "Host: localhost\r\nHost: localhost\r\n"), 400);
}

TEST_F(ServeAccess, PagesOfOthersMayNot) {
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(status(s, "Host: localhost:80\r\nOrigin: http://localhost\r\n"), 200);
  EXPECT_EQ(status(s, "Host: localhost:8080\r\nOrigin: http://localhost:8080\r\n"), 200);
  for (const char* bad : {"http://evil.example", "null", "", "http://localhost.evil.example",
                          "ftp://localhost:8080", "http://localhost:8081"})
    EXPECT_EQ(status(s, std::string("Host: localhost:8080\r\nOrigin: ") + bad + "\r\n"), 403) << bad;
}

TEST_F(ServeAccess, CorsOnlyWhereNamed) {
  options.cors = {"https://app.example.org"};
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("GET", "/v1/models", "Origin: https://app.example.org\r\n");
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.header("access-control-allow-origin"), "https://app.example.org");
  EXPECT_EQ(a.header("vary"), "Origin");
  const Answer preflight = s.ask(
      "OPTIONS", "/v1/segment", "Origin: https://app.example.org\r\nAccess-Control-Request-Method: POST\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.header("access-control-allow-methods"), HasSubstr("POST"));
  EXPECT_EQ(s.ask("OPTIONS", "/v1/segment", "Origin: https://other.example.org\r\n").status, 403);
  EXPECT_EQ(s.ask("GET", "/v1/models").header("access-control-allow-origin"), "");
}

TEST_F(ServeAccess, TokenIsNeededWhereThereIsOne) {
  const TempDir dir;
  const auto file = dir.path() / "token";
  std::ofstream(file) << "0123456789abcdef0123\nsecond line\n";
  options.token_file = file;
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("GET", "/v1/models");
  EXPECT_EQ(a.status, 401);
  EXPECT_EQ(a.header("www-authenticate"), "Bearer");
  for (const char* bad : {"Bearer", "Bearer ", "Bearer x", "Bearer 0123456789abcdef012",
                          "Bearer 0123456789abcdef01233", "Basic 0123456789abcdef0123",
                          "0123456789abcdef0123", "Bearer 0123456789abcdef01230123456789abcdef0123"})
    EXPECT_EQ(s.ask("GET", "/v1/models", std::string("Authorization: ") + bad + "\r\n").status, 401) << bad;
  EXPECT_EQ(s.ask("GET", "/v1/models", "Authorization: bearer 0123456789abcdef0123\r\n").status, 200);
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", png()).status, 401);
  EXPECT_EQ(s.ask("GET", "/metrics").status, 401);
  for (const char* open : {"/", "/healthz", "/readyz", "/v2/health/live"})
    EXPECT_EQ(s.ask("GET", open).status, 200) << open;
  std::ofstream(file) << "another token 16 no\n";
  s.server().reload();  // spaces: refused, and the old one stays
  s.wait_for("not loaded again");
  EXPECT_EQ(s.ask("GET", "/v1/models", "Authorization: Bearer 0123456789abcdef0123\r\n").status, 200);
  std::ofstream(file) << "fedcba9876543210\n";
  s.server().reload();
  s.wait_for("loaded again");
  EXPECT_EQ(s.ask("GET", "/v1/models", "Authorization: Bearer fedcba9876543210\r\n").status, 200);
}

TEST_F(ServeAccess, TokensThatAreNoneAreRefusedAtTheStart) {
  const TempDir dir;
  options.token_file = dir.path() / "token";
  EXPECT_THROW(serve::Server{options}, FileError);
  std::ofstream(options.token_file) << "short\n";
  EXPECT_THROW(serve::Server{options}, UsageError);
}

TEST_F(ServeAccess, TokensOfJustTheLimitAndOfWindowsLines) {
  const TempDir dir;
  options.token_file = dir.path() / "token";
  const auto take = [&](const std::string& text) {
    std::ofstream(options.token_file, std::ios::binary | std::ios::trunc) << text;
    return serve::Guard(options);
  };
  const auto is_asked = [](const serve::Guard& guard, const std::string& token) {
    serve::Headers h;
    h.add("Authorization", "Bearer " + token);
    guard.check_token(h);
  };
  is_asked(take("0123456789abcdef\r\nsecond\r\n"), "0123456789abcdef");
  const std::string longest(4096, 't');
  is_asked(take(longest + "\n"), longest);
  is_asked(take(" \t" + std::string(20, 't') + " \n"), std::string(20, 't'));
  EXPECT_THROW(take(longest + "t"), UsageError);
  EXPECT_THROW(take(std::string(15, 't')), UsageError);
}

// The service's own host is a name it is called by; * is any, but there must be one.
TEST_F(ServeAccess, NamesOfTheServiceItself) {
  const auto answers = [&](const std::string& host, const std::string& origin = "") {
    serve::Headers h;
    h.add("Host", host);
    if (!origin.empty()) h.add("Origin", origin);
    try {
      serve::Guard(options).check_origin(h);
      return true;
    } catch (const serve::Refused& e) {
      EXPECT_EQ(e.status(), 403);
      return false;
    }
  };
  options.host = "Box.Example";
  EXPECT_TRUE(answers("box.example:8080"));
  EXPECT_FALSE(answers("other.example"));
  options.hosts = {"Seg.Example.", "third.example"};
  EXPECT_TRUE(answers("seg.example"));
  EXPECT_TRUE(answers("third.example"));
  options.hosts = {"*"};
  EXPECT_TRUE(answers("other.example"));
  // A default port says nothing, on either side.
  EXPECT_TRUE(answers("box.example", "https://box.example:443"));
  EXPECT_TRUE(answers("box.example:443", "https://Box.Example"));
  EXPECT_TRUE(answers("box.example:80", "http://box.example"));
  EXPECT_FALSE(answers("box.example", "https://box.example:8443"));
  options.cors = {"https://a.example", "https://App.Example"};
  EXPECT_TRUE(answers("box.example", "https://app.example"));
  EXPECT_TRUE(answers("box.example", "https://A.Example"));  // hosts have no case
  EXPECT_FALSE(answers("box.example", "http://app.example"));
}

TEST_F(ServeAccess, AnswersCarrySecurityHeaders) {
  Running s(options, gate);
  for (const char* path : {"/", "/healthz", "/nothing"}) {
    const Answer a = s.ask("GET", path);
    EXPECT_EQ(a.header("x-content-type-options"), "nosniff");
    EXPECT_EQ(a.header("x-frame-options"), "DENY");
    EXPECT_EQ(a.header("referrer-policy"), "no-referrer");
    EXPECT_EQ(a.header("cross-origin-resource-policy"), "same-origin");
    EXPECT_NE(a.header("content-security-policy"), "");
    EXPECT_NE(a.header("x-request-id"), "");
  }
}

TEST_F(ServeAccess, NothingOfTheMachineIsInAnAnswer) {
  struct Failing final : serve::Network {
    SegmenterInfo i;
    const SegmenterInfo& info() const override { return i; }
    std::shared_ptr<const ClassTable> classes() const override { return nullptr; }
    std::vector<Segmentation> segment(std::span<const ImageView>, const SegmentOptions&) const override {
      throw std::runtime_error("/secret/path is broken");
    }
    std::vector<float> forward(std::span<const float>, int, const InputSize&) const override { return {}; }
  };
  options.open = [](const serve::ModelFile&) { return std::make_unique<Failing>(); };
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment", "", png());
  EXPECT_EQ(a.status, 500);
  EXPECT_THAT(a.body, testing::Not(HasSubstr("secret")));
  EXPECT_THAT(s.said(), HasSubstr("/secret/path is broken"));  // its owner is told
}

TEST_F(ServeAccess, SecretsAreComparedWhole) {
  EXPECT_TRUE(serve::equal_secrets("abc", "abc"));
  for (const char* other : {"", "a", "abd", "abcabc", "ab"}) EXPECT_FALSE(serve::equal_secrets(other, "abc"));
  EXPECT_FALSE(serve::equal_secrets("", ""));
}

}  // namespace
}  // namespace sam2unet::test
