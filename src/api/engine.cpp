#include "api/engine.h"

#include <algorithm>
#include <utility>

namespace sam2unet::api {
namespace {

model::Network<ops::CpuWeights> pack(model::WeightSource& source, const model::Config& config) {
  config.validate();
  ops::CpuWeights weights(source);
  return model::Network<ops::CpuWeights>::make(weights, config);
}

// Each size keeps its plans and its share of the arena; past this many they are dropped and made again.
constexpr std::size_t kMostSizes = 8;

}  // namespace

Engine::Engine(model::WeightSource& source, const model::Config& config, int threads)
    : threads_(threads), network_(pack(source, config)) {}

Engine::Lease::Lease(const Engine& e, std::int64_t height, std::int64_t width) : engine(e) {
  {
    const std::lock_guard lock(e.mutex_);
    if (!e.idle_.empty()) {
      session = std::move(e.idle_.back());
      e.idle_.pop_back();
    }
  }
  if (session == nullptr) session = std::make_unique<Session>(e.threads_);
  const std::pair size(height, width);
  if (std::find(session->sizes.begin(), session->sizes.end(), size) != session->sizes.end()) return;
  if (session->sizes.size() >= kMostSizes) {
    session->ops->forget();
    session->sizes.clear();
  }
  session->sizes.push_back(size);
}

Engine::Lease::~Lease() {
  const std::lock_guard lock(engine.mutex_);
  engine.idle_.push_back(std::move(session));
}

}  // namespace sam2unet::api
