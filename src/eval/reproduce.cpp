// One's own numbers beside the published ones.
#include "sam2unet/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "html/page.h"

namespace sam2unet {

namespace {

using html::escaped;
using html::number;
using Json = nlohmann::ordered_json;

Json number_or_null(double v) {
  return std::isfinite(v) ? Json(v) : Json(nullptr);
}

std::string value_cells(const Reproduction& r, const TableColumn& column, double tolerance) {
  const auto found = std::find_if(r.values.begin(), r.values.end(),
                                  [&](const ReproducedValue& v) { return v.key == column.key; });
  if (found == r.values.end())
    return "<td>" + number(r.evaluation.value(column.key)) + "</td><td>&ndash;</td><td>&ndash;</td>";
  return fmt::format("<td>{}</td><td>{}</td><td{}>{}</td>", number(found->ours), number(found->published),
                     found->agrees(tolerance) ? "" : " class=\"warn best\"",
                     std::isfinite(found->ours) ? fmt::format("{:+.3f}", found->difference()) : "&ndash;");
}

std::string block(const Reproduction& r, double tolerance) {
  const std::string count =
      fmt::format("{} of {} pictures", r.evaluation.counted, r.folder.pictures_published);
  std::string out = fmt::format("<h2>{}</h2><p>{}{}; weights {}</p>", escaped(r.folder.dataset), count,
                                r.evaluation.counted == r.folder.pictures_published
                                    ? ""
                                    : " <b class=\"warn\">(not the papers' test set)</b>",
                                escaped(r.weights.filename().string()));
  out +=
      "<div "
      "class=\"wide\"><table><thead><tr><th>value</th><th>ours</th><th>paper</th><th>difference</th></tr>"
      "</thead><tbody>";
  for (const TableColumn& column : table_columns(r.folder.task))
    out += "<tr><td>" + escaped(column.title) + "</td>" + value_cells(r, column, tolerance) + "</tr>";
  out += "</tbody></table></div>";
  if (r.published != nullptr) out += "<p>Published: " + escaped(r.published->source) + ".</p>";
  for (const EvaluationFailure& f : r.evaluation.failures)
    out += "<p class=\"warn\">" + escaped(f.message) + "</p>";
  for (const std::string& w : r.evaluation.warnings) out += "<p class=\"warn\">" + escaped(w) + "</p>";
  return out;
}

}  // namespace

bool ReproducedValue::agrees(double tolerance) const {
  // 0.886 - 0.884 is a little more than 0.002 in binary.
  return std::abs(difference()) <= tolerance + 1e-9;
}

Reproduction compare_with_published(DatasetFolder folder, std::filesystem::path weights,
                                    Evaluation evaluation) {
  Reproduction out;
  out.published = find_published(folder.dataset);
  if (out.published != nullptr) {
    for (const TableColumn& column : table_columns(folder.task)) {
      const auto found = std::find_if(out.published->values.begin(), out.published->values.end(),
                                      [&](const MetricValue& v) { return v.key == column.key; });
      if (found != out.published->values.end())
        out.values.push_back({column.key, column.title, evaluation.value(column.key), found->value});
    }
  }
  out.folder = std::move(folder);
  out.weights = std::move(weights);
  out.evaluation = std::move(evaluation);
  return out;
}

bool is_reproduced(const Reproduction& r, double tolerance) {
  if (!r.evaluation.failures.empty()) return false;
  return (r.published != nullptr && r.published->second_hand) ||
         std::all_of(r.values.begin(), r.values.end(),
                     [&](const ReproducedValue& v) { return v.agrees(tolerance); });
}

std::string to_html(std::span<const Reproduction> all, double tolerance) {
  const auto good = static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [&](const Reproduction& r) { return is_reproduced(r, tolerance); }));
  const std::string passes = all.empty() ? std::string() : all.front().passes;
  std::string body = fmt::format(
      "<h1>SAM2-UNet, reproduced</h1><p>{} of {} data sets within {:g} of the published values. "
      "Predicted {}, scored by each field's protocol.</p>",
      good, all.size(), tolerance,
      passes.empty() ? "as the reference's test.py does"
                     : "with " + html::escaped(passes) + ", which the reference's test.py has not");
  for (const Reproduction& r : all) body += block(r, tolerance);
  return html::page("SAM2-UNet, reproduced", body);
}

std::string to_json(std::span<const Reproduction> all, double tolerance) {
  Json out;
  out["tolerance"] = tolerance;
  out["reproduced"] =
      std::all_of(all.begin(), all.end(), [&](const Reproduction& r) { return is_reproduced(r, tolerance); });
  out["datasets"] = Json::array();
  for (const Reproduction& r : all) {
    Json one;
    one["dataset"] = r.folder.dataset;
    one["task"] = r.folder.task;
    one["images"] = r.folder.images.string();
    one["truths"] = r.folder.truths.string();
    one["weights"] = r.weights.string();
    if (!r.passes.empty()) one["passes"] = r.passes;
    one["count"] = r.evaluation.counted;
    one["pictures_published"] = r.folder.pictures_published;
    one["reproduced"] = is_reproduced(r, tolerance);
    one["source"] = r.published == nullptr ? Json(nullptr) : Json(r.published->source);
    one["values"] = Json::object();
    for (const TableColumn& column : table_columns(r.folder.task))
      one["values"][column.key] = {{"ours", number_or_null(r.evaluation.value(column.key))}};
    for (const ReproducedValue& v : r.values) {
      one["values"][v.key]["published"] = v.published;
      one["values"][v.key]["difference"] = number_or_null(v.difference());
      one["values"][v.key]["agrees"] = v.agrees(tolerance);
    }
    one["failures"] = Json::array();
    for (const EvaluationFailure& f : r.evaluation.failures)
      one["failures"].push_back({{"file", f.file.string()}, {"error", f.message}});
    out["datasets"].push_back(std::move(one));
  }
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sam2unet
