// The scratch recipe's changes of a resized picture and its mask.
#pragma once

#include <cstdint>
#include <vector>

#include "image/sample_kernels.h"
#include "sam2unet/image.h"
#include "train/random.h"

namespace sam2unet::train {

struct Crop {
  int x = 0, y = 0, width = 0, height = 0;
};
/// 50 to 100 % of the area, sides between 3:4 and 4:3 of the picture's own.
Crop random_crop(int width, int height, Random& random);
ImageView cut(const ImageView& image, const Crop& crop);

inline constexpr double kLargestTurn = 15;  // degrees

/// Brightness, contrast and saturation, which together are one affine map of the colours:
/// clip(((gray + (in - gray) saturation) brightness - 128) contrast + 128).
image::ColourMap colour_map(double brightness, double contrast, double saturation);
/// Factors between 0.7 and 1.3.
image::ColourMap random_colour(Random& random);

/// The ids that Turner's place of each pixel is nearest to, as numbers: [H,W]. The mirror image outside, as
/// there.
void turn_ids(const Image& ids, double degrees, float* out);

/// Not for two threads at once.
class Turner {
 public:
  /// An RGB picture and a gray mask of one size (up to 16384), turned about their middle (anticlockwise for
  /// positive degrees, at most 45 of them), colours changed, normalised: [H,W,3] and [H,W]. Bilinear. Outside
  /// the picture lies its mirror image, for both alike: what is seen there carries its own label.
  void turn(const Image& picture, const Image& truth, double degrees, const image::ColourMap& colour,
            float* image, float* mask);

 private:
  void lay_out(const Image& picture, const Image& truth, int margin);

  std::vector<std::uint32_t> padded_;  // red, green, blue, mask of each pixel, with a mirrored margin
};

}  // namespace sam2unet::train
