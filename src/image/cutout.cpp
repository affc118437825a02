// Cut-outs: the picture with a map as its alpha.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "image/pixels.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "sam2unet/png_stream.h"

namespace sam2unet {
namespace {

// Weights of foreground and background, then both colours times their weights: what of each pixel goes into
// the sums.
constexpr std::size_t kWeights = 2, kValues = kWeights + 6;
using Line = std::vector<float>;  // kValues for each pixel of a row

// How much a pixel tells of the foreground (of the background: of 1 - alpha). The fourth power, so that in
// soft edges the solid parts decide.
float weight(float alpha) {
  return alpha * alpha * alpha * alpha;
}

struct Weights {
  float alpha = 0, foreground = 0, background = 0;
};
const std::array<Weights, 256>& weights() {
  static const auto table = [] {
    std::array<Weights, 256> out;
    for (std::size_t v = 0; v < out.size(); ++v) {
      const float a = static_cast<float>(v) / 255.0F;
      out.at(v) = {a, weight(a), weight(1.0F - a)};
    }
    return out;
  }();
  return table;
}

// Sums over a square of 2 r + 1 pixels, at the edges over what is there, by running sums: along the rows,
// then down the columns. Row by row, so that no plane of the picture's size is needed.
class BoxSums {
 public:
  using Source = std::function<void(Line& values)>;  // of one row after the other, from the first on

  BoxSums(int width, int height, int radius, const std::function<Source()>& make_source)
      : width_(width),
        height_(height),
        radius_(radius),
        entering_(make_source()),
        values_(size()),
        line_(size()),
        sum_(size()),
        out_(size()) {
    // A row that leaves the sums is what it was when it entered: kept where that is little, else made again.
    constexpr std::size_t kKept = std::size_t{16} << 20;
    const auto rows = static_cast<std::size_t>(std::min(2 * radius + 2, height));
    if (rows * size() * sizeof(float) <= kKept)
      kept_.resize(rows);
    else
      leaving_ = make_source();
    for (int y = 0; y < std::min(radius_, height_); ++y) enter(y);
  }

  /// Of the next row.
  const Line& next() {
    if (y_ + radius_ < height_) enter(y_ + radius_);
    if (y_ - radius_ - 1 >= 0) leave(y_ - radius_ - 1);
    std::transform(sum_.begin(), sum_.end(), out_.begin(), [](double s) { return static_cast<float>(s); });
    ++y_;
    return out_;
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(width_) * kValues; }

  void make_line(const Source& source, Line& line) {
    source(values_);
    std::array<double, kValues> sum{};
    const auto at = [&](Line& of, int x) { return of.data() + static_cast<std::ptrdiff_t>(x) * kValues; };
    const auto add = [&](int x) {
      for (std::size_t i = 0; i < kValues; ++i) sum[i] += at(values_, x)[i];
    };
    for (int x = 0; x < std::min(radius_, width_); ++x) add(x);
    for (int x = 0; x < width_; ++x) {
      if (x + radius_ < width_) add(x + radius_);
      if (x - radius_ - 1 >= 0)
        for (std::size_t i = 0; i < kValues; ++i) sum[i] -= at(values_, x - radius_ - 1)[i];
      for (std::size_t i = 0; i < kValues; ++i) at(line, x)[i] = static_cast<float>(sum[i]);
    }
  }

  void enter(int y) {
    make_line(entering_, line_);
    for (std::size_t i = 0; i < size(); ++i) sum_[i] += line_[i];
    if (!kept_.empty()) kept_[static_cast<std::size_t>(y) % kept_.size()] = line_;
  }
  void leave(int y) {
    if (kept_.empty()) make_line(leaving_, line_);
    const Line& line = kept_.empty() ? line_ : kept_[static_cast<std::size_t>(y) % kept_.size()];
    for (std::size_t i = 0; i < size(); ++i) sum_[i] -= line[i];
  }

  const int width_, height_, radius_;
  int y_ = 0;
  Source entering_, leaving_;
  std::vector<Line> kept_;
  Line values_, line_;
  std::vector<double> sum_;
  Line out_;
};

// Colours where the alpha is not opaque: those of the foreground, with nothing of what was behind it. Two
// passes of "Approximate Fast Foreground Colour Estimation" (Forte, ICIP 2021), whose formulas are
//   F^ = blur(F w(a)) / blur(w(a)),  B^ = blur(B w(1 - a)) / blur(w(1 - a)),  F = F^ + a (I - a F^ - (1 - a)
//   B^)
// with w(a) = a there, a^4 here. Where a is 1, F is I; where it is 0, F is what the foreground nearby looks
// like.
class Cleaner {
 public:
  // `rgba` must stay as it is.
  explicit Cleaner(const ImageView& rgba)
      : rgba_(rgba), sums_(rgba.width, rgba.height, radius(15), [this] { return second_source(); }) {}

  /// The next row, from the first on: RGBA.
  void next(std::uint8_t* out) {
    const Line& sums = sums_.next();
    const std::uint8_t* from = rgba_.row(y_++);
    for (int x = 0; x < rgba_.width; ++x, from += 4, out += 4) {
      const Estimate e = estimate(from, sums.data() + static_cast<std::ptrdiff_t>(x) * kValues);
      for (std::size_t c = 0; c < 3; ++c) {
        out[c] = from[c];
        if (from[3] == 0)
          out[c] = 0;
        else if (from[3] != 255)
          out[c] = static_cast<std::uint8_t>(e.foreground[c] + 0.5F);
      }
      out[3] = from[3];
    }
  }

 private:
  struct Estimate {
    std::array<float, 3> foreground, background;
  };

  // A wide pass finds the colours, a narrow one follows the edge, both in proportion to the picture.
  int radius(int thousandths) const {
    const auto side = static_cast<std::int64_t>(std::max(rgba_.width, rgba_.height));
    return std::max(thousandths > 50 ? 2 : 1, static_cast<int>(side * thousandths / 1000));
  }

  static Estimate estimate(const std::uint8_t* pixel, const float* sums) {
    constexpr float kNone = 1e-4F;
    const float a = weights()[pixel[3]].alpha;
    Estimate e{};
    for (std::size_t c = 0; c < 3; ++c) {
      const float level = pixel[c];
      const float mean_f = sums[0] > kNone ? sums[kWeights + c] / sums[0] : level;
      const float mean_b = sums[1] > kNone ? sums[kWeights + 3 + c] / sums[1] : level;
      e.foreground[c] = std::clamp(mean_f + a * (level - a * mean_f - (1.0F - a) * mean_b), 0.0F, 255.0F);
      e.background[c] = std::clamp(mean_b, 0.0F, 255.0F);
    }
    return e;
  }

  static void weigh(const std::uint8_t* pixel, const Estimate& colors, float* values) {
    const Weights& w = weights()[pixel[3]];
    values[0] = w.foreground;
    values[1] = w.background;
    for (std::size_t c = 0; c < 3; ++c) {
      values[kWeights + c] = colors.foreground[c] * w.foreground;
      values[kWeights + 3 + c] = colors.background[c] * w.background;
    }
  }

  // The picture itself is the first guess of both colours.
  BoxSums::Source first_source() const {
    return [this, y = 0](Line& values) mutable {
      const std::uint8_t* p = rgba_.row(y++);
      for (int x = 0; x < rgba_.width; ++x, p += 4) {
        Estimate guess{};
        for (std::size_t c = 0; c < 3; ++c) guess.foreground[c] = guess.background[c] = p[c];
        weigh(p, guess, values.data() + static_cast<std::ptrdiff_t>(x) * kValues);
      }
    };
  }

  BoxSums::Source second_source() const {
    const auto sums =
        std::make_shared<BoxSums>(rgba_.width, rgba_.height, radius(90), [this] { return first_source(); });
    return [this, sums, y = 0](Line& values) mutable {
      const Line& of_row = sums->next();
      const std::uint8_t* p = rgba_.row(y++);
      for (int x = 0; x < rgba_.width; ++x, p += 4) {
        const auto at = static_cast<std::ptrdiff_t>(x) * static_cast<std::ptrdiff_t>(kValues);
        weigh(p, estimate(p, of_row.data() + at), values.data() + at);
      }
    };
  }

  const ImageView rgba_;
  BoxSums sums_;
  int y_ = 0;
};

void check_rgba(const ImageView& rgba) {
  if (rgba.data == nullptr || rgba.channels != 4 || rgba.width < 1 || rgba.height < 1)
    throw UsageError("a cut-out is an RGBA picture of at least one pixel");
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
      to[3] = picture.channels == 4 ? from[3] : 255;
    }
  }
  multiply_alpha(out, 0, alpha);
  if (!options.clean_edges) return out;
  Image cleaned(out.width, out.height, 4);
  Cleaner cleaner(out);
  for (int y = 0; y < out.height; ++y) cleaner.next(cleaned.row(y));
  return cleaned;
}

void multiply_alpha(Image& rgba, int first, const ImageView& alpha) {
  check_rgba(rgba);
  if (first < 0 || alpha.channels != 1 || alpha.width != rgba.width || alpha.height > rgba.height - first)
    throw UsageError(fmt::format("an alpha of {} x {} pixels does not fit rows from {} on of {} x {}",
                                 alpha.width, alpha.height, first, rgba.width, rgba.height));
  for (int y = 0; y < alpha.height; ++y) {
    std::uint8_t* to = rgba.row(first + y) + 3;
    for (int x = 0; x < rgba.width; ++x, to += 4)
      *to = static_cast<std::uint8_t>(image::muldiv255(*to, alpha.row(y)[x]));
  }
}

void write_cutout_png(const ImageView& cutout, const CutoutOptions& options,
                      std::span<const std::byte> color_profile, const ByteSink& sink) {
  check_rgba(cutout);
  PngStream png(cutout.width, cutout.height, 4,
                {.palette = {}, .color_profile = color_profile, .sink = sink});
  if (!options.clean_edges) {
    png.add(cutout);
  } else {
    Cleaner cleaner(cutout);
    Image row(cutout.width, 1, 4);
    for (int y = 0; y < cutout.height; ++y) {
      cleaner.next(row.row(0));
      png.add(row);
    }
  }
  png.finish();
}

}  // namespace sam2unet
