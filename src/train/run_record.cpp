#include "train/run_record.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "metrics/dataset.h"
#include "report/run_folder.h"
#include "train/multi_scale.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

const char* name_of_status(RunStatus status) {
  switch (status) {
    case RunStatus::running:
      return "running";
    case RunStatus::stopped:
      return "stopped";
    case RunStatus::stopped_early:
      return "stopped early";
    case RunStatus::finished:
      return "finished";
  }
  return "";
}

// A number, or null where it is none.
Json number(double v) {
  return std::isfinite(v) ? Json(v) : Json(nullptr);
}

Json record_before(const fs::path& file) {
  std::error_code none;
  if (!fs::exists(file, none)) return {};
  const auto bytes = read_file(file);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  Json j = Json::parse(text, text + bytes.size(), nullptr, /*allow_exceptions=*/false);
  return j.is_object() ? j : Json();
}

}  // namespace

std::string metric_of(BestBy by) {
  return report::criterion_key(std::string(name_of(by)));
}

void write_run_record(const fs::path& folder, const Settings& s, const RunFacts& facts, const Progress& p,
                      int epochs_done, RunStatus status) {
  const fs::path file = folder / "run.json";
  const Json before = p.step > 0 ? record_before(file) : Json();
  const auto kept = [&](const char* key, const std::string& otherwise) {
    return before.contains(key) && before[key].is_string() ? before[key].get<std::string>() : otherwise;
  };
  const std::string metric = metric_of(s.best_by);
  Json j{{"format", 1},
         {"command", s.to_command()},
         {"status", name_of_status(status)},
         {"started", kept("started", now())},
         {"updated", now()},
         {"start", kept("start", facts.start)},
         {"recipe", std::string(name_of(s.recipe))},
         {"variant", model::variant_name(facts.config)},
         {"network", Json::parse(facts.config.to_json())},
         {"seed", s.seed},
         {"fold", s.fold.count > 0 ? Json{{"index", s.fold.index}, {"count", s.fold.count}} : Json(nullptr)},
         {"size", s.size},
         {"sizes", training_sizes(s.size, s.multi_scale)},
         {"batch", s.batch},
         {"processes", facts.processes},
         {"pictures", {{"train", facts.pictures}, {"validation", facts.validation_pictures}}},
         {"learned_parameters", facts.learned_parameters},
         {"epochs", s.epochs},
         {"epochs_done", epochs_done},
         {"steps_done", p.step},
         {"metric", metric},
         {"higher_is_better", metrics::higher_is_better(metric)},
         {"start_value", number(p.start)},
         {"best", nullptr}};
  if (std::isfinite(p.best)) j["best"] = {{"epoch", p.best_epoch}, {"value", p.best}};
  write_file(file, j.dump(1) + "\n");
}

}  // namespace sam2unet::train
