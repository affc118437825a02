// Where a picture lies in a network's input, and how it gets there.
#pragma once

#include <array>
#include <cstdint>

#include "image/resizer.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::image {

/// Around a picture, if anything, is padding.
struct Placement {
  int picture_width = 0, picture_height = 0;
  InputSize input;
  int x = 0, y = 0, width = 0, height = 0;  ///< in pixels of the input

  bool fills() const { return width == input.width && height == input.height; }
};

/// Squashed over the whole input; letterboxed to the largest size of the picture's shape, in the middle.
Placement place(int width, int height, const InputSize& input, Fit fit);
inline Placement place(const ImageView& picture, const InputSize& input, Fit fit) {
  return place(picture.width, picture.height, input, fit);
}

/// How a picture is turned before the network sees it.
enum class Turn {
  none,
  mirror_x,  ///< left to right
  mirror_y,  ///< top to bottom
  quarter,   ///< by 90 degrees, counterclockwise
};

/// ImageNet's mean in 8 bits: next to nothing once it is normalised.
inline constexpr std::array<std::uint8_t, 3> kPadding{124, 116, 104};

/// Makes inputs and keeps its memory from one to the next. Not for two threads at once.
class Preparer {
 public:
  /// The picture resized as Pillow does it (gray repeated, alpha dropped), on the mean colour where it does
  /// not reach. RGB of the placement's input; `out` keeps its memory. With a turn, the placement is that of
  /// the turned picture, so that the padding stays where it is.
  void prepare(const ImageView& picture, const Placement& placement, PillowVersion pillow, Image& out,
               Turn turn = Turn::none);

 private:
  Resizer resizer_;
  Image resized_;
};

/// A gray or RGB picture of the placement's size in its place, `padding` (a value per channel) around it.
void pad(const ImageView& placed, const Placement& placement, const std::uint8_t* padding, Image& out);

}  // namespace sam2unet::image
