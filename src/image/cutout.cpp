// Cut-outs: the picture with a map as its alpha.
#include <algorithm>
#include <array>
#include <vector>

#include "image/pixels.h"
#include "sam2unet/draw.h"

namespace sam2unet {
namespace {

// A plane of the picture's size.
using Plane = std::vector<float>;

// The sum over a square of 2 r + 1 pixels, at the edges over what is there, by running sums.
void sum_rows(Plane& plane, int width, int height, int radius) {
  std::vector<float> line(static_cast<std::size_t>(width));
  for (int y = 0; y < height; ++y) {
    float* row = plane.data() + static_cast<std::ptrdiff_t>(y) * width;
    double sum = 0;
    for (int x = 0; x < std::min(radius, width); ++x) sum += row[x];
    for (int x = 0; x < width; ++x) {
      if (x + radius < width) sum += row[x + radius];
      if (x - radius - 1 >= 0) sum -= row[x - radius - 1];
      line[static_cast<std::size_t>(x)] = static_cast<float>(sum);
    }
    std::copy(line.begin(), line.end(), row);
  }
}

// The same down the columns, a row at a time; rows that were replaced are kept as long as they are in the
// sums.
void sum_columns(Plane& plane, int width, int height, int radius) {
  const auto w = static_cast<std::size_t>(width);
  const auto row = [&](int y) { return plane.data() + static_cast<std::ptrdiff_t>(y) * width; };
  std::vector<double> sum(w);
  std::vector<float> kept(w * static_cast<std::size_t>(radius + 1));
  const auto old = [&](int y) { return kept.data() + static_cast<std::ptrdiff_t>(y % (radius + 1)) * width; };
  for (int y = 0; y < std::min(radius, height); ++y) {
    for (std::size_t x = 0; x < w; ++x) sum[x] += row(y)[x];
  }
  for (int y = 0; y < height; ++y) {
    if (y + radius < height) {
      for (std::size_t x = 0; x < w; ++x) sum[x] += row(y + radius)[x];
    }
    if (y - radius - 1 >= 0) {
      for (std::size_t x = 0; x < w; ++x) sum[x] -= old(y - radius - 1)[x];
    }
    std::copy(row(y), row(y) + width, old(y));
    for (std::size_t x = 0; x < w; ++x) row(y)[x] = static_cast<float>(sum[x]);
  }
}

void box_sum(Plane& plane, int width, int height, int radius) {
  sum_rows(plane, width, height, radius);
  sum_columns(plane, width, height, radius);
}

// How much a pixel tells of the foreground (of the background: of 1 - alpha). The fourth power, so that in
// soft edges the solid parts decide.
float weight(float alpha) {
  return alpha * alpha * alpha * alpha;
}

struct Pass {
  int radius = 0;
  Plane foreground, background;  // sums of the weights
};

// One pass of "Approximate Fast Foreground Colour Estimation" (Forte, ICIP 2021), whose formulas are
//   F^ = blur(F w(a)) / blur(w(a)),  B^ = blur(B w(1 - a)) / blur(w(1 - a)),  F = F^ + a (I - a F^ - (1 - a)
//   B^)
// with w(a) = a there, a^4 here. Where a is 1, F is I; where it is 0, F is what the foreground nearby looks
// like. `f` and `b` are planes of colour `c`; both are replaced by the estimate.
void estimate(const Image& rgba, int c, const Pass& pass, Plane& f, Plane& b) {
  const std::uint8_t* const bytes = rgba.pixels.data();
  const auto alpha_at = [&](std::size_t i) { return static_cast<float>(bytes[4 * i + 3]) / 255.0F; };
  for (std::size_t i = 0; i < f.size(); ++i) {
    f[i] *= weight(alpha_at(i));
    b[i] *= weight(1.0F - alpha_at(i));
  }
  box_sum(f, rgba.width, rgba.height, pass.radius);
  box_sum(b, rgba.width, rgba.height, pass.radius);
  constexpr float kNone = 1e-4F;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const float a = alpha_at(i), level = bytes[4 * i + static_cast<std::size_t>(c)];
    const float mean_f = pass.foreground[i] > kNone ? f[i] / pass.foreground[i] : level;
    const float mean_b = pass.background[i] > kNone ? b[i] / pass.background[i] : level;
    f[i] = std::clamp(mean_f + a * (level - a * mean_f - (1.0F - a) * mean_b), 0.0F, 255.0F);
    b[i] = std::clamp(mean_b, 0.0F, 255.0F);
  }
}

// Colours of `rgba` where it is not opaque: those of the foreground, with nothing of what was behind it.
void clean(Image& rgba) {
  const auto pixels = static_cast<std::size_t>(rgba.width) * static_cast<std::size_t>(rgba.height);
  std::uint8_t* const bytes = rgba.pixels.data();
  // A wide pass finds the colours, a narrow one follows the edge, both in proportion to the picture.
  const int side = std::max(rgba.width, rgba.height);
  std::array<Pass, 2> passes;
  passes[0].radius = std::max(2, side * 90 / 1000);
  passes[1].radius = std::max(1, side * 15 / 1000);
  for (Pass& pass : passes) {
    pass.foreground.resize(pixels);
    pass.background.resize(pixels);
    for (std::size_t i = 0; i < pixels; ++i) {
      const float a = static_cast<float>(bytes[4 * i + 3]) / 255.0F;
      pass.foreground[i] = weight(a);
      pass.background[i] = weight(1.0F - a);
    }
    box_sum(pass.foreground, rgba.width, rgba.height, pass.radius);
    box_sum(pass.background, rgba.width, rgba.height, pass.radius);
  }
  for (int c = 0; c < 3; ++c) {
    Plane f(pixels), b(pixels);
    for (std::size_t i = 0; i < pixels; ++i) f[i] = b[i] = bytes[4 * i + static_cast<std::size_t>(c)];
    for (const Pass& pass : passes) estimate(rgba, c, pass, f, b);
    for (std::size_t i = 0; i < pixels; ++i) {
      std::uint8_t* p = bytes + 4 * i;
      if (p[3] == 0)
        p[c] = 0;
      else if (p[3] != 255)
        p[c] = static_cast<std::uint8_t>(f[i] + 0.5F);
    }
  }
}

}  // namespace

Image cut_out(const ImageView& picture, const ImageView& alpha, const CutoutOptions& options) {
  image::check_pair(picture, alpha);
  Image out(picture.width, picture.height, 4);
  for (int y = 0; y < picture.height; ++y) {
    const std::uint8_t* from = picture.row(y);
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < picture.width; ++x, from += picture.channels, to += 4) {
      for (int c = 0; c < 3; ++c) to[c] = from[picture.channels == 1 ? 0 : c];
      to[3] = picture.channels == 4 ? static_cast<std::uint8_t>(image::muldiv255(from[3], alpha.row(y)[x]))
                                    : alpha.row(y)[x];
    }
  }
  if (options.clean_edges) clean(out);
  return out;
}

}  // namespace sam2unet
