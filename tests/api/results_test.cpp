// What a Segmenter's results are made of: batches, classes, bands, letterboxes, against a naive spelling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <tuple>

#include "model/metadata.h"
#include "sam2unet/classes.h"
#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "support/changed_weights.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

model::Config with_classes(int channels) {
  auto config = test::tiny_config();
  config.out_channels = channels;
  return config;
}

// The tiny network with so many outputs.
struct Tiny {
  explicit Tiny(int channels, std::map<std::string, std::string> metadata = {}) {
    test::write_weights(dir / "w.safetensors", with_classes(channels), std::move(metadata));
  }
  Segmenter open(int threads = 0) const { return Segmenter(dir / "w.safetensors", {.threads = threads}); }
  test::TempDir dir;
};

SegmentOptions small() {
  SegmentOptions o;
  o.size = InputSize::of(64, 32);
  return o;
}

std::vector<Image> eight_pictures() {
  std::vector<Image> out;
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{
           {31, 47}, {100, 60}, {64, 32}, {1, 1}, {200, 17}, {9, 121}, {80, 80}, {65, 33}})
    out.push_back(test::picture(w, h, 3));
  return out;
}

// align_corners false, at one position.
float resized(const std::vector<float>& plane, int w, int h, int x, int y, int width, int height) {
  const auto tap = [](int at, int in, int out) {
    const double source = std::max(0.0, (at + 0.5) * in / out - 0.5);
    const int first = std::min(static_cast<int>(source), in - 1);
    return std::tuple(first, std::min(first + 1, in - 1), static_cast<float>(source - first));
  };
  const auto [x0, x1, wx] = tap(x, w, width);
  const auto [y0, y1, wy] = tap(y, h, height);
  const auto at = [&](int px, int py) { return plane[static_cast<std::size_t>(py * w + px)]; };
  const float top = (1.0F - wx) * at(x0, y0) + wx * at(x1, y0);
  const float bottom = (1.0F - wx) * at(x0, y1) + wx * at(x1, y1);
  return (1.0F - wy) * top + wy * bottom;
}

TEST(Segmentation, TheReferencesMapIsTruncatedAndAPlainOneRounded) {
  Segmentation s;
  s.width = 4;
  s.height = 1;
  s.probabilities = {0.4F / 255.0F, 0.6F / 255.0F, 0.999F, 1.0F};
  EXPECT_EQ(s.to_gray().pixels, (std::vector<std::uint8_t>{0, 1, 255, 255}));
  s.official = true;  // test.py:43
  EXPECT_EQ(s.to_gray().pixels, (std::vector<std::uint8_t>{0, 0, 254, 255}));
}

// numpy.argmax: the first of those that are largest.
TEST(Segmentation, AmongEqualClassesTheFirstIsTaken) {
  const Tiny three(3);
  test::write_filled(three.dir / "w.safetensors", three.dir / "equal.safetensors", "head.", 0.0F);
  SegmentOptions options = small();
  for (const auto output : {SegmentOutput::probabilities, SegmentOutput::ids}) {
    options.output = output;
    const auto s = Segmenter(three.dir / "equal.safetensors").segment(test::picture(31, 47, 3), options);
    EXPECT_EQ(s.to_ids().pixels, std::vector<std::uint8_t>(31 * 47, 0));
  }
}

// exp of a logit beyond 88 is no float: softmax is taken of the distance to the largest.
TEST(Segmentation, LargeLogitsHaveProbabilities) {
  const Tiny three(3);
  test::write_filled(three.dir / "w.safetensors", three.dir / "large.safetensors", "head.weight", 1e4F);
  const auto s = Segmenter(three.dir / "large.safetensors").segment(test::picture(31, 47, 3), small());
  EXPECT_GT(std::abs(s.logits[0]), 1000.0F);
  for (std::size_t i = 0; i < 31 * 47; ++i) {
    const float sum = s.probabilities[i] + s.probabilities[31 * 47 + i] + s.probabilities[2 * 31 * 47 + i];
    ASSERT_NEAR(sum, 1.0F, 1e-5F) << i;
  }
}

TEST(Segmentation, OneForegroundIsDecidedAtAHalf) {
  const Tiny one(1);
  SegmentOptions options = small();
  const Image picture = test::picture(131, 147, 3);
  // A bias by which half of all is below.
  const auto with_bias = [&](float bias) {
    test::write_filled(one.dir / "w.safetensors", one.dir / "biased.safetensors", "head.bias", bias);
    return Segmenter(one.dir / "biased.safetensors");
  };
  auto logits = with_bias(0.0F).segment(picture, options).logits;
  std::nth_element(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(logits.size() / 2),
                   logits.end());
  const Segmenter segmenter = with_bias(-logits[logits.size() / 2]);
  const auto s = segmenter.segment(picture, options);
  options.output = SegmentOutput::ids;
  const auto ids = segmenter.segment(picture, options);
  const Image of_map = s.to_ids();
  std::size_t below = 0, above = 0;
  for (std::size_t i = 0; i < s.probabilities.size(); ++i) {
    const float p = s.probabilities[i];
    below += p > 0.4F && p < 0.5F ? 1 : 0;
    above += p >= 0.5F && p < 0.6F ? 1 : 0;
    ASSERT_EQ(ids.ids[i], p >= 0.5F ? 1 : 0) << p;
    ASSERT_EQ(ids.confidence[i], p >= 0.5F ? p : 1.0F - p);
    ASSERT_EQ(of_map.pixels[i], ids.ids[i]) << p;
  }
  EXPECT_GT(below, 0u);
  EXPECT_GT(above, 0u);
  Segmentation four;
  four.width = 4;
  four.height = 1;
  four.probabilities = {0.0F, std::nextafter(0.5F, 0.0F), 0.5F, 1.0F};
  EXPECT_EQ(four.to_ids().pixels, (std::vector<std::uint8_t>{0, 0, 1, 1}));
}

TEST(Segmentation, ATableOfOtherClassesThanTheOutputsIsRefused) {
  for (const int named : {2, 4}) {
    const Tiny three(3, {{model::kClassesKey, to_json(default_class_table(named))}});
    const std::string said = test::message_of<WeightsError>([&] { three.open(); });
    EXPECT_NE(said.find("3 output channels"), std::string::npos) << said;
  }
}

class Batches : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(Batches, AreTheirPicturesOneByOne) {
  const auto [channels, threads] = GetParam();
  const Tiny tiny(channels);
  const Segmenter segmenter = tiny.open(threads);
  const auto pictures = eight_pictures();
  const std::vector<ImageView> views(pictures.begin(), pictures.end());
  for (const int batch : {0, 3, 8}) {
    SegmentOptions options = small();
    options.batch = batch;
    const auto got = segmenter.segment(views, options);
    ASSERT_EQ(got.size(), pictures.size());
    std::size_t different = 0, pixels = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto want = segmenter.segment(pictures[i], small());
      ASSERT_EQ(got[i].logits.size(), want.logits.size());
      const auto [low, high] = std::minmax_element(want.logits.begin(), want.logits.end());
      float worst = 0.0F;
      for (std::size_t j = 0; j < want.logits.size(); ++j)
        worst = std::max(worst, std::abs(got[i].logits[j] - want.logits[j]));
      EXPECT_LE(worst, 1e-6F * (*high - *low)) << "picture " << i << " in batches of " << batch;
      for (int k = 0; k < channels; ++k) {
        const Image a = got[i].to_gray(k), b = want.to_gray(k);
        ASSERT_EQ(a.pixels.size(), b.pixels.size());
        pixels += a.pixels.size();
        for (std::size_t j = 0; j < a.pixels.size(); ++j) {
          EXPECT_LE(std::abs(a.pixels[j] - b.pixels[j]), 1);
          different += a.pixels[j] != b.pixels[j] ? 1 : 0;
        }
      }
    }
    EXPECT_LE(different * 10000, pixels);
  }
}
INSTANTIATE_TEST_SUITE_P(, Batches,
                         testing::Values(std::pair(1, 1), std::pair(1, 2), std::pair(4, 1), std::pair(4, 2)),
                         [](const auto& tested) {
                           return "K" + std::to_string(tested.param.first) + "Threads" +
                                  std::to_string(tested.param.second);
                         });

TEST(Results, OneForegroundIsTheSigmoidOfTheResizedLogitsToTheBit) {
  const Tiny tiny(1);
  const Image picture = test::picture(101, 57, 3);
  const auto s = tiny.open(2).segment(picture, small());
  EXPECT_EQ(s.channels, 1);
  EXPECT_EQ(s.classes, nullptr);
  ASSERT_EQ(s.map().size(), 101u * 57u);
  for (int y = 0; y < 57; ++y)
    for (int x = 0; x < 101; ++x) {
      const float want = 1.0F / (1.0F + std::exp(-resized(s.logits, 64, 32, x, y, 101, 57)));
      ASSERT_EQ(s.map()[static_cast<std::size_t>(y * 101 + x)], want) << x << "," << y;
    }
}

TEST(Results, ClassesAreTheSoftmaxOfTheResizedLogits) {
  constexpr int kClasses = 4;
  const Tiny tiny(kClasses);
  const Segmenter segmenter = tiny.open(2);
  const Image picture = test::picture(70, 41, 3);
  const auto s = segmenter.segment(picture, small());
  ASSERT_EQ(s.channels, kClasses);
  ASSERT_NE(s.classes, nullptr);
  EXPECT_EQ(s.classes->size(), kClasses);
  SegmentOptions wants_ids = small();
  wants_ids.output = SegmentOutput::ids;
  const auto ids = segmenter.segment(picture, wants_ids);
  EXPECT_TRUE(ids.probabilities.empty());
  EXPECT_THROW((void)ids.map(), UsageError);
  EXPECT_EQ(ids.to_ids().pixels, s.to_ids().pixels);
  std::vector<bool> seen(kClasses);
  for (int y = 0; y < 41; ++y)
    for (int x = 0; x < 70; ++x) {
      const auto at = static_cast<std::size_t>(y * 70 + x);
      double e[kClasses], sum = 0.0;
      for (int k = 0; k < kClasses; ++k) {
        const std::vector<float> plane(s.logits.begin() + k * 64 * 32, s.logits.begin() + (k + 1) * 64 * 32);
        sum += e[k] = std::exp(static_cast<double>(resized(plane, 64, 32, x, y, 70, 41)));
      }
      const int best = static_cast<int>(std::max_element(e, e + kClasses) - e);
      for (int k = 0; k < kClasses; ++k) ASSERT_NEAR(s.map(k)[at], e[k] / sum, 1e-6);
      ASSERT_EQ(ids.ids[at], best);
      ASSERT_NEAR(ids.confidence[at], e[best] / sum, 1e-6);
      seen[static_cast<std::size_t>(best)] = true;
    }
  EXPECT_GT(std::count(seen.begin(), seen.end(), true), 1);  // else the ids prove little
}

TEST(Results, BandsAreTheWhole) {
  for (const int channels : {1, 3}) {
    const Tiny tiny(channels);
    const Segmenter segmenter = tiny.open();
    const Image picture = test::picture(1500, 1700, 3);
    SegmentOptions options = small();
    options.official = channels == 1;
    const auto whole = segmenter.segment(picture, options);
    int next = 0, bands = 0;
    segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& b) {
      EXPECT_EQ(b.first, next);
      EXPECT_EQ(b.width, 1500);
      EXPECT_EQ(b.channels, channels);
      for (int k = 0; k < channels; ++k) {
        const auto want = whole.map(k).subspan(static_cast<std::size_t>(b.first) * 1500,
                                               static_cast<std::size_t>(b.rows) * 1500);
        const auto got = b.probabilities.subspan(
            static_cast<std::size_t>(k) * static_cast<std::size_t>(b.rows) * 1500, want.size());
        EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin())) << "band " << bands << " class " << k;
      }
      next += b.rows;
      ++bands;
    });
    EXPECT_EQ(next, 1700);
    EXPECT_GT(bands, 1);
  }
}

// The middle of the input is the picture as squashed into that place, and only it comes back.
TEST(Results, LetterboxesKeepTheShapeAndAreUndone) {
  const Tiny tiny(1);
  const Segmenter segmenter = tiny.open();
  SegmentOptions options;
  options.size = InputSize::square(64);
  options.fit = Fit::letterbox;
  const Image wide = test::picture(128, 50, 3);  // 64 x 25 in rows 19 to 43
  const auto s = segmenter.segment(wide, options);
  EXPECT_EQ(s.fit, Fit::letterbox);
  Image input(64, 64, 3);
  for (std::size_t i = 0; i < input.pixels.size(); i += 3) {
    input.pixels[i] = 124;
    input.pixels[i + 1] = 116;
    input.pixels[i + 2] = 104;
  }
  const Image middle = resize_pillow(wide, 64, 25, ResizeFilter::bilinear);
  for (int y = 0; y < 25; ++y) std::copy_n(middle.row(y), 64 * 3, input.row(19 + y));
  SegmentOptions squash = options;
  squash.fit = Fit::squash;
  EXPECT_EQ(s.logits, segmenter.segment(input, squash).logits);
  const std::vector<float> inside(s.logits.begin() + 19 * 64, s.logits.begin() + 44 * 64);
  for (int y = 0; y < 50; ++y)
    for (int x = 0; x < 128; ++x) {
      const float want = 1.0F / (1.0F + std::exp(-resized(inside, 64, 25, x, y, 128, 50)));
      ASSERT_EQ(s.map()[static_cast<std::size_t>(y * 128 + x)], want);
    }
  // A picture of the input's shape has no padding: the same bits either way.
  const Image square = test::picture(90, 90, 3);
  EXPECT_EQ(segmenter.segment(square, options).probabilities,
            segmenter.segment(square, squash).probabilities);
  // One pixel of height stays one.
  EXPECT_EQ(segmenter.segment(test::picture(500, 1, 3), options).map().size(), 500u);
}

TEST(Results, WeightsSayHowTheyWereTrained) {
  const ClassTable table = [] {
    ClassTable t = default_class_table(3);
    t.classes[1].name = "road";
    return t;
  }();
  const Tiny tiny(3, {{"fit", "letterbox"}, {"classes", to_json(table)}});
  const Segmenter segmenter = tiny.open();
  const SegmenterInfo& info = segmenter.info();
  EXPECT_EQ(info.variant, "custom");
  EXPECT_EQ(info.device, "cpu");
  EXPECT_EQ(info.precision, Precision::f32);
  EXPECT_EQ(info.channels, 3);
  EXPECT_EQ(info.fit, Fit::letterbox);
  EXPECT_GE(info.batch, 1);
  EXPECT_EQ(segmenter.classes()->classes[1].name, "road");
  EXPECT_EQ(segmenter.segment(test::picture(20, 10, 3), small()).fit, Fit::letterbox);

  const Tiny wrong(4, {{"classes", to_json(table)}});
  EXPECT_NE(test::message_of<WeightsError>([&] { wrong.open(); }).find("4 output channels"),
            std::string::npos);
  const Tiny odd(1, {{"fit", "stretch"}});
  EXPECT_NE(test::message_of<Error>([&] { odd.open(); }).find("stretch"), std::string::npos);
}

TEST(Results, WeightsMayBeBytes) {
  const Tiny tiny(1);
  std::ifstream file(tiny.dir / "w.safetensors", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  const Image picture = test::picture(40, 30, 3);
  EXPECT_EQ(Segmenter(bytes, "memory").segment(picture, small()).probabilities,
            tiny.open().segment(picture, small()).probabilities);
  EXPECT_NE(test::message_of<FormatError>([&] {
              Segmenter(bytes.first(bytes.size() / 2), "half a file");
            }).find("half a file"),
            std::string::npos);
}

TEST(Results, WhatCannotBeMeantIsNamed) {
  const Tiny tiny(3);
  const Segmenter segmenter = tiny.open();
  const Image picture = test::picture(20, 20, 3);
  SegmentOptions options = small();
  options.official = true;
  EXPECT_THROW((void)segmenter.segment(picture, options), UsageError);
  options = small();
  options.batch = -1;
  EXPECT_THROW((void)segmenter.segment(picture, options), UsageError);
  const auto s = segmenter.segment(picture, small());
  EXPECT_THROW((void)s.map(3), UsageError);
  EXPECT_THROW((void)s.map(-1), UsageError);
  EXPECT_TRUE(segmenter.segment(std::span<const ImageView>(), small()).empty());
  const std::vector<ImageView> views{picture, ImageView()};
  EXPECT_THROW((void)segmenter.segment(views, small()), UsageError);
  EXPECT_THROW((void)parse_fit("stretch"), UsageError);
}

TEST(Tiled, OneTileThatCoversThePictureIsNone) {
  for (const int channels : {1, 4}) {
    const Tiny tiny(channels);
    const Segmenter segmenter = tiny.open(2);
    for (const auto& [w, h] : std::vector<std::pair<int, int>>{{1, 1}, {33, 70}, {70, 70}, {70, 12}}) {
      const Image picture = test::picture(w, h, 3);
      SegmentOptions tiled = small();
      tiled.size = InputSize::square(64);
      SegmentOptions plain = tiled;
      tiled.tiles = TileOptions{.side = 70, .context = 0.5};
      std::size_t done = 0;
      tiled.tiles->progress = [&](std::size_t n, std::size_t of) { done += n == of ? 1 : 0; };
      const auto want = segmenter.segment(picture, plain), got = segmenter.segment(picture, tiled);
      EXPECT_EQ(got.probabilities, want.probabilities);
      EXPECT_EQ(got.logits, want.logits);
      EXPECT_EQ(done, 1u);
      // In bands as well.
      std::vector<std::pair<std::size_t, std::size_t>> steps;
      tiled.tiles->progress = [&](std::size_t n, std::size_t of) { steps.emplace_back(n, of); };
      segmenter.segment_in_bands(picture, tiled, [](const SegmentationBand&) {});
      EXPECT_EQ(steps, (std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}}));
      tiled.tiles = TileOptions{};  // automatic: no smaller than the input
      if (w <= 64 && h <= 64) {
        EXPECT_EQ(segmenter.segment(picture, tiled).probabilities, want.probabilities);
      }
    }
  }
}

// Every way to ask for a result gives the same one.
TEST(Tiled, BandsIdsAndBatchesAgree) {
  for (const int channels : {1, 3}) {
    const Tiny tiny(channels);
    const Segmenter segmenter = tiny.open(2);
    const Image picture = test::picture(211, 157, 3);
    for (const char* augmentation : {"", "hflip,rot90,scale=0.5"}) {
      SegmentOptions options = small();
      options.size = InputSize::square(32);
      options.tiles = TileOptions{.side = 75, .context = 0.2};
      options.augmentation = parse_augmentation(augmentation);
      std::vector<std::pair<std::size_t, std::size_t>> steps;
      options.tiles->progress = [&](std::size_t n, std::size_t of) { steps.emplace_back(n, of); };
      const auto whole = segmenter.segment(picture, options);
      EXPECT_TRUE(whole.logits.empty());
      ASSERT_FALSE(steps.empty());
      EXPECT_EQ(steps.size(), steps.back().second);
      EXPECT_EQ(steps.back().first, steps.back().second);
      options.tiles->progress = {};
      for (int i = 0; i < 211 * 157; ++i) {
        float sum = 0.0F;
        for (int k = 0; k < channels; ++k) sum += whole.map(k)[static_cast<std::size_t>(i)];
        if (channels > 1) {
          ASSERT_NEAR(sum, 1.0F, 1e-5F);
        }
      }
      std::vector<float> banded(whole.probabilities.size());
      segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& b) {
        EXPECT_TRUE(b.ids.empty());
        for (std::ptrdiff_t k = 0; k < channels; ++k)
          std::copy_n(b.probabilities.begin() + k * b.rows * 211, b.rows * 211,
                      banded.begin() + (k * 157 + b.first) * 211);
      });
      EXPECT_EQ(banded, whole.probabilities);

      options.output = SegmentOutput::ids;
      const auto ids = segmenter.segment(picture, options);
      EXPECT_EQ(ids.to_ids().pixels, whole.to_ids().pixels);
      std::vector<std::uint8_t> banded_ids;
      std::vector<float> confidence;
      segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& b) {
        EXPECT_TRUE(b.probabilities.empty());
        banded_ids.insert(banded_ids.end(), b.ids.begin(), b.ids.end());
        confidence.insert(confidence.end(), b.confidence.begin(), b.confidence.end());
      });
      EXPECT_EQ(banded_ids, ids.ids);
      EXPECT_EQ(confidence, ids.confidence);
      options.tiles.reset();
      if (*augmentation == '\0') {
        std::vector<std::uint8_t> plain;
        segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& b) {
          plain.insert(plain.end(), b.ids.begin(), b.ids.end());
        });
        EXPECT_EQ(plain, segmenter.segment(picture, options).ids);
      }
    }
    SegmentOptions options = small();
    options.tiles = TileOptions{.side = 64};
    options.batch = 4;
    const std::vector<ImageView> two{picture, picture};
    const auto results = segmenter.segment(two, options);
    const auto alone = segmenter.segment(picture, options);
    EXPECT_EQ(results[0].probabilities, alone.probabilities);
    EXPECT_EQ(results[1].probabilities, alone.probabilities);
  }
}

TEST(Tiled, AugmentationOfSymmetricPicturesIsSymmetric) {
  const Tiny tiny(1);
  const Segmenter segmenter = tiny.open();
  Image picture = test::picture(90, 50, 3);
  for (int y = 0; y < 50; ++y)
    for (int x = 0; x < 45; ++x) std::copy_n(picture.row(y) + x * 3, 3, picture.row(y) + (89 - x) * 3);
  SegmentOptions options = small();
  const auto spread = [&](const Segmentation& s) {
    float worst = 0.0F;
    for (int y = 0; y < 50; ++y)
      for (int x = 0; x < 45; ++x)
        worst = std::max(worst, std::abs(s.map()[static_cast<std::size_t>(y * 90 + x)] -
                                         s.map()[static_cast<std::size_t>(y * 90 + 89 - x)]));
    return worst;
  };
  EXPECT_GT(spread(segmenter.segment(picture, options)), 1e-4F);  // the network is not
  options.augmentation.mirror_x = true;
  EXPECT_LT(spread(segmenter.segment(picture, options)), 1e-5F);
}

TEST(Tiled, WhatCannotBeMeantIsNamed) {
  const Tiny tiny(1);
  const Segmenter segmenter = tiny.open();
  const Image picture = test::picture(20, 20, 3);
  const auto says = [&](const SegmentOptions& o) {
    return test::message_of<UsageError>([&] { (void)segmenter.segment(picture, o); });
  };
  SegmentOptions options = small();
  options.official = true;
  options.tiles = TileOptions{};
  EXPECT_NE(says(options).find("neither tiles nor augmentation"), std::string::npos);
  options.tiles.reset();
  options.augmentation.mirror_y = true;
  EXPECT_NE(says(options).find("neither tiles nor augmentation"), std::string::npos);
  options = small();
  options.tiles = TileOptions{.side = 8};
  EXPECT_NE(says(options).find("tile of 8"), std::string::npos);
  options.tiles = TileOptions{.overlap = 1.0};
  EXPECT_NE(says(options).find("overlap of 1"), std::string::npos);
  options.tiles.reset();
  options.augmentation.scales = {100.0};
  EXPECT_NE(says(options).find("scale of 100"), std::string::npos);
}

TEST(Results, AViewIsNeverMadeWithAStrideOfZero) {
  const Image picture = test::picture(20, 10, 3);
  const ImageView dense(picture.pixels.data(), 20, 10, 3);
  const ImageView zero(picture.pixels.data(), 20, 10, 3, 0);
  EXPECT_EQ(dense.stride, 60);
  EXPECT_EQ(zero.stride, 60);
}

}  // namespace
}  // namespace sam2unet
