// A network packed for this processor, and a pool of sessions over it: one session serves one picture at a
// time, so that several threads each have their own. `Ops` is one of the library's own backends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "model/network.h"
#include "ops/concept.h"
#include "ops/cpu/threads.h"

namespace sam2unet::api {

template <ops::Ops Ops>
class Engine {
 public:
  using Network = model::Network<typename Ops::Weights>;
  using MakeSession = std::function<std::unique_ptr<Ops>(int threads)>;

  /// `threads` 0 means all cores.
  Engine(Network network, MakeSession make, int threads)
      : threads_(threads), make_(std::move(make)), network_(std::move(network)) {}

  const Network& network() const { return network_; }

  /// Calls `use(session)` with a session nobody else has. `input` [b,h,w,3] is what it will see.
  template <class Use>
  void with_session(const ops::Extent& input, Use&& use) const {
    Lease lease(*this, input);
    use(*lease.session->ops);
  }

 private:
  // Each size of input keeps its plans and its share of the arena; past this many they are dropped and made
  // again.
  static constexpr std::size_t kMaxInputs = 8;

  struct Session {
    std::unique_ptr<Ops> ops;
    std::vector<ops::Extent> inputs;  // seen; plans and memory are kept for these
  };

  // A session taken from the pool; goes back at its end.
  struct Lease {
    Lease(const Engine& e, const ops::Extent& input) : engine(e) {
      // A caller inside a parallel region of its own gets fewer threads, and another session.
      const int threads = ops::available_threads(e.threads_);
      {
        const std::lock_guard lock(e.mutex_);
        const auto fits = [&](const auto& s) { return s->ops->threads() == threads; };
        if (const auto it = std::find_if(e.idle_.rbegin(), e.idle_.rend(), fits); it != e.idle_.rend()) {
          session = std::move(*it);
          e.idle_.erase(std::next(it).base());
        }
      }
      if (session == nullptr) session = std::make_unique<Session>(Session{e.make_(threads), {}});
      auto& seen = session->inputs;
      if (std::find(seen.begin(), seen.end(), input) != seen.end()) return;
      if (seen.size() >= kMaxInputs) {
        session->ops->forget();
        seen.clear();
      }
      seen.push_back(input);
    }
    ~Lease() {
      const std::lock_guard lock(engine.mutex_);
      engine.idle_.push_back(std::move(session));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    const Engine& engine;
    std::unique_ptr<Session> session;
  };

  int threads_;
  MakeSession make_;
  Network network_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Session>> idle_;
};

}  // namespace sam2unet::api
