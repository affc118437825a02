#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "commands.h"
#include "device.h"
#include "eval_shared.h"
#include "eval_tables.h"
#include "outputs.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/files.h"
#include "sam2unet/segmenter.h"
#include "sides.h"
#include "size.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

// The row that --paper asks for: of the named data set, or of the one that a part of the ground truths' path
// names.
const PublishedResult* published_for(const EvalArguments& a) {
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

std::vector<Evaluation> evaluate_model(const EvalArguments& a, const std::shared_ptr<EvalModel>& model) {
  return evaluate_ways<Evaluation>(a, model, [&](const Predictor& predictor, const EvaluateOptions& o) {
    return with_hints({"images", "image"}, {"gt", "gt"}, [&] { return evaluate(predictor, a.truths, o); });
  });
}

void run(EvalArguments& a) {
  check(a);
  std::shared_ptr<EvalModel> model;
  if (a.predictions.empty()) {
    model = std::make_shared<EvalModel>(a);
    a.options.predicting = model->waiting();
  }
  if (!a.classes.empty() || (model && model->classes())) {
    run_class_eval(a, model);
    return;
  }
  if (a.worst_by.empty()) a.worst_by = "S";
  const std::vector<MetricValue> known = evaluate_pair(Image(1, 1, 1), Image(1, 1, 1));
  if (std::none_of(known.begin(), known.end(), [&](const MetricValue& v) { return v.key == a.worst_by; })) {
    throw UsageError("--worst-by " + a.worst_by + ": pictures have no such value; --json shows their names");
  }
  a.options.empty = policy_of(a.empty);
  a.options.apply_exif_orientation = !a.official;
  const std::vector<TableColumn> columns = table_columns(a.protocol);
  const PublishedResult* published = published_for(a);
  const std::vector<Method> methods = methods_of(a);
  const std::vector<Evaluation> all =
      model ? evaluate_model(a, model)
            : evaluate_folders<Evaluation>(a, methods, [&](const fs::path& folder, const EvaluateOptions& o) {
                return with_hints({"pred", "pred"}, {"gt", "gt"},
                                  [&] { return evaluate(folder, a.truths, o); });
              });

  const bool to_stdout = a.json == "-" || a.csv == "-" || a.dataset_csv == "-" || a.html == "-";
  if (!to_stdout) {
    print_scores(all, columns, published);
    print_notes(all, published);
    if (a.worst > 0) print_worst(all, a.worst_by, a.worst);
    if (all.size() == 2 && model && model->compares())
      print_gains(paired_gains(all[0], all[1]), columns, a, *model);
  }
  write_result(a.json, a.json.empty() ? "" : to_json(all));
  write_result(a.csv, a.csv.empty() ? "" : images_csv(all));
  write_result(a.dataset_csv, a.dataset_csv.empty() ? "" : dataset_csv(all));
  if (!a.html.empty()) {
    ReportOptions report;
    report.title = "Evaluation on " + fs::path(a.truths).lexically_normal().string();
    report.protocol = a.protocol == "all" ? "common" : a.protocol;
    report.published = published;
    report.worst_by = a.worst_by;
    report.predictor = predictor_of(model, Way::asked);
    report.apply_exif_orientation = a.options.apply_exif_orientation;
    if (a.worst > 0) report.worst = a.worst;
    // Pictures are made again as asked for.
    write_result(a.html, to_html(std::span(all).first(model ? 1 : all.size()), report));
  }
  if (std::any_of(all.begin(), all.end(), [](const Evaluation& e) { return !e.failures.empty(); }))
    throw Failed{};
}

void add_output_options(CLI::App& c, EvalArguments& a) {
  c.add_option("--worst", a.worst, "list the N worst pictures")->check(CLI::Range(0, 100000))->type_name("N");
  c.add_option(
       "--worst-by", a.worst_by,
       "value they are sorted by: S (default), MAE, fm.max, ...; with --classes mIoU (default), aAcc, ...")
      ->type_name("KEY");
  c.add_option("--json", a.json, "write every value, per data set and picture, to FILE")->type_name("FILE");
  c.add_option("--csv", a.csv, "write a row per picture to FILE")->type_name("FILE");
  c.add_option("--dataset-csv", a.dataset_csv, "write the data set's values to FILE")->type_name("FILE");
  c.add_option("--html", a.html, "write a report in one page to FILE")->type_name("FILE");
}

}  // namespace

void add_eval(CLI::App& app) {
  auto* c = app.add_subcommand("eval", "Score predictions against ground truths, as the papers do");
  auto a = std::make_shared<EvalArguments>();
  c->add_option("--pred", a->predictions,
                "folder of predicted maps or a pattern, or NAME=DIR; several for a comparison")
      ->take_all();
  c->add_option("--gt", a->truths,
                "folder of ground truths or a pattern ('*/GT'); files pair by name without extension")
      ->required();
  c->add_option("--images", a->options.pictures,
                "folder of the pictures: to predict from, if there is no --pred; for the camouflage context "
                "measure and "
                "the report, if there is");
  add_affix_options(*c, "pred", a->options.prediction_affix);
  add_affix_options(*c, "gt", a->options.truth_affix);
  add_affix_options(*c, "image", a->options.picture_affix);
  add_recursive_option(*c, a->options.recursive);
  c->add_option(
      "-w,--weights", a->weights,
      "checkpoint to predict with, or the name of a model (`sam2unet models list`); without it, the model "
      "that comes with the program");
  c->add_option("--size", a->size,
                "network input when predicting: N or HxW, multiples of 32; without it, what the weights were "
                "trained at, else 352");
  add_device_options(*c, a->device, a->precision);
  add_batch_options(*c, a->batch, a->fit);
  add_streams_option(*c, a->streams);
  add_pass_options(*c, a->passes);
  c->add_flag("--official", a->official, "predict as the reference's test.py");
  c->add_option("--name", a->name, "name of the method (default: the folder's or the checkpoint's)");
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
  c->add_option("--classes", a->classes,
                "score ids of classes as mmsegmentation does: a class file, or a number of classes")
      ->type_name("FILE|N");
  c->add_option("--empty", a->empty,
                "ground truths without foreground: as the reference, left out, or 1 if predicted so")
      ->check(CLI::IsMember({"paper", "skip", "one-if-correct"}));
  c->add_flag("--strict", a->options.strict, "unpaired files and predictions of another size are errors");
  c->add_flag("--classic", a->options.classic_only, "only S, E, F, weighted F and MAE");
  c->add_option("--bootstrap", a->options.resamples, "resamples for the 95 % intervals (0: none)")
      ->check(CLI::Range(0, 1000000));
  c->add_option("--seed", a->options.seed, "of the resampling");
  add_output_options(*c, *a);
  c->add_option("-j,--threads", a->options.threads, "threads (0: all cores)")->check(CLI::Range(0, 1024));
  c->footer(
      "Values are PySODMetrics 1.6.2's and, with --protocol mirror, HetNet's. "
      "Exit code 1 if a picture could not be scored.\n"
      "Examples:\n"
      "  sam2unet eval --pred ours=out --pred other=maps --gt CAMO/gt --protocol cod --paper --html "
      "report.html\n"
      "  sam2unet eval --weights mine.safetensors --images CAMO/image --gt CAMO/gt --json scores.json\n"
      "  sam2unet eval --images CAMO/image --gt CAMO/gt --tta hflip     whether it helps, and what it costs\n"
      "  sam2unet eval --classes road.toml --pred out --gt test/mask --html report.html\n"
      "FILE may be - for standard output; the table is then not printed.");
  c->callback([a, c] {
    for (const char* option : {"--weights", "--size", "--official", "--device", "--precision", "--streams",
                               "--batch", "--fit", "--tile", "--overlap", "--tile-context", "--tta"})
      a->predicting_given = a->predicting_given || c->count(option) > 0;
    run(*a);
  });
}

}  // namespace sam2unet::cli
