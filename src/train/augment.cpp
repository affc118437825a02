#include "train/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace sam2unet::train {

Crop random_crop(int width, int height, Random& random) {
  const double area = random.uniform(0.5, 1.0),
               ratio = std::exp(random.uniform(std::log(0.75), -std::log(0.75)));
  const int w = std::clamp(static_cast<int>(width * std::sqrt(area * ratio)), 1, width);
  const int h = std::clamp(static_cast<int>(height * std::sqrt(area / ratio)), 1, height);
  return {static_cast<int>(random.below(static_cast<std::uint64_t>(width - w + 1))),
          static_cast<int>(random.below(static_cast<std::uint64_t>(height - h + 1))), w, h};
}

ImageView cut(const ImageView& image, const Crop& c) {
  ImageView v = image;
  v.data = v.row(c.y) + static_cast<std::ptrdiff_t>(c.x) * v.channels;
  v.width = c.width;
  v.height = c.height;
  return v;
}

namespace {

// Index into 0..n-1 of position i of the picture continued by its mirror images.
int mirrored(int i, int n) {
  const int period = 2 * n, at = (i % period + period) % period;
  return at < n ? at : period - 1 - at;
}

}  // namespace

void Turner::lay_out(const Image& image, const Image& mask, int margin) {
  const int width = image.width + 2 * margin, height = image.height + 2 * margin;
  padded_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  std::uint32_t* to = padded_.data();
  for (int y = 0; y < height; ++y) {
    const int from = mirrored(y - margin, image.height);
    const std::uint8_t *rgb = image.row(from), *m = mask.row(from);
    const auto pixel = [&](int x) {
      return static_cast<std::uint32_t>(rgb[3 * x] | rgb[3 * x + 1] << 8 | rgb[3 * x + 2] << 16) |
             static_cast<std::uint32_t>(m[x]) << 24;
    };
    for (int x = -margin; x < 0; ++x) *to++ = pixel(mirrored(x, image.width));
    for (int x = 0; x < image.width; ++x) *to++ = pixel(x);
    for (int x = image.width; x < image.width + margin; ++x) *to++ = pixel(mirrored(x, image.width));
  }
}

void Turner::turn(const Image& picture, const Image& truth, double degrees, const image::ColourMap& colour,
                  float* image, float* mask) {
  const int w = picture.width, h = picture.height;
  const double angle = degrees * std::numbers::pi / 180, c = std::cos(angle), s = std::sin(angle);
  const double mx = (w - 1) / 2.0, my = (h - 1) / 2.0;
  // How far a corner leaves the picture, and a pixel to interpolate with.
  const int margin = 2 + static_cast<int>(std::max({0.0, mx * std::abs(c) + my * std::abs(s) - mx,
                                                    mx * std::abs(s) + my * std::abs(c) - my}));
  lay_out(picture, truth, margin);
  // Positions as integers: the same pixels on every machine.
  const auto fixed = [](double v) { return static_cast<std::int32_t>(std::lround(v * 65536)); };
  image::SlantedRow row;
  row.pixels = padded_.data();
  row.stride = w + 2 * margin;
  row.step_x = fixed(c);
  row.step_y = fixed(s);
  row.count = static_cast<std::size_t>(w);
  for (int y = 0; y < h; ++y, image += 3 * row.count, mask += row.count) {
    row.x = fixed(mx + margin - c * mx - s * (y - my));
    row.y = fixed(my + margin - s * mx + c * (y - my));
    image::sample_slanted(row, colour, image, mask);
  }
}

void turn_ids(const Image& ids, double degrees, float* out) {
  const double angle = degrees * std::numbers::pi / 180, c = std::cos(angle), s = std::sin(angle);
  const double mx = (ids.width - 1) / 2.0, my = (ids.height - 1) / 2.0;
  const auto fixed = [](double v) { return static_cast<std::int64_t>(std::lround(v * 65536)); };
  const std::int64_t step_x = fixed(c), step_y = fixed(s), half = 32768;
  for (int y = 0; y < ids.height; ++y) {
    std::int64_t at_x = fixed(mx - c * mx - s * (y - my)), at_y = fixed(my - s * mx + c * (y - my));
    for (int x = 0; x < ids.width; ++x, at_x += step_x, at_y += step_y) {
      const int from_x = mirrored(static_cast<int>((at_x + half) >> 16), ids.width);
      *out++ = ids.row(mirrored(static_cast<int>((at_y + half) >> 16), ids.height))[from_x];
    }
  }
}

image::ColourMap colour_map(double brightness, double contrast, double saturation) {
  // gray is a sum of the channels, so each result is one too.
  constexpr std::array<double, 3> kGray{0.299, 0.587, 0.114};
  image::ColourMap map;
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 3; ++k) {
      const double same = (i == k ? saturation : 0.0) + (1 - saturation) * kGray[k];
      map.factors[i][k] = static_cast<std::int32_t>(std::lround(same * brightness * contrast * 65536));
    }
  map.constant = static_cast<std::int32_t>(std::lround(128 * (1 - contrast) * 65536)) + 32768;
  return map;
}

image::ColourMap random_colour(Random& random) {
  const double brightness = random.uniform(0.7, 1.3), contrast = random.uniform(0.7, 1.3);
  return colour_map(brightness, contrast, random.uniform(0.7, 1.3));
}

}  // namespace sam2unet::train
