#include "sam2unet/bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "api/cpu_backend.h"
#include "api/device.h"
#include "api/load_network.h"
#include "api/make_backend.h"
#include "api/precision_choice.h"
#include "model/checkpoint.h"
#include "model/gflop.h"
#include "model/network.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/threads.h"
#include "ops/lowp/low_ops.h"
#include "ops/lowp/peak.h"
#include "ops/timed_ops.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"

namespace sam2unet {
namespace {

using ops::Clock;
using ops::Timing;

double ms_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
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
  const auto maps = model::sam2unet(timed, net, image, model::Sides::none, tell);
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
  const auto net = api::load_network<ops::CpuWeights>(config, source);
  ops::CpuOps o(options.run.threads);
  out.arithmetic = "f32";
  measure(
      o, net, options, [](int n) { return ops::lowp::peak_gops(ops::lowp::Way::widened, n); }, out);
}

void measure_low(model::WeightSource& source, const model::Config& config, const BenchOptions& options,
                 const std::vector<std::string>& kept, BenchResult& out) {
  const auto numerics = ops::lowp::best_numerics(api::low_precision(out.precision));
  const auto net = api::load_network<ops::lowp::LowWeights>(config, source, numerics, kept);
  ops::lowp::LowOps o(numerics, options.run.threads);
  out.arithmetic = ops::lowp::words_of(numerics);
  measure(
      o, net, options, [&](int n) { return ops::lowp::peak_gops(numerics, n); }, out);
}

// A batch as the backend gets it from Segmenter, with pixels that are not all alike.
std::vector<Image> pictures_of(const BenchOptions& options) {
  std::vector<Image> out(static_cast<std::size_t>(options.batch));
  std::uint32_t state = 1;
  for (Image& picture : out) {
    picture = Image(options.size.width, options.size.height, 3);
    for (std::uint8_t& p : picture.pixels) {
      state = state * 1664525U + 1013904223U;
      p = static_cast<std::uint8_t>(state >> 24U);
    }
  }
  return out;
}

// Threads that run a backend at the same time. All have warmed up before the first round that counts.
class Streams {
 public:
  Streams(const api::Backend& backend, const BenchOptions& options)
      : backend_(backend), options_(options), ready_(options.streams) {}

  void run(BenchResult& out) {
    {
      std::vector<std::jthread> threads;
      for (int i = 1; i < options_.streams; ++i) threads.emplace_back([this] { run_one(); });
      run_one();
    }
    if (failure_) std::rethrow_exception(failure_);
    out.ms = std::move(ms_);
    out.total_s = ms_between(begin_, end_) * 1e-3;
  }

 private:
  void run_one() {
    bool is_waited_for = true;
    try {
      const std::vector<Image> pictures = pictures_of(options_);
      const std::vector<ImageView> views(pictures.begin(), pictures.end());
      for (int i = 0; i < options_.warm_up; ++i) pass(views);
      is_waited_for = false;
      ready_.arrive_and_wait();
      const auto begin = Clock::now();
      std::vector<double> ms;
      ms.reserve(static_cast<std::size_t>(options_.rounds));
      for (int i = 0; i < options_.rounds; ++i) ms.push_back(pass(views));
      add(begin, Clock::now(), ms);
    } catch (...) {
      if (is_waited_for) ready_.arrive_and_drop();
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
  double pass(const std::vector<ImageView>& views) const {
    const auto begin = Clock::now();
    backend_.run(api::BackendInput(views), [](const api::Logits&) {});
    return ms_between(begin, Clock::now());
  }
  void add(Clock::time_point begin, Clock::time_point end, const std::vector<double>& ms) {
    const std::lock_guard lock(mutex_);
    if (ms_.empty() || begin < begin_) begin_ = begin;
    if (ms_.empty() || end > end_) end_ = end;
    ms_.insert(ms_.end(), ms.begin(), ms.end());
  }

  const api::Backend& backend_;
  const BenchOptions& options_;
  std::barrier<> ready_;
  std::mutex mutex_;  // of what follows
  std::vector<double> ms_;
  Clock::time_point begin_, end_;
  std::exception_ptr failure_;
};

// From outside, as a whole: another device, or several passes at a time.
void measure_backend(model::WeightSource& source, const model::Config& config, const BenchOptions& options,
                     const std::vector<std::string>& kept, BenchResult& out) {
  SegmenterOptions run = options.run;
  run.streams = options.streams;
  const auto backend = api::make_backend(source, config, run, kept);
  const api::BackendInfo info = backend->info();
  out.device = info.device;
  out.precision = info.precision;
  out.arithmetic = info.arithmetic;
  if (info.device == "cpu") out.threads = api::thread_shares(run).threads;
  Streams(*backend, options).run(out);
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
  const bool is_cpu = api::parse_device(o.run.device).kind == api::DeviceKind::cpu;
  const int most = is_cpu ? std::min(64, ops::available_threads(o.run.threads)) : 64;
  if (o.streams < 1 || o.streams > most)
    throw UsageError(fmt::format("{} streams: must be 1 to {}{}", o.streams, most,
                                 is_cpu ? ", the threads there are" : ""));
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
  model::StoredGates gates;
  if (options.variant.empty()) {
    auto file =
        std::make_unique<model::CheckpointWeights>(formats::TensorFile::open(find_weights(options.weights)));
    config = file->config();
    gates = file->gates();
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
  out.streams = options.streams;
  const api::DeviceKind device = api::parse_device(options.run.device).kind;
  const api::PrecisionChoice choice = api::choose_precision(device, options.run.precision, gates);
  out.precision = options.run.precision = choice.precision;
  out.choice = choice.why;
  out.gflop = model::network_gflop(config, {options.batch, options.size.height, options.size.width, 3});
  if (device != api::DeviceKind::cpu || options.streams > 1)
    measure_backend(*source, config, options, choice.kept, out);
  else if (out.precision == Precision::f32)
    measure_f32(*source, config, options, out);
  else
    measure_low(*source, config, options, choice.kept, out);
  std::sort(out.ms.begin(), out.ms.end());
  if (out.peak_gflops > 0.0) out.floor_ms = out.gflop / out.peak_gflops * 1e3;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.peak_rss_mb = static_cast<double>(usage.ru_maxrss) * 1024e-6;
  return out;
}

}  // namespace sam2unet
