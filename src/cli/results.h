// A picture on its way through the program.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"
#include "outputs.h"
#include "results/band_results.h"
#include "results/results.h"
#include "sam2unet/files.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

using results::ResultOptions;

/// A result that has its name, and is not written.
struct ResultBytes {
  std::string name;
  std::vector<std::byte> bytes;
};

/// Results that are written while the picture is segmented.
struct BandedResults {
  std::vector<std::optional<AtomicWriter>> files;  // one for each kind; none where the bytes are kept
  std::vector<std::vector<std::byte>> bytes;       // the same; empty where they go to files
  std::optional<results::BandResults> results;
  std::exception_ptr failure;  // of writing, which is told when results are delivered
};

struct Picture {
  Input input;
  Image pixels;                          // RGB, or RGBA for a cut-out
  std::vector<std::byte> color_profile;  // ICC, for a cut-out
  Segmentation result;
  std::unique_ptr<BandedResults> banded;  // where the result holds no values
  double seconds = 0.0;                   // spent on it so far
};

}  // namespace sam2unet::cli
