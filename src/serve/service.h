// The service without its sockets: what is refused at a request's header, who handles it, what is counted and
// logged of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "serve/budget.h"
#include "serve/exchange.h"
#include "serve/guard.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "serve/options.h"
#include "serve/router.h"
#include "serve/workshop.h"

namespace sam2unet::serve {

enum class Phase { loading, serving, draining };

/// What handlers of routes work with.
struct Context {
  const Options& options;
  Models& models;
  Metrics& metrics;
  Budget& budget;
  Workshop& workshop;
  const std::atomic<Phase>& phase;
  const std::atomic<std::size_t>& connections;
};

class Service {
 public:
  explicit Service(const Options& options);
  ~Service();

  /// Reads the weights; what it throws ends a service that has none yet.
  void load();
  /// Reads weights and token again in a thread of its own; says how it went.
  void reload();
  /// From here on no work is taken.
  void drain() { phase_.store(Phase::draining); }
  Phase phase() const { return phase_.load(); }

  /// By the connections' thread, once the header is read and before the body is: the answer, where one is
  /// known already. Finds the route.
  std::optional<Response> admit(Exchange& exchange, std::optional<std::size_t> content_length);
  /// With its body.
  void handle(const SharedExchange& exchange);
  /// Adds what every answer carries.
  void decorate(const Exchange& exchange, Response& response) const;
  /// Counts and logs.
  void finished(const Exchange& exchange, const Response& response, std::size_t sent);
  /// Ends the threads of the work; what waits is dropped. Before the sockets go, to which answers are sent.
  void stop_work() { workshop_.stop(); }
  /// Drops what need not wait any longer; called a few times a second.
  void sweep() { workshop_.queue().sweep(Clock::now()); }

  Budget& budget() { return budget_; }
  Metrics& metrics() { return metrics_; }
  std::atomic<std::size_t>& connections() { return connections_; }

 private:
  void check_work(std::optional<std::size_t> content_length) const;
  void run_handler(const SharedExchange& exchange);
  void decompress_body(Exchange& exchange);

  const Options& options_;
  Guard guard_;
  Models models_;
  Metrics metrics_;
  Budget budget_;
  std::atomic<Phase> phase_{Phase::loading};
  std::atomic<std::size_t> connections_{0};
  Workshop workshop_;
  Context context_;
  Router router_;
  void reload_now();

  std::mutex reload_mutex_;
  std::thread reloader_;
  bool reloading_ = false, reload_again_ = false;
};

/// The answer that says what is wrong, in the route's style.
Response error_response(const Exchange& exchange, const Problem& problem);
/// Seconds after which another try may go better.
int retry_after(const Context& context);

// One for each group of routes.
void add_segment_routes(Router& router, const Context& context);
void add_info_routes(Router& router, const Context& context);
void add_oip_routes(Router& router, const Context& context);
void add_rembg_routes(Router& router, const Context& context);
void add_page_routes(Router& router, const Context& context);

}  // namespace sam2unet::serve
