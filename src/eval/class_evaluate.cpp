#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>

#include "data/pairing.h"
#include "eval/arguments.h"
#include "eval/pool.h"
#include "metrics/class_counts.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;

struct Task {
  fs::path truth, prediction, picture;  // prediction empty: made by the predictor from the picture
  std::string name;                     // by which they pair
};

struct Outcome {
  bool scored = false, resized = false;
  int width = 0, height = 0;                        // of the truth
  int prediction_width = 0, prediction_height = 0;  // as it was
  metrics::ClassRecord record;
  std::string error;
  fs::path failed_file;
};

Outcome score(const Task& task, const Predictor* predictor, const ClassTable& table, bool upright,
              eval::Turns& turns, metrics::ClassConfusion& confusion) {
  eval::Turns::Turn turn(turns);
  Outcome out;
  fs::path current = task.truth;
  try {
    const Image truth = read_class_mask(task.truth, table);
    Image prediction;
    if (task.prediction.empty()) {
      current = task.picture;
      const Image picture =
          read_image(task.picture, {.mode = ColorMode::rgb, .apply_exif_orientation = upright});
      prediction = turn.leave_for([&] { return (*predictor)(picture); });
    } else {
      current = task.prediction;
      prediction = read_class_mask(task.prediction, table);
    }
    out.width = truth.width;
    out.height = truth.height;
    out.prediction_width = prediction.width;
    out.prediction_height = prediction.height;
    if (prediction.width != truth.width || prediction.height != truth.height) {
      prediction = resize_nearest(prediction, truth.width, truth.height);
      out.resized = true;
    }
    out.record = confusion.add(prediction, truth, table.ignore);
    out.scored = true;
  } catch (const std::exception& e) {
    out.error = e.what();
    out.failed_file = current;
  }
  return out;
}

void note_resized(const std::vector<Task>& tasks, const std::vector<Outcome>& outcomes, bool strict,
                  ClassEvaluation& out) {
  std::size_t count = 0;
  std::string example;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Outcome& o = outcomes[i];
    if (!o.resized || !o.scored || count++ > 0) continue;
    example = fmt::format("{} is {}x{} for {}x{}",
                          tasks[i].prediction.empty() ? "the prediction" : tasks[i].prediction.string(),
                          o.prediction_width, o.prediction_height, o.width, o.height);
  }
  if (count == 0) return;
  const std::string what =
      fmt::format("{} of {} predictions have another size than their ground truth", count, tasks.size());
  if (strict) {
    throw UsageError(
        fmt::format("{} ({}): predict at the pictures' own size, or leave out strict to have them "
                    "resized",
                    what, example));
  }
  out.warnings.push_back(fmt::format("{} and were resized by nearest neighbour ({})", what, example));
}

std::vector<MetricValue> to_public(std::vector<metrics::Value> values) {
  std::vector<MetricValue> out;
  out.reserve(values.size());
  for (metrics::Value& v : values) out.push_back({std::move(v.key), v.value, v.low, v.high});
  return out;
}

void add_image(const Task& task, const Outcome& outcome, ClassEvaluation& out) {
  ClassEvaluatedImage image;
  image.name = eval::shown_name(task.name, task.truth);
  image.truth = task.truth;
  image.prediction = task.prediction;
  image.picture = task.picture;
  image.width = outcome.width;
  image.height = outcome.height;
  image.resized = outcome.resized;
  image.ignored = outcome.record.ignored;
  for (const metrics::Value& v : metrics::class_means(outcome.record.areas)) image.values.push_back(v.value);
  for (const metrics::ClassArea& area : outcome.record.areas) {
    image.class_iou.push_back(metrics::ratios_of(area).iou);
  }
  out.ignored += image.ignored;
  out.images.push_back(std::move(image));
}

void fill(const std::vector<Task>& tasks, std::vector<Outcome> outcomes,
          const metrics::ClassConfusion& confusion, const EvaluateOptions& options, ClassEvaluation& out) {
  std::vector<metrics::ClassRecord> records;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!outcomes[i].scored) {
      out.failures.push_back({std::move(outcomes[i].failed_file), std::move(outcomes[i].error)});
      continue;
    }
    add_image(tasks[i], outcomes[i], out);
    records.push_back(std::move(outcomes[i].record));
  }
  const int k = out.table.size();
  metrics::ClassValues values =
      metrics::class_values(records, k, options.resamples, options.seed, eval::threads_of(options));
  out.image_keys = class_image_keys();
  out.dataset = to_public(std::move(values.means));
  for (std::size_t c = 0; c < static_cast<std::size_t>(k); ++c) {
    const std::vector<MetricValue> each = to_public(std::move(values.each[c]));
    out.classes.push_back({values.areas[c].truth, values.areas[c].predicted, values.areas[c].both, each[0],
                           each[1], each[2], each[3]});
  }
  out.confusion.assign(confusion.counts().begin(), confusion.counts().end());
  out.resamples = options.resamples;
  out.seed = options.seed;
}

ClassEvaluation evaluate(const fs::path& folder, const Predictor* predictor, const fs::path& truths,
                         const ClassTable& table, const EvaluateOptions& options) {
  eval::check(options);
  check_class_table(table);
  ClassEvaluation out;
  out.table = table;
  out.name = options.name.empty() ? eval::folder_name(folder) : options.name;
  const NameAffix& affix = predictor != nullptr ? options.picture_affix : options.prediction_affix;
  const data::Pairing pairing =
      data::pair_by_name({folder, affix}, {truths, options.truth_affix}, {options.recursive});
  if (!pairing.not_read.empty()) out.warnings.push_back(describe_not_read(pairing.not_read));
  eval::note_unpaired(pairing.first_alone, truths, options.strict, out.warnings, out.unpaired);
  eval::note_unpaired(pairing.second_alone, folder, options.strict, out.warnings, out.unpaired);
  std::vector<Task> tasks;
  for (const data::Pair& p : pairing.pairs) {
    tasks.push_back(predictor != nullptr ? Task{p.second, {}, p.first, p.name}
                                         : Task{p.second, p.first, {}, p.name});
  }
  if (predictor == nullptr && !options.pictures.empty()) {  // only shown beside the worst
    const data::Pictures pictures =
        data::pictures_by_name({options.pictures, options.picture_affix}, {options.recursive}).pictures;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const auto found = pictures.find(pairing.pairs[i].name);
      if (found != pictures.end()) tasks[i].picture = found->second.file;
    }
  }
  std::vector<Outcome> outcomes(tasks.size());
  metrics::ClassConfusion total(table.size());
  std::mutex mutex;
  eval::Turns turns(eval::threads_of(options));
  const int workers = eval::threads_of(options) + options.predicting;
  eval::for_each_index(tasks.size(), workers, options.progress, [&] {
    return [&](std::size_t i) {
      metrics::ClassConfusion confusion(table.size());
      outcomes[i] = score(tasks[i], predictor, table, options.apply_exif_orientation, turns, confusion);
      if (!outcomes[i].scored) return;
      const std::lock_guard lock(mutex);
      total.add(confusion);
    };
  });
  note_resized(tasks, outcomes, options.strict, out);
  fill(tasks, std::move(outcomes), total, options, out);
  return out;
}

}  // namespace

double ClassEvaluation::value(std::string_view key) const {
  const auto found =
      std::find_if(dataset.begin(), dataset.end(), [&](const MetricValue& v) { return v.key == key; });
  return found == dataset.end() ? std::numeric_limits<double>::quiet_NaN() : found->value;
}

ClassEvaluation evaluate_classes(const fs::path& predictions, const fs::path& truths, const ClassTable& table,
                                 const EvaluateOptions& options) {
  return evaluate(predictions, nullptr, truths, table, options);
}

ClassEvaluation evaluate_classes(const Predictor& predictor, const fs::path& truths, const ClassTable& table,
                                 const EvaluateOptions& options) {
  if (!predictor) throw UsageError("evaluate: the predictor is empty");
  return evaluate(options.pictures, &predictor, truths, table, options);
}

const std::vector<std::string>& class_image_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> out;
    for (const metrics::Value& v : metrics::class_means({})) out.push_back(v.key);
    return out;
  }();
  return keys;
}

std::vector<std::size_t> worst_images(const ClassEvaluation& evaluation, std::string_view key,
                                      std::size_t count) {
  const auto found = std::find(evaluation.image_keys.begin(), evaluation.image_keys.end(), key);
  if (found == evaluation.image_keys.end())
    throw UsageError(fmt::format("pictures have no value '{}' to be sorted by", key));
  const auto column = static_cast<std::size_t>(found - evaluation.image_keys.begin());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < evaluation.images.size(); ++i) {
    if (!std::isnan(evaluation.images[i].values[column])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return evaluation.images[a].values[column] < evaluation.images[b].values[column];
  });
  order.resize(std::min(order.size(), count));
  return order;
}

}  // namespace sam2unet
