// Pillow's resize: two passes of integer filters with 8 bits between them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "image/pixels.h"
#include "image/resample_kernels.h"
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

// Pillow's precompute_coeffs and normalize_coeffs_8bpc, weights repeated `repeat` times and padded with
// zeros.
struct Weights {
  int taps = 0;
  std::size_t stride = 0;
  std::vector<int> bounds;
  std::vector<std::int32_t> values;

  Weights(int in_size, int out_size, Filter filter, std::size_t repeat, std::size_t lanes);
  Coefficients view() const { return {taps, stride, bounds.data(), values.data()}; }
};

Weights::Weights(int in_size, int out_size, Filter filter, std::size_t repeat, std::size_t lanes) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  stride = (static_cast<std::size_t>(taps) * repeat + lanes - 1) / lanes * lanes;
  bounds.resize(static_cast<std::size_t>(out_size) * 2);
  values.assign(static_cast<std::size_t>(out_size) * stride, 0);
  std::vector<double> k(static_cast<std::size_t>(taps));
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
    std::int32_t* to = values.data() + static_cast<std::size_t>(xx) * stride;
    for (int x = 0; x < count; ++x) {
      const double w = sum != 0.0 ? k[static_cast<std::size_t>(x)] / sum : k[static_cast<std::size_t>(x)];
      const auto fixed = static_cast<std::int32_t>((w < 0 ? -0.5 : 0.5) + w * (1 << kPrecisionBits));
      for (std::size_t r = 0; r < repeat; ++r) *to++ = fixed;
    }
    bounds[static_cast<std::size_t>(xx) * 2] = first;
    bounds[static_cast<std::size_t>(xx) * 2 + 1] = count;
  }
}

// A picture between the passes: rows may be written a little beyond their end.
struct Buffer {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::size_t row_bytes = 0;
  std::vector<std::uint8_t> bytes;

  Buffer(int w, int h, int c)
      : width(w),
        height(h),
        channels(c),
        row_bytes(static_cast<std::size_t>(w) * static_cast<std::size_t>(c)),
        bytes(row_bytes * static_cast<std::size_t>(h) + kRowSlack) {}
  std::uint8_t* row(int y) { return bytes.data() + static_cast<std::size_t>(y) * row_bytes; }
  const std::uint8_t* row(int y) const { return bytes.data() + static_cast<std::size_t>(y) * row_bytes; }
};

ImageView view_of(const Buffer& b) {
  return {b.bytes.data(), b.width, b.height, b.channels, static_cast<std::ptrdiff_t>(b.row_bytes)};
}

std::size_t row_bytes(const ImageView& v) {
  return static_cast<std::size_t>(v.width) * static_cast<std::size_t>(v.channels);
}

void spread_to_quads(const std::uint8_t* from, int width, std::uint8_t* to) {
  for (int x = 0; x < width; ++x, from += 3, to += 4) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
  }
}

void gather_from_quads(const std::uint8_t* from, int width, std::uint8_t* to) {
  for (int x = 0; x < width; ++x, from += 4, to += 3) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
  }
}

Buffer horizontal_pass(const ImageView& in, int width, Filter filter) {
  const bool gray = in.channels == 1;
  const Weights weights(in.width, width, filter, gray ? 1 : 4, resample_lanes());
  Buffer out(width, in.height, in.channels);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(in.width) * (gray ? 1 : 4) + kRowSlack);
  std::vector<std::uint8_t> quads(static_cast<std::size_t>(width) * 4 + kRowSlack);
  for (int y = 0; y < in.height; ++y) {
    if (gray) {
      std::memcpy(row.data(), in.row(y), row_bytes(in));
      resample_gray(row.data(), weights.view(), width, out.row(y));
    } else if (in.channels == 4) {
      std::memcpy(row.data(), in.row(y), row_bytes(in));
      resample_quads(row.data(), weights.view(), width, out.row(y));
    } else {
      spread_to_quads(in.row(y), in.width, row.data());
      resample_quads(row.data(), weights.view(), width, quads.data());
      gather_from_quads(quads.data(), width, out.row(y));
    }
  }
  return out;
}

Buffer vertical_pass(const ImageView& in, int height, Filter filter) {
  const Weights weights(in.height, height, filter, 1, 1);
  Buffer out(in.width, height, in.channels);
  std::vector<const std::uint8_t*> rows(static_cast<std::size_t>(weights.taps));
  for (int y = 0; y < height; ++y) {
    const int first = weights.bounds[static_cast<std::size_t>(y) * 2];
    const int count = weights.bounds[static_cast<std::size_t>(y) * 2 + 1];
    for (int t = 0; t < count; ++t) rows[static_cast<std::size_t>(t)] = in.row(first + t);
    resample_vertical(rows.data(), weights.values.data() + static_cast<std::size_t>(y) * weights.stride,
                      count, row_bytes(in), out.row(y));
  }
  return out;
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

Image to_image(const ImageView& in) {
  Image out(in.width, in.height, in.channels);
  for (int y = 0; y < in.height; ++y) std::memcpy(out.row(y), in.row(y), row_bytes(in));
  return out;
}

Image to_image(Buffer&& buffer) {
  Image out;
  out.width = buffer.width;
  out.height = buffer.height;
  out.channels = buffer.channels;
  buffer.bytes.resize(buffer.row_bytes * static_cast<std::size_t>(buffer.height));
  out.pixels = std::move(buffer.bytes);
  return out;
}

Image resize_channels(const ImageView& image, int width, int height, ResizeFilter which,
                      bool vertical_first) {
  const Filter filter = filter_of(which);
  const bool horizontal = width != image.width;
  const bool vertical = height != image.height;
  if (!horizontal && !vertical) return to_image(image);
  if (!vertical) return to_image(horizontal_pass(image, width, filter));
  if (!horizontal) return to_image(vertical_pass(image, height, filter));
  if (vertical_first)
    return to_image(horizontal_pass(view_of(vertical_pass(image, height, filter)), width, filter));
  return to_image(vertical_pass(view_of(horizontal_pass(image, width, filter)), height, filter));
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
}  // namespace image

Image resize_pillow(const ImageView& view, int width, int height, ResizeFilter filter,
                    PillowVersion version) {
  constexpr int kMaxSide = 1 << 24;
  if (view.width <= 0 || view.height <= 0 || view.data == nullptr)
    throw UsageError("an empty picture cannot be resized");
  if (view.channels != 1 && view.channels != 3 && view.channels != 4) {
    throw UsageError(
        fmt::format("a picture of {} channels cannot be resized, only of 1, 3 or 4", view.channels));
  }
  if (width <= 0 || height <= 0 || width > kMaxSide || height > kMaxSide ||
      static_cast<std::int64_t>(width) * height > std::int64_t{1} << 31) {
    throw UsageError(fmt::format("a picture cannot be resized to {} x {} pixels", width, height));
  }
  const bool vertical_first = image::vertical_pass_first(view, width, height, version);
  if (view.channels == 4 && (width != view.width || height != view.height)) {
    Image out = image::resize_channels(image::premultiplied(view), width, height, filter, vertical_first);
    image::divide_by_alpha(out);
    return out;
  }
  return image::resize_channels(view, width, height, filter, vertical_first);
}

}  // namespace sam2unet
