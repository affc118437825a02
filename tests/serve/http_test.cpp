// HTTP as others speak it: versions, connections that stay or end, what each address answers and to whom.
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "results/results.h"
#include "running.h"
#include "sam2unet/classes.h"
#include "sam2unet/draw.h"
#include "sam2unet/version.h"
#include "support/message.h"
#include "support/occurrences.h"
#include "support/temp_dir.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class ServeHttp : public testing::Test {
 protected:
  ServeHttp() { gate->open(); }
  Answer raw(Running& s, const std::string& bytes, bool* ended = nullptr) {
    Client c(s.port());
    c.send(bytes);
    Answer a = c.read(bytes.starts_with("HEAD"));
    if (ended != nullptr) *ended = a.header("connection") == "close" && c.ended();
    return a;
  }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
};

// RFC 9112, 9.3: 1.1 stays unless it says otherwise, 1.0 ends unless it does.
TEST_F(ServeHttp, ConnectionsStayOrEndAsIsAsked) {
  Running s(options, gate);
  bool ended = false;
  const std::string get = "GET /healthz HTTP/1.";
  EXPECT_EQ(raw(s, get + "1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &ended).status, 200);
  EXPECT_TRUE(ended);
  EXPECT_EQ(raw(s, get + "0\r\nHost: localhost\r\n\r\n", &ended).status, 200);
  EXPECT_TRUE(ended);
  Client c(s.port());
  for (int i = 0; i < 2; ++i) {
    c.send(get + "1\r\nHost: localhost\r\n\r\n");
    const Answer a = c.read();
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.header("connection"), "");
  }
  const Answer later = raw(s, "GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n", &ended);
  EXPECT_THAT(later.status, testing::AnyOf(400, 505));  // the parser's word, where it has one
  EXPECT_TRUE(ended);
}

TEST_F(ServeHttp, WhatCannotBeReadEndsTheConnectionWithAReason) {
  Running s(options, gate);
  s.wait_for("ready");
  bool ended = false;
  const Answer coded =
      raw(s, "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", &ended);
  EXPECT_EQ(coded.status, 501);
  EXPECT_TRUE(ended);
  EXPECT_THAT(coded.body, HasSubstr("of transfer encodings chunked alone is read"));
  const Answer target = raw(s, "GET /%zz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n\r\n", &ended);
  EXPECT_EQ(target.status, 400);
  EXPECT_TRUE(ended);
  EXPECT_EQ(Json::parse(target.body),
            Json({{"error", "the request's target is malformed"}, {"request_id", "mine"}}));
  const Answer garbage = raw(s, "GARBAGE\r\n\r\n", &ended);
  EXPECT_EQ(garbage.status, 400);
  EXPECT_TRUE(ended);
  EXPECT_THAT(garbage.body, HasSubstr("the request is malformed: "));
  // A request without an id gets one of 8 bytes, also where it cannot be read.
  EXPECT_EQ(garbage.header("x-request-id").size(), 16U);
  EXPECT_EQ(garbage.header("x-request-id").find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(Json::parse(garbage.body).at("request_id"), garbage.header("x-request-id"));
  // A refusal before the body is the last answer: what follows is no request.
  EXPECT_EQ(raw(s, "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n", &ended).status,
            404);
  EXPECT_TRUE(ended);
}

TEST_F(ServeHttp, MethodsAreWordsInCapitals) {
  Running s(options, gate);
  for (const char* method : {"get", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const Answer a = raw(s, std::string(method) + " /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(a.status, 405) << method;
    EXPECT_EQ(a.header("allow"), "GET, HEAD") << method;
  }
  EXPECT_EQ(s.ask("DELETE", "/api/remove").header("allow"), "POST, GET, HEAD");
  for (const char* path :
       {"/healthz/", "/HEALTHZ", "//healthz", "/v2/models/", "/v2/models/half/", "/v2/models//infer"})
    EXPECT_EQ(s.ask("GET", path).status, 404) << path;
}

TEST_F(ServeHttp, AHeadIsItsGetWithoutABody) {
  Running s(options, gate);
  const Answer get = s.ask("GET", "/healthz");
  const Answer head = raw(s, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: head\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(get.body, "alive\n");
  EXPECT_EQ(head.header("content-length"), "6");
  EXPECT_EQ(head.header("content-type"), get.header("content-type"));
  Client two(s.port());  // nothing of a body comes before the next answer
  two.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + request("GET", "/readyz"));
  EXPECT_EQ(two.read(true).status, 200);
  EXPECT_THAT(two.read().body, testing::AnyOf("ready\n", "loading\n"));
  Json line;
  for (int i = 0; i < 1200 && line.is_null(); ++i) {
    for (const std::string& l : s.log())
      if (l.find("\"head\"") != std::string::npos) line = Json::parse(l);
    std::this_thread::sleep_for(serve::Milliseconds(5));
  }
  EXPECT_EQ(line.at("bytes_out"), 0);
  EXPECT_EQ(line.at("method"), "HEAD");
}

// RFC 9110, 10.1.1: 100 is for who waits for it, and says nothing else.
TEST_F(ServeHttp, ContinueIsOneLine) {
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  const std::string body = png();
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(c.take(25), "HTTP/1.1 100 Continue\r\n\r\n");
  c.send(body);
  EXPECT_EQ(c.read().status, 200);
  // With the body behind its header nothing is to be waited for.
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(c.take(15), "HTTP/1.1 200 OK");
}

TEST_F(ServeHttp, AnEmptyAnswerSaysNoLength) {
  options.cors = {"https://app.example.org"};
  Running s(options, gate);
  const Answer a =
      raw(s, "OPTIONS /v1/segment HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.org\r\n\r\n");
  EXPECT_EQ(a.status, 204);
  EXPECT_EQ(a.headers.count("content-length"), 0U);
  EXPECT_EQ(a.headers.count("content-type"), 0U);
  EXPECT_EQ(a.header("access-control-max-age"), "600");
}

TEST_F(ServeHttp, ABodyInChunksMeetsTheBudget) {
  options.limits.in_flight = options.limits.upload = 4000;
  Running s(options, gate);
  s.wait_for("ready");
  Client first(s.port());
  first.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3600\r\n\r\n" +
             std::string(3500, 'x'));
  ASSERT_TRUE(s.sees("sam2unet_in_flight_bytes 3500"));
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n258\r\n" +
         std::string(600, 'x') + "\r\n");
  const Answer a = c.read();
  EXPECT_EQ(a.status, 429);
  EXPECT_THAT(a.body,
              HasSubstr("requests hold nearly 4000 bytes already (--max-in-flight); try again later"));
  EXPECT_EQ(a.header("retry-after"), "1");
}

// What the listener says itself, to whom there is no connection for.
TEST_F(ServeHttp, TooManyConnectionsAreToldInWhole) {
  auto closed = std::make_shared<Gate>();
  options = half_options(closed);
  options.limits.connections = 1;
  Running s(options, closed);
  s.wait_for("ready");
  Client busy(s.port());
  busy.send(request("POST", "/v1/segment", "", png()));
  closed->wait_for(1);
  const Answer a = Client(s.port()).read();
  ASSERT_EQ(a.status, 429);
  EXPECT_EQ(Json::parse(a.body), Json({{"error", "too many connections are open (--max-connections)"}}));
  EXPECT_EQ(a.header("content-type"), "application/json");
  EXPECT_EQ(a.header("connection"), "close");
  EXPECT_EQ(a.header("retry-after"), "5");
  closed->open();
  EXPECT_EQ(busy.read().status, 200);
  EXPECT_TRUE(s.sees("sam2unet_refusals_total{reason=\"connections_full\"} 1"));
}

// --- addresses

// The document says who may ask for what: `security` of an empty list is everyone.
TEST_F(ServeHttp, EveryAddressOfTheDocumentIsThereForWhomItSays) {
  const TempDir dir;
  options.token_file = dir.path() / "token";
  std::ofstream(options.token_file) << "0123456789abcdef\n";
  options.models = {{"m", "m"}};
  Running s(options, gate);
  s.wait_for("ready");
  const Answer described = s.ask("GET", "/openapi.json");
  EXPECT_EQ(described.header("content-type"), "application/json");
  const Json document = Json::parse(described.body);
  std::size_t open = 0, closed = 0;
  for (const auto& [path, methods] : document.at("paths").items()) {
    std::string target = path;
    for (const auto& [name, value] : {std::pair{"{model}", "m"}, {"{version}", "1"}})
      if (const auto at = target.find(name); at != std::string::npos)
        target.replace(at, std::strlen(name), value);
    for (const auto& [method, operation] : methods.items()) {
      if (method == "parameters") continue;
      const std::string word = method == "get" ? "GET" : "POST";
      const bool is_open = operation.contains("security") && operation.at("security").empty();
      (is_open ? open : closed) += 1;
      const Answer a = s.ask(word, target);
      EXPECT_EQ(a.status == 401, !is_open) << word << " " << path;
      if (!is_open) {
        EXPECT_EQ(a.header("www-authenticate"), "Bearer");
        const bool is_detail = path == "/api/remove";
        EXPECT_EQ(Json::parse(a.body).at(is_detail ? "detail" : "error"),
                  "a token is needed: Authorization: Bearer TOKEN");
      }
      const Answer b = s.ask(word, target, "Authorization: Bearer 0123456789abcdef\r\n");
      EXPECT_TRUE(operation.at("responses").contains(std::to_string(b.status))) << b.status << " " << path;
      if (word == "GET" && path != "/api/remove") {
        EXPECT_EQ(b.status, 200) << path;
      }
      EXPECT_EQ(s.ask("DELETE", target).status, 405) << path;
    }
  }
  EXPECT_EQ(open, 6U);
  EXPECT_EQ(closed, 17U);
}

TEST_F(ServeHttp, PlainAnswersAndTheirTypes) {
  const auto hold = hold_back(options, gate);
  Running s(options, gate);
  hold->wait_for(1);
  const std::string plain = "text/plain; charset=utf-8";
  const auto answer = [&](const std::string& path) {
    const Answer a = s.ask("GET", path);
    return std::to_string(a.status) + " " + a.header("content-type") + " " + a.body;
  };
  EXPECT_EQ(answer("/healthz"), "200 " + plain + " alive\n");
  EXPECT_EQ(answer("/readyz"), "503 " + plain + " loading\n");
  EXPECT_EQ(answer("/v2/health/live"), "200 application/json {\"live\":true}");
  EXPECT_EQ(answer("/v2/health/ready"), "503 application/json {\"ready\":false}");
  EXPECT_EQ(s.ask("GET", "/readyz").header("retry-after"), "1");
  EXPECT_THAT(answer("/v1/models"), HasSubstr("the models are being loaded"));
  EXPECT_THAT(answer("/v2/models/half-picture"), HasSubstr("the models are being loaded"));
  s.server().reload();
  EXPECT_THAT(s.said(), HasSubstr("still loading; nothing is loaded again"));
  hold->open();
  s.wait_for("ready");
  EXPECT_EQ(answer("/readyz"), "200 " + plain + " ready\n");
  EXPECT_EQ(answer("/v2/health/ready"), "200 application/json {\"ready\":true}");
  EXPECT_EQ(s.ask("GET", "/metrics").header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  Client stays(s.port());  // so that it drains until that is answered
  stays.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx");
  ASSERT_TRUE(s.sees("sam2unet_in_flight_bytes 1"));
  s.server().drain();
  s.wait_for("shutting down: finishing what runs");
  EXPECT_EQ(answer("/readyz"), "503 " + plain + " draining\n");
  EXPECT_EQ(answer("/v2/health/ready"), "503 application/json {\"ready\":false}");
  EXPECT_EQ(answer("/v2/models/half/ready"), "503 application/json {\"name\":\"half\",\"ready\":false}");
  EXPECT_EQ(s.ask("GET", "/healthz").header("connection"), "close");
  stays.send("yyyyyyyyy");
  EXPECT_EQ(stays.read().status, 415);
}

TEST_F(ServeHttp, ThePageAsksNobodyElse) {
  Running s(options, gate);
  const Answer a = s.ask("GET", "/");
  EXPECT_EQ(a.header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(a.header("permissions-policy"), "camera=(self), microphone=(), geolocation=()");
  std::string policy = a.header("content-security-policy");
  const auto at = a.body.find("nonce=\"") + 7;
  const std::string nonce = a.body.substr(at, a.body.find('"', at) - at);
  EXPECT_EQ(nonce.size(), 32U);
  for (auto i = policy.find(nonce); i != std::string::npos; i = policy.find(nonce))
    policy.replace(i, 32, "N");
  EXPECT_EQ(policy,
            "default-src 'none'; script-src 'nonce-N'; style-src 'nonce-N'; img-src 'self' blob: data:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}

// What the page shows before it asks is what would come: names, colour, cover and threshold are the
// program's.
TEST_F(ServeHttp, ThePageAgreesWithTheProgram) {
  Running s(options, gate);
  s.wait_for("ready");
  const std::string page = s.ask("GET", "/").body;
  std::string endings;
  for (const results::Save save : results::kSaves) {
    if (save == results::Save::json) continue;
    endings += (endings.empty() ? "" : ", ") + std::string(name_of(save)) + ": '" +
               std::string(ending_of(save)) + "'";
  }
  EXPECT_THAT(page, HasSubstr("const ENDINGS = { " + endings + " };"));
  const OverlayOptions overlay;
  EXPECT_THAT(page, HasSubstr("PREDICT_COLOR = '" + to_string(overlay.color) + "',"));
  EXPECT_THAT(page,
              HasSubstr("<input type=\"color\" id=\"color\" value=\"" + to_string(overlay.color) + "\">"));
  EXPECT_NEAR(std::stod(page.substr(page.find("kCover = ") + 9)), overlay.opacity, 1e-12);
  const std::size_t threshold = page.find("id=\"threshold\"");
  EXPECT_NEAR(std::stod(page.substr(page.find(" value=\"", threshold) + 8)),
              results::ResultOptions().threshold, 1e-12);
  // Whatever it asks for is there.
  std::set<std::string> addresses;
  const std::regex address("'(v1/[a-z]+)");
  for (std::sregex_iterator it(page.begin(), page.end(), address), end; it != end; ++it)
    addresses.insert((*it)[1]);
  EXPECT_THAT(addresses, testing::ElementsAre("v1/models", "v1/segment"));
  EXPECT_EQ(s.ask("GET", "/v1/models").status, 200);
  EXPECT_NE(s.ask("POST", "/v1/segment?result=map&model=half&name=a.png", "", "x").status, 404);
}

// A script that looks for a part of the page finds it, once.
TEST_F(ServeHttp, ThePagesPartsAreThere) {
  Running s(options, gate);
  const std::string page = s.ask("GET", "/").body;
  std::set<std::string> ids;
  for (const char* use :
       {R"re(\$\('([a-z-]+)'\))re", R"re( for="([a-z-]+)")re", R"re(aria-labelledby="([a-z-]+)")re"}) {
    const std::regex pattern(use);
    for (std::sregex_iterator it(page.begin(), page.end(), pattern), end; it != end; ++it)
      ids.insert((*it)[1]);
  }
  EXPECT_GT(ids.size(), 40U);
  for (const std::string& id : ids) EXPECT_EQ(occurrences(page, " id=\"" + id + "\""), 1U) << id;
  EXPECT_EQ(occurrences(page, "<script"), occurrences(page, "</script>"));
  for (const char* open :
       {"div", "section", "span", "button", "label", "ul", "dialog", "fieldset", "main", "header"}) {
    const std::regex begin("<" + std::string(open) + "[ >]");
    const auto begun =
        std::distance(std::sregex_iterator(page.begin(), page.end(), begin), std::sregex_iterator());
    EXPECT_EQ(static_cast<std::size_t>(begun), occurrences(page, "</" + std::string(open) + ">")) << open;
  }
}

TEST_F(ServeHttp, AModelSaysWhatItIs) {
  Running s(options, gate);
  s.wait_for("ready");
  const Json j = Json::parse(s.ask("GET", "/v1/models").body);
  EXPECT_EQ(j.at("version"), version());
  EXPECT_EQ(j.at("models"), Json::array({{{"name", "half"},
                                          {"version", 1},
                                          {"variant", "t"},
                                          {"device", "cpu"},
                                          {"precision", "f32"},
                                          {"size", {{"width", 352}, {"height", 352}}},
                                          {"fit", "squash"},
                                          {"channels", 1},
                                          {"classes", Json::array()}}}));
}

// --- addresses to listen on

TEST_F(ServeHttp, APortThatIsTakenIsTold) {
  Running s(options, gate);
  options.port = s.port();
  EXPECT_THAT(message_of<FileError>([&] { serve::Server second{options}; }),
              HasSubstr("cannot listen on 127.0.0.1 port " + std::to_string(s.port()) + ": "));
  options.host = "nobody.invalid";
  EXPECT_THAT(message_of<FileError>([&] { serve::Server third{options}; }),
              HasSubstr("cannot listen on nobody.invalid: "));
}

// An IPv4 client of a socket for all is known by its own address.
TEST_F(ServeHttp, AddressesOfBothVersions) {
  options.host = "::";
  std::unique_ptr<Running> s;
  try {
    s = std::make_unique<Running>(options, gate);
  } catch (const FileError& e) {
    GTEST_SKIP() << "no IPv6: " << e.what();
  }
  std::unique_ptr<Client> c;
  try {
    c = std::make_unique<Client>(s->port());
  } catch (const std::exception&) {
    GTEST_SKIP() << "IPv6 sockets take no IPv4 here";
  }
  c->send(request("GET", "/healthz"));
  EXPECT_EQ(c->read().status, 200);
  for (int i = 0; i < 1200 && s->log().empty(); ++i) std::this_thread::sleep_for(serve::Milliseconds(5));
  EXPECT_EQ(Json::parse(s->log().at(0)).at("client"), "127.0.0.1");
}

}  // namespace
}  // namespace sam2unet::test
