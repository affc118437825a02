// Pillow's resize for many pictures: what one call needed is kept for the next.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "image/resample_kernels.h"
#include "sam2unet/image.h"

namespace sam2unet::image {

/// The coefficients of one pass.
class Weights {
 public:
  Weights(int in_size, int out_size, ResizeFilter filter, bool mirrored);
  bool is(int in_size, int out_size, ResizeFilter filter, bool mirrored) const {
    return in_size == in_ && out_size == out_ && filter == filter_ && mirrored == mirrored_;
  }
  Coefficients view() const { return {out_, stride_, bounds_.data(), values_.data()}; }

 private:
  int in_, out_;
  ResizeFilter filter_;
  bool mirrored_;
  std::size_t stride_ = 0;
  std::vector<int> bounds_;
  std::vector<std::int32_t> values_;
};

/// What alpha does to colours when RGBA is resized.
enum class AlphaRule {
  weighted,     ///< they are weighted with it, as Pillow's mode RGBA
  independent,  ///< nothing: four channels like any other
};

struct Resizing {
  int width = 0, height = 0;
  ResizeFilter filter = ResizeFilter::bilinear;
  PillowVersion version = PillowVersion::v12;
  /// The result mirrored, left to right and top to bottom; costs nothing.
  bool flip_x = false, flip_y = false;
  AlphaRule alpha = AlphaRule::weighted;
};

/// Not for two threads at once.
class Resizer {
 public:
  /// As resize_pillow, whose errors it throws; `out` must not be `in`, and keeps its memory.
  void resize(const ImageView& in, const Resizing& how, Image& out);

 private:
  const Weights& weights(int in_size, int out_size, ResizeFilter filter, bool mirrored);
  void horizontal_pass(const ImageView& in, const Resizing& how, Image& out);
  void vertical_pass(const ImageView& in, const Resizing& how, Image& out);
  void resize_channels(const ImageView& in, const Resizing& how, Image& out);

  std::array<std::optional<Weights>, 8> kept_;  // of the last pairs of sizes, used in turn
  std::size_t next_ = 0;
  Image between_;                      // the picture between the passes
  std::vector<std::uint8_t> scratch_;  // of the horizontal kernel
};

}  // namespace sam2unet::image
