#include "sam2unet/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "data/mask_check.h"
#include "data/pairing.h"
#include "eval/arguments.h"
#include "eval/pool.h"
#include "metrics/dataset.h"
#include "metrics/resize.h"
#include "metrics/scorer.h"
#include "sam2unet/errors.h"

namespace sam2unet {

namespace {

namespace fs = std::filesystem;
using eval::check;
using eval::folder_name;
using eval::note_unpaired;
using eval::threads_of;

// What one picture is scored from.
struct Task {
  fs::path truth, prediction, picture;  // prediction empty: made by the predictor from the picture
  std::string name;                     // by which they pair
};

// What became of it, beside its record.
struct Outcome {
  bool scored = false;
  bool resized = false;
  int prediction_width = 0, prediction_height = 0;
  int brightest = 0;            // grey level of the ground truth
  bool shape_in_alpha = false;  // of the ground truth, which is then one colour all over
  std::string error;
  fs::path failed_file;
};

// Readers bring gray of more than 8 bits to 8 in different ways (Pillow clips at 255, OpenCV keeps the high
// byte): whichever is done without a word scores the wrong map.
void refuse_deep(const fs::path& path, const ImageInfo& info) {
  if (!info.deep) return;
  throw ImageError(fmt::format(
      "{}: a gray {} of 16 bits or floating point, which readers bring to 8 bits in different ways; "
      "store the map with 8 bits, 0 to 255",
      path.string(), name_of(info.format)));
}

Image read(const fs::path& path, ColorMode mode, bool upright, ImageInfo* info = nullptr) {
  ImageInfo own;
  Image image = read_image(path, {.mode = mode, .apply_exif_orientation = upright}, &own);
  if (mode == ColorMode::gray) refuse_deep(path, own);
  if (info != nullptr) *info = own;
  return image;
}

// What a ground truth means that has nothing above 128.
void look_at_levels(const fs::path& path, const Image& truth, const ImageInfo& info, Outcome& out) {
  out.brightest = truth.pixels.empty() ? 0 : *std::max_element(truth.pixels.begin(), truth.pixels.end());
  const int darkest = truth.pixels.empty() ? 0 : *std::min_element(truth.pixels.begin(), truth.pixels.end());
  if (info.alpha && darkest == out.brightest)
    out.shape_in_alpha = data::is_shape_in_alpha(read_image(path, {.mode = ColorMode::rgba}));
}

metrics::EmptyTruth policy_of(EmptyPolicy p) {
  switch (p) {
    case EmptyPolicy::skip:
      return metrics::EmptyTruth::skip;
    case EmptyPolicy::one_if_correct:
      return metrics::EmptyTruth::one_if_correct;
    case EmptyPolicy::paper:
      break;
  }
  return metrics::EmptyTruth::paper;
}

metrics::MetricSet set_of(const EvaluateOptions& o) {
  return o.classic_only ? metrics::kClassicSet : metrics::MetricSet{};
}

// A scorer for each thread that scores at a time: they keep memory as large as the pictures.
class Scorers {
 public:
  explicit Scorers(const metrics::MetricSet& set) : set_(set) {}
  metrics::ImageScores score(const Image& prediction, const Image& truth, const ImageView* picture) {
    std::unique_ptr<metrics::Scorer> own = take();
    metrics::ImageScores scores = own->score(prediction, truth, picture);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(own));
    return scores;
  }

 private:
  std::unique_ptr<metrics::Scorer> take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<metrics::Scorer>(set_);
    auto own = std::move(idle_.back());
    idle_.pop_back();
    return own;
  }

  const metrics::MetricSet set_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<metrics::Scorer>> idle_;
};

// Reads, predicts where that is asked for, resizes and scores one picture; while one thread decodes another
// scores.
Outcome score(const Task& task, const Predictor* predictor, bool upright, eval::Turns& turns,
              Scorers& scorers, metrics::ImageScores& record) {
  eval::Turns::Turn turn(turns);
  Outcome out;
  fs::path current;
  try {
    current = task.truth;
    ImageInfo info;
    const Image truth = read(task.truth, ColorMode::gray, upright, &info);
    look_at_levels(task.truth, truth, info, out);
    Image picture;
    if (!task.picture.empty()) {
      current = task.picture;
      picture = read(task.picture, ColorMode::rgb, upright);
    }
    Image prediction;
    if (task.prediction.empty()) {
      prediction = turn.leave_for([&] { return (*predictor)(picture); });
    } else {
      current = task.prediction;
      prediction = read(task.prediction, ColorMode::gray, upright);
    }
    out.prediction_width = prediction.width;
    out.prediction_height = prediction.height;
    if (prediction.width != truth.width || prediction.height != truth.height) {
      prediction = metrics::resize_linear(prediction, truth.width, truth.height);
      out.resized = true;
    }
    const bool fits = picture.width == truth.width && picture.height == truth.height;
    const ImageView view = picture;
    record = scorers.score(prediction, truth, fits ? &view : nullptr);
    out.scored = true;
  } catch (const std::exception& e) {
    out.error = e.what();
    out.failed_file = current;
  }
  return out;
}

// The records and what became of each, in the order of the tasks. All that is kept of a picture is its
// record, written once, in its place.
struct Scored {
  std::vector<metrics::ImageScores> records;
  std::vector<Outcome> outcomes;
};

Scored score_all(const std::vector<Task>& tasks, const Predictor* predictor, const EvaluateOptions& options) {
  Scored out{std::vector<metrics::ImageScores>(tasks.size()), std::vector<Outcome>(tasks.size())};
  eval::Turns turns(threads_of(options));
  Scorers scorers(set_of(options));
  eval::for_each_index(tasks.size(), threads_of(options) + options.predicting, options.progress, [&] {
    return [&](std::size_t i) {
      out.outcomes[i] =
          score(tasks[i], predictor, options.apply_exif_orientation, turns, scorers, out.records[i]);
    };
  });
  return out;
}

// Says what was resized: how many, and the first as an example.
void note_resized(const std::vector<Task>& tasks, const Scored& scored, bool strict, Evaluation& out) {
  std::size_t count = 0;
  std::string example;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!scored.outcomes[i].resized || !scored.outcomes[i].scored) continue;
    if (count++ == 0) {
      example = fmt::format("{} is {}x{} for {}x{}",
                            tasks[i].prediction.empty() ? "the prediction" : tasks[i].prediction.string(),
                            scored.outcomes[i].prediction_width, scored.outcomes[i].prediction_height,
                            scored.records[i].width, scored.records[i].height);
    }
  }
  if (count == 0) return;
  if (strict) {
    throw UsageError(
        fmt::format("{} of {} predictions have another size than their ground truth ({}): predict at the "
                    "pictures' own size, or leave out strict to have them resized",
                    count, tasks.size(), example));
  }
  out.warnings.push_back(
      fmt::format("{} of {} predictions have another size than their ground truth and were resized "
                  "bilinearly ({})",
                  count, tasks.size(), example));
}

std::string examples(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 3;
  std::string out;
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kNamed ? out + fmt::format(" and {} more", names.size() - kNamed) : out;
}

// Ground truths in which nothing is foreground though something is drawn: levels of 0 and 1, classes, alpha.
void note_levels(const std::vector<Task>& tasks, const Scored& scored, Evaluation& out) {
  std::vector<std::string> dim, alpha;
  int brightest = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Outcome& o = scored.outcomes[i];
    if (!o.scored) continue;
    const std::string name = tasks[i].truth.filename().string();
    if (o.shape_in_alpha) {
      alpha.push_back(name);
      if (o.brightest <= 128) ++out.dim_truths;
    } else if (o.brightest > 0 && o.brightest <= 128) {
      dim.push_back(name);
      brightest = std::max(brightest, o.brightest);
    }
  }
  out.dim_truths += dim.size();
  if (!dim.empty()) {
    const bool many = brightest > 1 && brightest < 64;
    out.warnings.push_back(
        fmt::format("{} of {} ground truths have no level above 128, so that nothing in them counts as "
                    "foreground; their highest "
                    "level is {}: {} ({})",
                    dim.size(), tasks.size(), brightest,
                    many ? "if these are numbers of classes, write 255 for those that are foreground"
                         : fmt::format("multiply them by {:.3g}", 255.0 / brightest),
                    examples(dim)));
  }
  if (!alpha.empty()) {
    out.warnings.push_back(fmt::format(
        "{} of {} ground truths are one colour all over and keep their shape in alpha, which is not read: "
        "save the alpha channel as the mask ({})",
        alpha.size(), tasks.size(), examples(alpha)));
  }
}

void note_not_read(const std::vector<fs::path>& files, Evaluation& out) {
  if (!files.empty()) out.warnings.push_back(describe_not_read(files));
}

// Pictures for the tasks of a folder of predictions. Those that are missing are said, and go without.
void add_pictures(const EvaluateOptions& options, std::vector<Task>& tasks, Evaluation& out) {
  const auto [pictures, not_read] =
      data::pictures_by_name({options.pictures, options.picture_affix}, {options.recursive});
  note_not_read(not_read, out);
  std::vector<fs::path> alone;
  for (Task& task : tasks) {
    const auto found = pictures.find(task.name);
    if (found == pictures.end()) {
      alone.push_back(task.truth);
    } else {
      task.picture = found->second.file;
    }
  }
  note_unpaired(alone, options.pictures, options.strict, out.warnings, out.unpaired);
}

std::vector<double> numbers(const std::vector<metrics::Value>& values) {
  std::vector<double> out;
  out.reserve(values.size());
  for (const metrics::Value& v : values) out.push_back(v.value);
  return out;
}

// Takes the records, and leaves those that count at the front.
void fill(const std::vector<Task>& tasks, Scored scored, const EvaluateOptions& options, Evaluation& out) {
  std::size_t counted = 0;
  out.images.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Outcome& outcome = scored.outcomes[i];
    if (!outcome.scored) {
      out.failures.push_back({std::move(outcome.failed_file), std::move(outcome.error)});
      continue;
    }
    metrics::ImageScores& record = scored.records[i];
    EvaluatedImage image;
    image.counted = metrics::apply_policy(policy_of(options.empty), record);
    image.name = eval::shown_name(tasks[i].name, tasks[i].truth);
    image.truth = tasks[i].truth;
    image.prediction = tasks[i].prediction;
    image.picture = tasks[i].picture;
    image.width = record.width;
    image.height = record.height;
    image.empty_truth = record.empty_truth;
    image.resized = outcome.resized;
    image.values = numbers(metrics::image_values(record));
    out.empty_truths += image.empty_truth ? 1 : 0;
    if (image.counted && counted++ != i) scored.records[counted - 1] = record;
    out.images.push_back(std::move(image));
  }
  const std::span<const metrics::ImageScores> records = std::span(scored.records).first(counted);
  out.counted = records.size();
  for (const metrics::Value& v : metrics::image_values(metrics::ImageScores{}))
    out.image_keys.push_back(v.key);
  for (metrics::Value& v :
       metrics::dataset_values(records, options.resamples, options.seed, threads_of(options))) {
    out.dataset.push_back({std::move(v.key), v.value, v.low, v.high});
  }
  metrics::MeanCurves curves = metrics::mean_curves(records);
  out.curves = {std::move(curves.precision), std::move(curves.recall), std::move(curves.f),
                std::move(curves.e)};
  out.empty = options.empty;
  out.resamples = options.resamples;
  out.seed = options.seed;
}

}  // namespace

double Evaluation::value(std::string_view key) const {
  const auto found =
      std::find_if(dataset.begin(), dataset.end(), [&](const MetricValue& v) { return v.key == key; });
  return found == dataset.end() ? std::numeric_limits<double>::quiet_NaN() : found->value;
}

Evaluation evaluate(const fs::path& predictions, const fs::path& truths, const EvaluateOptions& options) {
  check(options);
  Evaluation out;
  out.name = options.name.empty() ? folder_name(predictions) : options.name;
  const data::Pairing pairing = data::pair_by_name({predictions, options.prediction_affix},
                                                   {truths, options.truth_affix}, {options.recursive});
  note_not_read(pairing.not_read, out);
  note_unpaired(pairing.first_alone, truths, options.strict, out.warnings, out.unpaired);
  note_unpaired(pairing.second_alone, predictions, options.strict, out.warnings, out.unpaired);
  std::vector<Task> tasks;
  for (const data::Pair& p : pairing.pairs) tasks.push_back({p.second, p.first, {}, p.name});
  if (!options.pictures.empty()) add_pictures(options, tasks, out);
  Scored scored = score_all(tasks, nullptr, options);
  note_resized(tasks, scored, options.strict, out);
  note_levels(tasks, scored, out);
  fill(tasks, std::move(scored), options, out);
  return out;
}

Evaluation evaluate(const Predictor& predictor, const fs::path& truths, const EvaluateOptions& options) {
  check(options);
  if (!predictor) throw UsageError("evaluate: the predictor is empty");
  Evaluation out;
  out.name = options.name.empty() ? folder_name(options.pictures) : options.name;
  const data::Pairing pairing = data::pair_by_name({options.pictures, options.picture_affix},
                                                   {truths, options.truth_affix}, {options.recursive});
  note_not_read(pairing.not_read, out);
  note_unpaired(pairing.first_alone, truths, options.strict, out.warnings, out.unpaired);
  note_unpaired(pairing.second_alone, options.pictures, options.strict, out.warnings, out.unpaired);
  std::vector<Task> tasks;
  for (const data::Pair& p : pairing.pairs) tasks.push_back({p.second, {}, p.first, p.name});
  Scored scored = score_all(tasks, &predictor, options);
  note_resized(tasks, scored, options.strict, out);
  note_levels(tasks, scored, out);
  fill(tasks, std::move(scored), options, out);
  return out;
}

}  // namespace sam2unet
