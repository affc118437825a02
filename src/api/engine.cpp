#include "api/engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "ops/cpu/threads.h"

namespace sam2unet::api {
namespace {

model::Network<ops::CpuWeights> pack(model::WeightSource& source, const model::Config& config) {
  config.validate();
  ops::CpuWeights weights(source);
  return model::Network<ops::CpuWeights>::make(weights, config);
}

// Each size keeps its plans and its share of the arena; past this many they are dropped and made again.
constexpr std::size_t kMostSizes = 8;

std::span<const float> values(const ops::CpuTensor& t) {
  return {t.data(), static_cast<std::size_t>(t.extent().numel())};
}

}  // namespace

Engine::Engine(model::WeightSource& source, const model::Config& config, int threads)
    : threads_(threads), network_(pack(source, config)) {}

Engine::Lease::Lease(const Engine& e, std::int64_t height, std::int64_t width) : engine(e) {
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
  if (session == nullptr) session = std::make_unique<Session>(threads);
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

void CpuBackend::run(const ops::Extent& extent, const std::function<void(std::span<float>)>& fill,
                     const std::function<void(std::span<const float>)>& use, const TraceValues& trace) const {
  engine_.with_session(extent.h, extent.w, [&](ops::CpuOps& o) {
    const auto input = o.make(extent);
    fill({input.data(), static_cast<std::size_t>(extent.numel())});
    if (!trace) {
      use(values(model::sam2unet(o, engine_.network(), input).out));
      return;
    }
    const auto tell = [&](const char* what, int index, const ops::CpuTensor& t) {
      trace(what, index, t.extent(), values(t));
    };
    const auto maps = model::sam2unet(o, engine_.network(), input, /*wants_sides=*/true, tell);
    tell("out", 1, *maps.out1);
    tell("out", 2, *maps.out2);
    use(values(maps.out));
  });
}

}  // namespace sam2unet::api
