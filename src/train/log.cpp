#include "train/log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "sam2unet/errors.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;

// Lines that `keeps` accepts; what a kill left of a last one is no line.
template <class Keeps>
void filter_lines(const fs::path& path, const Keeps& keeps) {
  if (!fs::exists(path)) return;
  const auto bytes = read_file(path);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string kept;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(at, end - at);
    if (keeps(line)) kept.append(line).push_back('\n');
    at = end + 1;
  }
  if (kept != text) write_file(path, kept);
}

std::ofstream open_to_append(const fs::path& path) {
  std::ofstream file(path, std::ios::app);
  if (!file) throw FileError(fmt::format("{}: cannot be written", path.string()));
  return file;
}

void add_line(std::ofstream& file, const fs::path& path, const std::string& line) {
  file << line << '\n';
  if (!file.flush()) throw FileError(fmt::format("{}: cannot be written; is the disk full?", path.string()));
}

bool is_whole(double v) {
  return std::abs(v) < 1e15 && v == std::floor(v);
}
std::string spelled(double v) {
  return is_whole(v) ? fmt::format("{}", static_cast<std::int64_t>(v)) : fmt::format("{}", v);
}

}  // namespace

// Rows whose first column, `key` of the JSON lines, is at most `keep`.
void RunLog::Table::open(std::int64_t keep, const std::string& key) {
  filter_lines(csv, [&](std::string_view line) {
    std::int64_t v = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), v);
    return error != std::errc() ? keep >= 0 : v <= keep;  // the header stays where rows do
  });
  filter_lines(jsonl, [&](std::string_view line) {
    const auto j = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    return j.is_object() && j.contains(key) && j[key].is_number_integer() &&
           j[key].get<std::int64_t>() <= keep;
  });
  csv_file = open_to_append(csv);
  jsonl_file = open_to_append(jsonl);
}

void RunLog::Table::add(const Values& values) {
  std::vector<std::string> names, numbers;
  nlohmann::ordered_json line;
  for (const auto& [name, v] : values) {
    names.push_back(name);
    numbers.push_back(spelled(v));
    if (is_whole(v)) {
      line[name] = static_cast<std::int64_t>(v);
    } else {
      line[name] = v;  // null where it is no number
    }
  }
  if (fs::file_size(csv) == 0) add_line(csv_file, csv, fmt::format("{}", fmt::join(names, ",")));
  add_line(csv_file, csv, fmt::format("{}", fmt::join(numbers, ",")));
  add_line(jsonl_file, jsonl, line.dump());
}

RunLog::RunLog(const fs::path& folder, int epochs, std::int64_t steps)
    : epochs_{folder / "log.csv", folder / "log.jsonl", {}, {}},
      steps_{folder / "steps.csv", folder / "steps.jsonl", {}, {}},
      events_(folder, steps) {
  epochs_.open(epochs, "epoch");
  steps_.open(steps, "step");
}

void RunLog::epoch(int epoch, std::int64_t step, const Values& training, const Values& validation) {
  Values row{{"epoch", epoch}, {"step", static_cast<double>(step)}};
  events_.scalar("train/epoch", step, epoch);
  for (const auto& [name, v] : training) {
    row.emplace_back(name, v);
    if (!std::isnan(v)) events_.scalar("epoch/" + name, step, v);
  }
  for (const auto& [name, v] : validation) {
    row.emplace_back(name, v);
    events_.scalar("val/" + name, step, v);
  }
  epochs_.add(row);
}

void RunLog::step(int epoch, std::int64_t step, const Values& values) {
  Values row{{"step", static_cast<double>(step)}, {"epoch", epoch}};
  for (const auto& [name, v] : values) {
    row.emplace_back(name, v);
    events_.scalar("train/" + name, step, v);
  }
  steps_.add(row);
}

void RunLog::picture(const std::string& name, std::int64_t step, const ImageView& picture) {
  events_.picture("val/" + name, step, picture.width, picture.height, encode_png(picture));
}

}  // namespace sam2unet::train
