#include "sam2unet/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <fstream>
#include <span>
#include <string_view>

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
};

// What became of it, beside its record.
struct Outcome {
  bool scored = false;
  bool resized = false;
  int prediction_width = 0, prediction_height = 0;
  std::string error;
  fs::path failed_file;
};

// A gray PNG of 16 bits is clipped at 255 by Pillow and cut to its high byte by OpenCV: whichever is done
// without a word scores the wrong map.
void refuse_deep_gray(const fs::path& path) {
  std::array<char, 26> head{};  // signature, length and name of IHDR, width, height, depth, colour type
  std::ifstream file(path, std::ios::binary);
  if (!file.read(head.data(), head.size())) return;  // the decoder will say what is wrong
  const std::string_view bytes(head.data(), head.size());
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1A\n";
  if (bytes.starts_with(kSignature) && bytes[24] == 16 && bytes[25] == 0) {
    throw ImageError(
        fmt::format("{}: a gray PNG of 16 bits, which readers bring to 8 bits in different ways; "
                    "store the map with 8 bits",
                    path.string()));
  }
}

Image read(const fs::path& path, ColorMode mode, bool upright) {
  if (mode == ColorMode::gray) refuse_deep_gray(path);
  return read_image(path, {.mode = mode, .apply_exif_orientation = upright});
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
  metrics::MetricSet set;
  if (o.classic_only) set = {false, false, false, false, false, false};
  return set;
}

// Reads, predicts where that is asked for, resizes and scores one picture. Every worker has its own scorer,
// so that while one decodes another scores.
Outcome score(const Task& task, const Predictor* predictor, bool upright, metrics::Scorer& scorer,
              metrics::ImageScores& record) {
  Outcome out;
  fs::path current;
  try {
    current = task.truth;
    const Image truth = read(task.truth, ColorMode::gray, upright);
    Image picture;
    if (!task.picture.empty()) {
      current = task.picture;
      picture = read(task.picture, ColorMode::rgb, upright);
    }
    Image prediction;
    if (task.prediction.empty()) {
      prediction = (*predictor)(picture);
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
    record = scorer.score(prediction, truth, fits ? &view : nullptr);
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
  eval::for_each_index(tasks.size(), threads_of(options), options.progress, [&] {
    return [&, scorer = metrics::Scorer(set_of(options))](std::size_t i) mutable {
      out.outcomes[i] = score(tasks[i], predictor, options.apply_exif_orientation, scorer, out.records[i]);
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

// Pictures for the tasks of a folder of predictions. Those that are missing are said, and go without.
void add_pictures(const fs::path& folder, bool strict, std::vector<Task>& tasks, Evaluation& out) {
  const auto pictures = data::pictures_by_stem(folder);
  std::vector<fs::path> alone;
  for (Task& task : tasks) {
    const auto found = pictures.find(task.truth.stem().string());
    if (found == pictures.end()) {
      alone.push_back(task.truth);
    } else {
      task.picture = found->second;
    }
  }
  note_unpaired(alone, folder, strict, out.warnings, out.unpaired);
}

std::vector<double> numbers(const std::vector<metrics::Value>& values) {
  std::vector<double> out;
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
    image.name = tasks[i].truth.filename().string();
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
  const data::Pairing pairing = data::pair_by_stem(predictions, truths);
  note_unpaired(pairing.first_alone, truths, options.strict, out.warnings, out.unpaired);
  note_unpaired(pairing.second_alone, predictions, options.strict, out.warnings, out.unpaired);
  std::vector<Task> tasks;
  for (const data::Pair& p : pairing.pairs) tasks.push_back({p.second, p.first, {}});
  if (!options.pictures.empty()) add_pictures(options.pictures, options.strict, tasks, out);
  Scored scored = score_all(tasks, nullptr, options);
  note_resized(tasks, scored, options.strict, out);
  fill(tasks, std::move(scored), options, out);
  return out;
}

Evaluation evaluate(const Predictor& predictor, const fs::path& truths, const EvaluateOptions& options) {
  check(options);
  if (!predictor) throw UsageError("evaluate: the predictor is empty");
  Evaluation out;
  out.name = options.name.empty() ? folder_name(options.pictures) : options.name;
  const data::Pairing pairing = data::pair_by_stem(options.pictures, truths);
  note_unpaired(pairing.first_alone, truths, options.strict, out.warnings, out.unpaired);
  note_unpaired(pairing.second_alone, options.pictures, options.strict, out.warnings, out.unpaired);
  std::vector<Task> tasks;
  for (const data::Pair& p : pairing.pairs) tasks.push_back({p.second, {}, p.first});
  Scored scored = score_all(tasks, &predictor, options);
  note_resized(tasks, scored, options.strict, out);
  fill(tasks, std::move(scored), options, out);
  return out;
}

}  // namespace sam2unet
