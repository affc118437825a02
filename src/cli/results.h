// What is made of one segmented picture: encoded files, or lines for standard output.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "canvas.h"
#include "inputs.h"
#include "outputs.h"
#include "sam2unet/classes.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

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

struct Picture {
  Input input;
  Image pixels;                          // RGB, or RGBA for a cut-out
  std::vector<std::byte> color_profile;  // ICC, for a cut-out
  Segmentation result;
  std::optional<Canvas> canvas;  // where the result holds no values
  double seconds = 0.0;          // spent on it so far
};

/// The bytes of one kind of result: a PNG or a JSON object on one line.
std::vector<std::byte> encode_result(const Picture& picture, const ResultOptions& options, Save save);

}  // namespace sam2unet::cli
