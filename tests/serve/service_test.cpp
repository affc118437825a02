// The service without its sockets, and its parts: what is refused at a header, what every answer carries,
// what is counted and logged, what a failure means to a client.
#include "serve/service.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>

#include "running.h"
#include "sam2unet/picture_limit.h"
#include "serve/guard.h"
#include "serve/tasks.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet::test {
namespace {

using serve::Headers;
using serve::Method;
using serve::Refusal;
using serve::Response;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

std::string text_of(const Response& r) {
  const auto bytes = serve::bytes_of(r.body);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// --- what an exception means

TEST(ServeProblems, EachFailureHasItsStatus) {
  const auto of = [](auto failure) { return serve::problem_of(std::make_exception_ptr(failure)); };
  struct Case {
    serve::Problem problem;
    int status;
    Refusal reason;
    std::string text, internal;
  };
  const std::vector<Case> cases = {
      {of(serve::Refused(418, Refusal::deadline, "t")), 418, Refusal::deadline, "t", ""},
      {of(PictureTooLargeError("big")), 413, Refusal::too_large, "big (--max-pixels)", ""},
      {of(ImageError("cut")), 422, Refusal::unreadable_picture, "cut", ""},
      {of(UsageError("odd")), 400, Refusal::bad_request, "odd", ""},
      {of(WeightsError("nan")), 500, Refusal::failed, "the model has no result for this picture", "nan"},
      {of(std::bad_alloc()), 500, Refusal::failed,
       "there is not enough memory for this picture; make it smaller first", ""},
      {of(std::runtime_error("/x")), 500, Refusal::failed, "the service failed on this request", "/x"},
      {of(7), 500, Refusal::failed, "the service failed on this request", "unknown exception"}};
  for (const Case& c : cases) {
    EXPECT_EQ(c.problem.status, c.status) << c.text;
    EXPECT_EQ(c.problem.reason, c.reason) << c.text;
    EXPECT_EQ(c.problem.text, c.text);
    EXPECT_EQ(c.problem.internal, c.internal);
  }
  EXPECT_EQ(serve::bad_request("x").status(), 400);
  EXPECT_EQ(serve::bad_request("x").reason(), Refusal::bad_request);
}

// --- values of parameters

TEST(ServeValues, FlagsAndNumbers) {
  for (const char* yes : {"", "1", "true", "yes", "on", "TRUE", "On"})
    EXPECT_TRUE(serve::parse_flag(yes, "f")) << yes;
  for (const char* no : {"0", "false", "no", "off", "NO"}) EXPECT_FALSE(serve::parse_flag(no, "f")) << no;
  for (const char* bad : {"2", "y", "truee", " 1"})
    EXPECT_EQ(message_of<serve::Refused>([&] { serve::parse_flag(bad, "f"); }), "f must be true or false");
  EXPECT_EQ(serve::parse_number("0.25", "n", 0.25, 1.5), 0.25);
  EXPECT_EQ(serve::parse_number("1.5e0", "n", 0.25, 1.5), 1.5);
  for (const char* bad : {"0.2499", "1.5001", "", " 1", "1 ", "+1", "nan", "inf", "1,5"})
    EXPECT_EQ(message_of<serve::Refused>([&] { serve::parse_number(bad, "n", 0.25, 1.5); }),
              "n must be a number from 0.25 to 1.5")
        << bad;
}

// --- routes

TEST(ServeRouter, PathsSegmentBySegment) {
  serve::Router router;
  for (const auto& [method, path] : {std::pair{Method::get, "/"},
                                     {Method::get, "/a/{}"},
                                     {Method::post, "/a/{}/b/{}"},
                                     {Method::post, "/both"},
                                     {Method::get, "/both"}})
    router.add({method, path, serve::Access::open, serve::ErrorStyle::error, {}});
  EXPECT_EQ(router.find(Method::get, "/").route->pattern, "/");
  EXPECT_THAT(router.find(Method::get, "/a/x y").values, ElementsAre("x y"));
  EXPECT_THAT(router.find(Method::post, "/a/x/b/2").values, ElementsAre("x", "2"));
  EXPECT_EQ(router.find(Method::head, "/a/x").route->pattern, "/a/{}");
  EXPECT_EQ(router.find(Method::get, "/both").route->method, Method::get);
  for (const char* none : {"/a", "/a/", "/a/x/", "/a/x/c/2", "/a/x/b", "/a/x/b/", "//", "/A/x", "/a//b/2"}) {
    EXPECT_EQ(router.find(Method::get, none).route, nullptr) << none;
    EXPECT_EQ(router.find(Method::get, none).allowed, "") << none;
  }
  EXPECT_EQ(router.find(Method::other, "/both").route, nullptr);
  EXPECT_EQ(router.find(Method::other, "/both").allowed, "POST, GET, HEAD");
  EXPECT_EQ(router.find(Method::head, "/a/x/b/2").allowed, "POST");
  EXPECT_EQ(router.find(Method::post, "/").allowed, "GET, HEAD");
}

// --- what Prometheus reads

TEST(ServeMetrics, AllThatIsToldIsCalledThatAndBeginsAtZero) {
  const serve::Metrics m;
  std::istringstream lines(m.text({.waiting = 1,
                                   .waiting_limit = 2,
                                   .in_flight = 3,
                                   .in_flight_limit = 4,
                                   .connections = 5,
                                   .ready = true}));
  std::vector<std::string> types, values, stages;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) types.push_back(line.substr(16));
    if (line.starts_with("sam2unet_stage")) stages.push_back(line);
    if (!line.starts_with("#") && line.find("_seconds") == std::string::npos)
      values.push_back(line.substr(9));
  }
  EXPECT_THAT(
      types,
      ElementsAre("stage_seconds histogram", "request_seconds histogram", "responses_total counter",
                  "refusals_total counter", "pictures_total counter", "batches_total counter",
                  "received_bytes_total counter", "sent_bytes_total counter", "connections_total counter",
                  "clients_left_total counter", "reloads_total counter", "queue_length gauge",
                  "queue_limit gauge", "in_flight_bytes gauge", "in_flight_limit_bytes gauge",
                  "connections gauge", "ready gauge", "resident_memory_bytes gauge"));
  ASSERT_FALSE(values.empty());
  EXPECT_THAT(values.back(), testing::StartsWith("resident_memory_bytes "));
  values.pop_back();
  const auto refused = [](const char* reason) {
    return std::string("refusals_total{reason=\"") + reason + "\"} 0";
  };
  EXPECT_THAT(values,
              ElementsAre("responses_total{code=\"1xx\"} 0", "responses_total{code=\"2xx\"} 0",
                          "responses_total{code=\"3xx\"} 0", "responses_total{code=\"4xx\"} 0",
                          "responses_total{code=\"5xx\"} 0", refused("bad_request"), refused("unauthorized"),
                          refused("forbidden"), refused("not_found"), refused("too_large"),
                          refused("header_too_large"), refused("too_slow"), refused("queue_full"),
                          refused("memory_full"), refused("connections_full"), refused("deadline"),
                          refused("not_ready"), refused("unreadable_picture"), refused("abandoned"),
                          refused("failed"), "pictures_total 0", "batches_total 0", "received_bytes_total 0",
                          "sent_bytes_total 0", "connections_total 0", "clients_left_total 0",
                          "reloads_total{result=\"ok\"} 0", "reloads_total{result=\"failed\"} 0",
                          "queue_length 1", "queue_limit 2", "in_flight_bytes 3", "in_flight_limit_bytes 4",
                          "connections 5", "ready 1"));
  ASSERT_EQ(stages.size(), 4U * 18);
  const std::vector<std::string> bounds = {"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
                                           "0.1",   "0.25",   "0.5",   "1",    "2.5",   "5",
                                           "10",    "30",     "60",    "+Inf"};
  for (std::size_t i = 0; i < bounds.size(); ++i)
    EXPECT_EQ(stages[18 + i], "sam2unet_stage_seconds_bucket{stage=\"decode\",le=\"" + bounds[i] + "\"} 0");
  EXPECT_EQ(stages[34], "sam2unet_stage_seconds_sum{stage=\"decode\"} 0");
  EXPECT_EQ(stages[71], "sam2unet_stage_seconds_count{stage=\"encode\"} 0");
}

TEST(ServeMetrics, CountsGoWhereTheyBelong) {
  serve::Metrics m;
  for (const int status : {100, 199, 204, 299, 399, 404, 499, 500, 599}) m.count_answer(status);
  m.count_refusal(Refusal::too_slow);
  m.pictures = 2, m.batches = 3, m.bytes_in = 4, m.bytes_out = 5, m.accepted = 6, m.clients_left = 7;
  m.reloads = 8, m.failed_reloads = 9;
  m.requests().observe(0.5);
  m.stage(serve::Stage::compute).observe(-1.0);  // a clock that went back
  const std::string text = m.text({});
  for (const char* line : {"responses_total{code=\"1xx\"} 2",
                           "responses_total{code=\"2xx\"} 2",
                           "responses_total{code=\"3xx\"} 1",
                           "responses_total{code=\"4xx\"} 2",
                           "responses_total{code=\"5xx\"} 2",
                           "refusals_total{reason=\"too_slow\"} 1",
                           "pictures_total 2",
                           "batches_total 3",
                           "received_bytes_total 4",
                           "sent_bytes_total 5",
                           "connections_total 6",
                           "clients_left_total 7",
                           "reloads_total{result=\"ok\"} 8",
                           "reloads_total{result=\"failed\"} 9",
                           "ready 0",
                           "request_seconds_bucket{le=\"0.25\"} 0",
                           "request_seconds_bucket{le=\"0.5\"} 1",
                           "request_seconds_sum 0.5",
                           "request_seconds_count 1",
                           "stage_seconds_bucket{stage=\"compute\",le=\"0.001\"} 1",
                           "stage_seconds_sum{stage=\"compute\"} 0",
                           "stage_seconds_count{stage=\"queue\"} 0"})
    EXPECT_THAT(text, HasSubstr(std::string("\nsam2unet_") + line + "\n"));
}

// As the kernel says it in another file, give or take what came between.
TEST(ServeMetrics, MemoryIsInBytes) {
  std::ifstream status("/proc/self/status");
  std::size_t kib = 0;
  for (std::string word; status >> word;)
    if (word == "VmRSS:") status >> kib;
  ASSERT_GT(kib, 0U);
  EXPECT_GT(serve::resident_memory(), kib * 512);
  EXPECT_LT(serve::resident_memory(), kib * 2048);
}

// --- a service

class ServeService : public testing::Test {
 protected:
  ServeService() {
    options.say = [](const std::string&) {};
    options.workers = 1;
  }
  void TearDown() override { gate->open(); }
  std::shared_ptr<serve::Exchange> exchange(serve::Service& s, Method method, const std::string& target,
                                            Headers headers = {}) {
    auto e = std::make_shared<serve::Exchange>(s.budget(),
                                               [this](Response r) { answers.push_back(std::move(r)); });
    e->request.method = method;
    e->request.method_name = method == Method::post ? "POST" : "GET";
    e->request.target = *serve::parse_target(target);
    e->request.headers = std::move(headers);
    e->request.headers.add("Host", "localhost");
    e->request.id = "id-1";
    e->request.peer = "192.0.2.7";
    e->request.arrived = serve::Clock::now();
    return e;
  }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
  std::vector<Response> answers;  // of GETs, which are answered in this thread
};

TEST_F(ServeService, WhatEveryAnswerCarries) {
  options.cors = {"https://app.example.org"};
  serve::Service service(options);
  const auto decorated = [&](Response r, const std::string& origin = "") {
    Headers h;
    if (!origin.empty()) h.add("Origin", origin);
    const auto e = exchange(service, Method::get, "/", std::move(h));
    e->forget();
    service.decorate(*e, r);
    return r.headers;
  };
  const Headers plain = decorated({});
  const std::map<std::string, std::string> wanted = {
      {"X-Request-Id", "id-1"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Frame-Options", "DENY"},
      {"Cache-Control", "no-store"},
      {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Vary", "Origin"}};
  std::map<std::string, std::string> got;
  for (const auto& [name, value] : plain) EXPECT_TRUE(got.emplace(name, value).second) << name;
  EXPECT_EQ(got, wanted);
  // A page of another origin that may call reads what the documentation names.
  const Headers other = decorated({}, "https://app.example.org");
  EXPECT_EQ(other.get("Access-Control-Allow-Origin"), "https://app.example.org");
  EXPECT_EQ(other.get("Access-Control-Expose-Headers"),
            "X-Request-Id, X-Sam2unet-Model, Server-Timing, Retry-After, Content-Disposition, "
            "Inference-Header-Content-Length");
  EXPECT_FALSE(other.find("Cross-Origin-Resource-Policy"));
  // What a route has set stays; only what is worth another try says when.
  Response own;
  own.headers.add("Cache-Control", "max-age=1");
  own.headers.add("Content-Security-Policy", "x");
  EXPECT_EQ(decorated(own).count("Cache-Control"), 1U);
  EXPECT_EQ(decorated(own).count("Content-Security-Policy"), 1U);
  for (const int status : {200, 400, 408, 413, 428, 430, 500, 502, 504}) {
    Response r;
    r.status = status;
    EXPECT_FALSE(decorated(r).find("Retry-After")) << status;
  }
  for (const int status : {429, 503}) {
    Response r;
    r.status = status;
    EXPECT_EQ(decorated(r).get("Retry-After"), "1") << status;  // nothing was measured yet
    r.headers.add("Retry-After", "9");
    EXPECT_EQ(decorated(r).get("Retry-After"), "9");
  }
}

// As long as what waits takes, from a second to half a minute, whatever the network takes.
TEST_F(ServeService, RetriesAreSaidInWholeSecondsOfABound) {
  serve::Service s(options);
  s.load();
  std::vector<std::shared_ptr<serve::Exchange>> held;
  // One at the gate, three before it, one in the decoder's hands, and three that wait.
  const std::string picture = png();
  for (int i = 0; i < 8; ++i) {
    held.push_back(exchange(s, Method::post, "/v1/segment"));
    EXPECT_FALSE(s.admit(*held.back(), picture.size()));
    const auto bytes = serve::view_of(std::string_view(picture));
    held.back()->request.body.assign(bytes.begin(), bytes.end());
    held.back()->request.body_size = bytes.size();
    held.back()->forget();
    s.handle(held.back());
  }
  const auto wait = [&](const std::string& line) {
    auto e = exchange(s, Method::get, "/metrics");
    EXPECT_FALSE(s.admit(*e, {}));
    for (int i = 0; i < 12000; ++i) {
      s.handle(e);
      if (text_of(answers.back()).find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(serve::Milliseconds(5));
      e = exchange(s, Method::get, "/metrics");
      EXPECT_FALSE(s.admit(*e, {}));
    }
    return false;
  };
  ASSERT_TRUE(wait("stage_seconds_count{stage=\"decode\"} 5"));
  ASSERT_TRUE(wait("sam2unet_queue_length 3"));
  const auto said = [&] {
    Response r;
    r.status = 429;
    s.decorate(*held.front(), r);
    return std::string(r.headers.get("Retry-After"));
  };
  EXPECT_EQ(said(), "1");
  s.metrics().stage(serve::Stage::compute).observe(2.1);  // 3 of 2.1 s
  EXPECT_EQ(said(), "7");
  s.metrics().stage(serve::Stage::compute).observe(17.5);  // 3 of 9.8 s
  EXPECT_EQ(said(), "30");
  s.metrics().stage(serve::Stage::compute).observe(1000.0);
  EXPECT_EQ(said(), "30");
  gate->open();
  s.stop_work();
}

TEST_F(ServeService, APreflightIsAnsweredWhole) {
  options.cors = {"https://app.example.org"};
  serve::Service s(options);
  Headers h;
  h.add("Origin", "https://app.example.org");
  const auto e = exchange(s, Method::options, "/anything", h);
  const auto r = s.admit(*e, {});
  e->forget();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 204);
  EXPECT_EQ(r->headers.get("Access-Control-Allow-Methods"), "GET, POST");
  EXPECT_EQ(r->headers.get("Access-Control-Allow-Headers"), "Authorization, Content-Type, X-Request-Id");
  EXPECT_EQ(r->headers.get("Access-Control-Max-Age"), "600");
  EXPECT_EQ(r->headers.count("Access-Control-Allow-Methods"), 1U);
  EXPECT_EQ(r->content_type, "");
}

TEST_F(ServeService, WhatIsRefusedAtTheHeader) {
  options.limits.upload = 100;
  options.limits.in_flight = 150;
  serve::Service s(options);
  const auto refused = [&](const std::string& target, std::optional<std::size_t> length,
                           Method method = Method::post) {
    const auto e = exchange(s, method, target);
    auto r = s.admit(*e, length);
    e->forget();
    if (!r) return std::string();
    const Json j = Json::parse(text_of(*r));
    EXPECT_EQ(j.at("request_id"), "id-1");
    EXPECT_EQ(r->content_type, "application/json");
    return std::to_string(r->status) + " " + std::string(name_of(r->refusal)) + " " +
           j.value("error", j.value("detail", ""));
  };
  EXPECT_EQ(refused("/nothing", 1),
            "404 not_found there is nothing at this path; /openapi.json lists what there is");
  EXPECT_EQ(refused("/healthz", 1), "405 not_found this path takes GET, HEAD");
  EXPECT_EQ(refused("/v1/segment", 1), "503 not_ready the models are being loaded");
  EXPECT_EQ(refused("/api/remove", {}, Method::get), "");  // not before it is handled
  s.load();
  EXPECT_EQ(refused("/v1/segment", 100), "");
  EXPECT_EQ(refused("/v1/segment", 101),
            "413 too_large the body has 101 bytes, more than the 100 allowed (--max-upload)");
  EXPECT_EQ(refused("/v1/segment", {}), "");
  serve::Budget::Lease held(s.budget());
  ASSERT_TRUE(held.grow(149));
  EXPECT_EQ(refused("/v1/segment", {}), "");  // of no said length, one byte is enough to begin
  EXPECT_EQ(refused("/v1/segment", 1), "");
  const std::string full =
      "429 memory_full requests hold nearly 150 bytes already (--max-in-flight); try again later";
  EXPECT_EQ(refused("/v1/segment", 2), full);
  ASSERT_TRUE(held.grow(1));
  EXPECT_EQ(refused("/v1/segment", {}), full);
  EXPECT_EQ(refused("/v1/segment", 0), "");
  EXPECT_EQ(refused("/metrics", {}, Method::get), "");
  s.drain();
  EXPECT_EQ(refused("/v1/segment", 1), "503 not_ready the service is shutting down");
}

// What is unpacked counts as well as what came.
TEST_F(ServeService, UnpackedBodiesAreCounted) {
  gate->open();
  options.limits.in_flight = 1000;
  options.limits.upload = 1000;
  serve::Service s(options);
  s.load();
  // Handled by another thread, which is done when the service's work is stopped.
  const auto packed = [&](std::size_t held_before) {
    answers.clear();
    while (s.budget().used() > 0) std::this_thread::sleep_for(serve::Milliseconds(1));  // of the one before
    serve::Budget::Lease held(s.budget());
    EXPECT_TRUE(held.grow(held_before));
    Headers h;
    h.add("Content-Encoding", "deflate");
    std::atomic<bool> answered{false};
    auto e = std::make_shared<serve::Exchange>(s.budget(), [&](Response r) {
      answers.push_back(std::move(r));
      answered = true;
    });
    e->request.headers = h;
    e->request.headers.add("Host", "localhost");
    e->request.method = Method::post;
    e->request.target = *serve::parse_target("/v1/segment");
    EXPECT_FALSE(s.admit(*e, {}));
    // 300 zeros: the bytes of zlib's best compression.
    const std::string zeros("\x78\xDA\x63\x60\x18\x05\xC4\x02\x00\x01\x2C\x00\x01", 13);
    const auto bytes = serve::view_of(std::string_view(zeros));
    e->request.body.assign(bytes.begin(), bytes.end());
    e->request.body_size = bytes.size();
    s.handle(e);
    while (!answered) std::this_thread::sleep_for(serve::Milliseconds(1));
    return answers.at(0).status;
  };
  EXPECT_EQ(packed(700), 415);  // no picture, but read
  EXPECT_EQ(packed(701), 429);
  EXPECT_THAT(text_of(answers.at(0)), HasSubstr("--max-in-flight"));
  s.stop_work();
}

TEST_F(ServeService, ALineOfTheLog) {
  std::vector<std::string> lines;
  options.access = [&](const std::string& line) { lines.push_back(line); };
  serve::Service s(options);
  const auto e = exchange(s, Method::get, "/v2/models/a%22b?x=secret");
  e->forget();
  e->request.arrived = serve::Clock::now() - std::chrono::milliseconds(2500);
  e->request.body_size = 12;
  Response r;
  r.status = 404;
  r.refusal = Refusal::not_found;
  const std::time_t before = std::time(nullptr);
  s.finished(*e, r, 34);
  r = {};
  r.account.model = "m";
  r.account.pictures = 2;
  r.account.seconds = {0.25, 1.5, 2, 3.00004};
  s.finished(*e, r, 7);
  ASSERT_EQ(lines.size(), 2U);
  Json refused = Json::parse(lines[0]), done = Json::parse(lines[1]);
  EXPECT_GE(refused.at("seconds").get<double>(), 2.5);
  EXPECT_LT(refused.at("seconds").get<double>(), 60.0);
  // RFC 3339 in UTC, with milliseconds.
  const std::string time = refused.at("time");
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milli = -1;
  char end = 0;
  ASSERT_EQ(std::sscanf(time.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3d%c", &year, &month, &day, &hour, &minute,
                        &second, &milli, &end),
            8)
      << time;
  EXPECT_EQ(end, 'Z');
  EXPECT_EQ(time.size(), 24U);
  std::tm utc{};
  utc.tm_year = year - 1900, utc.tm_mon = month - 1, utc.tm_mday = day;
  utc.tm_hour = hour, utc.tm_min = minute, utc.tm_sec = second;
  EXPECT_GE(::timegm(&utc), before);
  EXPECT_LE(::timegm(&utc), std::time(nullptr));
  for (Json* j : {&refused, &done}) {
    j->erase("time");
    j->erase("seconds");
  }
  EXPECT_EQ(refused, Json({{"id", "id-1"},
                           {"client", "192.0.2.7"},
                           {"method", "GET"},
                           {"path", "/v2/models/a\"b"},
                           {"status", 404},
                           {"bytes_in", 12},
                           {"bytes_out", 34},
                           {"refused", "not_found"}}));
  EXPECT_EQ(done, Json({{"id", "id-1"},
                        {"client", "192.0.2.7"},
                        {"method", "GET"},
                        {"path", "/v2/models/a\"b"},
                        {"status", 200},
                        {"bytes_in", 12},
                        {"bytes_out", 7},
                        {"model", "m"},
                        {"pictures", 2},
                        {"queue", 0.25},
                        {"decode", 1.5},
                        {"compute", 2},
                        {"encode", 3}}));
  const std::string text = s.metrics().text({});
  for (const char* line : {"responses_total{code=\"2xx\"} 1", "responses_total{code=\"4xx\"} 1",
                           "refusals_total{reason=\"not_found\"} 1", "sent_bytes_total 41",
                           "request_seconds_count 2", "request_seconds_bucket{le=\"2.5\"} 0"})
    EXPECT_THAT(text, HasSubstr(std::string("\nsam2unet_") + line + "\n"));
  // Thousandths of a second run to 999.
  const auto thousandths = [&] {
    return std::stoi(Json::parse(lines.back()).at("time").get<std::string>().substr(20, 3));
  };
  for (int i = 0; i < 1000 && thousandths() < 100; ++i) {
    std::this_thread::sleep_for(serve::Milliseconds(2));
    s.finished(*e, {}, 0);
  }
  EXPECT_GE(thousandths(), 100);
}

// A request whose handler forgets it is answered all the same, once.
TEST_F(ServeService, EveryRequestIsAnsweredOnce) {
  serve::Service s(options);
  exchange(s, Method::get, "/");
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].status, 500);
  EXPECT_EQ(Json::parse(text_of(answers[0])).at("error"), "no answer");
  const auto e = exchange(s, Method::get, "/");
  e->answer(serve::text_response(201, "a/b", "x"));
  e->answer({});
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[1].status, 201);
  EXPECT_EQ(answers[1].content_type, "a/b");
}

// Letters of tokens are those that can be seen: from ! to ~.
TEST_F(ServeService, LettersOfTokens) {
  const TempDir dir;
  options.token_file = dir.path() / "token";
  const auto said = [&](const std::string& token) {
    std::ofstream(options.token_file, std::ios::trunc) << token << "\n";
    return message_of<UsageError>([&] { serve::Guard{options}; });
  };
  EXPECT_EQ(said("!~" + std::string(14, 'x')), "");
  for (const char* bad : {"\x7F", "\xC3\xA4", " ", "\x01"})
    EXPECT_THAT(said(std::string(10, 'x') + bad + std::string(10, 'x')),
                HasSubstr("its first line must be a token of 16 or more printable characters"));
}

TEST_F(ServeService, NamesOfHosts) {
  EXPECT_EQ(serve::host_name("[2001:DB8::1]:443"), "2001:db8::1");
  EXPECT_EQ(serve::host_name("[::1]"), "::1");
  EXPECT_EQ(serve::host_name("[::1]80"), "");
  EXPECT_EQ(serve::host_name("a_b-c.Z9.:80"), "a_b-c.z9");
  for (const char* bad : {"a:80:90", "a:8x", "a@b", "a/b", "\xC3\xA4", ""})
    EXPECT_EQ(serve::host_name(bad), "") << bad;
  EXPECT_EQ(serve::host_name("a:"), "a");
  EXPECT_TRUE(serve::is_address("2001:db8::1"));
  EXPECT_TRUE(serve::is_address("192.0.2.1"));
  for (const char* bad : {"192.0.2.256", "192.0.2", "::g", "[::1]", ""})
    EXPECT_FALSE(serve::is_address(bad)) << bad;
}

}  // namespace
}  // namespace sam2unet::test
