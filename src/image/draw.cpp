#include "sam2unet/draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "image/overlay_rows.h"
#include "image/pixels.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace image {

void check_pair(const ImageView& picture, const ImageView& mask) {
  if (picture.data == nullptr || mask.data == nullptr) throw UsageError("the picture or its mask is empty");
  if (picture.channels != 1 && picture.channels != 3 && picture.channels != 4) {
    throw UsageError(fmt::format("a picture has 1, 3 or 4 channels, not {}", picture.channels));
  }
  if (mask.channels != 1) throw UsageError(fmt::format("a mask has 1 channel, not {}", mask.channels));
  if (picture.width != mask.width || picture.height != mask.height) {
    throw UsageError(fmt::format("a mask of {} x {} pixels does not fit a picture of {} x {}", mask.width,
                                 mask.height, picture.width, picture.height));
  }
}

int outline_of(const OverlayOptions& options, const ImageView& picture) {
  constexpr int kPixelsPerThickness = 300;
  if (options.outline >= 0) return options.outline;
  return std::max(1,
                  (std::min(picture.width, picture.height) + kPixelsPerThickness / 2) / kPixelsPerThickness);
}

OverlayRows overlay_rows(const ImageView& picture, const OverlayOptions& options, ByteSink sink) {
  OverlayOptions how = options;
  how.outline = outline_of(options, picture);
  // A line reaches so far from its pixel, and the pixel's neighbours decide whether it is on the line.
  return {picture, how.outline + 1,
          [how](const ImageView& pixels, const ImageView& mask) { return draw_overlay(pixels, mask, how); },
          std::move(sink)};
}

}  // namespace image

namespace {

constexpr std::uint8_t kInside = 128;

void check_map(std::span<const float> map, int width, int height) {
  if (width <= 0 || height <= 0 ||
      map.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height)) {
    throw UsageError(
        fmt::format("a map of {} values is not one of {} x {} pixels", map.size(), width, height));
  }
}

// Colour `c` of a gray, RGB or RGBA pixel.
std::uint8_t color_of(const ImageView& picture, const std::uint8_t* pixel, int c) {
  return pixel[picture.channels == 1 ? 0 : c];
}

bool inside(const ImageView& mask, int x, int y) {
  return x >= 0 && y >= 0 && x < mask.width && y < mask.height && mask.row(y)[x] >= kInside;
}

// Inside, with a pixel beside it that is outside. The edge of the picture is no outline.
bool on_outline(const ImageView& mask, int x, int y) {
  if (!inside(mask, x, y)) return false;
  return (x > 0 && !inside(mask, x - 1, y)) || (x + 1 < mask.width && !inside(mask, x + 1, y)) ||
         (y > 0 && !inside(mask, x, y - 1)) || (y + 1 < mask.height && !inside(mask, x, y + 1));
}

void paint(Image& image, int x, int y, const Color& color) {
  std::uint8_t* p = image.row(y) + static_cast<std::ptrdiff_t>(x) * 3;
  p[0] = color.red;
  p[1] = color.green;
  p[2] = color.blue;
}

void draw_outline(Image& image, const ImageView& mask, int thickness, const Color& color) {
  const int before = (thickness - 1) / 2;
  const int after = thickness / 2;
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (!on_outline(mask, x, y)) continue;
      for (int j = std::max(y - before, 0); j <= std::min(y + after, mask.height - 1); ++j) {
        for (int i = std::max(x - before, 0); i <= std::min(x + after, mask.width - 1); ++i)
          paint(image, i, j, color);
      }
    }
  }
}

}  // namespace

Image threshold_map(std::span<const float> map, int width, int height, double threshold) {
  check_map(map, width, height);
  Image mask(width, height, 1);
  for (std::size_t i = 0; i < map.size(); ++i) mask.pixels[i] = map[i] >= threshold ? 255 : 0;
  return mask;
}

Image draw_overlay(const ImageView& picture, const ImageView& mask, const OverlayOptions& options) {
  image::check_pair(picture, mask);
  if (!(options.opacity >= 0.0 && options.opacity <= 1.0)) {
    throw UsageError(fmt::format("an opacity lies between 0 and 1, not at {}", options.opacity));
  }
  const std::uint8_t color[3] = {options.color.red, options.color.green, options.color.blue};
  const int weight = static_cast<int>(std::lround(options.opacity * 256));
  Image out(picture.width, picture.height, 3);
  for (int y = 0; y < picture.height; ++y) {
    const std::uint8_t* from = picture.row(y);
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < picture.width; ++x, from += picture.channels, to += 3) {
      const int w = mask.row(y)[x] >= kInside ? weight : 0;
      for (int c = 0; c < 3; ++c) {
        to[c] = static_cast<std::uint8_t>((color_of(picture, from, c) * (256 - w) + color[c] * w + 128) >> 8);
      }
    }
  }
  const int thickness = image::outline_of(options, picture);
  if (thickness > 0) draw_outline(out, mask, thickness, options.color);
  return out;
}

std::vector<std::byte> encode_overlay_png(const ImageView& picture, const ImageView& mask,
                                          const OverlayOptions& options) {
  image::check_pair(picture, mask);
  image::OverlayRows rows = image::overlay_rows(picture, options, {});
  rows.add(mask);
  return rows.finish();
}

MaskSummary summarize_map(std::span<const float> map, int width, int height, double threshold) {
  check_map(map, width, height);
  SummaryBuilder inside;
  const float* p = map.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x, ++p)
      if (*p >= threshold) inside.add(x, y, *p);
  }
  return inside.summary();
}

}  // namespace sam2unet
