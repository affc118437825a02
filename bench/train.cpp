// Training steps on made-up pictures: pictures a second and memory, as JSON. The clock runs from the outcome
// of one step to that of the next, so nothing is waited for that training does not wait for.
//
//   bench_train [--device cpu|cuda] [--variant l | --network JSON] [--batch 12] [--size 352] [--precision
//   bf16]
//               [--steps 30] [--before 5] [--accumulate 1] [--ema 0] [--clip 0] [--all-parameters]
//               [--recompute]
//               [--operation-by-operation] [--json FILE]
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "ops/torch/device.h"
#include "ops/torch/numerics.h"
#include "ops/torch/torch_errors.h"
#include "sam2unet/errors.h"
#include "train/parallel.h"
#include "train/start.h"
#include "train/step.h"

namespace {

using namespace sam2unet;
using namespace sam2unet::train;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::map<std::string, std::string> values{{"device", "cpu"}, {"variant", "t"},     {"batch", "12"},
                                            {"size", "352"},   {"precision", "f32"}, {"steps", "30"},
                                            {"before", "5"},   {"accumulate", "1"},  {"ema", "0"},
                                            {"clip", "0"},     {"json", ""},         {"network", ""}};
  std::map<std::string, bool> flags{
      {"all-parameters", false}, {"recompute", false}, {"operation-by-operation", false}};

  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string name = std::string(argv[i]).starts_with("--") ? argv[i] + 2 : argv[i];
      if (flags.contains(name)) {
        flags[name] = true;
      } else if (values.contains(name) && i + 1 < argc) {
        values[name] = argv[++i];
      } else {
        throw UsageError(fmt::format("{}: no such option", argv[i]));
      }
    }
  }
  int number(const std::string& name) const { return std::stoi(values.at(name)); }
  const std::string& text(const std::string& name) const { return values.at(name); }
};

// Discs on noise, as bytes: three batches, so that none is used while it may still be copied from.
std::vector<Batch> batches(std::int64_t n, std::int64_t size, bool pinned) {
  at::manual_seed(1);
  const auto bytes = at::TensorOptions(at::kByte).pinned_memory(pinned);
  std::vector<Batch> out;
  for (int k = 0; k < 3; ++k) {
    Batch b{at::empty({n, size, size, 3}, bytes), at::empty({n, size, size, 1}, bytes), {}};
    b.image.copy_(at::randint(0, 200, {n, size, size, 3}, at::kByte));
    const at::Tensor at = at::arange(size), y = (at - size / 2).square().view({-1, 1}),
                     x = (at - size / (k + 2)).square().view({1, -1});
    const at::Tensor inside = (y + x < size * size / 9).view({1, size, size, 1});
    b.mask.copy_((inside * 255).expand({n, size, size, 1}));
    b.image.add_(b.mask.div(5, "floor"));
    out.push_back(std::move(b));
  }
  return out;
}

void add_memory(nlohmann::ordered_json& out, at::Device device) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out["host_resident_bytes"] = std::int64_t{usage.ru_maxrss} * 1024;
  if (!device.is_cuda()) return;
  auto* allocator = c10::getDeviceAllocator(c10::kCUDA);
  const auto stats = allocator->getDeviceStats(device.index());
  const auto [free, total] = allocator->getMemoryInfo(device.index());
  const auto peak = [](const auto& all) { return all[0].peak; };  // of all pools
  out["peak_allocated_bytes"] = peak(stats.allocated_bytes);
  out["peak_reserved_bytes"] = peak(stats.reserved_bytes);
  out["reserved_bytes"] = stats.reserved_bytes[0].current;
  out["gpu_bytes_taken"] = total - free;  // whoever took them
}

at::ScalarType type_of(ComputeType precision) {
  return precision == ComputeType::bf16  ? at::kBFloat16
         : precision == ComputeType::f64 ? at::kDouble
                                         : at::kFloat;
}

nlohmann::ordered_json measure(const Arguments& a) {
  at::Device device = ops::find_device(a.text("device"), "--device " + a.text("device"));
  if (device.is_cuda() && !device.has_index()) device.set_index(0);
  ComputeType precision = ComputeType::f32;
  parse_setting("precision", a.text("precision"), precision);
  ops::set_float32_numerics(precision == ComputeType::tf32);
  const ops::OwnStream stream(device);
  const auto config = a.text("network").empty() ? model::Config::of_variant(a.text("variant"))
                                                : model::Config::from_json(a.text("network"));
  StartWeights start({}, config, 1);
  const auto parameters = precision == ComputeType::f64 ? at::kDouble : at::kFloat;
  TrainableNetwork net(config, start, a.flags.at("all-parameters") ? Freeze::none : Freeze::trunk, parameters,
                       device);
  net.ops().recompute = a.flags.at("recompute");
  AdamW optimizer(net.trainable(), {});
  Ema ema(optimizer, std::stod(a.text("ema")));
  Group group({}, device, std::chrono::seconds(60));
  StepOptions options;
  options.accumulate = a.number("accumulate");
  options.clip = std::stod(a.text("clip"));
  options.type = type_of(precision);
  std::string why;
  if (device.is_cuda() && !a.flags.at("operation-by-operation")) options.recorder = make_cuda_recorder(why);
  TrainingStep step(net, optimizer, ema, group, options);

  const int size = a.number("size"), n = a.number("batch"), before = a.number("before"),
            steps = a.number("steps");
  const auto all = batches(n, size, device.is_cuda());
  std::vector<double> seconds, losses;
  int bad = 0;
  auto last = Clock::now();
  const auto finish = [&] {
    const StepOutcome outcome = step.finish();
    const auto now = Clock::now();
    seconds.push_back(std::chrono::duration<double>(now - last).count());
    losses.push_back(outcome.loss);
    bad += outcome.ok() ? 0 : 1;
    last = now;
  };
  for (int i = 0; i < before + steps; ++i) {
    step.start(all[static_cast<std::size_t>(i) % all.size()], size, static_cast<std::size_t>(n), 1e-4,
               Request::none);
    if (step.under_way() > (device.is_cuda() ? 1U : 0U)) finish();
  }
  while (step.under_way() > 0) finish();

  nlohmann::ordered_json out{{"program", "sam2unet"},
                             {"variant", a.text("network").empty() ? a.text("variant") : "custom"},
                             {"batch", n},
                             {"size", size},
                             {"precision", a.text("precision")},
                             {"device", device.str()},
                             {"all_parameters", a.flags.at("all-parameters")},
                             {"recompute", a.flags.at("recompute")},
                             {"recorded", step.is_recorded()},
                             {"not_recorded_because", why + step.failure()},
                             {"steps", steps}};
  out["seconds_before"] = 0.0;
  for (int i = 0; i < before; ++i) {
    out["seconds_before"] = out["seconds_before"].get<double>() + seconds[static_cast<std::size_t>(i)];
  }
  seconds.erase(seconds.begin(), seconds.begin() + before);
  double sum = 0;
  for (const double s : seconds) sum += s;
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  out["median_ms"] = 1e3 * median;
  out["images_per_s"] = n / median;
  out["images_per_s_mean"] = n * static_cast<double>(seconds.size()) / sum;
  out["first_loss"] = losses.front();
  out["last_loss"] = losses.back();
  out["bad_steps"] = bad;
  add_memory(out, device);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments(argc, argv);
    const auto result = ops::with_own_errors([&] { return measure(arguments); });
    std::cout << result.dump() << "\n";
    if (!arguments.text("json").empty()) std::ofstream(arguments.text("json")) << result.dump(1) << "\n";
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_train: %s\n", e.what());
    return 1;
  }
}
