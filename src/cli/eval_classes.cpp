// eval --classes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "commands.h"
#include "eval_shared.h"
#include "eval_tables.h"
#include "outputs.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/errors.h"
#include "sides.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

void check_classes(const EvalArguments& a) {
  if (a.paper_given || a.protocol != "common" || a.empty != "paper" || a.options.classic_only) {
    throw UsageError(
        "--paper, --protocol, --empty and --classic are of maps of one foreground: leave them or --classes "
        "out");
  }
}

std::string with_interval(const MetricValue& v) {
  if (std::isnan(v.low)) return number(v.value);
  return fmt::format("{} ({}-{})", number(v.value), number(v.low), number(v.high));
}

void print_classes(const ClassEvaluation& e) {
  std::vector<Row> rows{{"class", "IoU", "Dice", "precision", "recall", "truth pixels", "predicted"}};
  for (std::size_t c = 0; c < e.classes.size(); ++c) {
    const ClassScore& s = e.classes[c];
    rows.push_back({fmt::format("{} {}", c, e.table.classes[c].name), with_interval(s.iou),
                    with_interval(s.dice), with_interval(s.precision), with_interval(s.recall),
                    std::to_string(s.truth_pixels), std::to_string(s.predicted_pixels)});
  }
  print_table(rows);
  rows = {{"", "mIoU", "mDice", "mAcc", "aAcc"}};
  for (const auto& [title, prefix] :
       {std::pair("all classes", ""), std::pair("without background", "foreground."),
        std::pair("mean over pictures", "per_image."),
        std::pair("  without background", "per_image.foreground.")}) {
    Row row{title};
    for (const char* value : {"mIoU", "mDice", "mAcc", "aAcc"}) {
      const std::string key = std::string(prefix) + value;
      const auto at = std::find_if(e.dataset.begin(), e.dataset.end(),
                                   [&](const MetricValue& v) { return v.key == key; });
      row.push_back(at == e.dataset.end() ? "-" : with_interval(*at));
    }
    rows.push_back(std::move(row));
  }
  fmt::print("\n");
  print_table(rows);
}

void print(const std::vector<ClassEvaluation>& all, const EvalArguments& a, const std::string& worst_by) {
  for (const ClassEvaluation& e : all) {
    fmt::print("{}{}: {} pictures, {} pixels ignored\n", &e == &all.front() ? "" : "\n", e.name,
               e.images.size(), e.ignored);
    print_classes(e);
    if (a.worst == 0) continue;
    fmt::print("\nworst by {}, {}\n", worst_by, e.name);
    const auto column = static_cast<std::size_t>(
        std::find(e.image_keys.begin(), e.image_keys.end(), worst_by) - e.image_keys.begin());
    std::vector<Row> rows;
    for (const std::size_t i : worst_images(e, worst_by, a.worst)) {
      rows.push_back({"  " + e.images[i].name, number(e.images[i].values[column])});
    }
    if (!rows.empty()) print_table(rows);
  }
  if (a.options.resamples > 0) {
    fmt::print("95 % intervals: {} bootstrap resamples, seed {}\n", a.options.resamples, a.options.seed);
  }
  std::fflush(stdout);
}

std::vector<ClassEvaluation> evaluate_masks(const EvalArguments& a, const ClassTable& table) {
  return evaluate_folders<ClassEvaluation>(
      a, methods_of(a), [&](const fs::path& folder, const EvaluateOptions& o) {
        return with_hints({"pred", "pred"}, {"gt", "gt"},
                          [&] { return evaluate_classes(folder, a.truths, table, o); });
      });
}

std::vector<ClassEvaluation> evaluate_model(const EvalArguments& a, const ClassTable& table,
                                            const std::shared_ptr<EvalModel>& model) {
  return evaluate_ways<ClassEvaluation>(a, model, [&](const Predictor& predictor, const EvaluateOptions& o) {
    return with_hints({"images", "image"}, {"gt", "gt"},
                      [&] { return evaluate_classes(predictor, a.truths, table, o); });
  });
}

// The means over pictures, with and without background.
std::vector<TableColumn> gain_columns() {
  std::vector<TableColumn> out;
  for (const std::string& key : class_image_keys()) out.push_back({key, key});
  return out;
}

}  // namespace

void run_class_eval(const EvalArguments& a, const std::shared_ptr<EvalModel>& model) {
  check_classes(a);
  const ClassTable table = model ? *model->classes() : class_table_of(a.classes);
  const std::string worst_by = a.worst_by.empty() ? "mIoU" : a.worst_by;
  const std::vector<std::string>& keys = class_image_keys();
  if (std::find(keys.begin(), keys.end(), worst_by) == keys.end()) {
    throw UsageError(
        fmt::format("--worst-by {}: with --classes use one of {}", worst_by, fmt::join(keys, ", ")));
  }
  const std::vector<ClassEvaluation> all = model ? evaluate_model(a, table, model) : evaluate_masks(a, table);
  if (a.json != "-" && a.csv != "-" && a.dataset_csv != "-" && a.html != "-") {
    print(all, a, worst_by);
    if (all.size() == 2 && model && model->compares())
      print_gains(paired_gains(all[0], all[1]), gain_columns(), a, *model);
  }
  write_result(a.json, a.json.empty() ? "" : to_json(all));
  write_result(a.csv, a.csv.empty() ? "" : images_csv(all));
  write_result(a.dataset_csv, a.dataset_csv.empty() ? "" : dataset_csv(all));
  if (!a.html.empty()) {
    ReportOptions report;
    report.title = "Evaluation on " + fs::path(a.truths).lexically_normal().string();
    report.apply_exif_orientation = a.options.apply_exif_orientation;
    report.predictor = predictor_of(model, Way::asked);
    report.worst_by = worst_by;
    if (a.worst > 0) report.worst = a.worst;
    write_result(a.html, to_html(std::span(all).first(model ? 1 : all.size()), report));
  }
  if (std::any_of(all.begin(), all.end(), [](const ClassEvaluation& e) { return !e.failures.empty(); }))
    throw Failed{};
}

}  // namespace sam2unet::cli
