// JSON and CSV of evaluations with classes.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "eval/json_parts.h"
#include "eval/text.h"
#include "sam2unet/class_metrics.h"

namespace sam2unet {
namespace {

using eval::csv_number;
using eval::json_number;
using eval::put;
using eval::quoted;
using Json = nlohmann::ordered_json;

void put(Json& values, Json& intervals, const MetricValue& v) {
  put(values, v.key, json_number(v.value));
  if (!std::isnan(v.low)) put(intervals, v.key, Json::array({json_number(v.low), json_number(v.high)}));
}

Json class_json(const ClassEvaluation& e, std::size_t c) {
  const ClassScore& score = e.classes[c];
  Json out, intervals = Json::object();
  out["id"] = c;
  out["name"] = e.table.classes[c].name;
  out["color"] = to_string(e.table.classes[c].color);
  out["truth_pixels"] = score.truth_pixels;
  out["predicted_pixels"] = score.predicted_pixels;
  out["right_pixels"] = score.right_pixels;
  for (const MetricValue* v : {&score.iou, &score.dice, &score.precision, &score.recall})
    put(out, intervals, *v);
  if (e.resamples > 0) out["intervals"] = std::move(intervals);
  return out;
}

Json confusion_json(const ClassEvaluation& e) {
  const std::size_t k = e.table.classes.size();
  Json out, columns = Json::array(), matrix = Json::array();
  for (std::size_t row = 0; row < k; ++row) {
    columns.push_back(e.table.classes[row].name);
    Json line = Json::array();
    for (std::size_t column = 0; column <= k; ++column) line.push_back(e.confusion[row * (k + 1) + column]);
    matrix.push_back(std::move(line));
  }
  columns.push_back(nullptr);  // what is no class
  out["rows"] = "ground truth";
  out["columns"] = std::move(columns);
  out["pixels"] = std::move(matrix);
  return out;
}

Json classes_json(const ClassEvaluation& e) {
  Json out, intervals = Json::object();
  for (const MetricValue& v : e.dataset) put(out, intervals, v);
  if (e.resamples > 0) out["intervals"] = std::move(intervals);
  out["ignore"] = e.table.ignore;
  out["ignored_pixels"] = e.ignored;
  out["each"] = Json::array();
  for (std::size_t c = 0; c < e.classes.size(); ++c) out["each"].push_back(class_json(e, c));
  out["confusion"] = confusion_json(e);
  return out;
}

Json image_json(const ClassEvaluation& e, const ClassEvaluatedImage& image) {
  Json out, classes;
  out["name"] = image.name;
  out["width"] = image.width;
  out["height"] = image.height;
  out["resized"] = image.resized;
  for (std::size_t k = 0; k < e.image_keys.size(); ++k)
    put(classes, e.image_keys[k], json_number(image.values[k]));
  classes["ignored_pixels"] = image.ignored;
  classes["IoU"] = Json::array();
  for (const double v : image.class_iou) classes["IoU"].push_back(json_number(v));
  out["classes"] = std::move(classes);
  return out;
}

Json evaluation_json(const ClassEvaluation& e) {
  Json out;
  out["name"] = e.name;
  out["count"] = e.images.size();
  out["classes"] = classes_json(e);
  if (e.resamples > 0) out["bootstrap"] = {{"resamples", e.resamples}, {"seed", e.seed}, {"level", 0.95}};
  out["per_image"] = Json::array();
  for (const ClassEvaluatedImage& image : e.images) out["per_image"].push_back(image_json(e, image));
  eval::put_troubles(out, e);
  return out;
}

void add_row(const ClassEvaluation& e, const std::string& of_class, const MetricValue& v, std::string& out) {
  out += fmt::format("{},{},{},{},{},{}\n", quoted(e.name), quoted(of_class), v.key, csv_number(v.value),
                     csv_number(v.low), csv_number(v.high));
}

}  // namespace

std::string to_json(std::span<const ClassEvaluation> evaluations) {
  return eval::json_of_all(evaluations, evaluation_json);
}

std::string dataset_csv(std::span<const ClassEvaluation> evaluations) {
  std::string out = "name,class,key,value,low,high\n";
  for (const ClassEvaluation& e : evaluations) {
    for (const MetricValue& v : e.dataset) add_row(e, "", v, out);
    for (std::size_t c = 0; c < e.classes.size(); ++c) {
      const ClassScore& score = e.classes[c];
      for (const MetricValue* v : {&score.iou, &score.dice, &score.precision, &score.recall}) {
        add_row(e, e.table.classes[c].name, *v, out);
      }
      for (const auto& [key, pixels] : {std::pair("truth_pixels", score.truth_pixels),
                                        std::pair("predicted_pixels", score.predicted_pixels)}) {
        out += fmt::format("{},{},{},{},,\n", quoted(e.name), quoted(e.table.classes[c].name), key, pixels);
      }
    }
  }
  return out;
}

std::string images_csv(std::span<const ClassEvaluation> evaluations) {
  std::string out = "method,name,width,height,resized,ignored_pixels";
  if (!evaluations.empty()) {
    const ClassEvaluation& first = evaluations.front();
    for (const std::string& key : first.image_keys) out += "," + key;
    for (const ClassInfo& c : first.table.classes) out += "," + quoted("IoU " + c.name);
  }
  out += "\n";
  for (const ClassEvaluation& e : evaluations) {
    for (const ClassEvaluatedImage& i : e.images) {
      out += fmt::format("{},{},{},{},{},{}", quoted(e.name), quoted(i.name), i.width, i.height,
                         i.resized ? 1 : 0, i.ignored);
      for (const double v : i.values) out += "," + csv_number(v);
      for (const double v : i.class_iou) out += "," + csv_number(v);
      out += "\n";
    }
  }
  return out;
}

}  // namespace sam2unet
