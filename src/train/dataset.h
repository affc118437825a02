// One pair of picture and mask as the network's input.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/picture_reader.h"
#include "image/placement.h"
#include "image/resizer.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/image.h"
#include "train/augment.h"
#include "train/choices.h"
#include "train/random.h"

namespace sam2unet::train {

struct Pair {
  std::filesystem::path image, mask;
  bool zero_one = false;  ///< the mask's data set has 0 and 1 for 0 and 255
};

/// Gray, 0 to 255. Like the pictures it is read as the reference does, without EXIF orientation
/// (dataset.py:98). ImageError or FileError.
Image read_mask(const Pair& pair);

/// dataset.py: bilinear picture, bicubic mask (both Pillow's), flips, (x / 255 - mean) / std. Keeps its
/// memory from sample to sample; not for two threads at once.
class SampleMaker {
 public:
  /// With `classes`, which must outlive it, masks are of ids and resized by nearest neighbour. Around
  /// letterboxed pictures masks are 0, or the ignored id.
  explicit SampleMaker(const ClassTable* classes = nullptr, Fit fit = Fit::squash)
      : classes_(classes), fit_(fit) {}
  /// Writes [S,S,3], normalised by ImageNet's mean and deviation, and [S,S] in [0,1], or ids of classes.
  /// ImageError or FileError.
  void make(const Pair& pair, int size, Augment augment, Random random, float* image, float* mask);
  /// The same before it is normalised: [S,S,3] and [S,S] bytes. Not of Augment::strong, which mixes pixels.
  void make_bytes(const Pair& pair, int size, Augment augment, Random random, std::uint8_t* image,
                  std::uint8_t* mask);

 private:
  struct Change {
    double degrees = 0;
    image::ColourMap colour;
  };
  Change resize(const Pair& pair, int size, Augment augment, Random& random);
  void letterbox(const image::Placement& placement);

  const ClassTable* classes_;
  Fit fit_;
  image::PictureReader picture_reader_, mask_reader_;
  image::Resizer resizer_;
  Turner turner_;
  Image image_, mask_, ids_, padded_;
};

/// What SampleMaker writes.
struct Sample {
  std::vector<float> image, mask;
};
Sample load_sample(const Pair& pair, int size, Augment augment, Random random,
                   const ClassTable* classes = nullptr, Fit fit = Fit::squash);

}  // namespace sam2unet::train
