// Reads a run's folder. Anything in it may be damaged, half-written or of another version.
#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.h"
#include "report/run_folder.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/runs.h"

namespace sam2unet {

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  const std::vector<std::byte> bytes = read_file(file);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string spelled(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  std::string out;
  if (const toml::array* list = node.as_array()) {
    for (const toml::node& one : *list) out += (out.empty() ? "" : ", ") + spelled(one);
    return out;
  }
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  std::ostringstream stream;
  node.visit([&](const auto& n) { stream << n; });
  return stream.str();
}

std::vector<RunSetting> read_settings(const fs::path& file) {
  toml::table table;
  try {
    table = toml::parse(text_of(file));
  } catch (const toml::parse_error& e) {
    throw FormatError(
        fmt::format("{}: line {}: {}", file.string(), e.source().begin.line, std::string(e.description())));
  }
  std::vector<std::pair<std::uint32_t, RunSetting>> lines;  // the parser sorts by key
  for (const auto& [key, node] : table)
    lines.emplace_back(node.source().begin.line, RunSetting{std::string(key.str()), spelled(node)});
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<RunSetting> out;
  out.reserve(lines.size());
  for (auto& [line, setting] : lines) out.push_back(std::move(setting));
  return out;
}

void read_log(const fs::path& file, TrainingRun& run) {
  if (!fs::exists(file)) return;  // before the first epoch
  const std::string text = text_of(file);
  std::size_t damaged = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const auto row = report::parse_row(std::string_view(text).substr(at, end - at));
    at = end + 1;
    if (!row || std::isnan(report::value_in(*row, "epoch"))) {
      ++damaged;
      continue;
    }
    RunEpoch epoch;
    epoch.epoch = static_cast<int>(std::clamp(report::value_in(*row, "epoch"), 0.0, 1e9));
    const double step = report::value_in(*row, "step");
    epoch.step = std::isnan(step) ? 0 : static_cast<std::int64_t>(std::clamp(step, 0.0, 1e15));
    for (const RunValue& v : *row) {
      if (v.key != "epoch" && v.key != "step") epoch.values.push_back(v);
    }
    run.epochs.push_back(std::move(epoch));
  }
  if (damaged > 0)
    run.notes.push_back(fmt::format("{} lines of {} could not be read", damaged, file.filename().string()));
}

std::string read_status(const fs::path& file) {
  std::error_code none;
  if (!fs::is_regular_file(file, none)) return "";
  const auto json = nlohmann::json::parse(text_of(file), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("status") && json["status"].is_string()
             ? json["status"].get<std::string>()
             : std::string();
}

// The epoch that the run kept as best: the first of the best ones.
void find_best(TrainingRun& run) {
  run.best_key = report::criterion_key(run.setting("best_by"));
  run.best = run.epochs.empty() ? 0 : run.epochs.size() - 1;
  bool found = false;
  for (std::size_t i = 0; i < run.epochs.size(); ++i) {
    const double v = run.epochs[i].value(run.best_key);
    if (std::isnan(v)) continue;
    const double best = run.epochs[run.best].value(run.best_key);
    if (!found || (higher_is_better(run.best_key) ? v > best : v < best)) run.best = i;
    found = true;
  }
  if (!found) run.best_key.clear();
}

bool is_run(const fs::path& folder) {
  std::error_code none;
  return fs::is_regular_file(folder / "train.toml", none);
}

std::string folder_name(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole.filename() : whole.parent_path().filename()).string();
}

// Runs that have one name are called by the folder before it too, and if need be by their whole path.
void make_names_different(std::vector<TrainingRun>& runs) {
  const auto is_twice = [&](const std::string& name) {
    return std::count_if(runs.begin(), runs.end(), [&](const TrainingRun& r) { return r.name == name; }) > 1;
  };
  std::vector<std::string> longer;
  for (const TrainingRun& r : runs) {
    const fs::path whole = fs::absolute(r.folder / "").lexically_normal().parent_path();
    longer.push_back(is_twice(r.name) ? (whole.parent_path().filename() / whole.filename()).string()
                                      : r.name);
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const bool still = std::count(longer.begin(), longer.end(), longer[i]) > 1;
    runs[i].name = still ? runs[i].folder.string() : longer[i];
  }
}

}  // namespace

namespace report {

std::string criterion_key(const std::string& option) {
  static const std::vector<std::pair<std::string, std::string>> keys = {
      {"mae", "MAE"},   {"s", "S"},          {"wf", "wF"},          {"e", "E_mean"},
      {"f", "fm.mean"}, {"iou", "iou.mean"}, {"dice", "dice.mean"}, {"miou", "mIoU"}};
  for (const auto& [name, key] : keys) {
    if (name == option) return key;
  }
  return option;
}

std::optional<std::vector<RunValue>> parse_row(std::string_view line) {
  const auto json = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  std::vector<RunValue> row;
  for (const auto& [key, value] : json.items()) {
    row.push_back({key, value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN()});
  }
  return row;
}

double value_in(const std::vector<RunValue>& values, std::string_view key) {
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const RunValue& v) { return v.key == key; });
  return found == values.end() ? std::numeric_limits<double>::quiet_NaN() : found->value;
}

// Lines at even distances in bytes: the cost is the sample's, however long the run.
std::vector<std::vector<RunValue>> sample_rows(const fs::path& file, std::size_t count) {
  std::vector<std::vector<RunValue>> rows;
  std::error_code none;
  if (!fs::is_regular_file(file, none) || fs::file_size(file, none) == 0) return rows;
  const MappedFile mapped(file);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  std::size_t next = 0;
  for (std::size_t n = 0; n < count && next < text.size(); ++n) {
    std::size_t begin = std::max(next, text.size() / count * n);
    if (begin > 0 && text[begin - 1] != '\n') {
      const std::size_t end = text.find('\n', begin);
      if (end == std::string_view::npos) break;
      begin = end + 1;
    }
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (auto row = parse_row(text.substr(begin, end - begin))) rows.push_back(std::move(*row));
    next = end + 1;
  }
  return rows;
}

}  // namespace report

double RunEpoch::value(std::string_view key) const {
  return report::value_in(values, key);
}

std::string TrainingRun::setting(std::string_view key) const {
  const auto found =
      std::find_if(settings.begin(), settings.end(), [&](const RunSetting& s) { return s.key == key; });
  return found == settings.end() ? std::string() : found->value;
}

double TrainingRun::value(std::string_view key) const {
  return best < epochs.size() ? epochs[best].value(key) : std::numeric_limits<double>::quiet_NaN();
}

TrainingRun read_run(const fs::path& folder) {
  if (!is_run(folder)) {
    throw FileError(
        fmt::format("{}: not the folder of a training run, which has a file train.toml", folder.string()));
  }
  TrainingRun run;
  run.folder = folder;
  run.name = folder_name(folder);
  run.settings = read_settings(folder / "train.toml");
  read_log(folder / "log.jsonl", run);
  run.status = read_status(folder / "run.json");
  const std::string planned = run.setting("epochs");
  std::from_chars(planned.data(), planned.data() + planned.size(), run.epochs_planned);
  find_best(run);
  return run;
}

std::vector<TrainingRun> read_runs(std::span<const fs::path> folders) {
  std::vector<TrainingRun> runs;
  for (const fs::path& folder : folders) {
    if (is_run(folder)) {
      runs.push_back(read_run(folder));
      continue;
    }
    std::error_code error;
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (is_run(entry.path())) inside.push_back(entry.path());
    }
    if (error) throw FileError(fmt::format("{}: {}", folder.string(), error.message()));
    if (inside.empty()) {
      throw FileError(fmt::format(
          "{}: neither this folder nor one in it is a training run's (with train.toml)", folder.string()));
    }
    std::sort(inside.begin(), inside.end());
    for (const fs::path& one : inside) runs.push_back(read_run(one));
  }
  make_names_different(runs);
  return runs;
}

}  // namespace sam2unet
