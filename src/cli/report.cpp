// `sam2unet report`: training runs side by side.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "outputs.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/files.h"
#include "sam2unet/runs.h"
#include "tables.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  std::vector<std::filesystem::path> folders;
  std::string html, json;
};

void print_values(const std::vector<TrainingRun>& runs) {
  const std::vector<std::string> keys = compared_keys(runs);
  std::vector<Row> rows{{"run", "epochs", "best"}};
  for (const std::string& key : keys) rows[0].push_back(column_title(key));
  rows[0].emplace_back("loss");
  for (const TrainingRun& r : runs) {
    const bool is_begun = r.best < r.epochs.size();
    Row row{r.name,
            std::to_string(is_begun ? r.epochs.back().epoch : 0) + "/" + std::to_string(r.epochs_planned),
            is_begun && !r.best_key.empty() ? std::to_string(r.epochs[r.best].epoch) : "-"};
    for (const std::string& key : keys) row.push_back(number(r.value(key)));
    row.push_back(number(r.value("loss")));
    rows.push_back(std::move(row));
  }
  for (const RunGroup& g : group_runs(runs)) {
    Row means{"mean of " + std::to_string(g.members.size()), "", ""};
    Row deviations{"  deviation", "", ""};
    std::vector<std::string> all = keys;
    all.emplace_back("loss");
    for (const std::string& key : all) {
      const auto found =
          std::find_if(g.values.begin(), g.values.end(), [&](const RunSpread& s) { return s.key == key; });
      means.push_back(found == g.values.end() ? "-" : number(found->mean));
      deviations.push_back(found == g.values.end() ? "" : number(found->deviation));
    }
    rows.push_back(std::move(means));
    rows.push_back(std::move(deviations));
  }
  print_table(rows);
}

void print_notes(const std::vector<TrainingRun>& runs) {
  for (const RunGroup& g : group_runs(runs)) {
    std::string names;
    for (const std::size_t m : g.members) names += (names.empty() ? "" : ", ") + runs[m].name;
    std::printf("%s differ in seed or fold alone; deviation: of a sample (n - 1)\n", names.c_str());
  }
  std::vector<Row> rows{{"differs"}};
  for (const TrainingRun& r : runs) rows[0].push_back(r.name);
  for (const std::string& key : differing_settings(runs)) {
    Row row{key};
    for (const TrainingRun& r : runs) row.push_back(r.setting(key).empty() ? "-" : r.setting(key));
    rows.push_back(std::move(row));
  }
  if (rows.size() == 1) return;
  std::printf("\n");
  print_table(rows);
}

void run(const Arguments& a) {
  check_result_files({a.json, a.html});
  const std::vector<TrainingRun> runs = read_runs(a.folders);
  for (const TrainingRun& r : runs) {
    for (const std::string& note : r.notes)
      std::fprintf(stderr, "sam2unet: warning: %s: %s\n", r.name.c_str(), note.c_str());
  }
  if (a.json != "-" && a.html != "-") {
    print_values(runs);
    print_notes(runs);
  }
  if (!a.json.empty()) write_result(a.json, runs_json(runs));
  if (!a.html.empty()) write_result(a.html, runs.size() == 1 ? run_html(runs.front()) : runs_html(runs));
}

}  // namespace

void add_report(CLI::App& app) {
  auto* c = app.add_subcommand("report", "Compare training runs side by side");
  auto a = std::make_shared<Arguments>();
  c->add_option("RUN", a->folders, "folders of runs (--out of train), or folders that hold such folders")
      ->required();
  c->add_option("--html", a->html, "write a page to FILE: curves, pictures, what differs")->type_name("FILE");
  c->add_option("--json", a->json, "write every value and setting to FILE")->type_name("FILE");
  c->footer(
      "Each run at its best epoch. Of runs that differ in --seed or --fold alone also the mean and the "
      "standard "
      "deviation. A run's own page, report.html in its folder, is kept up to date by train.\n"
      "Example: sam2unet report run-a run-b --html compare.html\n"
      "FILE may be - for standard output; the table is then not printed.");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
