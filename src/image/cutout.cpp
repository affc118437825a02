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

// The sum over a square of 2 r + 1 pixels, at the edges over what is there: running sums along rows, then
// columns.
void box_sum(Plane& plane, int width, int height, int radius) {
  std::vector<double> line(static_cast<std::size_t>(std::max(width, height)));
  const auto run = [&](float* first, int count, std::ptrdiff_t step) {
    double sum = 0;
    for (int i = 0; i < std::min(radius, count); ++i) sum += first[i * step];
    for (int i = 0; i < count; ++i) {
      if (i + radius < count) sum += first[(i + radius) * step];
      if (i - radius - 1 >= 0) sum -= first[(i - radius - 1) * step];
      line[static_cast<std::size_t>(i)] = sum;
    }
    for (int i = 0; i < count; ++i) first[i * step] = static_cast<float>(line[static_cast<std::size_t>(i)]);
  };
  for (int y = 0; y < height; ++y) run(plane.data() + static_cast<std::ptrdiff_t>(y) * width, width, 1);
  for (int x = 0; x < width; ++x) run(plane.data() + x, height, width);
}

// Pixels of the square around position `i` of `count` that are there.
int reach(int i, int count, int radius) {
  return std::min(i + radius, count - 1) - std::max(i - radius, 0) + 1;
}

struct Pass {
  int radius = 0;
  Plane alpha_sum;
};

// One pass of "Approximate Fast Foreground Colour Estimation" (Forte, ICIP 2021), whose formulas are
//   F^ = blur(F a) / blur(a),  B^ = blur(B (1 - a)) / blur(1 - a),  F = F^ + a (I - a F^ - (1 - a) B^).
// Where a is 1, F is I; where it is 0, F is what the foreground nearby looks like. `f` and `b` are planes of
// colour `c`; both are replaced by the estimate.
void estimate(const Image& rgba, int c, const Pass& pass, Plane& f, Plane& b) {
  const std::uint8_t* const bytes = rgba.pixels.data();
  const auto alpha_at = [&](std::size_t i) { return static_cast<float>(bytes[4 * i + 3]) / 255.0F; };
  for (std::size_t i = 0; i < f.size(); ++i) {
    f[i] *= alpha_at(i);
    b[i] *= 1.0F - alpha_at(i);
  }
  box_sum(f, rgba.width, rgba.height, pass.radius);
  box_sum(b, rgba.width, rgba.height, pass.radius);
  constexpr float kNone = 1e-3F;  // less than one level of one pixel
  std::size_t i = 0;
  for (int y = 0; y < rgba.height; ++y) {
    for (int x = 0; x < rgba.width; ++x, ++i) {
      const float a = alpha_at(i), level = bytes[4 * i + static_cast<std::size_t>(c)];
      const float rest_sum = static_cast<float>(reach(x, rgba.width, pass.radius)) *
                                 static_cast<float>(reach(y, rgba.height, pass.radius)) -
                             pass.alpha_sum[i];
      const float mean_f = pass.alpha_sum[i] > kNone ? f[i] / pass.alpha_sum[i] : 0.0F;
      const float mean_b = rest_sum > kNone ? b[i] / rest_sum : 0.0F;
      f[i] = std::clamp(mean_f + a * (level - a * mean_f - (1.0F - a) * mean_b), 0.0F, 255.0F);
      b[i] = std::clamp(mean_b, 0.0F, 255.0F);
    }
  }
}

// Colours of `rgba` where it is not opaque: those of the foreground, with nothing of what was behind it.
void clean(Image& rgba) {
  const auto pixels = static_cast<std::size_t>(rgba.width) * static_cast<std::size_t>(rgba.height);
  std::uint8_t* const bytes = rgba.pixels.data();
  // A wide pass finds the colours, a narrow one follows the edge, both in proportion to the picture.
  const int side = std::max(rgba.width, rgba.height);
  std::array<Pass, 2> passes = {Pass{std::max(2, side * 45 / 1000), {}},
                                Pass{std::max(1, side * 3 / 1000), {}}};
  for (Pass& pass : passes) {
    pass.alpha_sum.resize(pixels);
    for (std::size_t i = 0; i < pixels; ++i)
      pass.alpha_sum[i] = static_cast<float>(bytes[4 * i + 3]) / 255.0F;
    box_sum(pass.alpha_sum, rgba.width, rgba.height, pass.radius);
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
