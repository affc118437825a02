#include "api/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ops/cpu/kernels.h"
#include "ops/cpu/threads.h"
#include "sam2unet/errors.h"

namespace sam2unet::api {
namespace {

using ops::kernels::BilinearTap;

// ImageNet's mean in 8 bits: next to nothing once it is normalised.
constexpr std::array<std::uint8_t, 3> kPadding{124, 116, 104};

void fill_with_padding(Image& image) {
  for (std::size_t i = 0; i < image.pixels.size(); i += 3)
    std::copy(kPadding.begin(), kPadding.end(), image.pixels.begin() + static_cast<std::ptrdiff_t>(i));
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

// Where the positions of the picture lie among the logits, the padding left out.
struct Taps {
  std::vector<BilinearTap> vertical, horizontal;

  explicit Taps(const Placement& p)
      : vertical(ops::kernels::bilinear_taps(p.height, p.picture_height, /*align_corners=*/false)),
        horizontal(ops::kernels::bilinear_taps(p.width, p.picture_width, /*align_corners=*/false)) {}
};

// Rows of one channel's logits at the picture's size. The two rows of logits that a row lies between are
// widened once, and serve all rows between them.
class RowResizer {
 public:
  RowResizer(const float* logits, const Placement& p, const Taps& taps)
      : logits_(logits), placement_(p), taps_(taps) {
    for (auto& row : rows_) row.values.resize(static_cast<std::size_t>(p.picture_width));
  }

  void resize(int y, float* out) {
    const BilinearTap& t = taps_.vertical[static_cast<std::size_t>(y)];
    const float* above = widened(t.first, t.second);
    const float* below = widened(t.second, t.first);
    ops::kernels::mix_rows(above, below, t.weight, static_cast<std::int64_t>(taps_.horizontal.size()), out);
  }

 private:
  struct Row {
    int y = -1;
    std::vector<float> values;
  };

  const float* widened(int y, int other) {
    for (const Row& row : rows_)
      if (row.y == y) return row.values.data();
    Row& row = rows_[rows_[0].y == other ? 1 : 0];
    row.y = y;
    const float* from =
        logits_ + static_cast<std::ptrdiff_t>(placement_.y + y) * placement_.input.width + placement_.x;
    ops::kernels::widen_row(from, taps_.horizontal, row.values.data());
    return row.values.data();
  }

  const float* logits_;
  const Placement& placement_;
  const Taps& taps_;
  std::array<Row, 2> rows_;
};

// One per channel.
std::vector<RowResizer> resizers_of(const PlacedLogits& logits, const Taps& taps) {
  std::vector<RowResizer> out;
  const auto plane =
      static_cast<std::ptrdiff_t>(logits.placement.input.width) * logits.placement.input.height;
  for (int k = 0; k < logits.channels; ++k)
    out.emplace_back(logits.values.data() + k * plane, logits.placement, taps);
  return out;
}

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

// Of `channels` rows, `plane` floats apart.
void softmax(float* rows, int channels, std::int64_t plane, int width) {
  for (int x = 0; x < width; ++x) {
    float max = rows[x];
    for (int k = 1; k < channels; ++k) max = std::max(max, rows[k * plane + x]);
    float sum = 0.0F;
    for (int k = 0; k < channels; ++k) sum += rows[k * plane + x] = std::exp(rows[k * plane + x] - max);
    for (int k = 0; k < channels; ++k) rows[k * plane + x] /= sum;
  }
}

}  // namespace

void check_picture(const ImageView& picture) {
  if (picture.data == nullptr || picture.width < 1 || picture.height < 1 ||
      (picture.channels != 1 && picture.channels != 3 && picture.channels != 4) ||
      picture.stride < static_cast<std::ptrdiff_t>(picture.width) * picture.channels) {
    throw UsageError(fmt::format(
        "picture of {}x{} with {} channels and stride {}: needs at least one pixel, 1, 3 or 4 channels, "
        "and a stride of whole rows",
        picture.width, picture.height, picture.channels, picture.stride));
  }
}

Placement place(const ImageView& picture, const InputSize& input, Fit fit) {
  Placement p{picture.width, picture.height, input, 0, 0, input.width, input.height};
  if (fit == Fit::squash) return p;
  // Whichever side fills the input exactly is not rounded.
  const auto w = static_cast<std::int64_t>(picture.width), h = static_cast<std::int64_t>(picture.height);
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

void Preparer::prepare(const ImageView& picture, const Placement& p, PillowVersion pillow, Image& out) {
  image::Resizing how{p.width, p.height, ResizeFilter::bilinear, pillow};
  how.alpha = image::AlphaRule::independent;  // the colours as if there were none
  const bool direct = picture.channels == 3 && p.fills();
  resizer_.resize(picture, how, direct ? out : resized_);
  if (direct) return;
  out.width = p.input.width;
  out.height = p.input.height;
  out.channels = 3;
  out.pixels.resize(static_cast<std::size_t>(out.width) * static_cast<std::size_t>(out.height) * 3);
  if (!p.fills()) fill_with_padding(out);
  for (int y = 0; y < p.height; ++y)
    to_rgb(resized_.row(y), p.width, resized_.channels, out.row(p.y + y) + 3 * p.x);
}

void finish_rows(const PlacedLogits& logits, Activation activation, int first, int last, int threads,
                 float* out) {
  const int width = logits.placement.picture_width;
  const std::int64_t plane = static_cast<std::int64_t>(last - first) * width;
  const Taps taps(logits.placement);
  ops::parallel_rows(threads, last - first, [&](std::int64_t begin, std::int64_t end) {
    auto resizers = resizers_of(logits, taps);
    for (std::int64_t row = begin; row < end; ++row) {
      float* to = out + row * width;
      for (int k = 0; k < logits.channels; ++k)
        resizers[static_cast<std::size_t>(k)].resize(first + static_cast<int>(row), to + k * plane);
      if (activation == Activation::softmax) softmax(to, logits.channels, plane, width);
      if (activation != Activation::sigmoid) continue;
      for (int k = 0; k < logits.channels; ++k)
        std::transform(to + k * plane, to + k * plane + width, to + k * plane, sigmoid);
    }
  });
}

void finish_ids(const PlacedLogits& logits, int threads, std::uint8_t* ids, float* confidence) {
  const int width = logits.placement.picture_width, height = logits.placement.picture_height;
  const Taps taps(logits.placement);
  ops::parallel_rows(threads, height, [&](std::int64_t begin, std::int64_t end) {
    auto resizers = resizers_of(logits, taps);
    std::vector<float> rows(static_cast<std::size_t>(width) * static_cast<std::size_t>(logits.channels));
    for (std::int64_t y = begin; y < end; ++y) {
      for (std::size_t k = 0; k < resizers.size(); ++k)
        resizers[k].resize(static_cast<int>(y), rows.data() + k * static_cast<std::size_t>(width));
      for (int x = 0; x < width; ++x) {
        const auto logit = [&](int k) {
          return rows[static_cast<std::size_t>(k) * static_cast<std::size_t>(width) +
                      static_cast<std::size_t>(x)];
        };
        const std::int64_t at = y * width + x;
        if (logits.channels == 1) {
          const float p = sigmoid(logit(0));
          ids[at] = p >= 0.5F ? 1 : 0;
          confidence[at] = p >= 0.5F ? p : 1.0F - p;
          continue;
        }
        int best = 0;
        for (int k = 1; k < logits.channels; ++k)
          if (logit(k) > logit(best)) best = k;
        float sum = 0.0F;
        for (int k = 0; k < logits.channels; ++k) sum += std::exp(logit(k) - logit(best));
        ids[at] = static_cast<std::uint8_t>(best);
        confidence[at] = 1.0F / sum;
      }
    }
  });
}

Range range_of(std::span<const float> map) {
  if (map.empty()) return {};
  const auto [low, high] = std::minmax_element(map.begin(), map.end());
  return {*low, *high};
}

void stretch(std::span<float> map, const Range& range) {
  const float least = range.min, extent = range.max - range.min + 1e-8F;
  for (float& v : map) v = (v - least) / extent;
}

}  // namespace sam2unet::api
