// Several runs: which belong together, their means, and in what they differ.
#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/run_folder.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/runs.h"

namespace sam2unet {

namespace {

using Json = nlohmann::ordered_json;

bool is_one_of(std::string_view key, std::span<const std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// What may differ between the runs of a group: the question asked, and what changes no result.
constexpr std::array<std::string_view, 11> kFreeInGroup = {
    "seed",         "fold", "out",       "workers",   "threads", "save_every",
    "dist_timeout", "pth",  "task_only", "recompute", "device"};

// Of training, not of validation.
constexpr std::array<std::string_view, 6> kTrainingKeys = {"loss",           "lr",      "gradient_norm",
                                                           "pictures_per_s", "seconds", "epoch"};

std::vector<RunSetting> deciding(const TrainingRun& run) {
  std::vector<RunSetting> out;
  for (const RunSetting& s : run.settings) {
    if (!is_one_of(s.key, kFreeInGroup)) out.push_back(s);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return out;
}

bool are_alike(const std::vector<RunSetting>& a, const std::vector<RunSetting>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const RunSetting& x, const RunSetting& y) {
    return x.key == y.key && x.value == y.value;
  });
}

std::vector<RunSpread> spreads(std::span<const TrainingRun> runs, const std::vector<std::size_t>& members) {
  std::vector<RunSpread> out;
  const TrainingRun& first = runs[members.front()];
  if (first.best >= first.epochs.size()) return out;
  for (const RunValue& candidate : first.epochs[first.best].values) {
    if (candidate.key == "lr") continue;
    std::vector<double> values;
    values.reserve(members.size());
    for (const std::size_t m : members) values.push_back(runs[m].value(candidate.key));
    if (std::any_of(values.begin(), values.end(), [](double v) { return !std::isfinite(v); })) continue;
    RunSpread s;
    s.key = candidate.key;
    const auto count = static_cast<double>(values.size());
    for (const double v : values) s.mean += v / count;
    double squares = 0.0;
    for (const double v : values) squares += (v - s.mean) * (v - s.mean);
    s.deviation = std::sqrt(squares / (count - 1));
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    s.min = *low;
    s.max = *high;
    out.push_back(std::move(s));
  }
  return out;
}

Json number(double v) {
  return std::isfinite(v) ? Json(v) : Json(nullptr);
}

}  // namespace

std::vector<RunGroup> group_runs(std::span<const TrainingRun> runs) {
  std::vector<RunGroup> groups;
  std::vector<bool> is_taken(runs.size(), false);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (is_taken[i]) continue;
    RunGroup group;
    const auto settings = deciding(runs[i]);
    for (std::size_t k = i; k < runs.size(); ++k) {
      if (is_taken[k] || !are_alike(settings, deciding(runs[k]))) continue;
      // The same seed and fold again is the same run again, and says nothing of the spread.
      const bool is_repeated = std::any_of(group.members.begin(), group.members.end(), [&](std::size_t m) {
        return runs[m].setting("seed") == runs[k].setting("seed") &&
               runs[m].setting("fold") == runs[k].setting("fold");
      });
      if (is_repeated) continue;
      is_taken[k] = true;
      group.members.push_back(k);
    }
    if (group.members.size() < 2) continue;
    group.values = spreads(runs, group.members);
    groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<std::string> compared_keys(std::span<const TrainingRun> runs) {
  std::vector<std::string> keys;
  const auto add = [&](const std::string& key) {
    const bool is_there = std::any_of(runs.begin(), runs.end(),
                                      [&](const TrainingRun& r) { return std::isfinite(r.value(key)); });
    if (is_there && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  };
  for (const TrainingRun& r : runs) {
    if (!r.best_key.empty()) add(r.best_key);
  }
  const std::size_t deciding_keys = keys.size();
  for (const TableColumn& c : table_columns("common")) add(c.key);
  if (keys.size() > deciding_keys) return keys;
  // Another kind of validation: whatever it has, as far as it fits.
  constexpr std::size_t kFits = 9;
  for (const TrainingRun& r : runs) {
    if (r.best >= r.epochs.size()) continue;
    for (const RunValue& v : r.epochs[r.best].values) {
      if (keys.size() < kFits && !is_one_of(v.key, kTrainingKeys)) add(v.key);
    }
  }
  return keys;
}

std::vector<std::string> differing_settings(std::span<const TrainingRun> runs) {
  std::vector<std::string> out;
  for (const TrainingRun& run : runs) {
    for (const RunSetting& s : run.settings) {
      if (s.key == "out" || std::find(out.begin(), out.end(), s.key) != out.end()) continue;
      if (std::any_of(runs.begin(), runs.end(),
                      [&](const TrainingRun& r) { return r.setting(s.key) != s.value; }))
        out.push_back(s.key);
    }
  }
  return out;
}

std::string runs_json(std::span<const TrainingRun> runs) {
  Json out;
  out["runs"] = Json::array();
  for (const TrainingRun& r : runs) {
    Json one;
    one["name"] = r.name;
    one["folder"] = r.folder.string();
    one["epochs"] = r.epochs.empty() ? 0 : r.epochs.back().epoch;
    one["epochs_planned"] = r.epochs_planned;
    one["status"] = r.status.empty() ? Json(nullptr) : Json(r.status);
    one["best_by"] = r.best_key.empty() ? Json(nullptr) : Json(r.best_key);
    one["best_epoch"] = r.best < r.epochs.size() ? Json(r.epochs[r.best].epoch) : Json(nullptr);
    one["values"] = Json::object();
    if (r.best < r.epochs.size()) {
      for (const RunValue& v : r.epochs[r.best].values) one["values"][v.key] = number(v.value);
    }
    one["settings"] = Json::object();
    for (const RunSetting& s : r.settings) one["settings"][s.key] = s.value;
    out["runs"].push_back(std::move(one));
  }
  out["groups"] = Json::array();
  for (const RunGroup& g : group_runs(runs)) {
    Json one;
    one["runs"] = Json::array();
    for (const std::size_t m : g.members) one["runs"].push_back(runs[m].name);
    one["values"] = Json::object();
    for (const RunSpread& s : g.values) {
      one["values"][s.key] = {{"mean", s.mean}, {"deviation", s.deviation}, {"min", s.min}, {"max", s.max}};
    }
    out["groups"].push_back(std::move(one));
  }
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sam2unet
