// A network packed for this processor, and a pool of sessions over it; as a Backend, what Segmenter and
// verify run where no other device was asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "api/backend.h"
#include "model/network.h"
#include "model/weight_source.h"
#include "ops/cpu/cpu_ops.h"

namespace sam2unet::api {

class Engine {
 public:
  /// Packs all weights. `threads` 0 means all cores.
  Engine(model::WeightSource& source, const model::Config& config, int threads);

  const model::Network<ops::CpuWeights>& network() const { return network_; }

  /// Calls `use(session)` with a session nobody else has. `input` [b,h,w,3] is what it will see.
  template <class Use>
  void with_session(const ops::Extent& input, Use&& use) const {
    Lease lease(*this, input);
    use(*lease.session->ops);
  }

 private:
  struct Session {
    explicit Session(int threads) : ops(std::make_unique<ops::CpuOps>(threads)) {}
    std::unique_ptr<ops::CpuOps> ops;
    std::vector<ops::Extent> inputs;  // seen; plans and memory are kept for these
  };
  // A session taken from the pool; goes back at its end.
  struct Lease {
    Lease(const Engine& e, const ops::Extent& input);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    const Engine& engine;
    std::unique_ptr<Session> session;
  };

  int threads_;
  model::Network<ops::CpuWeights> network_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Session>> idle_;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(model::WeightSource& source, const model::Config& config, int threads)
      : engine_(source, config, threads) {}
  void run(const BackendInput& input, const UseLogits& use, const TraceValues& trace) const override;
  BackendInfo info() const override;

 private:
  Engine engine_;
};

}  // namespace sam2unet::api
