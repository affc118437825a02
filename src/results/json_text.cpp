#include "results/json_text.h"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <span>

namespace sam2unet::results {

using Json = nlohmann::ordered_json;

void JsonText::begin_item() {
  if (!is_first_) text_ += ',';
  is_first_ = false;
}

void JsonText::open(char bracket, std::string_view name) {
  begin_item();
  if (!name.empty()) fmt::format_to(std::back_inserter(text_), "\"{}\":", name);
  text_ += bracket;
  is_first_ = true;
}

void JsonText::close(char bracket) {
  text_ += bracket;
  is_first_ = false;
  pass_on();
}

void JsonText::members(const Json& object) {
  if (object.empty()) return;
  begin_item();
  // A path need not be UTF-8, but JSON must be.
  const std::string text = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  text_.append(text, 1, text.size() - 2);
}

void JsonText::ring(const Ring& ring) {
  text_ += '[';
  for (std::size_t i = 0; i < ring.size(); ++i) {
    fmt::format_to(std::back_inserter(text_), "{}[{},{}]", i == 0 ? "" : ",", ring[i].x, ring[i].y);
    pass_on();
  }
  text_ += ']';
}

void JsonText::polygon(const Polygon& polygon) {
  begin_item();
  text_ += "{\"outer\":";
  ring(polygon.outer);
  text_ += ",\"holes\":[";
  for (std::size_t i = 0; i < polygon.holes.size(); ++i) {
    if (i > 0) text_ += ',';
    ring(polygon.holes[i]);
  }
  text_ += "]}";
  pass_on();
}

void JsonText::pass_on() {
  constexpr std::size_t kPassedOn = std::size_t{1} << 18;
  if (text_.size() < kPassedOn) return;
  sink_(std::as_bytes(std::span(text_)));
  text_.clear();
}

void JsonText::finish() {
  text_ += '\n';
  sink_(std::as_bytes(std::span(text_)));
  text_.clear();
}

Json summary_json(const MaskSummary& summary, double pixels) {
  const Box& b = summary.box;
  Json out;
  out["bounding_box"] = summary.area == 0
                            ? Json(nullptr)
                            : Json{{"x", b.x}, {"y", b.y}, {"width", b.width}, {"height", b.height}};
  out["area"] = summary.area;
  out["area_fraction"] = static_cast<double>(summary.area) / pixels;
  out["mean_confidence"] = summary.mean_confidence;
  return out;
}

}  // namespace sam2unet::results
