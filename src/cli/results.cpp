#include "results.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "class_results.h"
#include "results_json.h"
#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"

namespace sam2unet::cli {
namespace {

using Json = nlohmann::ordered_json;

// The connected parts of the one foreground.
Json instances_json(const Segmentation& r, const ResultOptions& options) {
  Image ids = threshold_map(r.map(), r.width, r.height, options.threshold);
  for (auto& v : ids.pixels) v = v != 0 ? 1 : 0;
  constexpr std::array kForeground = {1};
  Json out = Json::array();
  for (const ClassRegion& part : class_regions(
           ids, r.map(), kForeground, {.kind = RegionKind::instances, .tolerance = options.simplify})) {
    out.push_back(region_json(part, static_cast<double>(r.width) * r.height));
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
  json.update(summary_json(summary, pixels));
  json["polygons"] = polygons_json(
      mask_polygons(threshold_map(r.map(), r.width, r.height, options.threshold), options.simplify));
  if (options.instances) json["instances"] = instances_json(r, options);
  json["seconds"] = std::round(picture.seconds * 1e4) / 1e4;
  // A path need not be UTF-8, but JSON must be.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<std::byte> encode_result(const Picture& picture, const ResultOptions& options, Save save) {
  const Segmentation& r = picture.result;
  if (r.channels > 1) return encode_class_result(picture, options, save);
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
