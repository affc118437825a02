#include "train/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "model/network.h"
#include "sam2unet/classes.h"
#include "sam2unet/errors.h"
#include "train/multi_scale.h"
#include "train/plan_ops.h"
#include "train/start.h"

namespace sam2unet::train {
namespace {

struct Count {
  std::int64_t all = 0, learned = 0;
};

Count count_of(const PlanWeights& w) {
  Count n;
  for (const auto& p : w.parameters) {
    n.all += p.numel;
    n.learned += p.learns ? p.numel : 0;
  }
  return n;
}

int parts_with(const Settings& s, int batch) {
  return (s.batch + batch - 1) / batch;
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.0f}", static_cast<double>(bytes) / (1 << 20));
}

// What the reference's download page calls the trunk of a variant.
std::string trunk_name(const std::string& variant) {
  static const std::map<std::string, std::string> names = {
      {"t", "tiny"}, {"s", "small"}, {"b+", "base_plus"}, {"l", "large"}};
  const auto it = names.find(variant);
  return fmt::format("sam2_hiera_{}.pt", it == names.end() ? variant : it->second);
}

// A frozen trunk of random numbers would be refused, so the command names the file it wants.
bool lacks_trunk(const Settings& s) {
  return s.init == kInitScratch && s.freeze == Freeze::trunk && !s.frozen_scratch;
}

std::string command_of(const PlanEntry& e, Settings s) {
  if (s.images.empty()) s.images = s.masks = {"DIR"};
  if (e.variant != "custom") s.variant = e.variant;
  if (lacks_trunk(s)) s.init = trunk_name(e.variant);
  s.accumulate = std::max(1, e.accumulate);
  s.precision = e.precision;
  s.recompute = e.recompute;
  return s.to_command();
}

// The networks to plan for, by name.
std::vector<std::pair<std::string, model::Config>> networks_of(const Settings& s) {
  ClassTable classes;
  if (!s.classes.empty()) classes = class_table_of(s.classes);
  std::optional<model::Config> asked;
  if (!s.network.empty()) asked = model::Config::from_json(s.network);
  if (s.init != kInitScratch) {  // the file decides
    if (!asked && !s.variant.empty()) asked = model::Config::of_variant(s.variant);
    asked = StartWeights(s.init, asked, s.seed, s.adapters, classes, parts_of(s)).config();
  }
  std::vector<std::pair<std::string, model::Config>> out;
  if (asked) {
    out.emplace_back(model::variant_name(*asked), *asked);
  } else {
    for (const char* v : {"t", "s", "b+", "l"}) {
      if (s.variant.empty() || s.variant == v) out.emplace_back(v, model::Config::of_variant(v));
    }
    if (out.empty()) model::Config::of_variant(s.variant);  // names the ones there are
  }
  for (auto& [name, config] : out) {
    config = with_parts(config, parts_of(s));
    if (!classes.empty()) config.out_channels = classes.size();
  }
  return out;
}

}  // namespace

MemoryNeed memory_need(const model::Config& config, const Settings& s) {
  const int element = s.precision == ComputeType::f64    ? 8
                      : s.precision == ComputeType::bf16 ? 2
                                                         : 4,
            parameter = element == 8 ? 8 : 4;
  PlanWeights weights(s.freeze == Freeze::trunk, config);
  const auto net = model::Network<PlanWeights>::make(weights, config);
  model::Network<PlanWeights>::make_unused(weights, config);
  const auto [all, learned] = count_of(weights);
  const auto sizes = training_sizes(s.size, s.multi_scale);
  const std::int64_t size = *std::max_element(sizes.begin(), sizes.end()), pixels = size * size;
  const int parts = std::max(1, s.accumulate), part = (s.batch + parts - 1) / parts;
  MemoryNeed need;
  need.parameters = (all + weights.statistics) * parameter;
  need.optimizer = learned * parameter * (s.ema > 0 ? 3 : 2);
  need.gradients = learned * parameter;
  need.batch = s.batch * std::int64_t{s.size} * s.size * (3 + 1) * 4;
  if (size != s.size) need.batch += s.batch * pixels * (3 + 1) * 4;  // the batch at the largest size
  // A part of the batch in another type is a copy.
  const std::int64_t copies = element == 4 ? 0 : part * pixels * 3 * element;

  Meter meter;
  PlanOps o(meter, weights, element, parameter);
  o.recompute = s.recompute;
  // With accumulation the gradients of the parts before are there while the next part is computed.
  for (int i = 0; i < std::min(2, parts); ++i) {
    const Block cast(meter, copies);
    {
      const auto maps = model::sam2unet(o, net, o.input({part, size, size, 3}), model::Sides::wanted);
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

std::int64_t default_overhead(DeviceKind device) {
  return (device == DeviceKind::cpu ? std::int64_t{512} : std::int64_t{1024}) << 20;
}

std::int64_t process_need(const MemoryNeed& need, std::int64_t overhead) {
  return need.total() + need.total() / 10 + overhead;
}

Plan make_plan(const Settings& settings, std::int64_t memory, std::int64_t overhead) {
  Plan plan;
  plan.memory = memory;
  plan.overhead = overhead;
  for (const auto& network : networks_of(settings)) {
    const auto& config = network.second;
    for (const int side : training_sizes(settings.size, settings.multi_scale)) config.check_input(side, side);
    for (const ComputeType precision : {ComputeType::f32, ComputeType::bf16}) {
      for (const bool recompute : {false, true}) {
        Settings s = settings;
        s.precision = precision;
        s.recompute = recompute;
        const auto fits = [&](int batch, int accumulate) {
          s.batch = batch;
          s.accumulate = accumulate;
          return process_need(memory_need(config, s), overhead) <= memory;
        };
        PlanEntry e{network.first, precision, recompute, 0, 0, {}};
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
        e.need = memory_need(config, s);
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
                  megabytes(plan.memory), megabytes(plan.overhead), s.size, s.batch, name_of(s.freeze));
  text +=
      "variant  precision  recompute  largest batch  accumulate   weights  optimizer  gradients  batch  "
      "activations  "
      "tensors  process MiB\n";
  for (const auto& e : plan.entries) {
    text +=
        fmt::format("{:<8} {:<10} {:<10} {:>13}  {:>10}  {:>8}  {:>9}  {:>9}  {:>5}  {:>11}  {:>7}  {:>11}\n",
                    e.variant, name_of(e.precision), e.recompute ? "yes" : "no", e.largest_batch,
                    e.accumulate > 0 ? std::to_string(e.accumulate) : "-", megabytes(e.need.parameters),
                    megabytes(e.need.optimizer), megabytes(e.need.gradients), megabytes(e.need.batch),
                    megabytes(e.need.activations), megabytes(e.need.total()),
                    megabytes(process_need(e.need, plan.overhead)));
  }
  if (plan.command.empty()) return text + "\nnothing fits: take a smaller --size or a smaller network\n";
  text += "\n";
  if (lacks_trunk(s)) {
    const auto& e = plan.entries[static_cast<std::size_t>(plan.recommended)];
    text += fmt::format("# {} is the trunk of SAM2 for this network, wherever you have it\n",
                        trunk_name(e.variant));
  }
  return text + plan.command + "\n";
}

std::string to_json(const Plan& plan, const Settings& s) {
  using Json = nlohmann::ordered_json;
  Json out{{"memory", plan.memory}, {"overhead", plan.overhead},   {"size", s.size},
           {"batch", s.batch},      {"freeze", name_of(s.freeze)}, {"entries", Json::array()}};
  for (const auto& e : plan.entries) {
    out["entries"].push_back({{"variant", e.variant},
                              {"precision", name_of(e.precision)},
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
