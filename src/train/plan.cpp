#include "train/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "model/network.h"
#include "sam2unet/errors.h"
#include "train/plan_ops.h"

namespace sam2unet::train {
namespace {

std::int64_t sum_of(const PlanWeights& w, bool only_learned) {
  std::int64_t n = 0;
  for (const auto& p : w.parameters) n += !only_learned || p.learns ? p.numel : 0;
  return n;
}

int parts_with(const Settings& s, int batch) {
  return (s.batch + batch - 1) / batch;
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.0f}", static_cast<double>(bytes) / (1 << 20));
}

std::string command_of(const PlanEntry& e, const Settings& s) {
  std::string text = "sam2unet train";
  const auto repeat = [&](const char* option, const std::vector<std::string>& values) {
    for (const auto& v : values) text += fmt::format(" {} {}", option, v);
  };
  repeat("--images", s.images.empty() ? std::vector<std::string>{"DIR"} : s.images);
  repeat("--masks", s.masks.empty() ? std::vector<std::string>{"DIR"} : s.masks);
  text += e.variant == "custom" ? fmt::format(" --network '{}'", s.network) : " --variant " + e.variant;
  if (s.recipe != "official") text += " --recipe " + s.recipe;
  text += fmt::format(" --size {} --batch {}", s.size, s.batch);
  if (e.accumulate > 1) text += fmt::format(" --accumulate {}", e.accumulate);
  if (e.precision != "f32") text += " --precision " + e.precision;
  if (e.recompute) text += " --recompute";
  if (s.device != "cpu") text += " --device " + s.device;
  return text;
}

}  // namespace

MemoryNeed memory_need(const model::Config& config, const Settings& s, bool recompute) {
  const int element = s.precision == "f64"    ? 8
                      : s.precision == "bf16" ? 2
                                              : 4,
            parameter = element == 8 ? 8 : 4;
  PlanWeights weights(s.freeze == "trunk", config);
  const auto net = model::Network<PlanWeights>::make(weights, config);
  model::Network<PlanWeights>::make_unused(weights, config);
  const std::int64_t all = sum_of(weights, false), learned = sum_of(weights, true),
                     pixels = std::int64_t{s.size} * s.size;
  const int parts = std::max(1, s.accumulate), part = (s.batch + parts - 1) / parts;
  MemoryNeed need;
  need.parameters = (all + weights.statistics) * parameter;
  need.optimizer = learned * parameter * (s.ema > 0 ? 3 : 2);
  need.gradients = learned * parameter;
  need.batch = s.batch * pixels * (3 + 1) * 4;
  // A part of the batch in another type is a copy.
  const std::int64_t copies = element == 4 ? 0 : part * pixels * 3 * element;

  Meter meter;
  PlanOps o(meter, weights, element, parameter, recompute);
  // With accumulation the gradients of the parts before are there while the next part is computed.
  for (int i = 0; i < std::min(2, parts); ++i) {
    const Block cast(meter, copies);
    {
      const auto maps = model::sam2unet(o, net, o.input({part, s.size, s.size, 3}), /*wants_sides=*/true);
      for (const auto* map : {&maps.out, &*maps.out1, &*maps.out2}) o.loss(*map);
    }
    o.backward();
  }
  // AdamW: the denominator of the largest tensor and its root.
  std::int64_t largest = 0;
  for (const auto& p : weights.parameters) largest = std::max(largest, p.learns ? p.numel : 0);
  const std::int64_t peak = std::max(meter.peak(), need.gradients + 2 * largest * parameter);
  need.activations = std::max<std::int64_t>(0, peak - need.gradients);
  return need;
}

std::int64_t default_overhead(const std::string& device) {
  return (device == "cpu" ? std::int64_t{512} : std::int64_t{1024}) << 20;
}

std::int64_t process_need(const MemoryNeed& need, std::int64_t overhead) {
  return need.total() + need.total() / 10 + overhead;
}

Plan make_plan(const Settings& settings, std::int64_t memory, std::int64_t overhead) {
  Plan plan;
  plan.memory = memory;
  plan.overhead = overhead;
  std::vector<std::pair<std::string, model::Config>> networks;
  if (!settings.network.empty()) {
    networks.emplace_back("custom", model::Config::from_json(settings.network));
  } else {
    for (const char* v : {"t", "s", "b+", "l"}) {
      if (settings.variant.empty() || settings.variant == v)
        networks.emplace_back(v, model::Config::of_variant(v));
    }
    if (networks.empty()) model::Config::of_variant(settings.variant);  // names the ones there are
  }
  for (const auto& [name, config] : networks) {
    config.check_input(settings.size, settings.size);
    for (const char* precision : {"f32", "bf16"}) {
      for (const bool recompute : {false, true}) {
        Settings s = settings;
        s.precision = precision;
        const auto fits = [&](int batch, int accumulate) {
          s.batch = batch;
          s.accumulate = accumulate;
          return process_need(memory_need(config, s, recompute), overhead) <= memory;
        };
        PlanEntry e{name, precision, recompute, 0, 0, {}};
        // Activations grow with the batch in proportion, which gives the answer but for rounding.
        int low = 0, high = 1;
        while (high <= 4096 && fits(high, 1)) low = high, high *= 2;
        while (high - low > 1) (fits((low + high) / 2, 1) ? low : high) = (low + high) / 2;
        e.largest_batch = low;
        for (int parts = 1; parts <= settings.batch && e.accumulate == 0; ++parts) {
          if (parts > 1 && parts_with(settings, (settings.batch + parts - 1) / parts) != parts) continue;
          if (fits(settings.batch, parts)) e.accumulate = parts;
        }
        s.batch = e.accumulate > 0 ? settings.batch : 1;
        s.accumulate = std::max(1, e.accumulate);
        e.need = memory_need(config, s, recompute);
        plan.entries.push_back(e);
      }
    }
  }
  // BatchNorm sees one part at a time, so a batch in one piece, recomputed if need be, comes before
  // accumulation.
  for (std::size_t i = 0; i < plan.entries.size(); ++i) {
    const PlanEntry& e = plan.entries[i];
    if (e.accumulate == 0 || e.precision != settings.precision) continue;
    const bool is_first =
        plan.recommended < 0 || plan.entries[static_cast<std::size_t>(plan.recommended)].variant != e.variant;
    if (is_first || e.accumulate < plan.entries[static_cast<std::size_t>(plan.recommended)].accumulate) {
      plan.recommended = static_cast<int>(i);
    }
  }
  if (plan.recommended >= 0)
    plan.command = command_of(plan.entries[static_cast<std::size_t>(plan.recommended)], settings);
  return plan;
}

std::int64_t parse_bytes(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit(end);
  for (const char* tail : {"iB", "B"}) {
    if (unit.ends_with(tail)) unit.resize(unit.size() - std::string(tail).size());
  }
  const std::string units = "KMGT";
  const auto at = unit.empty() ? std::string::npos : units.find(unit);
  const bool is_known = unit.empty() || (unit.size() == 1 && at != std::string::npos);
  if (end == text.c_str() || !is_known || !(number > 0)) {
    throw UsageError(fmt::format("--memory {}: give a size such as 12G or 800M", text));
  }
  const double bytes = number * std::pow(1024.0, unit.empty() ? 0 : static_cast<double>(at + 1));
  if (!(bytes < 9e18)) throw UsageError(fmt::format("--memory {}: too large", text));
  return static_cast<std::int64_t>(bytes);
}

std::string to_text(const Plan& plan, const Settings& s) {
  std::string text =
      fmt::format("{} MiB, of which {} MiB for the process itself; size {}, batch {}, freeze {}\n\n",
                  megabytes(plan.memory), megabytes(plan.overhead), s.size, s.batch, s.freeze);
  text +=
      "variant  precision  recompute  largest batch  accumulate   weights  optimizer  gradients  batch  "
      "activations  "
      "tensors  process MiB\n";
  for (const auto& e : plan.entries) {
    text +=
        fmt::format("{:<8} {:<10} {:<10} {:>13}  {:>10}  {:>8}  {:>9}  {:>9}  {:>5}  {:>11}  {:>7}  {:>11}\n",
                    e.variant, e.precision, e.recompute ? "yes" : "no", e.largest_batch,
                    e.accumulate > 0 ? std::to_string(e.accumulate) : "-", megabytes(e.need.parameters),
                    megabytes(e.need.optimizer), megabytes(e.need.gradients), megabytes(e.need.batch),
                    megabytes(e.need.activations), megabytes(e.need.total()),
                    megabytes(process_need(e.need, plan.overhead)));
  }
  text += plan.command.empty() ? "\nnothing fits: take a smaller --size or a smaller network\n"
                               : fmt::format("\n{}\n", plan.command);
  return text;
}

std::string to_json(const Plan& plan, const Settings& s) {
  using Json = nlohmann::ordered_json;
  Json out{{"memory", plan.memory}, {"overhead", plan.overhead}, {"size", s.size},
           {"batch", s.batch},      {"freeze", s.freeze},        {"entries", Json::array()}};
  for (const auto& e : plan.entries) {
    out["entries"].push_back({{"variant", e.variant},
                              {"precision", e.precision},
                              {"recompute", e.recompute},
                              {"largest_batch", e.largest_batch},
                              {"accumulate", e.accumulate},
                              {"parameters", e.need.parameters},
                              {"optimizer", e.need.optimizer},
                              {"gradients", e.need.gradients},
                              {"batch", e.need.batch},
                              {"activations", e.need.activations},
                              {"total", e.need.total()},
                              {"process", process_need(e.need, plan.overhead)}});
  }
  out["recommended"] = plan.recommended;
  out["command"] = plan.command;
  return out.dump(1) + "\n";
}

}  // namespace sam2unet::train
