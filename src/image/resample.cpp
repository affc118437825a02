// Pillow's resize: two passes of integer filters with 8 bits between them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "image/pixels.h"
#include "image/resizer.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet {
namespace image {
namespace {

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

struct Filter {
  double (*weight)(double);
  double support;
};

Filter filter_of(ResizeFilter filter) {
  return filter == ResizeFilter::bilinear ? Filter{bilinear, 1.0} : Filter{bicubic, 2.0};
}

}  // namespace

// Pillow's precompute_coeffs and normalize_coeffs_8bpc. Mirrored, the last output pixel comes first.
Weights::Weights(int in_size, int out_size, ResizeFilter which, bool mirrored)
    : in_(in_size), out_(out_size), filter_(which), mirrored_(mirrored) {
  const Filter filter = filter_of(which);
  const double scale = static_cast<double>(in_size) / out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  stride_ = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  bounds_.resize(static_cast<std::size_t>(out_size) * 2);
  values_.assign(static_cast<std::size_t>(out_size) * stride_, 0);
  std::vector<double> k(stride_);
  const double inverse = 1.0 / filter_scale;
  for (int xx = 0; xx < out_size; ++xx) {
    const double center = (xx + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (int x = 0; x < count; ++x) {
      k[static_cast<std::size_t>(x)] = filter.weight((x + first - center + 0.5) * inverse);
      sum += k[static_cast<std::size_t>(x)];
    }
    const auto at = static_cast<std::size_t>(mirrored ? out_size - 1 - xx : xx);
    std::int32_t* to = values_.data() + at * stride_;
    for (int x = 0; x < count; ++x) {
      const double w = sum != 0.0 ? k[static_cast<std::size_t>(x)] / sum : k[static_cast<std::size_t>(x)];
      *to++ = static_cast<std::int32_t>((w < 0 ? -0.5 : 0.5) + w * (1 << kPrecisionBits));
    }
    bounds_[at * 2] = first;
    bounds_[at * 2 + 1] = count;
  }
}

namespace {

std::size_t row_bytes(const ImageView& v) {
  return static_cast<std::size_t>(v.width) * static_cast<std::size_t>(v.channels);
}

void set_size(Image& image, int width, int height, int channels) {
  image.width = width;
  image.height = height;
  image.channels = channels;
  image.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                      static_cast<std::size_t>(channels));
}

// Pillow resizes RGBA with the colours multiplied with alpha (RGBa), and divides afterwards.
Image premultiplied(const ImageView& image) {
  Image out(image.width, image.height, 4);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* from = image.row(y);
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < image.width; ++x, from += 4, to += 4) {
      for (int c = 0; c < 3; ++c) to[c] = static_cast<std::uint8_t>(muldiv255(from[c], from[3]));
      to[3] = from[3];
    }
  }
  return out;
}

void divide_by_alpha(Image& image) {
  for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
    const int alpha = image.pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;  // as Pillow's rgba2rgbA: kept
    for (std::size_t c = 0; c < 3; ++c) image.pixels[i + c] = clip8(255 * image.pixels[i + c] / alpha);
  }
}

// Which pass Pillow runs first for w x h -> W x H.
bool vertical_pass_first(const ImageView& image, int width, int height, PillowVersion version) {
  const std::int64_t w = image.width;
  const std::int64_t h = image.height;
  if (h <= height) return false;
  // 12.3 (not yet 9.4): very tall pictures, `size[1] > 100 * size[0]`. 13.0: h - H > 2 (w - W).
  return version == PillowVersion::v12 ? h > 100 * w : h - height > 2 * (w - width);
}

}  // namespace

const Weights& Resizer::weights(int in_size, int out_size, ResizeFilter filter, bool mirrored) {
  for (const auto& w : kept_) {
    if (w && w->is(in_size, out_size, filter, mirrored)) return *w;
  }
  auto& slot = kept_[next_++ % kept_.size()];
  slot.emplace(in_size, out_size, filter, mirrored);
  return *slot;
}

void Resizer::horizontal_pass(const ImageView& in, const Resizing& how, Image& out) {
  const Weights& w = weights(in.width, how.width, how.filter, how.flip_x);
  set_size(out, how.width, in.height, in.channels);
  scratch_.resize(resample_scratch_bytes(in.width, in.channels));
  std::vector<std::uint8_t> surplus;  // where the rows go of which the last group has too few
  std::array<const std::uint8_t*, kRowsAtOnce> from{};
  std::array<std::uint8_t*, kRowsAtOnce> to{};
  for (int y = 0; y < in.height; y += kRowsAtOnce) {
    if (in.height - y < kRowsAtOnce) surplus.resize(row_bytes(out));
    for (int r = 0; r < kRowsAtOnce; ++r) {
      from[static_cast<std::size_t>(r)] = in.row(std::min(y + r, in.height - 1));
      to[static_cast<std::size_t>(r)] = y + r < in.height ? out.row(y + r) : surplus.data();
    }
    resample_horizontal(from.data(), in.width, in.channels, w.view(), to.data(), scratch_.data());
  }
}

void Resizer::vertical_pass(const ImageView& in, const Resizing& how, Image& out) {
  const Weights& w = weights(in.height, how.height, how.filter, how.flip_y);
  const Coefficients c = w.view();
  set_size(out, in.width, how.height, in.channels);
  std::vector<const std::uint8_t*> rows(c.stride);
  for (int y = 0; y < how.height; ++y) {
    const int first = c.bounds[2 * y], count = c.bounds[2 * y + 1];
    for (int t = 0; t < count; ++t) rows[static_cast<std::size_t>(t)] = in.row(first + t);
    resample_vertical(rows.data(), c.weights + static_cast<std::size_t>(y) * c.stride, count, row_bytes(in),
                      out.row(y));
  }
}

void Resizer::resize_channels(const ImageView& in, const Resizing& how, Image& out) {
  // To mirror a side whose length stays, its pass runs with weights of one: the pixels as they are.
  const bool horizontal = how.width != in.width || how.flip_x;
  const bool vertical = how.height != in.height || how.flip_y;
  if (!horizontal && !vertical) {
    set_size(out, in.width, in.height, in.channels);
    for (int y = 0; y < in.height; ++y) std::memcpy(out.row(y), in.row(y), row_bytes(in));
  } else if (!vertical) {
    horizontal_pass(in, how, out);
  } else if (!horizontal) {
    vertical_pass(in, how, out);
  } else if (vertical_pass_first(in, how.width, how.height, how.version)) {
    vertical_pass(in, how, between_);
    horizontal_pass(between_, how, out);
  } else {
    horizontal_pass(in, how, between_);
    vertical_pass(between_, how, out);
  }
}

void Resizer::resize(const ImageView& in, const Resizing& how, Image& out) {
  constexpr int kMaxSide = 1 << 24;
  if (in.width <= 0 || in.height <= 0 || in.data == nullptr)
    throw UsageError("an empty picture cannot be resized");
  if (in.channels != 1 && in.channels != 3 && in.channels != 4) {
    throw UsageError(
        fmt::format("a picture of {} channels cannot be resized, only of 1, 3 or 4", in.channels));
  }
  if (how.width <= 0 || how.height <= 0 || how.width > kMaxSide || how.height > kMaxSide ||
      static_cast<std::int64_t>(how.width) * how.height > std::int64_t{1} << 31) {
    throw UsageError(fmt::format("a picture cannot be resized to {} x {} pixels", how.width, how.height));
  }
  if (in.channels == 4 && how.alpha == AlphaRule::weighted &&
      (how.width != in.width || how.height != in.height)) {
    resize_channels(premultiplied(in), how, out);
    divide_by_alpha(out);
  } else {
    resize_channels(in, how, out);
  }
}

}  // namespace image

Image resize_pillow(const ImageView& view, int width, int height, ResizeFilter filter,
                    PillowVersion version) {
  image::Resizer resizer;
  Image out;
  resizer.resize(view, {width, height, filter, version}, out);
  return out;
}

}  // namespace sam2unet
