// What the JSON of evaluations with and without classes has in common.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "sam2unet/evaluate.h"

namespace sam2unet::eval {

/// What was noticed beside the values: "warnings", "unpaired", "failures".
template <class AnyEvaluation>
void put_troubles(nlohmann::ordered_json& out, const AnyEvaluation& e) {
  using Json = nlohmann::ordered_json;
  out["warnings"] = e.warnings;
  out["unpaired"] = Json::array();
  for (const auto& path : e.unpaired) out["unpaired"].push_back(path.string());
  out["failures"] = Json::array();
  for (const EvaluationFailure& f : e.failures)
    out["failures"].push_back({{"file", f.file.string()}, {"error", f.message}});
}

/// One evaluation is the document itself, several stand under their names. `describe` makes one's JSON.
template <class AnyEvaluation, class Describe>
std::string json_of_all(std::span<const AnyEvaluation> evaluations, const Describe& describe) {
  using Json = nlohmann::ordered_json;
  Json out;
  if (evaluations.size() == 1) {
    out = describe(evaluations.front());
  } else {
    out = Json::object();
    for (const AnyEvaluation& e : evaluations) out[e.name] = describe(e);
  }
  // File names need not be UTF-8.
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sam2unet::eval
