#include "results/results.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "results/canvas.h"
#include "results/class_results.h"
#include "results/json_parts.h"
#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"

namespace sam2unet::results {
namespace {

using Json = nlohmann::ordered_json;

// The map in 8 bits, the mask (128 and more) and its measures: those that are there, or made of the
// probabilities.
class Foreground {
 public:
  Foreground(const Subject& picture, const ResultOptions& options) : picture_(picture), options_(options) {}

  ImageView gray() {
    if (picture_.canvas) return picture_.canvas->gray;
    gray_ = picture_.result.to_gray();
    return gray_;
  }
  ImageView mask() {
    if (picture_.canvas) return picture_.canvas->inside();
    const Segmentation& r = picture_.result;
    mask_ = threshold_map(r.map(), r.width, r.height, options_.threshold);
    return mask_;
  }
  MaskSummary summary() const {
    if (picture_.canvas) return picture_.canvas->summary;
    const Segmentation& r = picture_.result;
    return summarize_map(r.map(), r.width, r.height, options_.threshold);
  }
  std::vector<ClassRegion> instances() {
    Image ids(picture_.result.width, picture_.result.height, 1);
    const ImageView inside = mask();
    for (int y = 0; y < ids.height; ++y) {
      std::transform(inside.row(y), inside.row(y) + ids.width, ids.row(y),
                     [](std::uint8_t v) { return static_cast<std::uint8_t>(v >= 128 ? 1 : 0); });
    }
    constexpr std::array kForeground = {1};
    const RegionOptions how{.kind = RegionKind::instances, .tolerance = options_.simplify};
    if (picture_.canvas) return class_regions(ids, ImageView(picture_.canvas->gray), kForeground, how);
    return class_regions(ids, picture_.result.map(), kForeground, how);
  }

 private:
  const Subject& picture_;
  const ResultOptions& options_;
  Image gray_, mask_;
};

std::string describe(const Subject& picture, const ResultOptions& options) {
  Foreground foreground(picture, options);
  const Segmentation& r = picture.result;
  const double pixels = static_cast<double>(r.width) * r.height;
  Json json;
  json["input"] = picture.name;
  json["width"] = r.width;
  json["height"] = r.height;
  json["official"] = options.official;
  json["threshold"] = options.threshold;
  json.update(summary_json(foreground.summary(), pixels));
  json["polygons"] = polygons_json(mask_polygons(foreground.mask(), options.simplify));
  if (options.instances) {
    Json parts = Json::array();
    for (const ClassRegion& part : foreground.instances()) parts.push_back(region_json(part, pixels));
    json["instances"] = std::move(parts);
  }
  json["seconds"] = std::round(picture.seconds * 1e4) / 1e4;
  // A path need not be UTF-8, but JSON must be.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string_view name_of(Save save) {
  switch (save) {
    case Save::map:
      return "map";
    case Save::mask:
      return "mask";
    case Save::overlay:
      return "overlay";
    case Save::cutout:
      return "cutout";
    case Save::json:
      return "json";
  }
  return "";
}

std::string_view ending_of(Save save) {
  switch (save) {
    case Save::map:
      return ".png";
    case Save::mask:
      return "_mask.png";
    case Save::overlay:
      return "_overlay.png";
    case Save::cutout:
      return "_cutout.png";
    case Save::json:
      return ".json";
  }
  return "";
}

DecodeOptions decode_options(std::span<const Save> saves, bool official) {
  const bool cutout = std::find(saves.begin(), saves.end(), Save::cutout) != saves.end();
  return {.mode = cutout ? ColorMode::rgba : ColorMode::rgb,
          .apply_exif_orientation = !official,
          .keep_color_profile = cutout};
}

std::vector<std::byte> encode_result(const Subject& picture, const ResultOptions& options, Save save) {
  if (picture.canvas && save == Save::map) return std::move(picture.canvas->map_png);
  if (picture.canvas && save == Save::mask) return std::move(picture.canvas->mask_png);
  if (picture.result.channels > 1) return encode_class_result(picture, options, save);
  Foreground foreground(picture, options);
  switch (save) {
    case Save::map:
      return encode_png(foreground.gray());
    case Save::mask:
      return encode_mask_png(foreground.mask());
    case Save::overlay:
      return encode_overlay_png(picture.pixels, foreground.mask());
    case Save::cutout:
      return encode_png(cut_out(picture.pixels, foreground.gray(), {.clean_edges = options.clean_edges}),
                        picture.color_profile);
    case Save::json:
      return bytes_of(describe(picture, options));
  }
  return {};
}

}  // namespace sam2unet::results
