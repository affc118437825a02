#include "eval_shared.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "class_choice.h"
#include "device.h"
#include "outputs.h"
#include "sam2unet/errors.h"
#include "size.h"
#include "tables.h"
#include "weights.h"

namespace sam2unet::cli {

namespace fs = std::filesystem;

namespace {

// "NAME=DIR", or DIR, which is then called as the folder is; a folder whose own name has '=' in it is taken
// as such.
Method method_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0 && !fs::exists(text))
    return {text.substr(0, equals), text.substr(equals + 1)};
  fs::path whole = fs::absolute(text).lexically_normal();
  // A pattern is called as the last folder that has a name.
  while (is_pattern(text) && whole.has_relative_path() && is_pattern(whole.filename()))
    whole = whole.parent_path();
  return {(whole.has_filename() ? whole.filename() : whole.parent_path().filename()).string(), text};
}

}  // namespace

std::vector<Method> methods_of(const EvalArguments& a) {
  std::vector<Method> methods;
  std::set<std::string> names;
  for (const std::string& text : a.predictions) {
    methods.push_back(method_of(text));
    if (!a.name.empty()) methods.back().name = a.name;
    if (!names.insert(methods.back().name).second) {
      throw UsageError("two predictions are called " + methods.back().name +
                       ": give them names, --pred NAME=DIR");
    }
  }
  return methods;
}

void check(const EvalArguments& a) {
  if (a.predictions.empty() && a.options.pictures.empty()) {
    throw UsageError("what is to be scored? Give --pred DIR, or --images DIR for the model to predict from");
  }
  if (!a.predictions.empty() && a.predicting_given) {
    throw UsageError(
        "--pred scores maps that are there; --weights, --size, --official, --device, --tile, --tta and the "
        "like "
        "are for predicting: leave one out");
  }
  if (a.predictions.size() > 1 && !a.name.empty())
    throw UsageError("--name names one method; name several with --pred NAME=DIR");
  check_result_files({a.json, a.csv, a.dataset_csv, a.html});
}

EvalModel::EvalModel(const EvalArguments& a)
    : segmenter_(weights_file(a.weights), {a.options.threads, a.device, a.precision,
                                           streams_of(a.streams, a.passes.tile.empty() ? kManyPictures : 1)}),
      classes_(table_for(segmenter_, a.classes)),
      batch_(static_cast<std::size_t>(a.batch == 0 ? segmenter_.info().batch : a.batch)) {
  SegmentOptions options;
  options.size = parse_size(a.size);
  options.official = a.official;
  if (!a.fit.empty()) options.fit = parse_fit(a.fit);
  if (classes_) options.output = SegmentOutput::ids;
  if (classes_ && a.official)
    throw UsageError("--official is of one foreground; these weights have several classes");
  apply(a.passes, options);
  asked_ = std::make_unique<Batcher>(segmenter_, options, batch_);
  if (a.passes.any()) {
    options.tiles.reset();
    options.augmentation = {};
    plain_ = std::make_unique<Batcher>(segmenter_, options, batch_);
  }
  for (const std::string& note : segmenter_.notes())
    std::fprintf(stderr, "sam2unet: note: %s\n", note.c_str());
}

Image EvalModel::predict(const ImageView& picture, Way way) {
  Batcher& batcher = way == Way::plain && plain_ ? *plain_ : *asked_;
  const Segmentation result = batcher.segment(picture);
  return classes_ ? result.to_ids() : result.to_gray();
}

// Where the network runs on the processor, nobody decodes or scores faster by more threads than a batch
// needs.
int EvalModel::waiting() const {
  if (segmenter_.info().in_flight > 1) return static_cast<int>(asked_->waiting_for_full());
  return batch_ > 1 ? static_cast<int>(batch_) : 0;
}

double EvalModel::cost_factor() const {
  const auto each = [](const Batcher& b) {
    return b.pictures() == 0 ? 0.0 : b.seconds() / static_cast<double>(b.pictures());
  };
  return plain_ && each(*plain_) > 0.0 ? each(*asked_) / each(*plain_) : 1.0;
}

Predictor predictor_of(const std::shared_ptr<EvalModel>& model, Way way) {
  if (!model) return {};
  return [model, way](const ImageView& picture) { return model->predict(picture, way); };
}

void print_gains(const std::vector<Gain>& gains, const std::vector<TableColumn>& columns,
                 const EvalArguments& a, const EvalModel& model) {
  std::vector<Row> rows{{"mean over pictures", "one pass", "as asked", "gain", "95 %"}};
  const auto signed_number = [](double v) { return (v > 0 ? "+" : "") + fmt::format("{:.4f}", v); };
  for (const TableColumn& column : columns) {
    const auto gain =
        std::find_if(gains.begin(), gains.end(), [&](const Gain& g) { return g.key == column.key; });
    if (gain == gains.end()) continue;
    rows.push_back(
        {column.title, number(gain->without), number(gain->with), signed_number(gain->difference),
         std::isnan(gain->low) ? "" : signed_number(gain->low) + " to " + signed_number(gain->high)});
  }
  fmt::print("\ngain of {} over one pass\n", describe(a.passes));
  print_table(rows);
  fmt::print("a picture takes {:.1f} times as long\n", model.cost_factor());
  std::fflush(stdout);
}

std::string name_of_model(const EvalArguments& a) {
  if (!a.name.empty()) return a.name;
  return name_of_weights(weights_file(a.weights));
}

}  // namespace sam2unet::cli
