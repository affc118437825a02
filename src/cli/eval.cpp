#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "output_file.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> predictions;
  std::string truths, name, json, csv, dataset_csv, html, protocol = "common", paper, worst_by = "S",
                                                          empty = "paper";
  std::size_t worst = 0;
  bool paper_given = false;
  EvaluateOptions options;
};

struct Method {
  std::string name;
  fs::path folder;
};

// "NAME=DIR", or DIR; a folder whose own name has '=' in it is taken as such.
Method method_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || fs::exists(text)) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  // Widths are of ASCII text: names of methods and columns.
  const std::string fill(width > text.size() ? width - text.size() : 0, ' ');
  return left ? text + fill : fill + text;
}

using Row = std::vector<std::string>;

void print_table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c)
      line += (c == 0 ? "" : "  ") + padded(row[c], widths[c], c == 0);
    while (!line.empty() && line.back() == ' ') line.pop_back();
    std::printf("%s\n", line.c_str());
  }
}

std::string number(double v) {
  if (!std::isfinite(v)) return "-";
  char text[400];
  std::snprintf(text, sizeof text, "%.3f", v);
  return text;
}

const MetricValue* find(const std::vector<MetricValue>& values, const std::string& key) {
  const auto at =
      std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.key == key; });
  return at == values.end() ? nullptr : &*at;
}

// A row per method, and one below for the intervals.
void print_columns(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
                   const PublishedResult* published) {
  std::vector<Row> rows{{"method", "images"}};
  for (const TableColumn& c : columns) rows[0].push_back(c.title);
  for (const Evaluation& e : all) {
    Row values{e.name, std::to_string(e.counted)}, intervals{"  95 %", ""};
    for (const TableColumn& c : columns) {
      const MetricValue* v = find(e.dataset, c.key);
      values.push_back(v == nullptr ? "-" : number(v->value));
      intervals.push_back(v == nullptr || std::isnan(v->low) ? "" : number(v->low) + "-" + number(v->high));
    }
    rows.push_back(std::move(values));
    if (e.resamples > 0 && e.counted > 0) rows.push_back(std::move(intervals));
  }
  if (published != nullptr) {
    Row row{"SAM2-UNet (published)", ""};
    for (const TableColumn& c : columns) {
      const MetricValue* v = find(published->values, c.key);
      row.push_back(v == nullptr ? "-" : number(v->value));
    }
    rows.push_back(std::move(row));
  }
  print_table(rows);
}

// A row per value: what does not fit into one line.
void print_all(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
               const PublishedResult* published) {
  std::vector<Row> rows{{"value"}};
  for (const Evaluation& e : all) {
    rows[0].push_back(e.name);
    if (e.resamples > 0) rows[0].push_back("95 %");
  }
  if (published != nullptr) rows[0].push_back("published");
  for (const TableColumn& c : columns) {
    Row row{c.key};
    for (const Evaluation& e : all) {
      const MetricValue* v = find(e.dataset, c.key);
      row.push_back(v == nullptr ? "-" : number(v->value));
      if (e.resamples > 0)
        row.push_back(v == nullptr || std::isnan(v->low) ? "" : number(v->low) + "-" + number(v->high));
    }
    if (published != nullptr) {
      const MetricValue* v = find(published->values, c.key);
      row.push_back(v == nullptr ? "" : number(v->value));
    }
    rows.push_back(std::move(row));
  }
  print_table(rows);
}

void print_worst(const std::vector<Evaluation>& all, const Arguments& a) {
  for (const Evaluation& e : all) {
    const std::vector<std::size_t> worst = worst_images(e, a.worst_by, a.worst);
    const auto column = static_cast<std::size_t>(
        std::find(e.image_keys.begin(), e.image_keys.end(), a.worst_by) - e.image_keys.begin());
    std::printf("\nworst by %s, %s\n", a.worst_by.c_str(), e.name.c_str());
    std::vector<Row> rows;
    for (const std::size_t i : worst)
      rows.push_back({"  " + e.images[i].name, number(e.images[i].values[column])});
    if (!rows.empty()) print_table(rows);
  }
}

void say(const Evaluation& e) {
  for (const std::string& w : e.warnings)
    std::fprintf(stderr, "sam2unet: warning: %s: %s\n", e.name.c_str(), w.c_str());
  for (const EvaluationFailure& f : e.failures)
    std::fprintf(stderr, "sam2unet: %s: %s\n", e.name.c_str(), f.message.c_str());
}

void print_notes(const std::vector<Evaluation>& all, const PublishedResult* published) {
  for (const Evaluation& e : all) {
    const char* what = e.empty == EmptyPolicy::skip             ? "left out"
                       : e.empty == EmptyPolicy::one_if_correct ? "1 where the prediction is empty too"
                                                                : "scored as PySODMetrics does";
    std::printf("%s: %zu of %zu ground truths are empty (%s)\n", e.name.c_str(), e.empty_truths,
                e.images.size(), what);
  }
  if (all.front().resamples > 0) {
    std::printf("95 %% intervals: %d bootstrap resamples, seed %llu\n", all.front().resamples,
                static_cast<unsigned long long>(all.front().seed));
  }
  if (published != nullptr)
    std::printf("published: %s, %s\n", published->dataset.c_str(), published->source.c_str());
}

// The row that --paper asks for: of the named data set, or of the one that a part of the ground truths' path
// names.
const PublishedResult* published_for(const Arguments& a) {
  if (!a.paper_given) return nullptr;
  if (!a.paper.empty()) {
    if (const PublishedResult* r = find_published(a.paper)) return r;
  } else {
    for (const fs::path& part : fs::absolute(a.truths).lexically_normal()) {
      if (const PublishedResult* r = find_published(part.string())) return r;
    }
  }
  std::string known;
  for (const PublishedResult& r : published_results()) known += (known.empty() ? "" : ", ") + r.dataset;
  throw UsageError("no published row is known for " +
                   (a.paper.empty() ? "a folder of " + a.truths : a.paper) +
                   "; name one with --paper NAME: " + known);
}

EmptyPolicy policy_of(const std::string& name) {
  if (name == "skip") return EmptyPolicy::skip;
  return name == "one-if-correct" ? EmptyPolicy::one_if_correct : EmptyPolicy::paper;
}

std::vector<Evaluation> evaluate_all(const Arguments& a) {
  std::vector<Evaluation> all;
  std::set<std::string> names;
  for (const std::string& text : a.predictions) {
    const Method method = method_of(text);
    EvaluateOptions options = a.options;
    options.name = method.name.empty() && a.predictions.size() == 1 ? a.name : method.name;
    options.empty = policy_of(a.empty);
    {
      std::optional<Progress> progress;
      std::size_t last = 0;
      options.progress = [&](std::size_t done, std::size_t total) {
        if (!progress) progress.emplace(total, "pictures");
        progress->advance(done - last);
        last = done;
      };
      all.push_back(evaluate(method.folder, a.truths, options));
    }
    if (!names.insert(all.back().name).second) {
      throw UsageError("two predictions are called " + all.back().name +
                       ": give them names, --pred NAME=DIR");
    }
    say(all.back());
  }
  return all;
}

void run(const Arguments& a) {
  const std::vector<TableColumn> columns = table_columns(a.protocol);
  const PublishedResult* published = published_for(a);
  const std::vector<Evaluation> all = evaluate_all(a);
  if (columns.size() > 12) {
    print_all(all, columns, published);
  } else {
    print_columns(all, columns, published);
  }
  print_notes(all, published);
  if (a.worst > 0) print_worst(all, a);
  if (!a.json.empty()) write_output(a.json, to_json(all));
  if (!a.csv.empty()) write_output(a.csv, images_csv(all));
  if (!a.dataset_csv.empty()) write_output(a.dataset_csv, dataset_csv(all));
  if (!a.html.empty()) {
    ReportOptions report;
    report.title = "Evaluation on " + fs::path(a.truths).lexically_normal().string();
    report.protocol = a.protocol == "all" ? "common" : a.protocol;
    report.published = published;
    report.worst_by = a.worst_by;
    if (a.worst > 0) report.worst = a.worst;
    write_output(a.html, to_html(all, report));
  }
  if (std::any_of(all.begin(), all.end(), [](const Evaluation& e) { return !e.failures.empty(); }))
    throw Failed{};
}

}  // namespace

void add_eval(CLI::App& app) {
  auto* c = app.add_subcommand("eval", "Score predictions against ground truths, as the papers do");
  auto a = std::make_shared<Arguments>();
  c->add_option("--pred", a->predictions, "folder of predicted maps, or NAME=DIR; several for a comparison")
      ->required()
      ->take_all();
  c->add_option("--gt", a->truths, "folder of ground truths; files pair by name without extension")
      ->required();
  c->add_option("--name", a->name, "name of the method (default: the folder's)");
  c->add_option("--images", a->options.pictures,
                "folder of the pictures: camouflage context measure, pictures in the report");
  c->add_option("--protocol", a->protocol, "columns of that field's tables")
      ->check(CLI::IsMember({"common", "cod", "sod", "marine", "mirror", "polyp", "all"}));
  c->add_option_function<std::string>(
       "--paper",
       [a](const std::string& name) {
         a->paper_given = true;
         a->paper = name;
       },
       "add the published SAM2-UNet row of data set NAME (default: named by a folder of --gt)")
      ->expected(0, 1)
      ->type_name("[NAME]");
  c->add_option("--empty", a->empty,
                "ground truths without foreground: as the reference, left out, or 1 if predicted so")
      ->check(CLI::IsMember({"paper", "skip", "one-if-correct"}));
  c->add_flag("--strict", a->options.strict, "unpaired files and predictions of another size are errors");
  c->add_flag("--classic", a->options.classic_only, "only S, E, F, weighted F and MAE");
  c->add_option("--bootstrap", a->options.resamples, "resamples for the 95 % intervals (0: none)")
      ->check(CLI::Range(0, 1000000));
  c->add_option("--seed", a->options.seed, "of the resampling");
  c->add_option("--worst", a->worst, "list the N worst pictures")
      ->check(CLI::Range(0, 100000))
      ->type_name("N");
  c->add_option("--worst-by", a->worst_by, "value they are sorted by: S, MAE, fm.max, ...")->type_name("KEY");
  c->add_option("--json", a->json, "write every value, per data set and picture, to FILE")->type_name("FILE");
  c->add_option("--csv", a->csv, "write a row per picture to FILE")->type_name("FILE");
  c->add_option("--dataset-csv", a->dataset_csv, "write the data set's values to FILE")->type_name("FILE");
  c->add_option("--html", a->html, "write a report in one page to FILE")->type_name("FILE");
  c->add_option("-j,--threads", a->options.threads, "threads (0: all cores)")->check(CLI::Range(0, 1024));
  c->footer(
      "Values are PySODMetrics 1.6.2's and, with --protocol mirror, HetNet's; docs/metrics.md defines each. "
      "Exit code 1 "
      "if a picture could not be scored.\n"
      "Example: sam2unet eval --pred ours=out --pred other=maps --gt CAMO/gt --protocol cod --paper CAMO "
      "--html report.html");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
