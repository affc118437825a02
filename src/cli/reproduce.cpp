// `sam2unet reproduce`: the papers' tables, again, on this machine.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batcher.h"
#include "commands.h"
#include "device.h"
#include "outputs.h"
#include "passes.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"
#include "sam2unet/reproduce.h"
#include "sam2unet/segmenter.h"
#include "tables.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  fs::path data, weights;
  std::vector<std::string> only;
  std::string html, json, device = "cpu";
  Precision precision = Precision::standard;
  PassArguments passes;
  double tolerance = 0.002;
  int threads = 0;
  bool lists = false;
};

struct Job {
  DatasetFolder folder;
  fs::path weights;
};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// --only takes tasks and data sets.
bool is_wanted(const DatasetFolder& d, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& name) {
           return lower(name) == lower(d.task) || lower(name) == lower(d.dataset);
         });
}

// The weight files of a folder, or the one file.
std::vector<fs::path> weight_files(const fs::path& named) {
  const fs::path path = find_weights(named);
  if (!fs::exists(path)) throw FileError(path.string() + ": no such file or folder");
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string extension = lower(entry.path().extension().string());
    if (extension == ".pth" || extension == ".pt" || extension == ".safetensors")
      files.push_back(entry.path());
  }
  if (files.empty()) throw UsageError(path.string() + ": holds no .pth, .pt or .safetensors file");
  std::sort(files.begin(), files.end());
  return files;
}

void note(const std::string& line) {
  std::fprintf(stderr, "sam2unet: note: %s\n", line.c_str());
}

std::vector<Job> jobs_of(const Arguments& a) {
  const DatasetSearch search = find_datasets(a.data);
  for (const std::string& line : search.notes) note(line);
  const std::vector<fs::path> files = weight_files(a.weights);
  const bool is_folder = fs::is_directory(a.weights);
  std::vector<Job> jobs;
  for (const DatasetFolder& d : search.found) {
    if (!is_wanted(d, a.only)) continue;
    const fs::path weights = is_folder ? weights_for(d, files) : files.front();
    if (weights.empty()) {
      note(d.dataset + " is left out: no file of " + a.weights.string() + " is named for it or its task (" +
           d.task + ")");
      continue;
    }
    jobs.push_back({d, weights});
  }
  if (jobs.empty()) {
    std::string names;
    for (const DatasetFolder& d : search.found) names += (names.empty() ? "" : ", ") + d.dataset;
    throw UsageError(names.empty()
                         ? a.data.string() +
                               ": no test set of the papers is here under a usual name (CAMO/Imgs and "
                               "CAMO/GT, DUTS-TE, Kvasir/images and Kvasir/masks ...)"
                         : "nothing to do: found " + names + ", but no weights or no --only fit them");
  }
  return jobs;
}

void print_jobs(const std::vector<Job>& jobs) {
  std::vector<Row> rows{{"data set", "task", "pictures", "ground truths", "weights"}};
  for (const Job& j : jobs) {
    rows.push_back({j.folder.dataset, j.folder.task, j.folder.images.string(), j.folder.truths.string(),
                    j.weights.string()});
  }
  print_table(rows);
}

// The reference's test.py: 352x352, no EXIF, maps stretched and cut to 8 bits. It has no tiles and no
// variants: with those, maps are as `predict` writes them.
SegmentOptions as_test_py(const PassArguments& passes) {
  SegmentOptions options;
  options.size = InputSize::square(352);
  options.official = !passes.any();
  apply(passes, options);
  return options;
}

class Official {
 public:
  Official(const fs::path& weights, const SegmenterOptions& options, const SegmentOptions& how)
      : segmenter_(weights, options),
        batcher_(segmenter_, how, static_cast<std::size_t>(segmenter_.info().batch)) {}

  Image predict(const ImageView& picture) { return batcher_.segment(picture).to_gray(); }
  /// How many threads beside those that decode and score must wait for predictions, so that batches fill.
  int waiting() const {
    return segmenter_.info().in_flight > 1 ? static_cast<int>(batcher_.waiting_for_full()) : 0;
  }

 private:
  Segmenter segmenter_;
  Batcher batcher_;
};

Reproduction reproduce(const Job& job, const std::shared_ptr<Official>& model, int threads) {
  EvaluateOptions options;
  options.name = job.folder.dataset;
  options.pictures = job.folder.images;
  options.threads = threads;
  options.predicting = model->waiting();
  options.resamples = 0;
  options.apply_exif_orientation = false;
  options.classic_only = job.folder.task == "cod" || job.folder.task == "sod";
  std::optional<Progress> progress;
  std::size_t last = 0;
  options.progress = [&](std::size_t done, std::size_t total) {
    if (!progress) progress.emplace(total, job.folder.dataset);
    progress->advance(done - last);
    last = done;
  };
  const Predictor predictor = [model](const ImageView& picture) { return model->predict(picture); };
  Evaluation e = evaluate(predictor, job.folder.truths, options);
  if (progress) progress->finish();
  for (const std::string& w : e.warnings)
    std::fprintf(stderr, "sam2unet: warning: %s: %s\n", e.name.c_str(), w.c_str());
  for (const EvaluationFailure& f : e.failures)
    std::fprintf(stderr, "sam2unet: %s: %s\n", e.name.c_str(), f.message.c_str());
  return compare_with_published(job.folder, job.weights, std::move(e));
}

std::string difference(const ReproducedValue& v) {
  if (!std::isfinite(v.ours)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%+.3f", v.difference());
  return text;
}

void print_result(const std::vector<Reproduction>& all, double tolerance) {
  std::vector<Row> rows{{"data set", "value", "ours", "paper", "difference", ""}};
  for (const Reproduction& r : all) {
    bool is_first = true;
    for (const TableColumn& c : table_columns(r.folder.task)) {
      const auto v = std::find_if(r.values.begin(), r.values.end(),
                                  [&](const ReproducedValue& one) { return one.key == c.key; });
      Row row{is_first ? r.folder.dataset : "", c.title, number(r.evaluation.value(c.key)), "-", "-", ""};
      if (v != r.values.end()) {
        row[3] = number(v->published);
        row[4] = difference(*v);
        row[5] = v->agrees(tolerance) ? "ok" : r.published->second_hand ? "off (second-hand)" : "OFF";
      }
      rows.push_back(std::move(row));
      is_first = false;
    }
  }
  print_table(rows);
  std::printf("\n");
  for (const Reproduction& r : all) {
    std::printf("%s: %zu of the papers' %zu pictures%s; published: %s\n", r.folder.dataset.c_str(),
                r.evaluation.counted, r.folder.pictures_published,
                r.evaluation.counted == r.folder.pictures_published ? "" : " (not their test set)",
                r.published == nullptr ? "no row was read" : r.published->source.c_str());
  }
}

void run(const Arguments& a) {
  check_result_files({a.json, a.html});
  const SegmentOptions how = as_test_py(a.passes);  // what cannot be meant is said before hours of work
  const std::vector<Job> jobs = jobs_of(a);
  if (a.lists) {
    print_jobs(jobs);
    return;
  }
  if (a.passes.any())
    note("with " + describe(a.passes) +
         " maps are not the reference's test.py's: neither stretched nor truncated");
  std::map<fs::path, std::vector<std::size_t>> by_weights;  // each file is loaded once
  for (std::size_t i = 0; i < jobs.size(); ++i) by_weights[jobs[i].weights].push_back(i);
  std::vector<Reproduction> all(jobs.size());
  for (const auto& [weights, indices] : by_weights) {
    const auto model =
        std::make_shared<Official>(weights, SegmenterOptions{a.threads, a.device, a.precision}, how);
    for (const std::size_t i : indices) {
      all[i] = reproduce(jobs[i], model, a.threads);
      all[i].passes = describe(a.passes);
    }
  }
  if (a.json != "-" && a.html != "-") print_result(all, a.tolerance);
  if (!a.json.empty()) write_result(a.json, to_json(all, a.tolerance));
  if (!a.html.empty()) write_result(a.html, to_html(all, a.tolerance));
  if (!std::all_of(all.begin(), all.end(),
                   [&](const Reproduction& r) { return is_reproduced(r, a.tolerance); }))
    throw Failed{};
}

}  // namespace

void add_reproduce(CLI::App& app) {
  auto* c =
      app.add_subcommand("reproduce", "Predict and score the papers' test sets, and compare with the papers");
  auto a = std::make_shared<Arguments>();
  c->add_option("--data", a->data,
                "folder with the test sets under their usual names, at most four levels below")
      ->required();
  c->add_option("-w,--weights", a->weights,
                "a checkpoint, the name of a model, or a folder with one per task, named for it: "
                "SAM2-UNet-COD.pth, ...-SOD.pth, "
                "...-MAS3K.pth, ...-Polyp.pth")
      ->required();
  c->add_option("--only", a->only,
                "tasks (cod, sod, marine, mirror, polyp) or data sets; all found otherwise")
      ->delimiter(',')
      ->type_name("NAME");
  c->add_flag("--list", a->lists, "only say what was found and which weights it would get");
  c->add_option("--tolerance", a->tolerance, "how far a value may be off")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  c->add_option("--json", a->json, "write every value to FILE")->type_name("FILE");
  c->add_option("--html", a->html, "write a page to FILE")->type_name("FILE");
  c->add_option("-j,--threads", a->threads, "threads (0: all cores)")->check(CLI::Range(0, 1024));
  add_device_options(*c, a->device, a->precision);
  add_pass_options(*c, a->passes);
  c->footer(
      "Predicts as the reference's test.py (but with --tile or --tta, which it has not) and scores by each "
      "field's protocol. Exit code 1 if a published "
      "value is "
      "off by more than the tolerance, or a picture could not be scored. The polyp sets' published values "
      "are "
      "second-hand: shown, but not judged by.\n"
      "Example: sam2unet reproduce --data datasets --weights checkpoints --only cod --html cod.html\n"
      "FILE may be - for standard output; the table is then not printed.");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
