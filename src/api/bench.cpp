#include "sam2unet/bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "api/device.h"
#include "api/make_backend.h"
#include "model/checkpoint.h"
#include "model/network.h"
#include "ops/counting_ops.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/threads.h"
#include "ops/lowp/low_ops.h"
#include "ops/lowp/peak.h"
#include "ops/timed_ops.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

using ops::Clock;
using ops::Timing;

double ms_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
}

double gflop_of(const model::Config& config, const ops::Extent& input) {
  ops::CountingWeights weights;
  ops::CountingOps counter;
  const auto net = model::Network<ops::CountingWeights>::make(weights, config);
  model::sam2unet(counter, net, ops::Counted{input});
  return 2e-9 * counter.multiply_adds();
}

// When a part of the network ended, and how many operations had been timed by then.
struct Mark {
  std::string name;
  Clock::time_point end;
  std::size_t operations = 0;
};
struct Round {
  Clock::time_point begin;
  std::vector<Mark> marks;
  std::vector<Timing> timings;
  double ms() const { return ms_between(begin, marks.back().end); }
};

std::string part_name(const std::string& what, int index) {
  return fmt::format("{} {}", what == "rfb" ? "neck" : what, index);
}

template <class Ops>
Round time_round(Ops& o, const model::Network<typename Ops::Weights>& net, const ops::Extent& input) {
  Round r;
  r.timings.reserve(4096);
  auto image = o.make(input);
  std::fill_n(image.data(), input.numel(), 0.25F);
  ops::TimedOps<Ops> timed(o, r.timings);
  r.begin = Clock::now();
  const auto tell = [&](const char* what, int index, const auto&) {
    const std::string name = what;
    if (name != "block") r.marks.push_back({part_name(name, index), Clock::now(), r.timings.size()});
  };
  const auto maps = model::sam2unet(timed, net, image, false, tell);
  r.marks.push_back({"head", Clock::now(), r.timings.size()});
  return r;
}

void tell_stages(const Round& r, BenchResult& out) {
  Clock::time_point from = r.begin;
  std::size_t operation = 0;
  for (const Mark& m : r.marks) {
    BenchStage stage{m.name, ms_between(from, m.end), {}};
    std::map<ops::Kind, double> kinds;
    for (; operation < m.operations; ++operation) {
      const Timing& t = r.timings[operation];
      kinds[t.kind] += ms_between(t.begin, t.end);
      out.events.push_back({std::string(ops::name_of(t.kind)), m.name, ms_between(r.begin, t.begin) * 1e3,
                            ms_between(t.begin, t.end) * 1e3});
    }
    for (const auto& [kind, ms] : kinds) stage.kinds.push_back({std::string(ops::name_of(kind)), ms});
    std::sort(stage.kinds.begin(), stage.kinds.end(),
              [](const auto& a, const auto& b) { return a.ms > b.ms; });
    out.stages.push_back(std::move(stage));
    from = m.end;
  }
}

// The peak is measured between the rounds, so that both see the same machine.
template <class Ops, class Peak>
void measure(Ops& o, const model::Network<typename Ops::Weights>& net, const BenchOptions& options,
             const Peak& peak, BenchResult& out) {
  const ops::Extent input{options.batch, options.size.height, options.size.width, 3};
  std::optional<Round> fastest;
  for (int i = 0; i < options.warm_up + options.rounds; ++i) {
    Round r = time_round(o, net, input);
    out.peak_gflops = std::max(out.peak_gflops, peak(o.threads()));
    if (i < options.warm_up) continue;
    out.ms.push_back(r.ms());
    if (!fastest || r.ms() < fastest->ms()) fastest = std::move(r);
  }
  out.threads = o.threads();
  tell_stages(*fastest, out);
}

void measure_f32(model::WeightSource& source, const model::Config& config, const BenchOptions& options,
                 BenchResult& out) {
  ops::CpuWeights weights(source);
  const auto net = model::Network<ops::CpuWeights>::make(weights, config);
  ops::CpuOps o(options.run.threads);
  out.arithmetic = "f32";
  measure(
      o, net, options, [](int n) { return ops::lowp::peak_gops(ops::lowp::Way::widened, n); }, out);
}

void measure_low(model::WeightSource& source, const model::Config& config, const BenchOptions& options,
                 BenchResult& out) {
  const auto numerics = ops::lowp::best_numerics(out.precision == Precision::int8);
  ops::lowp::LowWeights weights(source, numerics);
  const auto net = model::Network<ops::lowp::LowWeights>::make(weights, config);
  ops::lowp::LowOps o(numerics, options.run.threads);
  out.arithmetic = ops::lowp::words_of(numerics);
  measure(
      o, net, options, [&](int n) { return ops::lowp::peak_gops(numerics, n); }, out);
}

// Another device: from outside, as a whole.
void measure_device(model::WeightSource& source, const model::Config& config, const BenchOptions& options,
                    BenchResult& out) {
  const auto backend = api::make_backend(source, config, options.run);
  const api::BackendInfo info = backend->info();
  out.device = info.device;
  out.precision = info.precision;
  out.arithmetic = info.arithmetic;
  const ops::Extent input{options.batch, options.size.height, options.size.width, 3};
  const std::vector<float> values(static_cast<std::size_t>(input.numel()), 0.25F);
  for (int i = 0; i < options.warm_up + options.rounds; ++i) {
    const auto begin = Clock::now();
    backend->run(api::BackendInput(input, values), [](const api::Logits&) {});
    if (i >= options.warm_up) out.ms.push_back(ms_between(begin, Clock::now()));
  }
}

void check(const BenchOptions& o) {
  if (o.variant.empty() == o.weights.empty())
    throw UsageError("either a variant or a file of weights is timed");
  if (o.batch < 1 || o.batch > 256) throw UsageError(fmt::format("a batch of {}: must be 1 to 256", o.batch));
  if (o.rounds < 1 || o.rounds > 100000)
    throw UsageError(fmt::format("{} rounds: must be 1 to 100000", o.rounds));
  if (o.warm_up < 0 || o.warm_up > 1000)
    throw UsageError(fmt::format("{} rounds to warm up: must be 0 to 1000", o.warm_up));
  if (o.run.threads < 0 || o.run.threads > 1024)
    throw UsageError(fmt::format("{} threads: must be 0 (all cores) to 1024", o.run.threads));
}

}  // namespace

double BenchResult::percentile(double share) const {
  const double at = share * static_cast<double>(ms.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, ms.size() - 1);
  return ms[below] + (ms[above] - ms[below]) * (at - static_cast<double>(below));
}

BenchResult bench(const BenchOptions& asked) {
  check(asked);
  BenchOptions options = asked;
  InputSize trained;
  std::unique_ptr<model::WeightSource> source;
  model::Config config;
  if (options.variant.empty()) {
    auto file = std::make_unique<model::CheckpointWeights>(formats::TensorFile::open(options.weights));
    config = file->config();
    if (const auto size = file->trained_size()) trained = InputSize::of(size->width, size->height);
    source = std::move(file);
  } else {
    config = model::Config::of_variant(options.variant);
    source = std::make_unique<model::DeterministicWeights>();
  }
  config.validate();
  if (options.size.width == 0) options.size.width = trained.width;
  if (options.size.height == 0) options.size.height = trained.height;
  config.check_input(options.size.height, options.size.width);
  BenchResult out;
  out.variant = model::variant_name(config);
  out.device = options.run.device;
  out.size = options.size;
  out.batch = options.batch;
  const api::DeviceKind device = api::parse_device(options.run.device).kind;
  out.precision = api::precision_on(device, options.run.precision);
  out.gflop = gflop_of(config, {options.batch, options.size.height, options.size.width, 3});
  if (device != api::DeviceKind::cpu)
    measure_device(*source, config, options, out);
  else if (out.precision == Precision::f32)
    measure_f32(*source, config, options, out);
  else
    measure_low(*source, config, options, out);
  std::sort(out.ms.begin(), out.ms.end());
  if (out.peak_gflops > 0.0) out.floor_ms = out.gflop / out.peak_gflops * 1e3;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.peak_rss_mb = static_cast<double>(usage.ru_maxrss) * 1024e-6;
  return out;
}

}  // namespace sam2unet
