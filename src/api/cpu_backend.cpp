#include "api/cpu_backend.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "api/engine.h"
#include "api/load_network.h"
#include "model/network.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/threads.h"
#include "ops/lowp/low_ops.h"

namespace sam2unet::api {
namespace {

using ops::CpuOps;
using ops::lowp::LowOps;
using ops::lowp::LowTensor;

// One picture keeps all cores busy, so a batch only costs memory here; bench_forward compares.
constexpr int kBatch = 1;
// Of passes at a time, where nobody says how many: each needs memory of its own, and more were not measured.
constexpr int kMaxStreams = 4;

// Calls use(extent, values) with a dense float32 activation.
template <class Use>
void with_values(CpuOps&, const ops::CpuTensor& t, Use&& use) {
  use(t.extent(), std::span<const float>(t.data(), static_cast<std::size_t>(t.extent().numel())));
}
template <class Use>
void with_values(LowOps& o, const LowTensor& t, Use&& use) {
  const bool is_plain = t.type() == ops::lowp::Element::f32 && t.is_dense();
  const LowTensor& plain = is_plain ? t : o.to_f32(t);
  use(t.extent(), std::span<const float>(plain.data(), static_cast<std::size_t>(t.extent().numel())));
}

template <class Ops>
class OwnBackend final : public Backend {
 public:
  OwnBackend(typename Engine<Ops>::Network network, typename Engine<Ops>::MakeSession make, int threads,
             BackendInfo info)
      : engine_(std::move(network), std::move(make), threads), info_(std::move(info)) {}

  BackendInfo info() const override { return info_; }

  void run(const BackendInput& pictures, const UseLogits& use, const TraceValues& trace) const override {
    engine_.with_session(pictures.extent(), [&](Ops& o) {
      const auto input = o.make(pictures.extent());
      const ops::Extent& e = input.extent();
      ops::parallel_rows(o.threads(), e.b * e.h, [&](std::int64_t first, std::int64_t last) {
        pictures.write_rows(first, last, input.data() + first * e.w * e.c);
      });
      const auto give = [&](const ops::Extent& extent, std::span<const float> values) {
        use({extent, values});
      };
      if (!trace) {
        with_values(o, model::sam2unet(o, engine_.network(), input).out, give);
        return;
      }
      const auto tell = [&](const char* what, int index, const auto& t) {
        with_values(o, t, [&](const ops::Extent& extent, std::span<const float> values) {
          trace(what, index, extent, values);
        });
      };
      const auto maps = model::sam2unet(o, engine_.network(), input, model::Sides::wanted, tell);
      tell("out", 1, *maps.out1);
      tell("out", 2, *maps.out2);
      with_values(o, maps.out, give);
    });
  }

 private:
  Engine<Ops> engine_;
  BackendInfo info_;
};

}  // namespace

ThreadShares thread_shares(const SegmenterOptions& options) {
  const int threads = ops::available_threads(options.threads);
  const int best = options.precision == Precision::f32 ? 1 : std::min(threads, kMaxStreams);
  const int streams = std::clamp(options.streams == 0 ? best : options.streams, 1, threads);
  // One stream has all that there are when a picture comes, which may be fewer then.
  return {streams, streams == 1 ? options.threads : threads / streams};
}

std::unique_ptr<Backend> make_cpu_backend(model::WeightSource& source, const model::Config& config,
                                          const ThreadShares& shares) {
  return std::make_unique<OwnBackend<CpuOps>>(
      load_network<ops::CpuWeights>(config, source), [](int n) { return std::make_unique<CpuOps>(n); },
      shares.threads, BackendInfo{"cpu", Precision::f32, kBatch, "f32", shares.streams});
}

std::unique_ptr<Backend> make_low_backend(model::WeightSource& source, const model::Config& config,
                                          const ThreadShares& shares, const ops::lowp::Numerics& numerics,
                                          const std::vector<std::string>& kept) {
  const Precision precision = numerics.is_int8() ? Precision::int8 : Precision::bf16;
  return std::make_unique<OwnBackend<LowOps>>(
      load_network<ops::lowp::LowWeights>(config, source, numerics, kept),
      [numerics](int n) { return std::make_unique<LowOps>(numerics, n); }, shares.threads,
      BackendInfo{"cpu", precision, kBatch, ops::lowp::words_of(numerics), shares.streams});
}

}  // namespace sam2unet::api
