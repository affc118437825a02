// The page of one run.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/file.h"
#include "html/chart.h"
#include "html/page.h"
#include "report/pictures.h"
#include "report/run_folder.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/runs.h"

namespace sam2unet {

namespace {

namespace fs = std::filesystem;
using html::Chart;
using html::ChartLine;
using html::escaped;
using html::number;

constexpr std::size_t kStepsShown = 600;

// For a shell, as one word.
std::string shell_word(const std::string& text) {
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c >= 0x80 ||
           std::string_view("/._-+=:,@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (is_plain) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// "a, b" of a list setting: its first entry.
std::string first_of(const std::string& list) {
  return list.substr(0, list.find(", "));
}

std::string last_written(const fs::path& folder) {
  std::error_code error;
  const auto time = fs::last_write_time(folder / "log.jsonl", error);
  if (error) return "";
  const auto seconds = std::chrono::floor<std::chrono::seconds>(std::chrono::file_clock::to_sys(time));
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
}

bool has(const TrainingRun& run, const char* file) {
  std::error_code none;
  return fs::exists(run.folder / file, none);
}

int epochs_done(const TrainingRun& run) {
  return run.epochs.empty() ? 0 : run.epochs.back().epoch;
}

std::string head(const TrainingRun& run) {
  const int done = epochs_done(run);
  std::string out = "<h1>" + escaped(run.name) + "</h1><p>";
  out += done == 0 ? fmt::format("No epoch of {} is done yet.", run.epochs_planned)
                   : fmt::format("{} of {} epochs are done", done, run.epochs_planned);
  if (const std::string when = last_written(run.folder); done > 0)
    out += when.empty() ? "." : ", the last at " + when + ".";
  if (run.status == "stopped" || run.status == "stopped early") out += " The run was " + run.status + ".";
  return out + " This page is written again after each epoch: reload it to see the newest.</p>";
}

std::string card(const std::string& value, const std::string& what) {
  return "<div><b>" + value + "</b>" + escaped(what) + "</div>";
}

std::string cards(const TrainingRun& run) {
  std::string out = "<div class=\"cards\">";
  if (!run.best_key.empty()) {
    const RunEpoch& best = run.epochs[run.best];
    out += card(number(best.value(run.best_key)),
                fmt::format("{}, best (epoch {})", column_title(run.best_key), best.epoch));
    out += card(number(run.epochs.back().value(run.best_key)), column_title(run.best_key) + ", last epoch");
    if (run.epochs.front().epoch == 0)
      out += card(number(run.epochs.front().value(run.best_key)),
                  column_title(run.best_key) + ", before training");
  }
  if (!run.epochs.empty()) out += card(number(run.epochs.back().value("loss")), "loss, last epoch");
  for (const char* key : {"recipe", "variant", "size", "batch", "lr", "seed", "fold"}) {
    if (const std::string v = run.setting(key); !v.empty()) out += card(escaped(v), key);
  }
  return out + "</div>";
}

// What a reader should not overlook.
std::string warnings(const TrainingRun& run) {
  std::vector<std::string> lines = run.notes;
  if (!run.epochs.empty() && run.best_key.empty()) {
    lines.push_back(
        "No validation data: nothing here says how good the network is on other pictures. --val-images and "
        "--val-masks name some, --val-split takes them from the training pictures.");
  }
  if (!run.best_key.empty() && run.epochs.front().epoch == 0 && epochs_done(run) > 0 && run.best == 0)
    lines.push_back("So far no epoch is better on the validation pictures than the start.");
  for (const RunEpoch& e : run.epochs) {
    if (e.epoch > 0 && !std::isfinite(e.value("loss")))
      lines.push_back(fmt::format("The loss of epoch {} is no number.", e.epoch));
  }
  std::string out;
  for (const std::string& line : lines) out += "<li class=\"warn\">" + escaped(line) + "</li>";
  return out.empty() ? out : "<ul>" + out + "</ul>";
}

ChartLine by_epoch(const TrainingRun& run, const std::string& key, std::size_t color) {
  ChartLine line{.label = column_title(key), .x = {}, .y = {}, .color = color};
  for (const RunEpoch& e : run.epochs) {
    line.x.push_back(e.epoch);
    line.y.push_back(e.value(key));
  }
  return line;
}

bool has_points(const ChartLine& line, html::Scale scale) {
  return std::any_of(line.y.begin(), line.y.end(),
                     [&](double v) { return std::isfinite(v) && (scale == html::Scale::linear || v > 0); });
}

std::string drawn(Chart chart) {
  if (std::none_of(chart.lines.begin(), chart.lines.end(),
                   [&](const ChartLine& line) { return has_points(line, chart.y_scale); }))
    return "";
  chart.fit();
  return "<div>" + to_svg(chart) + (chart.lines.size() > 1 ? html::legend(chart.lines) : "") + "</div>";
}

enum class Stroke { full, faint };

// A column of the steps by the part of an epoch that they stand at, so that steps and epochs share an axis.
ChartLine by_step(const std::vector<std::vector<RunValue>>& rows, double steps_an_epoch,
                  const std::string& key, const std::string& label, Stroke stroke = Stroke::full) {
  const bool is_faint = stroke == Stroke::faint;
  ChartLine line{.label = label, .x = {}, .y = {}, .color = is_faint ? 5u : 0u, .is_faint = is_faint};
  for (const auto& row : rows) {
    line.x.push_back(report::value_in(row, "step") / steps_an_epoch);
    line.y.push_back(report::value_in(row, key));
  }
  return line;
}

double steps_an_epoch(const TrainingRun& run, const std::vector<std::vector<RunValue>>& rows) {
  for (auto e = run.epochs.rbegin(); e != run.epochs.rend(); ++e) {
    if (e->epoch > 0 && e->step > 0) return static_cast<double>(e->step) / e->epoch;
  }
  // The first epoch is not done: it is what there is.
  const double last = rows.empty() ? 1.0 : report::value_in(rows.back(), "step");
  return last > 0 ? last : 1.0;
}

// Not all that is measured: two maxima and three means of one curve look alike.
std::vector<std::string> charted_keys(const TrainingRun& run) {
  std::vector<std::string> out;
  for (const std::string& key : compared_keys(std::span(&run, 1))) {
    const bool is_alike = key == "E_max" || key == "fm.max" || key == "fm.adp";
    if (key == run.best_key || !is_alike) out.push_back(key);
  }
  return out;
}

std::string charts(const TrainingRun& run) {
  const auto rows = report::sample_rows(run.folder / "steps.jsonl", kStepsShown);
  const double per_epoch = steps_an_epoch(run, rows);
  Chart loss{.title = "Loss", .x_label = "epoch", .y_label = "sum over the outputs"};
  loss.lines = {by_step(rows, per_epoch, "loss", "single steps", Stroke::faint), by_epoch(run, "loss", 0)};
  loss.lines[1].label = "mean of the epoch";
  const std::optional<double> mark =
      run.best_key.empty() ? std::nullopt : std::optional<double>(run.epochs[run.best].epoch);
  Chart quality{.title = "Validation: higher is better", .x_label = "epoch", .y_label = "", .mark = mark};
  Chart error{.title = "Validation: lower is better", .x_label = "epoch", .y_label = "", .mark = mark};
  for (const std::string& key : charted_keys(run)) {
    Chart& chart = higher_is_better(key) ? quality : error;
    chart.lines.push_back(by_epoch(run, key, chart.lines.size()));
  }
  for (Chart* chart : {&quality, &error}) {
    if (chart->lines.size() == 1) chart->y_label = chart->lines[0].label;
  }
  Chart rate{
      .title = "Learning rate", .x_label = "epoch", .y_label = "", .y_scale = html::Scale::logarithmic};
  rate.lines = {by_step(rows, per_epoch, "lr", "learning rate")};
  Chart norm{.title = "Norm of the gradients",
             .x_label = "epoch",
             .y_label = "before clipping",
             .y_scale = html::Scale::logarithmic};
  norm.lines = {by_step(rows, per_epoch, "gradient_norm", "norm")};
  Chart speed{.title = "Speed", .x_label = "epoch", .y_label = "pictures a second"};
  speed.lines = {by_step(rows, per_epoch, "pictures_per_s", "speed")};
  const std::string first = drawn(loss) + drawn(quality) + drawn(error);
  const std::string second = drawn(rate) + drawn(norm) + drawn(speed);
  if (first.empty() && second.empty()) return "";
  std::string out = "<h2>Curves</h2><div class=\"charts\">" + first + "</div>";
  if (mark)
    out +=
        fmt::format("<p>The dashed line is the best epoch, by {}.</p>", escaped(column_title(run.best_key)));
  return out + "<details><summary>Learning rate, gradients, speed</summary><div class=\"charts\">" + second +
         "</div></details>";
}

std::string how_to_go_on(const TrainingRun& run) {
  const std::string folder = shell_word(run.folder.lexically_normal().string());
  const auto file = [&](const char* name) {
    return shell_word((run.folder / name).lexically_normal().string());
  };
  const std::string weights = file(has(run, "best.safetensors") ? "best.safetensors" : "last.safetensors");
  std::vector<std::pair<std::string, std::string>> steps;
  if (has(run, "best.safetensors") || has(run, "last.safetensors")) {
    steps.emplace_back("Segment pictures", "sam2unet predict PICTURES -o out --weights " + weights);
    std::string images = "PICTURES", masks = "MASKS";
    if (!run.setting("val_images").empty() && !run.setting("val_masks").empty()) {
      images = shell_word(first_of(run.setting("val_images")));
      masks = shell_word(first_of(run.setting("val_masks")));
    }
    steps.emplace_back("Score it, with intervals and its worst pictures",
                       fmt::format("sam2unet eval --weights {} --images {} --gt {} --html scores.html",
                                   weights, images, masks));
    steps.emplace_back("Make it smaller",
                       fmt::format("sam2unet convert {} small.safetensors --dtype f16", weights));
  }
  if (has(run, "state.safetensors") && epochs_done(run) < run.epochs_planned && run.status != "stopped early")
    steps.emplace_back("Go on where it stopped", "sam2unet train --resume --out " + folder);
  if (has(run, "state.safetensors") && epochs_done(run) > 0 && epochs_done(run) >= run.epochs_planned) {
    steps.emplace_back("Make it longer",
                       fmt::format("sam2unet train --resume --out {} --epochs {}", folder,
                                   run.epochs_planned + std::max(1, run.epochs_planned / 2)));
  }
  steps.emplace_back("Train again with another seed, and compare",
                     fmt::format("sam2unet train --config {} --seed {} --out OTHER\nsam2unet report {} OTHER",
                                 file("train.toml"), run.setting("seed") == "2" ? 3 : 2, folder));
  std::string out = "<h2>How to go on</h2>";
  for (const auto& [what, command] : steps)
    out += "<p>" + escaped(what) + "</p><pre>" + escaped(command) + "</pre>";
  return out;
}

std::string configuration(const TrainingRun& run) {
  std::string out = "<h2>Configuration</h2><div class=\"wide\"><table><tbody>";
  for (const RunSetting& s : run.settings) {
    out += "<tr><td>" + escaped(s.key) + "</td><td class=\"text\">" + escaped(s.value) + "</td></tr>";
  }
  return out + "</tbody></table></div>";
}

std::string all_values(const TrainingRun& run) {
  if (run.epochs.empty()) return "";
  std::vector<std::string> keys{"loss"};
  for (const std::string& key : compared_keys(std::span(&run, 1))) keys.push_back(key);
  std::string out = "<h2>Epochs</h2><div class=\"wide\"><table><thead><tr><th>epoch</th>";
  for (const std::string& key : keys) out += "<th>" + escaped(column_title(key)) + "</th>";
  out += "</tr></thead><tbody>";
  for (std::size_t i = 0; i < run.epochs.size(); ++i) {
    const bool is_best = !run.best_key.empty() && i == run.best;
    out += fmt::format("<tr{}><td>{}</td>", is_best ? " class=\"best\"" : "", run.epochs[i].epoch);
    for (const std::string& key : keys) out += "<td>" + number(run.epochs[i].value(key)) + "</td>";
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

}  // namespace

std::string run_html(const TrainingRun& run) {
  return html::page(run.name + " - training run", head(run) + cards(run) + warnings(run) + charts(run) +
                                                      report::picture_rows(run) + how_to_go_on(run) +
                                                      all_values(run) + configuration(run));
}

namespace report {

void write_run_report(const fs::path& folder) {
  write_file(folder / "report.html", run_html(read_run(folder)));
}

}  // namespace report

}  // namespace sam2unet
