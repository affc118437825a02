#include "results/class_results.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "results/canvas.h"
#include "results/json_parts.h"
#include "sam2unet/class_draw.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/draw.h"

namespace sam2unet::results {
namespace {

using Json = nlohmann::ordered_json;

std::vector<ClassRegion> regions(const Subject& picture, const ResultOptions& options, const ImageView& ids,
                                 RegionKind kind) {
  const RegionOptions how{.kind = kind, .tolerance = options.simplify};
  if (picture.canvas && kind == RegionKind::classes) {
    std::vector<ClassRegion> out;
    for (const int id : options.shown) {
      const MaskSummary& summary = picture.canvas->classes.at(static_cast<std::size_t>(id));
      out.push_back({id, summary, {}});
      if (summary.area > 0) out.back().polygons = class_polygons(ids, id, options.simplify);
    }
    return out;
  }
  if (picture.canvas) return class_regions(ids, ImageView(picture.canvas->confidence), options.shown, how);
  return class_regions(ids, picture.result.confidence, options.shown, how);
}

std::string describe(const Subject& picture, const ResultOptions& options, const ImageView& ids) {
  const Segmentation& s = picture.result;
  const double pixels = static_cast<double>(s.width) * s.height;
  const std::vector<ClassRegion> classes = regions(picture, options, ids, RegionKind::classes);
  std::vector<ClassRegion> parts;
  if (options.instances) parts = regions(picture, options, ids, RegionKind::instances);
  Json json;
  json["input"] = picture.name;
  json["width"] = s.width;
  json["height"] = s.height;
  json["classes"] = Json::array();
  for (const ClassRegion& r : classes) {
    Json one{{"id", r.id}, {"name", options.table->classes.at(static_cast<std::size_t>(r.id)).name}};
    one.update(region_json(r, pixels));
    if (options.instances) {
      one["instances"] = Json::array();
      for (const ClassRegion& part : parts) {
        if (part.id == r.id) one["instances"].push_back(region_json(part, pixels));
      }
    }
    json["classes"].push_back(std::move(one));
  }
  json["seconds"] = std::round(picture.seconds * 1e4) / 1e4;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<std::byte> encode_class_result(const Subject& picture, const ResultOptions& options, Save save) {
  const Image own = picture.canvas ? Image() : picture.result.to_ids();
  const ImageView ids = picture.canvas ? picture.canvas->ids : own;
  switch (save) {
    case Save::map:
      return encode_class_png(ids, *options.table);
    case Save::mask:
      return encode_png(class_mask(ids, options.shown));
    case Save::overlay:
      return encode_class_overlay_png(picture.pixels, ids, *options.table, options.shown);
    case Save::cutout:
      return encode_png(
          cut_out(picture.pixels, class_mask(ids, options.shown), {.clean_edges = options.clean_edges}),
          picture.color_profile);
    case Save::json:
      return bytes_of(describe(picture, options, ids));
  }
  return {};
}

}  // namespace sam2unet::results
