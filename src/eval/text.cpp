#include "eval/text.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace sam2unet::eval {

using Json = nlohmann::ordered_json;

Json json_number(double v) {
  return std::isfinite(v) ? Json(v) : Json(nullptr);
}

void put(Json& object, const std::string& key, Json value) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) {
    object[key] = std::move(value);
  } else {
    put(object[key.substr(0, dot)], key.substr(dot + 1), std::move(value));
  }
}

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string out = "\"";
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string csv_number(double v) {
  return std::isfinite(v) ? fmt::format("{}", v) : std::string();
}

}  // namespace sam2unet::eval
