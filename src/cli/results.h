// A picture on its way through the program.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"
#include "outputs.h"
#include "results/canvas.h"
#include "results/results.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

using results::ResultOptions;

struct Picture {
  Input input;
  Image pixels;                          // RGB, or RGBA for a cut-out
  std::vector<std::byte> color_profile;  // ICC, for a cut-out
  Segmentation result;
  std::optional<results::Canvas> canvas;  // where the result holds no values
  double seconds = 0.0;                   // spent on it so far
};

/// A result that has its name, and is not written.
struct ResultBytes {
  std::string name;
  std::vector<std::byte> bytes;
};

/// The bytes of one kind of result: a PNG or a JSON object on one line. What was encoded already leaves the
/// picture, so each kind is asked for once.
inline std::vector<std::byte> encode_result(Picture& p, const ResultOptions& options, results::Save save) {
  return results::encode_result(
      {p.input.name(), p.pixels, p.color_profile, p.result, p.seconds, p.canvas ? &*p.canvas : nullptr},
      options, save);
}

}  // namespace sam2unet::cli
