// What is made of one segmented picture: the bytes of files. Every face of the program (predict, serve)
// writes these, so the same picture and options are the same bytes everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::results {

/// What can be written of a picture.
enum class Save { map, mask, overlay, cutout, json };
inline constexpr std::array kSaves = {Save::map, Save::mask, Save::overlay, Save::cutout, Save::json};

/// "map", "mask", ...
std::string_view name_of(Save save);
/// What stands behind the stem: ".png", "_mask.png", "_overlay.png", "_cutout.png", ".json".
std::string_view ending_of(Save save);

struct ResultOptions {
  std::vector<Save> saves;
  double threshold = 0.5;
  /// Corners of polygons that lie within this many pixels of the line are left out.
  double simplify = 0.0;
  bool official = false;
  /// Estimate the foreground's colours where a cut-out is not opaque.
  bool clean_edges = true;
  /// Of several classes: names and colours, and the ids that mask, overlay, cut-out and JSON are of.
  std::shared_ptr<const ClassTable> table;
  std::vector<int> shown;
  bool instances = false;  ///< the JSON tells connected parts too
};

/// How a picture must be decoded for these results: a cut-out needs its alpha and its colour profile.
DecodeOptions decode_options(const ResultOptions& options);

/// One segmented picture; of several classes the result holds ids. Refers to memory of the caller's.
struct Subject {
  std::string name;                          // as the JSON says it
  const Image& pixels;                       // RGB, or RGBA for a cut-out
  std::span<const std::byte> color_profile;  // ICC, for a cut-out
  const Segmentation& result;
  double seconds = 0.0;  // spent on it so far
};

/// The bytes of one kind of result: a PNG or a JSON object on one line.
std::vector<std::byte> encode_result(const Subject& picture, const ResultOptions& options, Save save);

}  // namespace sam2unet::results
