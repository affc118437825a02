#include "results/results.h"

#include <algorithm>
#include <array>
#include <utility>

#include "results/band_results.h"
#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"

namespace sam2unet::results {

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

DecodeOptions decode_options(const ResultOptions& options) {
  const auto& saves = options.saves;
  const bool cutout = std::find(saves.begin(), saves.end(), Save::cutout) != saves.end();
  return {.mode = cutout ? ColorMode::rgba : ColorMode::rgb,
          .apply_exif_orientation = !options.official,
          .keep_color_profile = cutout};
}

namespace {

// The cut-out's alpha.
Image alpha_of(const Segmentation& result, const ResultOptions& options) {
  return result.channels > 1 ? class_mask(result.to_ids(), options.shown) : result.to_gray();
}

}  // namespace

std::vector<std::byte> encode_result(const Subject& picture, const ResultOptions& options, Save save) {
  const Segmentation& r = picture.result;
  if (r.channels > 1 && r.ids.empty()) throw UsageError("the result holds no ids of classes");
  if (save == Save::cutout) {
    return encode_png(cut_out(picture.pixels, alpha_of(r, options), {.clean_edges = options.clean_edges}),
                      picture.color_profile);
  }
  std::vector<std::byte> out;
  ResultOptions one = options;
  one.saves = {save};
  BandResults results(
      {picture.name, picture.pixels, nullptr, r.channels, PartConfidence::exact}, one, [&](Save) {
        return [&](std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
      });
  results.add({0, r.height, r.width, r.channels, r.probabilities, r.ids, r.confidence});
  results.finish(picture.seconds, {});
  return out;
}

}  // namespace sam2unet::results
