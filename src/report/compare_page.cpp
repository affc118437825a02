// The page of several runs side by side.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "html/chart.h"
#include "html/page.h"
#include "report/pictures.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/runs.h"

namespace sam2unet {

namespace {

using html::Chart;
using html::escaped;
using html::number;

double best_in(std::span<const TrainingRun> runs, const std::string& key) {
  double best = std::numeric_limits<double>::quiet_NaN();
  for (const TrainingRun& r : runs) {
    const double v = r.value(key);
    if (std::isnan(best) || (higher_is_better(key) ? v > best : v < best)) best = v;
  }
  return best;
}

std::string group_row(const RunGroup& group, std::span<const TrainingRun> runs,
                      const std::vector<std::string>& keys) {
  std::string names;
  for (const std::size_t m : group.members) names += (names.empty() ? "" : ", ") + runs[m].name;
  std::string out = fmt::format("<tr class=\"mean\"><td>mean of {}<small>{}</small></td><td></td>",
                                group.members.size(), escaped(names));
  for (const std::string& key : keys) {
    const auto found = std::find_if(group.values.begin(), group.values.end(),
                                    [&](const RunSpread& s) { return s.key == key; });
    if (found == group.values.end()) {
      out += "<td>&ndash;</td>";
    } else {
      out += fmt::format("<td>{:.3f} &plusmn; {:.3f}<small>{:.3f} &ndash; {:.3f}</small></td>", found->mean,
                         found->deviation, found->min, found->max);
    }
  }
  return out + "</tr>";
}

std::string values_table(std::span<const TrainingRun> runs, const std::vector<std::string>& keys) {
  std::string out = "<div class=\"wide\"><table><thead><tr><th>run</th><th>best epoch</th>";
  for (const std::string& key : keys)
    out += fmt::format("<th>{}&thinsp;{}</th>", escaped(column_title(key)),
                       higher_is_better(key) ? "&uarr;" : "&darr;");
  out += "</tr></thead><tbody>";
  for (const TrainingRun& r : runs) {
    out += "<tr><td>" + escaped(r.name) + "</td>";
    out += r.best < r.epochs.size()
               ? fmt::format("<td>{} of {}</td>", r.epochs[r.best].epoch, r.epochs_planned)
               : "<td>&ndash;</td>";
    for (const std::string& key : keys) {
      const double v = r.value(key);
      out += fmt::format("<td{}>{}</td>", runs.size() > 1 && v == best_in(runs, key) ? " class=\"best\"" : "",
                         number(v));
    }
    out += "</tr>";
  }
  const std::vector<RunGroup> groups = group_runs(runs);
  for (const RunGroup& g : groups) out += group_row(g, runs, keys);
  out += "</tbody></table></div>";
  if (!groups.empty()) {
    out +=
        "<p>Mean &plusmn; standard deviation (n &minus; 1), and the range, of runs that differ in seed or "
        "fold "
        "alone.</p>";
  }
  return out;
}

std::string differences(std::span<const TrainingRun> runs) {
  const std::vector<std::string> keys = differing_settings(runs);
  if (keys.empty()) return "<p>All settings are the same.</p>";
  std::string out = "<div class=\"wide\"><table><thead><tr><th>setting</th>";
  for (const TrainingRun& r : runs) out += "<th>" + escaped(r.name) + "</th>";
  out += "</tr></thead><tbody>";
  for (const std::string& key : keys) {
    out += "<tr><td>" + escaped(key) + "</td>";
    for (const TrainingRun& r : runs) out += "<td>" + escaped(r.setting(key)) + "</td>";
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string chart_of(std::span<const TrainingRun> runs, const std::string& key, const std::string& title) {
  Chart chart{.title = title, .x_label = "epoch", .y_label = ""};
  for (std::size_t n = 0; n < runs.size(); ++n) {
    html::ChartLine line{.label = runs[n].name, .x = {}, .y = {}, .color = n};
    for (const RunEpoch& e : runs[n].epochs) {
      line.x.push_back(e.epoch);
      line.y.push_back(e.value(key));
    }
    chart.lines.push_back(std::move(line));
  }
  chart.fit();
  return "<div>" + to_svg(chart) + "</div>";
}

std::string charts(std::span<const TrainingRun> runs, const std::vector<std::string>& keys) {
  constexpr std::size_t kCharts = 5;
  std::string out = "<h2>Curves</h2><div class=\"charts\">" + chart_of(runs, "loss", "Loss of the epoch");
  for (std::size_t n = 0; n < std::min(keys.size(), kCharts); ++n)
    out += chart_of(runs, keys[n], column_title(keys[n]));
  std::vector<html::ChartLine> names;
  for (std::size_t n = 0; n < runs.size(); ++n)
    names.push_back({.label = runs[n].name, .x = {}, .y = {}, .color = n});
  return out + "</div>" + html::legend(names);
}

// Values on other pictures cannot be compared. The seed decides which pictures val_split takes.
std::string caution(std::span<const TrainingRun> runs) {
  if (runs.empty()) return "";
  const auto differs = [&](const char* key) {
    return std::any_of(runs.begin(), runs.end(),
                       [&](const TrainingRun& r) { return r.setting(key) != runs.front().setting(key); });
  };
  const std::string split = runs.front().setting("val_split");
  const bool is_split = !split.empty() && split != "0";
  for (const char* key : {"val_images", "val_split", "fold", "seed"}) {
    if (!differs(key) || (std::string_view(key) == "seed" && !is_split)) continue;
    return "<p class=\"warn\">These runs were not all validated on the same pictures (" + std::string(key) +
           " differs): compare their values with care.</p>";
  }
  return "";
}

}  // namespace

std::string runs_html(std::span<const TrainingRun> runs) {
  const std::vector<std::string> keys = compared_keys(runs);
  std::string body = fmt::format("<h1>{} training runs</h1>", runs.size());
  body += "<p>Each at its best epoch, by the value it was told to decide by.</p>" + caution(runs);
  body += values_table(runs, keys) + "<h2>In what they differ</h2>" + differences(runs) + charts(runs, keys) +
          report::compared_pictures(runs);
  return html::page("Training runs", body);
}

}  // namespace sam2unet
