// The HTML report: one file, no scripts, nothing from the network.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/report_parts.h"
#include "html/chart.h"
#include "html/page.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"

namespace sam2unet {

namespace {

using eval::cell;
using html::escaped;
using html::figure;
using html::number;

const MetricValue* find(const std::vector<MetricValue>& values, const std::string& key) {
  const auto at =
      std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.key == key; });
  return at == values.end() ? nullptr : &*at;
}

// The best of several methods in a column; no one is best of one.
double best_of(std::span<const Evaluation> all, const std::string& key) {
  double best = std::numeric_limits<double>::quiet_NaN();
  if (all.size() < 2) return best;
  for (const Evaluation& e : all) {
    const double v = e.value(key);
    if (std::isnan(v)) continue;
    if (std::isnan(best) || (higher_is_better(key) ? v > best : v < best)) best = v;
  }
  return best;
}

std::string main_table(std::span<const Evaluation> all, const ReportOptions& options) {
  const std::vector<TableColumn> columns = table_columns(options.protocol);
  std::string out = "<div class=\"wide\"><table><thead><tr><th>method</th><th>images</th>";
  for (const TableColumn& c : columns) {
    out +=
        fmt::format("<th>{}&thinsp;{}</th>", escaped(c.title), higher_is_better(c.key) ? "&uarr;" : "&darr;");
  }
  out += "</tr></thead><tbody>";
  for (const Evaluation& e : all) {
    out += fmt::format("<tr><td>{}</td><td>{}</td>", escaped(e.name), e.counted);
    for (const TableColumn& c : columns) out += cell(find(e.dataset, c.key), best_of(all, c.key));
    out += "</tr>";
  }
  if (options.published != nullptr) {
    out += "<tr class=\"paper\"><td>SAM2-UNet (published)</td><td></td>";
    for (const TableColumn& c : columns) out += cell(find(options.published->values, c.key), std::nan(""));
    out += "</tr>";
  }
  out += "</tbody></table></div>";
  if (options.published != nullptr) {
    out += fmt::format("<p>Published row: {}, {}.</p>", escaped(options.published->dataset),
                       escaped(options.published->source));
  }
  return out;
}

// Every value, a row each.
std::string full_table(std::span<const Evaluation> all) {
  std::string out =
      "<details><summary>All values</summary><div class=\"wide\"><table><thead><tr><th>value</th>";
  for (const Evaluation& e : all) out += fmt::format("<th>{}</th>", escaped(e.name));
  out += "</tr></thead><tbody>";
  for (const TableColumn& c : table_columns("all")) {
    out += fmt::format("<tr><td>{}</td>", escaped(c.key));
    for (const Evaluation& e : all) out += cell(find(e.dataset, c.key), best_of(all, c.key));
    out += "</tr>";
  }
  return out + "</tbody></table></div></details>";
}

std::string charts(std::span<const Evaluation> all) {
  std::vector<double> thresholds(256);
  std::iota(thresholds.begin(), thresholds.end(), 0);
  html::Chart pr{.title = "Precision and recall", .x_label = "recall", .y_label = "precision"};
  html::Chart f{.title = "F-measure by threshold",
                .x_label = "threshold",
                .y_label = "F (\xce\xb2\xc2\xb2 = 0.3)",
                .x_max = 255};
  html::Chart e_chart{
      .title = "E-measure by threshold", .x_label = "threshold", .y_label = "E", .x_max = 255};
  for (std::size_t n = 0; n < all.size(); ++n) {
    const Evaluation& e = all[n];
    pr.lines.push_back({e.name, e.curves.recall, e.curves.precision, n});
    f.lines.push_back({e.name, thresholds, e.curves.f, n});
    e_chart.lines.push_back({e.name, thresholds, e.curves.e, n});
  }
  return "<div class=\"charts\"><div>" + to_svg(pr) + "</div><div>" + to_svg(f) + "</div><div>" +
         to_svg(e_chart) + "</div></div>" + html::legend(pr.lines);
}

// One of the worst pictures. What cannot be read any more is said in its place.
std::string worst_case(const Evaluation& e, const EvaluatedImage& image, const ReportOptions& options) {
  const auto column = static_cast<std::size_t>(
      std::find(e.image_keys.begin(), e.image_keys.end(), options.worst_by) - e.image_keys.begin());
  std::string out = fmt::format("<div class=\"case\"><h3>{} &middot; {} {}</h3>", escaped(image.name),
                                escaped(options.worst_by), number(image.values[column]));
  const auto read = [&](const std::filesystem::path& path, ColorMode mode) {
    return read_image(path, {.mode = mode, .apply_exif_orientation = options.apply_exif_orientation});
  };
  try {
    Image picture;
    if (!image.picture.empty()) {
      picture = read(image.picture, ColorMode::rgb);
      out += figure(picture, "picture");
    }
    out += figure(read(image.truth, ColorMode::gray), "ground truth");
    if (!image.prediction.empty()) {
      out += figure(read(image.prediction, ColorMode::gray), "prediction");
    } else if (options.predictor && !image.picture.empty()) {
      out += figure(options.predictor(picture), "prediction");
    }
  } catch (const Error& error) {
    out += fmt::format("<p>{}</p>", escaped(error.what()));
  }
  return out + "</div>";
}

std::string notes(const Evaluation& e) {
  std::string policy = e.empty == EmptyPolicy::paper  ? "scored as PySODMetrics does"
                       : e.empty == EmptyPolicy::skip ? "left out"
                                                      : "counted as 1 where the prediction is empty too";
  std::string out = fmt::format("<li>{}: {} pictures counted; {} with an empty ground truth, {}",
                                escaped(e.name), e.counted, e.empty_truths - e.dim_truths, policy);
  return out + eval::troubles(e.name, e.warnings, e.failures);
}

}  // namespace

std::string to_html(std::span<const Evaluation> all, const ReportOptions& options) {
  std::string out = "<h1>" + escaped(options.title) + "</h1><ul>";
  for (const Evaluation& e : all) out += notes(e);
  if (!all.empty()) out += eval::interval_note(all.front().resamples, all.front().seed);
  out += "</ul>" + main_table(all, options) + full_table(all);
  out += "<h2>Curves</h2>" + charts(all);
  for (const Evaluation& e : all) {
    const std::vector<std::size_t> worst = worst_images(e, options.worst_by, options.worst);
    if (worst.empty()) continue;
    out += fmt::format("<h2>Worst by {}: {}</h2>", escaped(options.worst_by), escaped(e.name));
    for (const std::size_t i : worst) out += worst_case(e, e.images[i], options);
  }
  return html::page(options.title, out);
}

}  // namespace sam2unet
