#include "serve/segment_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "results/choices.h"
#include "sam2unet/image.h"
#include "serve/tasks.h"

namespace sam2unet::serve {
namespace {

using results::Save;
constexpr std::array kKinds = {Kind::map, Kind::mask, Kind::overlay, Kind::cutout, Kind::json, Kind::ids};

Kind parse_kind(std::string_view text) {
  for (const Kind k : kKinds)
    if (text == name_of(k)) return k;
  throw bad_request(fmt::format("result: '{}' is none of map, mask, overlay, cutout, json, ids", text));
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    const std::string_view item = trim(list.substr(0, end));
    if (!item.empty()) out.emplace_back(item);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

std::vector<Kind> parse_kinds(std::string_view list) {
  std::vector<Kind> out;
  for (const std::string& word : split(list)) {
    const Kind kind = parse_kind(word);
    if (std::find(out.begin(), out.end(), kind) == out.end()) out.push_back(kind);
  }
  if (out.empty()) throw bad_request("result: name one of map, mask, overlay, cutout, json, ids");
  return out;
}

InputSize parse_bounded_size(std::string_view text, std::int64_t side) {
  const InputSize size = results::parse_size(std::string(text), "size");
  if (size.width > side || size.height > side)
    throw bad_request(fmt::format("size {}: a side may be {} at most here (--max-size)", text, side));
  return size;
}

int parse_tile(std::string_view text) {
  if (text == "auto") return 0;
  constexpr double kSmallest = 64, kLargest = 65536;
  const double side = parse_number(text, "tile", kSmallest, kLargest);
  if (side != std::floor(side)) throw bad_request("tile: give auto, or a whole number of pixels");
  return static_cast<int>(side);
}

// What each costs is bounded by the network's largest input, how many there are by this.
void check_augmentation(const Augmentation& a, const InputSize& size, std::int64_t side) {
  constexpr std::size_t kMaxScales = 4;
  if (a.scales.size() > kMaxScales)
    throw bad_request(fmt::format("tta: {} scales, at most {} here", a.scales.size(), kMaxScales));
  for (const double scale : a.scales) {
    if (std::max(size.width, size.height) * scale > static_cast<double>(side))
      throw bad_request(fmt::format("tta: scale {} makes a side longer than {} (--max-size)", scale, side));
  }
}

Save save_of(Kind kind, const Model& model) {
  switch (kind) {
    case Kind::map:
      return Save::map;
    case Kind::mask:
      return Save::mask;
    case Kind::overlay:
      return Save::overlay;
    case Kind::cutout:
      return Save::cutout;
    case Kind::json:
      return Save::json;
    case Kind::ids:
      break;
  }
  if (model.network->info().channels == 1)
    throw bad_request(fmt::format(
        "result=ids: the model {} has one foreground and no classes; take map or mask", model.name));
  return Save::map;  // of several classes the map is the picture of their ids
}

}  // namespace

std::string_view name_of(Kind kind) {
  constexpr std::array<std::string_view, kKinds.size()> kNames = {"map",    "mask", "overlay",
                                                                  "cutout", "json", "ids"};
  return kNames.at(static_cast<std::size_t>(kind));
}

void SegmentParameters::set(std::string_view p, std::string_view value, const Limits& limits) {
  if (p == "result") {
    kinds = parse_kinds(value);
  } else if (p == "model") {
    model = std::string(value);
  } else if (p == "size") {
    size = parse_bounded_size(value, limits.side);
  } else if (p == "threshold") {
    threshold = parse_number(value, "threshold", 0.0, 1.0);
    has_threshold = true;
  } else if (p == "simplify") {
    simplify = parse_number(value, "simplify", 0.0, 1e6);
  } else if (p == "official") {
    official = parse_flag(value, "official");
  } else if (p == "clean_edges") {
    clean_edges = parse_flag(value, "clean_edges");
  } else if (p == "instances") {
    instances = parse_flag(value, "instances");
  } else if (p == "fit") {
    fit = parse_fit(value);
  } else if (p == "pillow") {
    if (value != "12" && value != "13") throw bad_request("pillow must be 12 or 13");
    pillow = value == "13" ? PillowVersion::v13 : PillowVersion::v12;
  } else if (p == "class") {
    classes = split(value);
  } else if (p == "archive") {
    if (value != "zip" && value != "multipart") throw bad_request("archive must be zip or multipart");
    archive = value == "zip" ? ArchiveKind::zip : ArchiveKind::multipart;
  } else if (p == "name") {
    name = safe_file_name(value);
  } else if (p == "tile") {
    tile = parse_tile(value);
  } else if (p == "overlap") {
    overlap = parse_number(value, "overlap", 0.0, 0.9);
  } else if (p == "tile_context") {
    tile_context = parse_number(value, "tile_context", 0.0, 1.0);
  } else if (p == "tta") {
    augmentation = parse_augmentation(value);
  } else {
    throw bad_request(fmt::format(
        "'{}' is no parameter; there are result, model, threshold, size, fit, class, official, pillow, "
        "simplify, instances, clean_edges, tile, overlap, tile_context, tta, archive, name",
        p));
  }
}

SegmentPlan plan_for(const SegmentParameters& p, const Model& model, const Limits& limits) {
  SegmentPlan plan;
  plan.kinds = p.kinds;
  for (const Kind kind : p.kinds) {
    const Save save = save_of(kind, model);
    plan.results.saves.push_back(save);
    // Both may be asked for at once, and are the same bytes.
    plan.endings.emplace_back(kind == Kind::ids ? "_ids.png" : results::ending_of(save));
  }
  plan.segment.size = p.size;
  plan.segment.official = p.official;
  plan.segment.fit = p.fit;
  plan.segment.pillow = p.pillow;
  if (p.official && (p.tile || !p.augmentation.empty()))
    throw bad_request("official: the reference's test.py knows neither tile nor tta");
  if (p.tile) plan.segment.tiles = TileOptions{*p.tile, p.overlap, p.tile_context, {}};
  const InputSize trained = model.network->info().size;
  check_augmentation(p.augmentation, p.size.width == 0 ? trained : p.size, limits.side);
  plan.segment.augmentation = p.augmentation;
  plan.results.official = p.official;
  plan.decode = results::decode_options(plan.results);
  plan.decode.max_pixels = limits.pixels;
  plan.results.threshold = p.threshold;
  plan.results.simplify = p.simplify;
  plan.results.clean_edges = p.clean_edges;
  plan.results.instances = p.instances;
  plan.results.table = model.network->classes();
  if (plan.results.table == nullptr) {
    if (!p.classes.empty())
      throw bad_request(
          fmt::format("class: the model {} has one foreground, not several classes", model.name));
    return plan;
  }
  if (p.official || (p.has_threshold && p.threshold != 0.5)) {
    throw bad_request(fmt::format(
        "official and threshold are of one foreground; the model {} has several classes", model.name));
  }
  plan.results.shown = results::shown_classes(*plan.results.table, p.classes, "class");
  plan.segment.output = SegmentOutput::ids;
  return plan;
}

void check_tiles(const SegmentOptions& options, const ImageView& picture) {
  if (!options.tiles || options.tiles->side == 0) return;  // chosen ones are few
  constexpr double kMaxTiles = 256;
  // A tile has the shape of the network's input; `side` is its longer one.
  const InputSize& size = options.size;
  const double shape = size.width == 0 ? 1.0
                                       : static_cast<double>(std::min(size.width, size.height)) /
                                             std::max(size.width, size.height);
  const double step = options.tiles->side * shape * (1.0 - options.tiles->overlap);
  const double tiles = std::ceil(picture.width / step) * std::ceil(picture.height / step);
  if (tiles > kMaxTiles) {
    throw bad_request(
        fmt::format("tile={}: a picture of {}x{} has {} such tiles, at most {} here; take larger ones",
                    options.tiles->side, picture.width, picture.height, tiles, kMaxTiles));
  }
}

void encode_outputs(const SegmentPlan& plan, const std::string& stem, Piece& piece) {
  const results::Subject subject{piece.name, piece.pixels, piece.color_profile, piece.result,
                                 piece.seconds_so_far()};
  for (std::size_t i = 0; i < plan.kinds.size(); ++i) {
    const Save save = plan.results.saves[i];
    piece.outputs.push_back({stem + plan.endings[i], save == Save::json ? "application/json" : "image/png",
                             results::encode_result(subject, plan.results, save)});
  }
}

}  // namespace sam2unet::serve
