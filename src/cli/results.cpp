#include "results.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "sam2unet/draw.h"

namespace sam2unet::cli {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Ring& ring) {
  Json out = Json::array();
  for (const Point& p : ring) out.push_back({p.x, p.y});
  return out;
}

Json polygons_json(const Image& mask, double tolerance) {
  Json out = Json::array();
  for (const Polygon& p : mask_polygons(mask, tolerance)) {
    Json holes = Json::array();
    for (const Ring& hole : p.holes) holes.push_back(to_json(hole));
    out.push_back({{"outer", to_json(p.outer)}, {"holes", std::move(holes)}});
  }
  return out;
}

std::string describe(const Picture& picture, const ResultOptions& options) {
  const Segmentation& r = picture.result;
  const MaskSummary summary = summarize_map(r.map(), r.width, r.height, options.threshold);
  const double pixels = static_cast<double>(r.width) * r.height;
  Json json;
  json["input"] = picture.input.name();
  json["width"] = r.width;
  json["height"] = r.height;
  json["official"] = options.official;
  json["threshold"] = options.threshold;
  const Box& b = summary.box;
  json["bounding_box"] = summary.area == 0
                             ? Json(nullptr)
                             : Json{{"x", b.x}, {"y", b.y}, {"width", b.width}, {"height", b.height}};
  json["area"] = summary.area;
  json["area_fraction"] = static_cast<double>(summary.area) / pixels;
  json["mean_confidence"] = summary.mean_confidence;
  json["polygons"] =
      polygons_json(threshold_map(r.map(), r.width, r.height, options.threshold), options.simplify);
  json["seconds"] = std::round(picture.seconds * 1e4) / 1e4;
  // A path need not be UTF-8, but JSON must be.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}

}  // namespace

std::vector<std::byte> encode_result(const Picture& picture, const ResultOptions& options, Save save) {
  const Segmentation& r = picture.result;
  const auto mask = [&] { return threshold_map(r.map(), r.width, r.height, options.threshold); };
  switch (save) {
    case Save::map:
      return encode_png(r.to_gray());
    case Save::mask:
      return encode_png(mask());
    case Save::overlay:
      return encode_png(draw_overlay(picture.pixels, mask()));
    case Save::cutout:
      return encode_png(cut_out(picture.pixels, r.to_gray(), {.clean_edges = options.clean_edges}),
                        picture.color_profile);
    case Save::json:
      return bytes_of(describe(picture, options));
  }
  return {};
}

}  // namespace sam2unet::cli
