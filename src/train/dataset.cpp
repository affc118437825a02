#include "train/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "data/pairing.h"
#include "image/imagenet.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;

// Files as the reference sees them: EXIF orientation ignored (dataset.py:98), in both alike.
DecodeOptions decoding(ColorMode mode) {
  DecodeOptions o;
  o.mode = mode;
  o.apply_exif_orientation = false;
  return o;
}

Image read_mask(const fs::path& path) {
  Image mask = read_image(path, decoding(ColorMode::gray));
  if (!mask.pixels.empty() && *std::max_element(mask.pixels.begin(), mask.pixels.end()) == 1) {
    for (auto& p : mask.pixels) p = p != 0 ? 255 : 0;
  }
  return mask;
}

struct Crop {
  int x = 0, y = 0, width = 0, height = 0;
};

// 50 to 100 % of the area, sides between 3:4 and 4:3 of the picture's own.
Crop random_crop(int width, int height, Random& random) {
  const double area = random.uniform(0.5, 1.0),
               ratio = std::exp(random.uniform(std::log(0.75), -std::log(0.75)));
  const int w = std::clamp(static_cast<int>(width * std::sqrt(area * ratio)), 1, width);
  const int h = std::clamp(static_cast<int>(height * std::sqrt(area / ratio)), 1, height);
  return {static_cast<int>(random.below(static_cast<std::uint64_t>(width - w + 1))),
          static_cast<int>(random.below(static_cast<std::uint64_t>(height - h + 1))), w, h};
}

ImageView cut(const Image& image, const Crop& c) {
  ImageView v = image;
  v.data = v.row(c.y) + c.x * v.channels;
  v.width = c.width;
  v.height = c.height;
  return v;
}

// Turned about its middle, bilinear; what comes from outside is black.
Image rotated(const Image& in, double degrees) {
  Image out(in.width, in.height, in.channels);
  const double a = degrees * std::numbers::pi / 180, c = std::cos(a), s = std::sin(a);
  const double mx = (in.width - 1) / 2.0, my = (in.height - 1) / 2.0;
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const double sx = c * (x - mx) - s * (y - my) + mx, sy = s * (x - mx) + c * (y - my) + my;
      const int x0 = static_cast<int>(std::floor(sx)), y0 = static_cast<int>(std::floor(sy));
      for (int ch = 0; ch < in.channels; ++ch) {
        double v = 0.0;
        for (int j = 0; j < 2; ++j) {
          for (int i = 0; i < 2; ++i) {
            const int px = x0 + i, py = y0 + j;
            if (px < 0 || py < 0 || px >= in.width || py >= in.height) continue;
            v += (1 - std::abs(sx - px)) * (1 - std::abs(sy - py)) * in.row(py)[px * in.channels + ch];
          }
        }
        out.row(y)[x * in.channels + ch] = static_cast<std::uint8_t>(std::lround(v));
      }
    }
  }
  return out;
}

// Brightness, contrast and colour by factors between 0.7 and 1.3.
void jitter(Image& image, Random& random) {
  const double brightness = random.uniform(0.7, 1.3), contrast = random.uniform(0.7, 1.3),
               colour = random.uniform(0.7, 1.3);
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    std::uint8_t* p = image.pixels.data() + i;
    const double gray = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    for (int c = 0; c < 3; ++c) {
      const double v = (((p[c] - gray) * colour + gray) * brightness - 128) * contrast + 128;
      p[c] = static_cast<std::uint8_t>(std::clamp(std::lround(v), 0L, 255L));
    }
  }
}

}  // namespace

std::vector<Pair> find_pairs(const fs::path& images, const fs::path& masks) {
  const auto left = data::pictures_by_stem(images), right = data::pictures_by_stem(masks);
  std::vector<Pair> out;
  std::vector<std::string> alone;
  for (const auto& [stem, path] : left) {
    if (const auto it = right.find(stem); it != right.end()) {
      out.push_back({path, it->second});
    } else {
      alone.push_back(path.filename().string());
    }
  }
  if (left.empty()) throw UsageError(fmt::format("{}: no pictures in this folder", images.string()));
  if (!alone.empty()) {
    throw UsageError(fmt::format("{}: {} of {} pictures have no mask of the same name in {}, the first is {}",
                                 images.string(), alone.size(), left.size(), masks.string(), alone.front()));
  }
  return out;
}

std::vector<Pair> readable_pairs(const std::vector<Pair>& pairs, int threads,
                                 std::vector<std::string>& problems) {
  std::vector<std::string> problem(pairs.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < pairs.size(); i = next++) {
      try {
        const Image image = read_image(pairs[i].image, decoding(ColorMode::rgb));
        const Image mask = read_image(pairs[i].mask, decoding(ColorMode::gray));
        if (image.width != mask.width || image.height != mask.height) {
          problem[i] = fmt::format("{} is {}x{}, its mask {}x{}", pairs[i].image.string(), image.width,
                                   image.height, mask.width, mask.height);
        }
      } catch (const Error& e) {
        problem[i] = e.what();
      }
    }
  };
  {
    std::vector<std::jthread> pool;
    for (int t = 0; t < std::max(1, threads); ++t) pool.emplace_back(work);
  }
  std::vector<Pair> good;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (problem[i].empty()) {
      good.push_back(pairs[i]);
    } else {
      problems.push_back(problem[i]);
    }
  }
  return good;
}

Sample load_sample(const Pair& pair, int size, Augment augment, Random random) {
  const Image picture = read_image(pair.image, decoding(ColorMode::rgb));
  const Image truth = read_mask(pair.mask);
  Crop crop{0, 0, picture.width, picture.height};
  // A crop is of both, so both must have one size; the official recipe resizes each for itself.
  const bool alike = picture.width == truth.width && picture.height == truth.height;
  if (augment == Augment::strong && alike) crop = random_crop(picture.width, picture.height, random);
  Image image = resize_pillow(augment == Augment::strong && alike ? cut(picture, crop) : ImageView(picture),
                              size, size, ResizeFilter::bilinear);
  Image mask = resize_pillow(augment == Augment::strong && alike ? cut(truth, crop) : ImageView(truth), size,
                             size, ResizeFilter::bicubic);
  if (augment == Augment::strong) {
    const double degrees = random.uniform(-15, 15);
    image = rotated(image, degrees);
    mask = rotated(mask, degrees);
    jitter(image, random);
  }
  const bool flip_x = augment != Augment::none && random.coin();
  const bool flip_y = augment != Augment::none && random.coin();

  const auto& level = imagenet_levels();
  Sample s;
  s.image.reserve(static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3);
  s.mask.reserve(static_cast<std::size_t>(size) * static_cast<std::size_t>(size));
  for (int y = 0; y < size; ++y) {
    const int sy = flip_y ? size - 1 - y : y;
    for (int x = 0; x < size; ++x) {
      const int sx = flip_x ? size - 1 - x : x;
      for (std::size_t c = 0; c < 3; ++c)
        s.image.push_back(level[c][image.row(sy)[sx * 3 + static_cast<int>(c)]]);
      s.mask.push_back(static_cast<float>(mask.row(sy)[sx]) / 255.0F);
    }
  }
  return s;
}

}  // namespace sam2unet::train
