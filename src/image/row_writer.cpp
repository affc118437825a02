#include "image/row_writer.h"

#include <algorithm>

namespace sam2unet::image {
namespace {

// Where pixel (x, y) of a stored picture goes: start + x * step_x + y * step_y, in pixels of the upright one.
struct Way {
  std::ptrdiff_t start = 0, step_x = 1, step_y = 0;
};

Way way_of(int orientation, std::ptrdiff_t w, std::ptrdiff_t h) {
  switch (orientation) {
    case 2:
      return {w - 1, -1, w};
    case 3:
      return {w * h - 1, -1, -w};
    case 4:
      return {(h - 1) * w, 1, -w};
    case 5:
      return {0, h, 1};
    case 6:
      return {h - 1, h, -1};
    case 7:
      return {w * h - 1, -h, -1};
    case 8:
      return {(w - 1) * h, -h, 1};
    default:
      return {0, 1, w};
  }
}

}  // namespace

RowWriter::RowWriter(const Source& source, int width, int height, int channels, int orientation)
    : width_(width),
      height_(height),
      channels_(channels),
      orientation_(source.turns && orientation >= 2 && orientation <= 8 ? orientation : 1) {
  const int wanted = channels_of(source.mode, channels);
  const bool swaps = orientation_ >= 5;
  out_ = blank(source, swaps ? height : width, swaps ? width : height, wanted);
  const auto pixels = static_cast<std::size_t>(width);
  if (orientation_ == 1 && wanted == channels) return;
  line_.resize(pixels * static_cast<std::size_t>(channels));
  if (orientation_ == 1) return;
  // Rows that become columns are placed some at a time: one by one, each of their pixels would be another
  // cache line. A stride of its own, since that of a picture may be a multiple of the cache's.
  constexpr std::size_t kPadding = 64;
  strip_rows_ = swaps ? 64 : 1;
  stride_ = pixels * static_cast<std::size_t>(wanted) + kPadding;
  strip_.resize(stride_ * static_cast<std::size_t>(strip_rows_));
}

void RowWriter::done(int y) {
  if (is_direct()) return;
  if (orientation_ == 1) {
    convert_pixels(line_.data(), width_, channels_, out_.row(y), out_.channels);
    return;
  }
  const int in_strip = y % strip_rows_;
  convert_pixels(line_.data(), width_, channels_,
                 strip_.data() + static_cast<std::size_t>(in_strip) * stride_, out_.channels);
  if (in_strip + 1 == strip_rows_ || y + 1 == height_) place(y - in_strip, in_strip + 1);
}

void RowWriter::place(int first, int rows) {
  const Way way = way_of(orientation_, width_, height_);
  const std::ptrdiff_t c = out_.channels;
  for (int x = 0; x < width_; ++x) {
    const std::uint8_t* from = strip_.data() + x * c;
    std::uint8_t* to = out_.pixels.data() + (way.start + x * way.step_x + first * way.step_y) * c;
    for (int y = 0; y < rows; ++y, from += stride_, to += way.step_y * c) std::copy_n(from, c, to);
  }
}

}  // namespace sam2unet::image
