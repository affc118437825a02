// The parameters of /v1/segment: what they are called, what they may be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/results.h"
#include "serve/archive.h"
#include "serve/models.h"
#include "serve/options.h"
#include "serve/work.h"

namespace sam2unet::serve {

/// What is made of each picture.
enum class Kind { map, mask, overlay, cutout, json, ids };
std::string_view name_of(Kind kind);

/// As they were sent; later ones of a name replace earlier ones.
struct SegmentParameters {
  std::vector<Kind> kinds = {Kind::map};
  std::string model;
  InputSize size = InputSize::square(0);
  double threshold = 0.5;
  bool has_threshold = false;
  double simplify = 0.0;
  bool official = false;
  bool clean_edges = true;
  bool instances = false;
  std::optional<Fit> fit;
  PillowVersion pillow = PillowVersion::v12;
  std::vector<std::string> classes;
  std::optional<int> tile;  ///< side in the picture's pixels, 0: chosen
  double overlap = 0.25, tile_context = 0.0;
  Augmentation augmentation;
  std::optional<ArchiveKind> archive;
  std::string name;  ///< of a picture that is the body

  /// Refused 400 for an unknown name or a value that cannot be meant.
  void set(std::string_view parameter, std::string_view value, const Limits& limits);
};

/// What predict would be told; refuses what does not go with the model (400).
struct SegmentPlan {
  SegmentOptions segment;
  DecodeOptions decode;
  results::ResultOptions results;
  std::vector<Kind> kinds;
  std::vector<std::string> endings;  ///< of the files, as many as kinds
};
SegmentPlan plan_for(const SegmentParameters& parameters, const Model& model, const Limits& limits);

/// Refuses (400) a picture of which too many tiles would be computed.
void check_tiles(const SegmentOptions& options, const ImageView& picture);

/// Makes the plan's files of a segmented picture. Adds them to its outputs, named behind `stem`.
void encode_outputs(const SegmentPlan& plan, const std::string& stem, Piece& piece);

}  // namespace sam2unet::serve
