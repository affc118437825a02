#include "image/placement.h"

#include <algorithm>
#include <cstring>

namespace sam2unet::image {
namespace {

void fill(Image& image, const std::uint8_t* color) {
  for (auto at = image.pixels.begin(); at != image.pixels.end(); at += image.channels)
    std::copy_n(color, image.channels, at);
}

// A row of gray, RGB or RGBA as RGB.
void to_rgb(const std::uint8_t* from, int width, int channels, std::uint8_t* to) {
  if (channels == 3) {
    std::memcpy(to, from, static_cast<std::size_t>(width) * 3);
    return;
  }
  const int green = channels == 1 ? 0 : 1, blue = channels == 1 ? 0 : 2;
  for (int x = 0; x < width; ++x, from += channels, to += 3) {
    to[0] = from[0];
    to[1] = from[green];
    to[2] = from[blue];
  }
}

// A column, from top to bottom, as a row of RGB.
void column_to_rgb(const Image& from, int x, std::uint8_t* to) {
  const int c = from.channels, green = c == 1 ? 0 : 1, blue = c == 1 ? 0 : 2;
  for (int y = 0; y < from.height; ++y, to += 3) {
    const std::uint8_t* pixel = from.row(y) + static_cast<std::ptrdiff_t>(x) * c;
    to[0] = pixel[0];
    to[1] = pixel[green];
    to[2] = pixel[blue];
  }
}

}  // namespace

Placement place(int width, int height, const InputSize& input, Fit fit) {
  Placement p{width, height, input, 0, 0, input.width, input.height};
  if (fit == Fit::squash) return p;
  // Whichever side fills the input exactly is not rounded.
  const auto w = static_cast<std::int64_t>(width), h = static_cast<std::int64_t>(height);
  const auto rounded = [](std::int64_t a, std::int64_t b) { return static_cast<int>((2 * a + b) / (2 * b)); };
  if (w * input.height >= h * input.width) {
    p.height = std::max(1, rounded(h * input.width, w));
  } else {
    p.width = std::max(1, rounded(w * input.height, h));
  }
  p.x = (input.width - p.width) / 2;
  p.y = (input.height - p.height) / 2;
  return p;
}

void Preparer::prepare(const ImageView& picture, const Placement& p, PillowVersion pillow, Image& out,
                       Turn turn) {
  const bool quarter = turn == Turn::quarter;
  Resizing how{quarter ? p.height : p.width, quarter ? p.width : p.height, ResizeFilter::bilinear, pillow};
  how.flip_x = turn == Turn::mirror_x;
  how.flip_y = turn == Turn::mirror_y;
  how.alpha = AlphaRule::independent;  // the colours as if there were none
  const bool direct = picture.channels == 3 && p.fills() && !quarter;
  resizer_.resize(picture, how, direct ? out : resized_);
  if (direct) return;
  out.width = p.input.width;
  out.height = p.input.height;
  out.channels = 3;
  out.pixels.resize(static_cast<std::size_t>(out.width) * static_cast<std::size_t>(out.height) * 3);
  if (!p.fills()) fill(out, kPadding.data());
  for (int y = 0; y < p.height; ++y) {
    std::uint8_t* to = out.row(p.y + y) + 3 * p.x;
    if (quarter) {
      column_to_rgb(resized_, resized_.width - 1 - y, to);
    } else {
      to_rgb(resized_.row(y), p.width, resized_.channels, to);
    }
  }
}

void pad(const ImageView& placed, const Placement& p, const std::uint8_t* padding, Image& out) {
  out.width = p.input.width;
  out.height = p.input.height;
  out.channels = placed.channels;
  out.pixels.resize(static_cast<std::size_t>(out.width) * static_cast<std::size_t>(out.height) *
                    static_cast<std::size_t>(out.channels));
  if (!p.fills()) fill(out, padding);
  for (int y = 0; y < p.height; ++y) {
    std::memcpy(out.row(p.y + y) + static_cast<std::ptrdiff_t>(p.x) * placed.channels, placed.row(y),
                static_cast<std::size_t>(p.width) * static_cast<std::size_t>(placed.channels));
  }
}

}  // namespace sam2unet::image
