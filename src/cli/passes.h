// --tile, --overlap, --tile-context and --tta, of the commands that predict.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

struct PassArguments {
  std::string tile;  // "": none; "auto" or pixels
  double overlap = 0.25;
  double context = 0.0;
  std::string augmentation;
  bool of_tiles_given = false;  // --overlap or --tile-context

  bool any() const { return !tile.empty() || !augmentation.empty(); }
};

void add_pass_options(CLI::App& command, PassArguments& arguments);
/// UsageError for what cannot be meant.
void apply(const PassArguments& arguments, SegmentOptions& options);
/// "tiles of 1000 pixels, hflip,vflip"
std::string describe(const PassArguments& arguments);

}  // namespace sam2unet::cli
