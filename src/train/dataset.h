// Pictures and masks on disk, and one of them as the network's input.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/random.h"

namespace sam2unet::train {

struct Pair {
  std::filesystem::path image, mask;
};

/// Pictures and masks of one name (without extension) in two folders, by name. UsageError if there are none,
/// or if a picture has no mask (the first are named) or two masks.
std::vector<Pair> find_pairs(const std::filesystem::path& images, const std::filesystem::path& masks);

/// Decodes every file once, on `threads` threads. Bad ones are left out and described in `problems`.
std::vector<Pair> readable_pairs(const std::vector<Pair>& pairs, int threads,
                                 std::vector<std::string>& problems);

enum class Augment {
  none,      ///< validation
  official,  ///< horizontal and vertical flips
  strong,    ///< also crops, rotation and colour jitter
};

/// One sample: [S,S,3] normalised by ImageNet's mean and deviation, and [S,S] in [0,1].
struct Sample {
  std::vector<float> image, mask;
};

/// dataset.py: bilinear picture, bicubic mask (both Pillow's), flips, (x / 255 - mean) / std. A mask of 0 and
/// 1 is read as 0 and 255, which the reference would train on as nearly black.
Sample load_sample(const Pair& pair, int size, Augment augment, Random random);

}  // namespace sam2unet::train
