// JSON and CSV.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/json_parts.h"
#include "eval/text.h"
#include "sam2unet/evaluate.h"

namespace sam2unet {

namespace {

using eval::csv_number;
using eval::json_number;
using eval::put;
using eval::quoted;
using Json = nlohmann::ordered_json;

const char* name_of(EmptyPolicy policy) {
  switch (policy) {
    case EmptyPolicy::skip:
      return "skip";
    case EmptyPolicy::one_if_correct:
      return "one-if-correct";
    case EmptyPolicy::paper:
      break;
  }
  return "paper";
}

Json curve(const std::vector<double>& values) {
  Json out = Json::array();
  for (const double v : values) out.push_back(json_number(v));
  return out;
}

Json image_json(const Evaluation& e, const EvaluatedImage& image) {
  Json out;
  out["name"] = image.name;
  out["width"] = image.width;
  out["height"] = image.height;
  out["empty_truth"] = image.empty_truth;
  out["counted"] = image.counted;
  out["resized"] = image.resized;
  for (std::size_t k = 0; k < e.image_keys.size(); ++k)
    put(out, e.image_keys[k], json_number(image.values[k]));
  return out;
}

Json evaluation_json(const Evaluation& e) {
  Json out;
  out["name"] = e.name;
  out["count"] = e.counted;
  out["empty_truths"] = e.empty_truths;
  out["empty"] = name_of(e.empty);
  Json dataset, intervals;
  for (const MetricValue& v : e.dataset) {
    put(dataset, v.key, json_number(v.value));
    if (!std::isnan(v.low)) put(intervals, v.key, Json::array({json_number(v.low), json_number(v.high)}));
  }
  out["dataset"] = std::move(dataset);
  if (e.resamples > 0) {
    out["bootstrap"] = {{"resamples", e.resamples}, {"seed", e.seed}, {"level", 0.95}};
    out["intervals"] = std::move(intervals);
  }
  out["per_image"] = Json::array();
  for (const EvaluatedImage& image : e.images) out["per_image"].push_back(image_json(e, image));
  out["curves"] = {{"precision", curve(e.curves.precision)},
                   {"recall", curve(e.curves.recall)},
                   {"fm", curve(e.curves.f)},
                   {"E", curve(e.curves.e)}};
  eval::put_troubles(out, e);
  return out;
}

}  // namespace

std::string to_json(std::span<const Evaluation> evaluations) {
  return eval::json_of_all(evaluations, evaluation_json);
}

std::string dataset_csv(std::span<const Evaluation> evaluations) {
  std::string out = "name,key,value,low,high\n";
  for (const Evaluation& e : evaluations) {
    for (const MetricValue& v : e.dataset) {
      out += fmt::format("{},{},{},{},{}\n", quoted(e.name), v.key, csv_number(v.value), csv_number(v.low),
                         csv_number(v.high));
    }
  }
  return out;
}

std::string images_csv(std::span<const Evaluation> evaluations) {
  std::string out = "method,name,width,height,empty_truth,counted,resized";
  if (!evaluations.empty()) {
    for (const std::string& key : evaluations.front().image_keys) out += "," + key;
  }
  out += "\n";
  for (const Evaluation& e : evaluations) {
    for (const EvaluatedImage& i : e.images) {
      out += fmt::format("{},{},{},{},{},{},{}", quoted(e.name), quoted(i.name), i.width, i.height,
                         i.empty_truth ? 1 : 0, i.counted ? 1 : 0, i.resized ? 1 : 0);
      for (const double v : i.values) out += "," + csv_number(v);
      out += "\n";
    }
  }
  return out;
}

}  // namespace sam2unet
