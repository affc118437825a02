// One request, and the way its answer goes back. Shared by the connection, which reads and writes, and
// whoever works on it in another thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "serve/budget.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/options.h"

namespace sam2unet::serve {

struct Request {
  Method method = Method::other;
  std::string method_name;
  Target target;
  Headers headers;
  std::string peer;                      ///< the client's address
  std::string id;                        ///< the client's own if it is sane, else one of ours
  Bytes body;                            ///< decompressed; handlers may take it away
  std::size_t body_size = 0;             ///< bytes, as it came
  std::vector<std::string> path_values;  ///< of the route's braces
  Clock::time_point arrived;             ///< when its header was complete

  std::string_view query(std::string_view name) const {
    for (const Parameter& p : target.query)
      if (p.name == name) return p.value;
    return {};
  }
};

struct Route;

class Exchange {
 public:
  using Deliver = std::function<void(Response)>;

  Exchange(Budget& budget, Deliver deliver) : lease(budget), deliver_(std::move(deliver)) {}
  /// A request that nobody answered is a fault of ours.
  ~Exchange() { answer(text_response(500, "application/json", "{\"error\":\"no answer\"}")); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// From any thread; only the first counts.
  void answer(Response response) {
    if (!answered_.exchange(true)) deliver_(std::move(response));
  }
  /// Nobody is left to answer to.
  void forget() { answered_.store(true); }
  /// The client is gone, or the answer is known: what still waits may be dropped.
  void abandon() { abandoned_.store(true); }
  bool abandoned() const { return abandoned_.load(); }

  Request request;
  Budget::Lease lease;           ///< of the body's bytes
  const Route* route = nullptr;  ///< once it is found

 private:
  Deliver deliver_;
  std::atomic<bool> answered_{false};
  std::atomic<bool> abandoned_{false};
};
using SharedExchange = std::shared_ptr<Exchange>;

}  // namespace sam2unet::serve
