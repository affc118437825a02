#include "data/mask_check.h"

#include <algorithm>

namespace sam2unet::data {

namespace {

constexpr int kNearEnd = 24;

struct Levels {
  std::array<std::int64_t, 256> counts{};
  std::int64_t pixels = 0;
  int brightest = 0;
  int distinct = 0;
  int large = 0;  // levels that cover a good part of the picture
  std::int64_t covered_by_large = 0;
  std::int64_t between = 0;    // pixels that are neither 0 nor 255
  std::int64_t near_ends = 0;  // of these, within 24 levels of 0 or 255
};

Levels levels_of(const Image& gray) {
  Levels l;
  for (const std::uint8_t v : gray.pixels) ++l.counts[v];
  l.pixels = static_cast<std::int64_t>(gray.pixels.size());
  for (int v = 0; v < 256; ++v) {
    const std::int64_t n = l.counts[static_cast<std::size_t>(v)];
    if (n == 0) continue;
    l.brightest = v;
    ++l.distinct;
    // Half a percent; near black and white, where compression leaves much, two.
    const bool near_ends = v <= kNearEnd || v >= 255 - kNearEnd;
    if (v == 0 || v == 255 || n * (near_ends ? 50 : 200) >= l.pixels) {
      ++l.large;
      l.covered_by_large += n;
    }
    if (v != 0 && v != 255) {
      l.between += n;
      if (near_ends) l.near_ends += n;
    }
  }
  return l;
}

bool has_colour(const Image& image) {
  // Chroma subsampling of a gray JPEG leaves a level or two of difference.
  constexpr int kTolerance = 8;
  if (image.channels < 3) return false;
  const auto step = static_cast<std::size_t>(image.channels);
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += step) {
    const int r = image.pixels[i], g = image.pixels[i + 1], b = image.pixels[i + 2];
    if (r - g > kTolerance || g - r > kTolerance || g - b > kTolerance || b - g > kTolerance) return true;
  }
  return false;
}

// The share of pixels between 0 and 255 that lie more than four pixels off the edge: soft edges have none,
// compression leaves ripples as far as its blocks reach.
double far_from_edge(const Image& gray, std::int64_t between) {
  constexpr int kReach = 4;
  std::int64_t far = 0;
  for (int y = 0; y < gray.height; ++y) {
    for (int x = 0; x < gray.width; ++x) {
      const std::uint8_t v = gray.row(y)[x];
      if (v == 0 || v == 255) continue;
      bool alike = true;
      for (int i = std::max(0, y - kReach); i <= std::min(gray.height - 1, y + kReach) && alike; ++i) {
        for (int k = std::max(0, x - kReach); k <= std::min(gray.width - 1, x + kReach) && alike; ++k) {
          alike = (gray.row(i)[k] > 127) == (v > 127);
        }
      }
      far += alike ? 1 : 0;
    }
  }
  return static_cast<double>(far) / static_cast<double>(between);
}

MaskKind kind_of(const Levels& l, const Image& gray, const ImageInfo& info) {
  if (l.brightest == 0) return MaskKind::empty;
  if (l.brightest == 1) return MaskKind::zero_one;
  // Few levels, all low: 0, 1, 2, ... Or three and more levels, each of a good part of the picture.
  constexpr int kHighestClass = 64;
  if (l.brightest <= kHighestClass && l.distinct > 2) return MaskKind::class_ids;
  if (l.large >= 3 && l.covered_by_large * 100 >= l.pixels * 99) return MaskKind::class_ids;
  if (l.brightest <= 128) return MaskKind::dim;
  constexpr int kFewPixels = 16, kFewLevels = 8;
  if (l.between <= kFewPixels || l.distinct <= kFewLevels) return MaskKind::good;
  // Soft edges have all levels alike, and only along the edge.
  const bool only_near_ends = l.near_ends * 20 > l.between * 19;
  if (info.format == ImageFormat::jpeg || only_near_ends || far_from_edge(gray, l.between) > 0.02) {
    return MaskKind::jpeg_noise;
  }
  return MaskKind::good;
}

}  // namespace

bool is_shape_in_alpha(const Image& rgba) {
  if (rgba.channels != 4) return false;
  const std::vector<std::uint8_t>& p = rgba.pixels;
  bool alpha_varies = false;
  for (std::size_t i = 4; i < p.size(); i += 4) {
    if (p[i] != p[0] || p[i + 1] != p[1] || p[i + 2] != p[2]) return false;
    alpha_varies = alpha_varies || p[i + 3] != p[3];
  }
  return alpha_varies;
}

MaskReport check_mask(const Image& mask, const ImageInfo& info) {
  MaskReport report;
  const Image gray = convert_color(mask, ColorMode::gray);
  const Levels levels = levels_of(gray);
  std::int64_t foreground = 0;
  for (int v = levels.brightest / 2 + 1; v < 256; ++v)
    foreground += levels.counts[static_cast<std::size_t>(v)];
  report.foreground = static_cast<double>(foreground) / static_cast<double>(levels.pixels);
  report.brightest = levels.brightest;
  report.kind = is_shape_in_alpha(mask) ? MaskKind::alpha
                : has_colour(mask)      ? MaskKind::colour
                                        : kind_of(levels, gray, info);
  return report;
}

}  // namespace sam2unet::data
