#include "sam2unet/bench.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "device.h"
#include "outputs.h"
#include "sam2unet/errors.h"
#include "size.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  BenchOptions options;
  std::string weights, size, json, profile;
};

nlohmann::json to_json(const BenchResult& r) {
  nlohmann::json stages = nlohmann::json::array();
  for (const BenchStage& s : r.stages) {
    nlohmann::json kinds = nlohmann::json::object();
    for (const auto& k : s.kinds) kinds[k.kind] = k.ms;
    stages.push_back({{"name", s.name}, {"ms", s.ms}, {"kinds", std::move(kinds)}});
  }
  return {{"variant", r.variant},
          {"device", r.device},
          {"precision", name_of(r.precision)},
          {"arithmetic", r.arithmetic},
          {"choice", r.choice},
          {"size", {r.size.height, r.size.width}},
          {"batch", r.batch},
          {"threads", r.threads},
          {"streams", r.streams},
          {"rounds", r.ms.size()},
          {"latency_ms",
           {{"min", r.ms.front()},
            {"median", r.percentile(0.5)},
            {"p90", r.percentile(0.9)},
            {"p99", r.percentile(0.99)}}},
          {"images_per_s", r.images_per_s()},
          {"gflop", r.gflop},
          {"gflops", r.achieved_gflops()},
          {"peak_gflops", r.peak_gflops},
          {"floor_ms", r.floor_ms},
          {"ratio_to_floor", r.ratio_to_floor()},
          {"peak_rss_mb", r.peak_rss_mb},
          {"stages", std::move(stages)}};
}

// The operations of the fastest round, as chrome://tracing and Perfetto read them.
nlohmann::json to_trace(const BenchResult& r) {
  nlohmann::json events = nlohmann::json::array();
  for (const BenchEvent& e : r.events) {
    events.push_back({{"name", e.kind},
                      {"cat", e.stage},
                      {"ph", "X"},
                      {"ts", e.begin_us},
                      {"dur", e.us},
                      {"pid", 1},
                      {"tid", 1}});
  }
  return {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
}

void print(const BenchResult& r) {
  fmt::print("variant     {}, {}x{}, batch {}\n", r.variant, r.size.height, r.size.width, r.batch);
  // How many threads of the processor there are says nothing of another device.
  fmt::print("computes    {} on {}, {}\n", r.arithmetic, r.device,
             r.device == "cpu" && r.streams == 1 ? fmt::format("{} threads", r.threads)
             : r.device == "cpu" ? fmt::format("{} streams of {} threads", r.streams, r.threads)
                                 : fmt::format("{} {}", r.streams, r.streams == 1 ? "stream" : "streams"));
  if (!r.choice.empty()) fmt::print("chosen      auto: {}\n", r.choice);
  fmt::print("latency     min {:.1f}  median {:.1f}  p90 {:.1f}  p99 {:.1f} ms\n", r.ms.front(),
             r.percentile(0.5), r.percentile(0.9), r.percentile(0.99));
  fmt::print("pictures/s  {:.2f}\n", r.images_per_s());
  fmt::print("operations  {:.1f} GFLOP, {:.0f} GFLOP/s\n", r.gflop, r.achieved_gflops());
  if (r.floor_ms > 0.0) {
    fmt::print("peak        {:.0f} GFLOP/s, floor {:.1f} ms, {:.2f} times the floor\n", r.peak_gflops,
               r.floor_ms, r.ratio_to_floor());
  }
  fmt::print("memory      {:.0f} MB at most\n", r.peak_rss_mb);
  for (const BenchStage& s : r.stages) {
    std::string kinds;
    for (const auto& k : s.kinds)
      kinds += fmt::format("{}{} {:.2f}", kinds.empty() ? "" : ", ", k.kind, k.ms);
    fmt::print("  {:<9} {:8.2f} ms  {}\n", s.name, s.ms, kinds);
  }
}

void run(Arguments& a) {
  a.options.weights = a.weights;
  if (a.options.variant.empty() && a.weights.empty()) a.options.variant = "t";
  if (!a.options.variant.empty() && !a.weights.empty())
    throw UsageError("--variant and --weights exclude each other");
  a.options.size = parse_size(a.size);
  check_result_files({a.json, a.profile});
  const BenchResult r = bench(a.options);
  if (!a.profile.empty()) {
    if (r.events.empty()) throw UsageError("--profile: only the device cpu tells of its operations");
    write_result(a.profile, to_trace(r).dump() + "\n");
  }
  if (!a.json.empty()) write_result(a.json, to_json(r).dump(2) + "\n");
  if (a.json != "-" && a.profile != "-") print(r);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* c =
      app.add_subcommand("bench", "Time the network on this machine against what the machine can do at all");
  auto a = std::make_shared<Arguments>();
  c->add_option("--variant", a->options.variant, "random weights of this variant (t without --weights)")
      ->transform(CLI::IsMember({"t", "s", "b+", "l"}, CLI::ignore_case));
  c->add_option("-w,--weights", a->weights, "checkpoint or name of a model to time instead");
  c->add_option("--size", a->size, "network input: N or HxW, multiples of 32 (352)");
  c->add_option("--batch", a->options.batch, "pictures the network sees at once")
      ->check(CLI::Range(1, 256).description(""))
      ->type_name("N")
      ->capture_default_str();
  c->add_option("-n,--rounds", a->options.rounds, "how often")
      ->check(CLI::Range(1, 100000).description(""))
      ->type_name("N")
      ->capture_default_str();
  c->add_option(
       "--streams", a->options.streams,
       "batches that are given to the device at the same time; on the device cpu they share the threads")
      ->check(CLI::Range(1, 64).description(""))
      ->type_name("N")
      ->capture_default_str();
  c->add_option("-j,--threads", a->options.run.threads, "threads (0: all cores, or OMP_NUM_THREADS)")
      ->check(CLI::Range(0, 1024));
  add_device_options(*c, a->options.run.device, a->options.run.precision);
  c->add_option("--json", a->json, "write everything to FILE (- for standard output, alone)")
      ->type_name("FILE");
  c->add_option("--profile", a->profile,
                "write the operations of the fastest round to FILE, for chrome://tracing")
      ->type_name("FILE");
  c->footer(
      "The floor is the network's own operations, without padding, at the peak that the precision's fastest "
      "instruction reaches between the rounds.\n"
      "Examples:\n"
      "  sam2unet bench --variant l --precision bf16 --json -\n"
      "  sam2unet bench --variant l --device cuda --batch 64 --streams 2 -n 30 --json l.json");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
