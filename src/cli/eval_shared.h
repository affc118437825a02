// What `eval` does alike with and without classes.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batcher.h"
#include "passes.h"
#include "progress.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/gain.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

struct EvalArguments {
  std::vector<std::string> predictions;
  std::string truths, name, weights, json, csv, dataset_csv, html, paper, classes;
  std::string protocol = "common", worst_by, empty = "paper", size, device = "cpu";
  Precision precision = Precision::standard;
  std::string streams = "auto";
  int batch = 0;
  std::string fit;
  PassArguments passes;
  bool predicting_given = false;  // an option that is for predicting only
  std::size_t worst = 0;
  bool paper_given = false;
  bool official = false;
  EvaluateOptions options;
};

struct Method {
  std::string name;
  std::filesystem::path folder;
};

/// The folders of --pred and what they are called. UsageError if two are called the same.
std::vector<Method> methods_of(const EvalArguments& a);
/// Everything that can be wrong with the arguments is said before hours of work.
void check(const EvalArguments& a);
/// How a model predicts.
enum class Way {
  asked,  ///< with the tiles and variants that were asked for
  plain,  ///< in one pass, to compare with
};
/// Predicts with all cores, a batch at a time; the threads that wait decode and score other pictures.
class EvalModel {
 public:
  /// UsageError if --classes does not fit the weights.
  explicit EvalModel(const EvalArguments& a);
  /// A map, or ids of classes.
  Image predict(const ImageView& picture, Way way);
  /// How many threads beside those that decode and score must wait for predictions, so that batches fill.
  int waiting() const;
  /// The classes to score; nullptr of one foreground.
  const std::shared_ptr<const ClassTable>& classes() const { return classes_; }
  /// Whether there is anything to compare.
  bool compares() const { return plain_ != nullptr; }
  /// How much longer a picture takes as asked for than in one pass.
  double cost_factor() const;

 private:
  Segmenter segmenter_;
  std::shared_ptr<const ClassTable> classes_;
  std::size_t batch_;
  std::unique_ptr<Batcher> asked_, plain_;
};
/// A predictor that keeps the model alive; none without one.
Predictor predictor_of(const std::shared_ptr<EvalModel>& model, Way way);

/// What a model's results are called: --name, or the weights' file.
std::string name_of_model(const EvalArguments& a);

/// Scores ids of classes, of folders or of what `model` predicts, and prints and writes what the arguments
/// ask for.
void run_class_eval(const EvalArguments& a, const std::shared_ptr<EvalModel>& model);

/// Warnings and failures, on standard error.
template <class AnyEvaluation>
void say(const AnyEvaluation& e) {
  for (const std::string& w : e.warnings)
    std::fprintf(stderr, "sam2unet: warning: %s: %s\n", e.name.c_str(), w.c_str());
  for (const EvaluationFailure& f : e.failures)
    std::fprintf(stderr, "sam2unet: %s: %s\n", e.name.c_str(), f.message.c_str());
}

/// Calls `score` with a bar on the terminal.
template <class Score>
auto with_progress(EvaluateOptions options, const Score& score) {
  std::optional<Progress> progress;
  std::size_t last = 0;
  options.progress = [&](std::size_t done, std::size_t total) {
    if (!progress) progress.emplace(total, "pictures");
    progress->advance(done - last);
    last = done;
  };
  return score(options);
}

/// `score(predictor, options)` of the model, and where it runs otherwise than in one pass, that too: as asked
/// for first.
template <class AnyEvaluation, class Score>
std::vector<AnyEvaluation> evaluate_ways(const EvalArguments& a, const std::shared_ptr<EvalModel>& model,
                                         const Score& score) {
  std::vector<AnyEvaluation> all;
  for (const Way way : {Way::asked, Way::plain}) {
    if (way == Way::plain && !model->compares()) break;
    EvaluateOptions options = a.options;
    options.name = name_of_model(a);
    if (model->compares()) options.name += way == Way::plain ? ", one pass" : ", " + describe(a.passes);
    all.push_back(
        with_progress(options, [&](const EvaluateOptions& o) { return score(predictor_of(model, way), o); }));
    say(all.back());
  }
  return all;
}
/// What tiles and variants bring and cost. `keys` are shown under `titles`.
void print_gains(const std::vector<Gain>& gains, const std::vector<TableColumn>& columns,
                 const EvalArguments& a, const EvalModel& model);

/// `score(folder, options)` for every method.
template <class AnyEvaluation, class Score>
std::vector<AnyEvaluation> evaluate_folders(const EvalArguments& a, const std::vector<Method>& methods,
                                            const Score& score) {
  std::vector<AnyEvaluation> all;
  for (const Method& method : methods) {
    EvaluateOptions options = a.options;
    options.name = method.name;
    all.push_back(with_progress(options, [&](const EvaluateOptions& o) { return score(method.folder, o); }));
    say(all.back());
  }
  return all;
}

}  // namespace sam2unet::cli
