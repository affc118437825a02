#include "results/json_parts.h"

namespace sam2unet::results {

using Json = nlohmann::ordered_json;

namespace {

Json to_json(const Ring& ring) {
  Json out = Json::array();
  for (const Point& p : ring) out.push_back({p.x, p.y});
  return out;
}

}  // namespace

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

Json polygons_json(const std::vector<Polygon>& polygons) {
  Json out = Json::array();
  for (const Polygon& p : polygons) {
    Json holes = Json::array();
    for (const Ring& hole : p.holes) holes.push_back(to_json(hole));
    out.push_back({{"outer", to_json(p.outer)}, {"holes", std::move(holes)}});
  }
  return out;
}

Json region_json(const ClassRegion& region, double pixels) {
  Json out = summary_json(region.summary, pixels);
  out["polygons"] = polygons_json(region.polygons);
  return out;
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}

}  // namespace sam2unet::results
