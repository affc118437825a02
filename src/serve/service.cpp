#include "serve/service.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <iterator>
#include <utility>

#include "serve/compression.h"

namespace sam2unet::serve {
namespace {

constexpr int kLongestRetry = 30;

std::string timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = milliseconds / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc, milliseconds % 1000);
}

bool is_post(const Exchange& exchange) {
  return exchange.request.method == Method::post;
}

}  // namespace

Response error_response(const Exchange& exchange, const Problem& problem) {
  const bool detail = exchange.route != nullptr && exchange.route->style == ErrorStyle::detail;
  Response r = text_response(problem.status, "application/json",
                             fmt::format("{{\"{}\":{},\"request_id\":{}}}\n", detail ? "detail" : "error",
                                         json_string(problem.text), json_string(exchange.request.id)));
  r.refusal = problem.reason;
  if (problem.status == 401) r.headers.add("WWW-Authenticate", "Bearer");
  return r;
}

int retry_after(const Context& context) {
  Metrics& m = context.metrics;
  const double each = m.stage(Stage::compute).mean();
  return std::clamp(static_cast<int>(std::ceil(each * static_cast<double>(context.workshop.queue().size()))),
                    1, kLongestRetry);
}

Service::Service(const Options& options)
    : options_(options),
      guard_(options),
      models_(options.models, options.open),
      budget_(options.limits.in_flight),
      workshop_(options, metrics_),
      context_{options_, models_, metrics_, budget_, workshop_, phase_, connections_} {
  add_page_routes(router_, context_);
  add_info_routes(router_, context_);
  add_segment_routes(router_, context_);
  add_oip_routes(router_, context_);
  add_rembg_routes(router_, context_);
}

Service::~Service() {
  if (reloader_.joinable()) reloader_.join();
}

void Service::load() {
  models_.load();
  auto loading = Phase::loading;
  phase_.compare_exchange_strong(loading, Phase::serving);
}

void Service::reload() {
  if (phase_.load() == Phase::loading) return options_.say("still loading; nothing is loaded again");
  const std::lock_guard lock(reload_mutex_);
  if (reloading_) {  // files may have changed since they were read
    reload_again_ = true;
    return;
  }
  if (reloader_.joinable()) reloader_.join();
  reloading_ = true;
  reloader_ = std::thread([this] {
    while (true) {
      reload_now();
      const std::lock_guard again(reload_mutex_);
      if (!std::exchange(reload_again_, false)) {
        reloading_ = false;
        return;
      }
    }
  });
}

void Service::reload_now() {
  try {
    std::string token = guard_.read();
    models_.load();
    guard_.use(std::move(token));
    metrics_.reloads.fetch_add(1);
    options_.say("loaded again");
  } catch (const std::exception& e) {
    metrics_.failed_reloads.fetch_add(1);
    options_.say(fmt::format("not loaded again, what was loaded stays: {}", e.what()));
  }
}

void Service::check_work(std::optional<std::size_t> content_length) const {
  const Limits& limits = options_.limits;
  if (phase_.load() != Phase::serving) {
    throw Refused(
        503, Refusal::not_ready,
        phase_.load() == Phase::loading ? "the models are being loaded" : "the service is shutting down");
  }
  if (content_length.value_or(0) > limits.upload) {
    throw Refused(413, Refusal::too_large,
                  fmt::format("the body has {} bytes, more than the {} allowed (--max-upload)",
                              *content_length, limits.upload));
  }
  if (workshop_.queue().full()) {
    throw Refused(429, Refusal::queue_full,
                  fmt::format("{} requests wait already (--queue); try again later", options_.queue));
  }
  if (!budget_.has_room(content_length.value_or(1))) {
    throw Refused(429, Refusal::memory_full,
                  fmt::format("requests hold nearly {} bytes already (--max-in-flight); try again later",
                              budget_.limit()));
  }
}

std::optional<Response> Service::admit(Exchange& exchange, std::optional<std::size_t> content_length) {
  Request& request = exchange.request;
  try {
    guard_.check_origin(request.headers);
    if (request.method == Method::options && guard_.cross_origin(request.headers)) {
      Response r;
      r.status = 204;
      r.headers.add("Access-Control-Allow-Methods", "GET, POST");
      r.headers.add("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id");
      r.headers.add("Access-Control-Max-Age", "600");
      return r;
    }
    Match match = router_.find(request.method, request.target.path);
    if (match.route == nullptr) {
      const int status = match.allowed.empty() ? 404 : 405;
      Response r = error_response(
          exchange, {status,
                     Refusal::not_found,
                     status == 404 ? "there is nothing at this path; /openapi.json lists what there is"
                                   : "this path takes " + match.allowed,
                     {}});
      if (status == 405) r.headers.add("Allow", match.allowed);
      return r;
    }
    exchange.route = match.route;
    request.path_values = std::move(match.values);
    if (match.route->access == Access::token) guard_.check_token(request.headers);
    if (is_post(exchange)) check_work(content_length);
    return std::nullopt;
  } catch (const Refused& e) {
    return error_response(exchange, {e.status(), e.reason(), e.what(), {}});
  }
}

void Service::decompress_body(Exchange& exchange) {
  Request& request = exchange.request;
  const auto coding = parse_coding(request.headers.get("Content-Encoding"));
  if (!coding) return;
  Bytes plain = decompress(request.body, *coding, options_.limits.upload);
  if (!exchange.lease.grow(plain.size()))
    throw Refused(429, Refusal::memory_full,
                  "too many bytes are held by requests (--max-in-flight); try again later");
  request.body = std::move(plain);
}

void Service::run_handler(const SharedExchange& exchange) {
  try {
    decompress_body(*exchange);
    exchange->route->handler(exchange);
  } catch (...) {
    const Problem problem = problem_of(std::current_exception());
    if (!problem.internal.empty())
      options_.say(fmt::format("request {}: {}", exchange->request.id, problem.internal));
    exchange->answer(error_response(*exchange, problem));
  }
}

void Service::handle(const SharedExchange& exchange) {
  if (!is_post(*exchange)) return run_handler(exchange);
  metrics_.bytes_in.fetch_add(exchange->request.body_size);
  workshop_.prepare([this, exchange] {
    if (!exchange->abandoned()) return run_handler(exchange);
    exchange->answer(error_response(*exchange, {499, Refusal::abandoned, "the client left", {}}));
  });
}

void Service::decorate(const Exchange& exchange, Response& response) const {
  Headers& h = response.headers;
  h.add("X-Request-Id", exchange.request.id);
  h.add("X-Content-Type-Options", "nosniff");
  h.add("Referrer-Policy", "no-referrer");
  h.add("X-Frame-Options", "DENY");
  if (!h.find("Cache-Control")) h.add("Cache-Control", "no-store");
  if (!h.find("Content-Security-Policy"))
    h.add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  if ((response.status == 429 || response.status == 503) && !h.find("Retry-After"))
    h.add("Retry-After", std::to_string(retry_after(context_)));
  const auto origin = guard_.cross_origin(exchange.request.headers);
  if (origin) {
    h.add("Access-Control-Allow-Origin", *origin);
    h.add("Access-Control-Expose-Headers",
          "X-Request-Id, X-Sam2unet-Model, Server-Timing, Retry-After, Content-Disposition, "
          "Inference-Header-Content-Length");
  } else {
    h.add("Cross-Origin-Resource-Policy", "same-origin");
  }
  if (!options_.cors.empty()) h.add("Vary", "Origin");
}

void Service::finished(const Exchange& exchange, const Response& response, std::size_t sent) {
  const double seconds = std::chrono::duration<double>(Clock::now() - exchange.request.arrived).count();
  metrics_.count_answer(response.status);
  if (response.refusal != Refusal::none) metrics_.count_refusal(response.refusal);
  metrics_.requests().observe(seconds);
  metrics_.bytes_out.fetch_add(sent);
  if (!options_.access) return;
  const Request& r = exchange.request;
  const Account& a = response.account;
  std::string line = fmt::format(
      R"({{"time":"{}","id":{},"client":{},"method":{},"path":{},"status":{},"bytes_in":{},"bytes_out":{},"seconds":{:.4f})",
      timestamp(), json_string(r.id), json_string(r.peer), json_string(r.method_name),
      json_string(r.target.path), response.status, r.body_size, sent, seconds);
  if (response.refusal != Refusal::none)
    fmt::format_to(std::back_inserter(line), R"(,"refused":"{}")", name_of(response.refusal));
  if (a.pictures > 0) {
    fmt::format_to(
        std::back_inserter(line),
        R"(,"model":{},"pictures":{},"queue":{:.4f},"decode":{:.4f},"compute":{:.4f},"encode":{:.4f})",
        json_string(a.model), a.pictures, a.seconds[0], a.seconds[1], a.seconds[2], a.seconds[3]);
  }
  options_.access(line + "}");
}

}  // namespace sam2unet::serve
