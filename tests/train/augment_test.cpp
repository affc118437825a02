// What is done to a picture must be done to what is known of it, by draws whose ranges the documentation
// names.
#include "train/augment.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numbers>

#include "image/imagenet.h"
#include "support/temp_dir.h"
#include "support/turned_photo.h"
#include "train/dataset.h"

namespace sam2unet::train {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

// Ids of a picture without any symmetry, and the picture: each class a brightness of its own.
constexpr int kLevels[] = {40, 120, 210};
int id_at(int x, int y, int width, int height) {
  if (x < width / 4 && y < height / 3) return 2;
  return x > width / 2 && y > height / 4 ? 1 : 0;
}

class Samples : public ::testing::Test {
 protected:
  Pair write_pair(int width, int height, int mask_width, int mask_height) {
    Image image(width, height, 3), mask(mask_width, mask_height, 1);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c)
          image.row(y)[3 * x + c] = static_cast<std::uint8_t>(kLevels[id_at(x, y, width, height)]);
    for (int y = 0; y < mask_height; ++y)
      for (int x = 0; x < mask_width; ++x)
        mask.row(y)[x] = static_cast<std::uint8_t>(id_at(x, y, mask_width, mask_height));
    write_png(dir / "image.png", image);
    write_png(dir / "mask.png", mask);
    return {dir / "image.png", dir / "mask.png"};
  }
  // A gray level of 0 to 255 of the first channel.
  static double level(const Sample& s, std::size_t pixel) {
    return (s.image[3 * pixel] * kImagenetDeviation[0] + kImagenetMean[0]) * 255;
  }

  test::TempDir dir;
  const ClassTable table = default_class_table(3);
};

// The picture says what each pixel's class is, wherever both were mirrored to.
TEST_F(Samples, ClassMasksAreMirroredWithTheirPictures) {
  const Pair pair = write_pair(64, 64, 64, 64);
  for (std::uint64_t item = 0; item < 12; ++item) {
    const Sample s = load_sample(pair, 64, Augment::official, Random(1, 2, item), &table);
    for (std::size_t i = 0; i < s.mask.size(); ++i)
      ASSERT_NEAR(level(s, i), kLevels[static_cast<int>(s.mask[i])], 0.5) << item << " " << i;
  }
}

// Down to the two rows in the middle, and where there is one alone: below 64 x 33 pixels a letterbox begins.
TEST_F(Samples, ClassMasksAreMirroredToTheMiddle) {
  for (const int height : {64, 33}) {
    Image image(64, height, 3), mask(64, height, 1);
    for (int y = 0; y < height; ++y) {
      const int id = y < height / 2 ? 1 : 2;
      std::fill_n(image.row(y), 3 * 64, static_cast<std::uint8_t>(kLevels[id]));
      std::fill_n(mask.row(y), 64, static_cast<std::uint8_t>(id));
    }
    write_png(dir / "image.png", image);
    write_png(dir / "mask.png", mask);
    int turned = 0;
    for (std::uint64_t item = 0; item < 12; ++item) {
      const Sample s = load_sample({dir / "image.png", dir / "mask.png"}, 64, Augment::official,
                                   Random(1, 2, item), &table, Fit::letterbox);
      const std::size_t first = 64 * static_cast<std::size_t>((64 - height) / 2);
      turned += s.mask[first] == 2 ? 1 : 0;
      for (std::size_t i = 0; i < 64 * static_cast<std::size_t>(height); ++i)
        ASSERT_NEAR(level(s, first + i), kLevels[static_cast<int>(s.mask[first + i])], 0.5)
            << height << " " << i;
    }
    EXPECT_TRUE(turned > 0 && turned < 12) << turned;
  }
}

// Cut, turned, mirrored and its colours changed: all but the edges between the classes is still told by the
// order of brightness.
TEST_F(Samples, ClassMasksAreTurnedWithTheirPictures) {
  const Pair pair = write_pair(120, 90, 120, 90);
  for (std::uint64_t item = 0; item < 12; ++item) {
    const Sample s = load_sample(pair, 96, Augment::strong, Random(3, 4, item), &table);
    std::array<std::vector<double>, 3> levels;
    for (std::size_t i = 0; i < s.mask.size(); ++i)
      levels[static_cast<std::size_t>(s.mask[i])].push_back(level(s, i));
    std::array<double, 3> median{-1, -1, -1};
    for (std::size_t c = 0; c < 3; ++c) {
      if (levels[c].empty()) continue;
      std::nth_element(levels[c].begin(), levels[c].begin() + levels[c].size() / 2, levels[c].end());
      median[c] = levels[c][levels[c].size() / 2];
    }
    std::size_t wrong = 0;
    for (std::size_t c = 0; c < 3; ++c)
      for (const double v : levels[c]) wrong += std::abs(v - median[c]) > 20 ? 1 : 0;
    EXPECT_LT(wrong, s.mask.size() / 40) << item;  // two edges of 96 pixels, a pixel or two wide
  }
}

// A picture and a mask in which neighbours differ, also as files.
std::pair<Image, Image> write_patterns(const test::TempDir& dir, int width, int height) {
  Image image(width, height, 3), mask(width, height, 1);
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    mask.pixels[i] = static_cast<std::uint8_t>(i * 7 % 256);
    for (std::size_t c = 0; c < 3; ++c)
      image.pixels[3 * i + c] = static_cast<std::uint8_t>(i * (c + 3) % 251);
  }
  write_png(dir / "image.png", image);
  write_png(dir / "mask.png", mask);
  return {image, mask};
}

// The strong sample as docs/training.md spells it out, draw by draw.
TEST_F(Samples, StrongOnesAreCutTurnedColouredAndMirrored) {
  const auto [image, mask] = write_patterns(dir, 90, 70);
  for (std::uint64_t item = 0; item < 4; ++item) {
    Random random(8, 9, item);
    const Sample s = load_sample({dir / "image.png", dir / "mask.png"}, 64, Augment::strong, random);
    const Crop crop = random_crop(90, 70, random);
    const double degrees = random.uniform(-15, 15);
    const double brightness = random.uniform(0.7, 1.3), contrast = random.uniform(0.7, 1.3),
                 saturation = random.uniform(0.7, 1.3);
    const bool flip_x = random.coin(), flip_y = random.coin();
    const auto resized = [&](const Image& whole, ResizeFilter filter) {
      const Image small = resize_pillow(cut(whole, crop), 64, 64, filter);
      Image out = small;
      for (int y = 0; y < 64; ++y)
        for (int x = 0; x < 64; ++x)
          for (int c = 0; c < small.channels; ++c)
            out.row(y)[x * small.channels + c] =
                small.row(flip_y ? 63 - y : y)[(flip_x ? 63 - x : x) * small.channels + c];
      return out;
    };
    std::vector<float> wanted(64 * 64 * 3), truth(64 * 64);
    Turner().turn(resized(image, ResizeFilter::bilinear), resized(mask, ResizeFilter::bicubic), degrees,
                  colour_map(brightness, contrast, saturation), wanted.data(), truth.data());
    EXPECT_EQ(s.image, wanted) << item;
    EXPECT_EQ(s.mask, truth) << item;
  }
}

// A crop of pixels is no crop of a mask of another size: both stay whole, and together.
TEST_F(Samples, MasksOfAnotherSizeAreNotCutApart) {
  const Pair pair = write_pair(120, 90, 60, 45);
  for (std::uint64_t item = 0; item < 8; ++item) {
    const Sample s = load_sample(pair, 64, Augment::strong, Random(5, 6, item), &table);
    double low = 0, high = 0, n_low = 0, n_high = 0;
    for (std::size_t i = 0; i < s.mask.size(); ++i) {
      (s.mask[i] == 0 ? low : high) += level(s, i);
      (s.mask[i] == 0 ? n_low : n_high) += 1;
    }
    EXPECT_GT(high / n_high - low / n_low, 30)
        << item;  // levels of 120 and 210 against 40, at worst .49 of it
  }
}

TEST_F(Samples, AroundALetterboxedMaskIsTheTablesOwnIgnoredId) {
  ClassTable own = table;
  own.ignore = 77;
  const Sample s =
      load_sample(write_pair(96, 48, 96, 48), 64, Augment::none, Random(0, 0, 0), &own, Fit::letterbox);
  for (std::size_t i = 0; i < s.mask.size(); ++i) {
    const bool is_picture = i / 64 >= 16 && i / 64 < 48;
    ASSERT_EQ(s.mask[i] == 77.0F, !is_picture) << i;
  }
}

// The reference's loader does not look at EXIF (dataset.py:98), so a tag changes nothing.
TEST_F(Samples, ExifTurnsNoTrainingPicture) {
  std::vector<Sample> samples;
  for (const char orientation : {1, 6}) {
    std::ofstream(dir / "photo.jpg", std::ios::binary) << test::turned_photo(orientation);
    samples.push_back(
        load_sample({dir / "photo.jpg", dir / "photo.jpg"}, 32, Augment::none, Random(0, 0, 0)));
  }
  EXPECT_EQ(samples[0].image, samples[1].image);
  EXPECT_EQ(samples[0].mask, samples[1].mask);
}

TEST(Augmenting, CropsHaveHalfTheAreaAtLeastAndShapesBetweenThreeToFourAndFourToThree) {
  double least = 1, most = 0, widest = 0, tallest = 1e9;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    Random random(4, 5, i);
    const Crop c = random_crop(3000, 1500, random);
    const double area = c.width * 1.0 * c.height / (3000 * 1500.0);
    const double shape = (c.width / 3000.0) / (c.height / 1500.0);
    least = std::min(least, area);
    most = std::max(most, area);
    widest = std::max(widest, shape);
    tallest = std::min(tallest, shape);
  }
  // Sides that would stick out are cut, so areas fall below a half by the whole of 4:3 at most.
  EXPECT_GT(least, 0.48);
  EXPECT_LT(least, 0.52);
  EXPECT_GT(most, 0.95);
  EXPECT_NEAR(widest, 4 / 3.0, 0.02);
  EXPECT_NEAR(tallest, 3 / 4.0, 0.02);
}

// Evenly from a half to the whole, in shapes even in their logarithm: the mean area is the integral over
// both, of sides cut at the picture's own.
TEST(Augmenting, AreasOfCropsAreEvenBetweenAHalfAndTheWhole) {
  double sum = 0, integral = 0;
  constexpr int kDraws = 4000, kSteps = 200;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    Random random(4, 6, i);
    const Crop c = random_crop(3000, 1500, random);
    sum += c.width * 1.0 * c.height / (3000 * 1500.0);
  }
  for (int i = 0; i < kSteps; ++i) {
    for (int k = 0; k < kSteps; ++k) {
      const double area = 0.5 + 0.5 * (i + 0.5) / kSteps;
      const double ratio = std::pow(4 / 3.0, 2 * (k + 0.5) / kSteps - 1);
      integral += std::min(1.0, std::sqrt(area * ratio)) * std::min(1.0, std::sqrt(area / ratio));
    }
  }
  EXPECT_NEAR(sum / kDraws, integral / (kSteps * kSteps), 0.01);
}

// What the map is made of, told from the map: rows sum to brightness times contrast, the constant tells
// contrast, and the difference of two factors in one column saturation.
TEST(Augmenting, BrightnessContrastAndSaturationVaryByThirtyPercentEachForItself) {
  std::vector<double> brightness, contrast, saturation;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Random random(6, 7, i);
    const image::ColourMap m = random_colour(random);
    const double k = 1 - (m.constant - 32768) / 65536.0 / 128;
    const double sum = (m.factors[0][0] + m.factors[0][1] + m.factors[0][2]) / 65536.0;
    contrast.push_back(k);
    brightness.push_back(sum / k);
    saturation.push_back((m.factors[0][0] - m.factors[1][0]) / 65536.0 / sum);
  }
  const auto correlation = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - 1) * (b[i] - 1);
    return sum / static_cast<double>(a.size()) / (0.3 * 0.3 / 3);
  };
  for (const auto* v : {&brightness, &contrast, &saturation}) {
    const auto [low, high] = std::minmax_element(v->begin(), v->end());
    EXPECT_NEAR(*low, 0.7, 0.005);
    EXPECT_NEAR(*high, 1.3, 0.005);
  }
  EXPECT_NEAR(correlation(brightness, contrast), 0, 0.1);
  EXPECT_NEAR(correlation(contrast, saturation), 0, 0.1);
  EXPECT_NEAR(correlation(brightness, saturation), 0, 0.1);
}

// Positive is anticlockwise: what lies right of the middle comes to lie above it.
TEST(Turner, PositiveDegreesAreAnticlockwise) {
  constexpr int kSide = 65, kMiddle = 32;
  Image image(kSide, kSide, 3), mask(kSide, kSide, 1);
  for (int y = kMiddle - 3; y <= kMiddle + 3; ++y)
    for (int x = 42; x < 49; ++x) mask.row(y)[x] = image.row(y)[3 * x] = 255;
  std::vector<float> out(kSide * kSide * 3), truth(kSide * kSide), ids(kSide * kSide);
  Turner().turn(image, mask, 30, image::ColourMap(), out.data(), truth.data());
  turn_ids(mask, 30, ids.data());
  const auto middle = [&](const auto& weight) {
    double sum = 0, sx = 0, sy = 0;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        const double w = weight(static_cast<std::size_t>(y * kSide + x));
        sum += w, sx += w * x, sy += w * y;
      }
    return std::pair(sx / sum, sy / sum);
  };
  const double black = (0 - kImagenetMean[0]) / kImagenetDeviation[0];
  // 13 pixels right of the middle, turned by 30 degrees: 13 cos 30 right, 13 sin 30 above.
  for (const auto& [x, y] :
       {middle([&](std::size_t i) { return truth[i]; }), middle([&](std::size_t i) { return ids[i]; }),
        middle([&](std::size_t i) { return out[3 * i] - black; })}) {
    EXPECT_NEAR(x, kMiddle + 13 * std::numbers::sqrt3 / 2, 0.2);
    EXPECT_NEAR(y, kMiddle - 6.5, 0.2);
  }
}

// Nearest place by the formula, outside the mirror image: an oblong, so that a swapped side shows.
TEST(Turner, IdsAreThoseOfTheNearestPlace) {
  constexpr int kWidth = 40, kHeight = 24;
  Image ids(kWidth, kHeight, 1);
  for (std::size_t i = 0; i < ids.pixels.size(); ++i) ids.pixels[i] = static_cast<std::uint8_t>(i * 31 % 255);
  const auto mirrored = [](long i, long n) { return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i; };
  for (const double degrees : {-14.0, 0.0, 9.0}) {
    std::vector<float> got(ids.pixels.size());
    turn_ids(ids, degrees, got.data());
    const double a = degrees * std::numbers::pi / 180;
    std::size_t differ = 0;
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x) {
        const double dx = x - (kWidth - 1) / 2.0, dy = y - (kHeight - 1) / 2.0;
        const long from_x = std::lround(std::cos(a) * dx - std::sin(a) * dy + (kWidth - 1) / 2.0);
        const long from_y = std::lround(std::sin(a) * dx + std::cos(a) * dy + (kHeight - 1) / 2.0);
        const int wanted = ids.row(static_cast<int>(mirrored(from_y, kHeight)))[mirrored(from_x, kWidth)];
        differ += got[static_cast<std::size_t>(y * kWidth + x)] != static_cast<float>(wanted) ? 1 : 0;
      }
    EXPECT_LE(differ, 3u) << degrees;  // places between two pixels, which rounding decides
  }
}

// Bilinear between the four pixels around each place, outside the mirror image; every channel and the mask
// its own, so that none stands for another. Oblongs, turned as far as the widest margin needs.
class TurnedPixels : public ::testing::TestWithParam<std::pair<int, int>> {};
INSTANTIATE_TEST_SUITE_P(Turner, TurnedPixels, ::testing::Values(std::pair{40, 24}, std::pair{24, 40}));

TEST_P(TurnedPixels, AreMixedFromTheFourAroundTheirPlace) {
  const int width = GetParam().first, height = GetParam().second;
  Image image(width, height, 3), mask(width, height, 1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      mask.row(y)[x] = static_cast<std::uint8_t>(6 * x);
      image.row(y)[3 * x] = static_cast<std::uint8_t>(10 * y);
      image.row(y)[3 * x + 1] = static_cast<std::uint8_t>(3 * x + 5 * y);
      image.row(y)[3 * x + 2] = static_cast<std::uint8_t>(250 - 6 * x);
    }
  const auto mirrored = [](int i, int n) { return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i; };
  for (const double degrees : {-45.0, -14.0, 0.0, 9.0, 45.0}) {
    std::vector<float> got(3 * mask.pixels.size()), truth(mask.pixels.size());
    Turner().turn(image, mask, degrees, image::ColourMap(), got.data(), truth.data());
    const double a = degrees * std::numbers::pi / 180;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const double dx = x - (width - 1) / 2.0, dy = y - (height - 1) / 2.0;
        const double from_x = std::cos(a) * dx - std::sin(a) * dy + (width - 1) / 2.0;
        const double from_y = std::sin(a) * dx + std::cos(a) * dy + (height - 1) / 2.0;
        const int left = static_cast<int>(std::floor(from_x)), top = static_cast<int>(std::floor(from_y));
        const auto mixed = [&](const Image& of, int channel) {
          double sum = 0;
          for (int k = 0; k < 4; ++k) {
            const int column = left + k % 2, row = top + k / 2;
            sum += (1 - std::abs(from_x - column)) * (1 - std::abs(from_y - row)) *
                   of.row(mirrored(row, height))[mirrored(column, width) * of.channels + channel];
          }
          return sum;
        };
        const auto at = static_cast<std::size_t>(y * width + x);
        ASSERT_NEAR(truth[at] * 255, mixed(mask, 0), 1.5) << degrees << ": " << x << "," << y;
        for (std::size_t c = 0; c < 3; ++c)
          ASSERT_NEAR((got[3 * at + c] * kImagenetDeviation[c] + kImagenetMean[c]) * 255,
                      mixed(image, static_cast<int>(c)), 1.5)
              << degrees << ": " << x << "," << y << " channel " << c;
      }
  }
}

TEST(Augmenting, ACutIsTheRectangleItself) {
  Image image(6, 5, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i);
  const ImageView part = cut(image, {2, 1, 3, 4});
  ASSERT_EQ(part.width, 3);
  ASSERT_EQ(part.height, 4);
  for (int y = 0; y < 4; ++y)
    for (int i = 0; i < 9; ++i) EXPECT_EQ(part.row(y)[i], 18 * (1 + y) + 3 * 2 + i) << y << " " << i;
}

// With their shape kept the cut is resized into the square, on the mean colour, and turned with what is
// around it: of one foreground that is background.
TEST_F(Samples, StrongOnesAreLetterboxedBeforeTheyAreTurned) {
  const auto [image, mask] = write_patterns(dir, 90, 40);
  for (std::uint64_t item = 0; item < 4; ++item) {
    Random random(8, 9, item);
    const Sample s = load_sample({dir / "image.png", dir / "mask.png"}, 64, Augment::strong, random, nullptr,
                                 Fit::letterbox);
    const Crop crop = random_crop(90, 40, random);
    const double degrees = random.uniform(-15, 15);
    const double brightness = random.uniform(0.7, 1.3), contrast = random.uniform(0.7, 1.3),
                 saturation = random.uniform(0.7, 1.3);
    const bool flip_x = random.coin(), flip_y = random.coin();
    // Wider than high: 64 wide, and as high as the shape says.
    ASSERT_GT(crop.width, crop.height);
    const int height = static_cast<int>(std::lround(64.0 * crop.height / crop.width)),
              top = (64 - height) / 2;
    const auto boxed = [&](const Image& whole, ResizeFilter filter, const std::vector<int>& around) {
      const Image small = resize_pillow(cut(whole, crop), 64, height, filter);
      Image out(64, 64, small.channels);
      for (int y = 0; y < 64; ++y)
        for (int x = 0; x < 64; ++x)
          for (int c = 0; c < small.channels; ++c) {
            const int from = flip_y ? height - 1 - (y - top) : y - top;
            out.row(y)[x * small.channels + c] = static_cast<std::uint8_t>(
                y < top || y >= top + height ? around[static_cast<std::size_t>(c)]
                                             : small.row(from)[(flip_x ? 63 - x : x) * small.channels + c]);
          }
      return out;
    };
    std::vector<float> wanted(64 * 64 * 3), truth(64 * 64);
    Turner().turn(boxed(image, ResizeFilter::bilinear, {124, 116, 104}),
                  boxed(mask, ResizeFilter::bicubic, {0}), degrees,
                  colour_map(brightness, contrast, saturation), wanted.data(), truth.data());
    EXPECT_EQ(s.image, wanted) << item;
    EXPECT_EQ(s.mask, truth) << item;
  }
}

}  // namespace
}  // namespace sam2unet::train
