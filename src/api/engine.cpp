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

// Each size of input keeps its plans and its share of the arena; past this many they are dropped and made
// again.
constexpr std::size_t kMaxInputs = 8;

std::span<const float> values(const ops::CpuTensor& t) {
  return {t.data(), static_cast<std::size_t>(t.extent().numel())};
}

}  // namespace

Engine::Engine(model::WeightSource& source, const model::Config& config, int threads)
    : threads_(threads), network_(pack(source, config)) {}

Engine::Lease::Lease(const Engine& e, const ops::Extent& input) : engine(e) {
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
  auto& seen = session->inputs;
  if (std::find(seen.begin(), seen.end(), input) != seen.end()) return;
  if (seen.size() >= kMaxInputs) {
    session->ops->forget();
    seen.clear();
  }
  seen.push_back(input);
}

Engine::Lease::~Lease() {
  const std::lock_guard lock(engine.mutex_);
  engine.idle_.push_back(std::move(session));
}

BackendInfo CpuBackend::info() const {
  // One picture keeps all cores busy, so a batch only costs memory here; bench_forward compares.
  return {"cpu", Precision::f32, 1};
}

void CpuBackend::run(const BackendInput& pictures, const UseLogits& use, const TraceValues& trace) const {
  engine_.with_session(pictures.extent(), [&](ops::CpuOps& o) {
    const auto input = o.make(pictures.extent());
    const ops::Extent& e = input.extent();
    ops::parallel_rows(o.threads(), e.b * e.h, [&](std::int64_t first, std::int64_t last) {
      pictures.write_rows(first, last, input.data() + first * e.w * e.c);
    });
    if (!trace) {
      const auto out = model::sam2unet(o, engine_.network(), input).out;
      use({out.extent(), values(out)});
      return;
    }
    const auto tell = [&](const char* what, int index, const ops::CpuTensor& t) {
      trace(what, index, t.extent(), values(t));
    };
    const auto maps = model::sam2unet(o, engine_.network(), input, /*wants_sides=*/true, tell);
    tell("out", 1, *maps.out1);
    tell("out", 2, *maps.out2);
    use({maps.out.extent(), values(maps.out)});
  });
}

}  // namespace sam2unet::api
