// Options of a Segmenter together: what one of them says is not lost beside another.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model/gates.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/weights.h"
#include "support/changed_weights.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

// The tiny network with so many outputs, in a file.
struct Network {
  explicit Network(int channels, std::map<std::string, std::string> metadata = {}) {
    auto config = test::tiny_config();
    config.out_channels = channels;
    test::write_weights(file, config, std::move(metadata));
  }
  Segmenter open(Precision precision = Precision::f32) const {
    return Segmenter(file, {.threads = 1, .precision = precision});
  }
  test::TempDir dir;
  std::filesystem::path file = dir / "w.safetensors";
};

SegmentOptions sized(int width, int height) {
  SegmentOptions o;
  o.size = InputSize::of(width, height);
  return o;
}

Image mirrored(const Image& picture) {
  return apply_orientation(picture, 2);
}

// Of one channel, left to right.
std::vector<float> mirrored(std::vector<float> map, int width) {
  for (auto row = map.begin(); row != map.end(); row += width) std::reverse(row, row + width);
  return map;
}

std::vector<float> mean_of(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = (a[i] + b[i]) / 2;
  return out;
}

float difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  float worst = 0.0F;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

float range_of(const std::vector<float>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *high - *low;
}

// Of both ids: a pixel that is surely none is as sure as one that surely is.
TEST(Combinations, ConfidenceIsOfWhatWasDecided) {
  const Network one(1);
  const Image picture = test::picture(131, 147, 3);
  // Half of the logits below 0.
  test::write_filled(one.file, one.dir / "without.safetensors", "head.bias", 0.0F);
  auto logits =
      Segmenter(one.dir / "without.safetensors", {.threads = 1}).segment(picture, sized(64, 32)).logits;
  const auto middle = logits.begin() + static_cast<std::ptrdiff_t>(logits.size() / 2);
  std::nth_element(logits.begin(), middle, logits.end());
  test::write_filled(one.file, one.dir / "centred.safetensors", "head.bias", -*middle);
  const Segmenter segmenter(one.dir / "centred.safetensors", {.threads = 1});
  for (const bool mirrors : {false, true}) {  // of logits, and of averaged probabilities
    SegmentOptions options = sized(64, 32);
    options.augmentation.mirror_x = mirrors;
    const auto want = segmenter.segment(picture, options).probabilities;
    options.output = SegmentOutput::ids;
    const auto got = segmenter.segment(picture, options);
    int background = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(got.confidence[i], std::max(want[i], 1.0F - want[i]), 1e-6F) << want[i];
      background += want[i] < 0.49F ? 1 : 0;
    }
    EXPECT_GT(background, 100);
  }
}

// 30 x 300 to 64 x 32: Pillow 13 shrinks the height first, which rounds otherwise.
TEST(Combinations, PillowsVersionIsWhatWasAskedFor) {
  const Network one(1);
  const Segmenter segmenter = one.open();
  const Image tall = test::picture(30, 300, 3);
  const auto by_hand = [&](const Image& picture, PillowVersion version) {
    return segmenter.segment(resize_pillow(picture, 64, 32, ResizeFilter::bilinear, version), sized(64, 32))
        .logits;
  };
  const auto of_12 = by_hand(tall, PillowVersion::v12), of_13 = by_hand(tall, PillowVersion::v13);
  ASSERT_NE(of_12, of_13);
  SegmentOptions options = sized(64, 32);
  EXPECT_EQ(segmenter.segment(tall, options).logits, of_12);
  options.pillow = PillowVersion::v13;
  EXPECT_EQ(segmenter.segment(tall, options).logits, of_13);
  const std::vector<ImageView> two{tall, tall};
  options.batch = 1;
  EXPECT_EQ(segmenter.segment(two, options)[1].logits, of_13);
  std::vector<float> banded;
  segmenter.segment_in_bands(tall, options, [&](const SegmentationBand& b) {
    banded.insert(banded.end(), b.probabilities.begin(), b.probabilities.end());
  });
  EXPECT_EQ(banded, segmenter.segment(tall, options).probabilities);

  const auto whole = segmenter.segment(tall, options).probabilities;
  const auto turned = segmenter.segment(mirrored(tall), options).probabilities;
  options.augmentation.mirror_x = true;
  const auto both = segmenter.segment(tall, options).probabilities;
  EXPECT_LT(difference(both, mean_of(whole, mirrored(turned, 30))), 1e-6F);
  options.pillow = PillowVersion::v12;
  EXPECT_NE(segmenter.segment(tall, options).probabilities, both);
}

// 8 MiB of ids with their confidence are 1118 rows of 1500 pixels: two bands, of one pass.
TEST(Combinations, BandsOfIdsAreTheWhole) {
  const Network three(3);
  const Segmenter segmenter = three.open();
  const Image picture = test::picture(1500, 1300, 3);
  SegmentOptions options = sized(64, 32);
  options.output = SegmentOutput::ids;
  const auto whole = segmenter.segment(picture, options);
  std::vector<std::uint8_t> ids;
  std::vector<float> confidence;
  std::vector<int> firsts, rows;
  segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& b) {
    firsts.push_back(b.first);
    rows.push_back(b.rows);
    ids.insert(ids.end(), b.ids.begin(), b.ids.end());
    confidence.insert(confidence.end(), b.confidence.begin(), b.confidence.end());
  });
  EXPECT_EQ(firsts, (std::vector<int>{0, 1118}));
  EXPECT_EQ(rows, (std::vector<int>{1118, 182}));
  EXPECT_TRUE(ids == whole.ids);
  EXPECT_TRUE(confidence == whole.confidence);
}

TEST(Combinations, AugmentationKeepsTheFit) {
  const Image picture = test::picture(128, 60, 3);  // in 64 x 64: 64 x 30 in rows 17 to 46
  for (const char* trained : {"letterbox", "squash"}) {
    const Network one(1, {{model::kFitKey, trained}});
    const Segmenter segmenter = one.open();
    for (const auto fit : {std::optional<Fit>(), std::optional(Fit::squash), std::optional(Fit::letterbox)}) {
      SegmentOptions options = sized(64, 64);
      options.fit = fit;
      const auto plain = segmenter.segment(picture, options),
                 turned = segmenter.segment(mirrored(picture), options);
      EXPECT_EQ(name_of(plain.fit), fit ? name_of(*fit) : trained);
      options.augmentation.mirror_x = true;
      const auto both = segmenter.segment(picture, options);
      EXPECT_EQ(both.fit, plain.fit);
      EXPECT_LT(
          difference(both.probabilities, mean_of(plain.probabilities, mirrored(turned.probabilities, 128))),
          1e-6F)
          << trained;
    }
  }
}

TEST(Combinations, WholePicturesMayBeAllThatTilesGive) {
  const Network three(3);
  const Segmenter segmenter = three.open();
  const Image picture = test::picture(150, 90, 3);
  SegmentOptions options = sized(64, 32);
  const auto whole = segmenter.segment(picture, options).probabilities;
  options.tiles = TileOptions{.side = 64, .context = 1.0};
  EXPECT_LT(difference(segmenter.segment(picture, options).probabilities, whole), 1e-6F);
  options.tiles->context = 0.0;
  EXPECT_GT(difference(segmenter.segment(picture, options).probabilities, whole), 1e-3F);
}

// 160 pixels in tiles of 64: three side by side; of which half is shared, four.
TEST(Combinations, TilesOverlapAsAsked) {
  const Network one(1);
  const Segmenter segmenter = one.open();
  const Image picture = test::picture(160, 64, 3);
  for (const auto& [overlap, count] : {std::pair{0.0, 3}, {0.5, 4}, {0.9, 17}}) {
    SegmentOptions options = sized(32, 32);
    options.tiles = TileOptions{.side = 64, .overlap = overlap};
    std::size_t total = 0;
    options.tiles->progress = [&](std::size_t, std::size_t of) { total = of; };
    (void)segmenter.segment(picture, options);
    EXPECT_EQ(total, static_cast<std::size_t>(count)) << overlap;
  }
}

// Rows of a caller's picture may have gaps, and do not overlap.
TEST(Combinations, ViewsWithGapsAreTheirPictures) {
  const Network one(1);
  const Segmenter segmenter = one.open();
  const Image large = test::picture(200, 120, 3);
  const ImageView part(large.row(11) + 7 * 3, 101, 83, 3, 200 * 3);
  Image dense(101, 83, 3);
  for (int y = 0; y < 83; ++y) std::copy_n(part.row(y), 101 * 3, dense.row(y));
  SegmentOptions tiled = sized(32, 32), turned = sized(64, 32);
  tiled.tiles = TileOptions{.side = 48, .context = 0.3};
  turned.augmentation.quarter_turn = true;
  for (const SegmentOptions& options : {sized(64, 32), tiled, turned}) {
    EXPECT_EQ(segmenter.segment(part, options).probabilities,
              segmenter.segment(dense, options).probabilities);
    EXPECT_THROW((void)segmenter.segment(ImageView(large.row(0), 101, 83, 3, 101 * 3 - 1), options),
                 UsageError);
  }
}

TEST(Combinations, LimitsAreAllowedThemselves) {
  const Network one(1);
  const Segmenter segmenter = one.open();
  const Image picture = test::picture(8, 8, 3);
  SegmentOptions options = sized(32, 32);
  options.batch = 256;
  EXPECT_NO_THROW((void)segmenter.segment(picture, options));
  options.batch = 257;
  EXPECT_THROW((void)segmenter.segment(picture, options), UsageError);
  EXPECT_NO_THROW(Segmenter(one.file, {.threads = 1024}));
  EXPECT_THROW(Segmenter(one.file, {.threads = 1025}), UsageError);
  options = sized(32, 32);
  options.augmentation.scales = {0.25, 4.0};
  EXPECT_NO_THROW((void)segmenter.segment(picture, options));
  EXPECT_THROW((void)segmenter.forward({}, -1, InputSize::square(32)), UsageError);
}

// A scale's size is checked as the plain one is: 96 goes into windows of 12, 128 does not.
TEST(Combinations, ScaledSizesMustSuitTheNetworkToo) {
  test::TempDir dir;
  test::write_weights(dir / "w.safetensors", model::Config::from_json(R"({"embed_dim": 16,
      "stages": [1, 1, 1, 1], "global_att_blocks": [], "window_spec": [12, 4, 14, 7]})"));
  const Segmenter segmenter(dir / "w.safetensors", {.threads = 1});
  const Image picture = test::picture(40, 30, 3);
  SegmentOptions options = sized(96, 96);
  EXPECT_NO_THROW((void)segmenter.segment(picture, options));
  options.augmentation.scales = {1.25};
  EXPECT_NE(test::message_of<UsageError>([&] {
              (void)segmenter.segment(picture, options);
            }).find("input size 128x128: this network's first window of 12"),
            std::string::npos);
}

TEST(Combinations, AResultThatIsNoneIsRefusedHoweverItWasAskedFor) {
  const Network one(1);
  test::write_filled(one.file, one.dir / "large.safetensors", "head.weight", 3e38F);
  const Segmenter segmenter(one.dir / "large.safetensors", {.threads = 1});
  const Image picture = test::picture(100, 40, 3);
  SegmentOptions tiled = sized(32, 32), turned = sized(32, 32);
  tiled.tiles = TileOptions{.side = 40};
  turned.augmentation.mirror_y = true;
  for (const SegmentOptions& options : {tiled, turned}) {
    EXPECT_THROW((void)segmenter.segment(picture, options), WeightsError);
    EXPECT_THROW(segmenter.segment_in_bands(picture, options, [](const SegmentationBand&) {}), WeightsError);
  }
  std::vector<float> input(3 * 32 * 32);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i % 7) - 3.0F;
  EXPECT_THROW((void)segmenter.forward(input, 1, InputSize::square(32)), WeightsError);
}

// [N,3,H,W] as the reference normalises, one picture behind the other.
std::vector<float> normalised(const std::vector<Image>& pictures) {
  constexpr double kMean[3] = {0.485, 0.456, 0.406}, kStd[3] = {0.229, 0.224, 0.225};
  std::vector<float> out;
  for (const Image& p : pictures)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t i = c; i < p.pixels.size(); i += 3)
        out.push_back(static_cast<float>((p.pixels[i] / 255.0 - kMean[c]) / kStd[c]));
  return out;
}

TEST(Combinations, ForwardGivesThePlanesOfEachClassOfEachPicture) {
  const Network three(3);
  const Segmenter segmenter = three.open();
  const std::vector<Image> pictures{test::picture(96, 32, 3), Image(96, 32, 3)};
  const auto got = segmenter.forward(normalised(pictures), 2, InputSize::of(96, 32));
  ASSERT_EQ(got.size(), 2u * 3 * 96 * 32);
  for (std::size_t n = 0; n < 2; ++n) {
    const auto want = segmenter.segment(pictures[n], sized(96, 32)).logits;
    EXPECT_LT(difference(std::span(got).subspan(n * want.size(), want.size()), want), 1e-4F * range_of(want));
  }
}

class Precisions : public testing::TestWithParam<Precision> {};

// Sides swapped, and back: what is kept for a size (windows, positions, products) is of that size alone.
TEST_P(Precisions, OneSegmenterTakesAnySizesInAnyOrder) {
  const test::TempDir dir;
  test::write_weights(dir / "w.safetensors", test::nano_config());
  const auto open = [&] { return Segmenter(dir / "w.safetensors", {.threads = 1, .precision = GetParam()}); };
  const Segmenter segmenter = open();
  const Image picture = test::picture(50, 40, 3);
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{
           {96, 32}, {32, 96}, {64, 64}, {128, 32}, {32, 128}, {96, 32}, {32, 32}}) {
    const auto got = segmenter.segment(picture, sized(w, h));
    EXPECT_EQ(got.precision, GetParam());
    EXPECT_EQ(got.logits_size, InputSize::of(w, h));
    EXPECT_EQ(got.logits, open().segment(picture, sized(w, h)).logits) << w << "x" << h;
  }
}

// Several at once are the pictures one by one, whatever is computed in: a vivid picture does not make the
// steps coarser in which a faint one beside it is counted. Windows are cut by the edge.
TEST_P(Precisions, BatchesAreTheirPictures) {
  const test::TempDir dir;
  auto config = test::nano_config();
  config.out_channels = 3;
  test::write_weights(dir / "w.safetensors", config);
  // So many threads that the feed-forward layers of a batch are not fused where those of one picture are not.
  const Segmenter segmenter(dir / "w.safetensors", {.threads = 4, .precision = GetParam()});
  Image faint = test::picture(60, 30, 3);
  for (std::uint8_t& v : faint.pixels) v = static_cast<std::uint8_t>(120 + v / 32);
  const std::vector<Image> pictures{faint, test::picture(9, 70, 3), Image(30, 30, 3),
                                    test::picture(96, 32, 3)};
  const std::vector<ImageView> views(pictures.begin(), pictures.end());
  SegmentOptions options = sized(96, 32);
  options.batch = 3;
  const auto got = segmenter.segment(views, options);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto want = segmenter.segment(pictures[i], sized(96, 32)).logits;
    EXPECT_LE(difference(got[i].logits, want), 1e-5F * range_of(want)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(, Precisions, testing::Values(Precision::f32, Precision::bf16, Precision::int8),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

// Softmax over the classes of [K, pixels].
std::vector<double> probabilities(const std::vector<float>& logits, std::size_t classes) {
  const std::size_t n = logits.size() / classes;
  std::vector<double> out(logits.size());
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0.0;
    for (std::size_t k = 0; k < classes; ++k)
      sum += out[k * n + i] = std::exp(static_cast<double>(logits[k * n + i]));
    for (std::size_t k = 0; k < classes; ++k) out[k * n + i] /= sum;
  }
  return out;
}

// Mean over the pixels, of the class that changes most; of two pictures the mean of both.
TEST(MeasuredGates, OfClassesAreTheMeanOverPixelsOfTheLargestChange) {
  constexpr std::size_t kClasses = 4;
  const Network four(kClasses, {{"input_size", "32x64"}});
  std::vector<Image> pictures{test::picture(64, 32, 3), test::picture(90, 31, 3)};
  std::filesystem::create_directories(four.dir / "pictures");
  for (std::size_t i = 0; i < pictures.size(); ++i)
    write_png(four.dir / "pictures" / (std::to_string(i) + ".png"), pictures[i]);
  ConvertOptions options;
  options.measured = GateOptions{.pictures = four.dir / "pictures", .threads = 1};
  convert_weights(four.file, four.dir / "out.safetensors", options);
  const auto info = inspect_weights(four.dir / "out.safetensors");
  ASSERT_EQ(info.measured_pictures, 2);
  ASSERT_EQ(info.measured.size(), 2u);
  for (const MeasuredPrecision& m : info.measured) {
    const Segmenter exact = four.open(),
                    low = four.open(m.precision == "bf16" ? Precision::bf16 : Precision::int8);
    double change = 0.0;
    for (const Image& p : pictures) {
      const auto a = probabilities(exact.segment(p).logits, kClasses),
                 b = probabilities(low.segment(p).logits, kClasses);
      const std::size_t n = a.size() / kClasses;
      for (std::size_t i = 0; i < n; ++i) {
        double most = 0.0;
        for (std::size_t k = 0; k < kClasses; ++k)
          most = std::max(most, std::abs(a[k * n + i] - b[k * n + i]));
        change += most / static_cast<double>(n) / 2;
      }
    }
    // It is measured with what rounds most on any processor, which may be more than this one's own way.
    EXPECT_GT(m.change, 0.6 * change) << m.precision;
    EXPECT_LT(m.change, 2.5 * change) << m.precision;
  }
}

// How far bf16 and int8 change what weights say of the pictures of a folder.
std::vector<double> changes_of(const std::filesystem::path& weights, const std::filesystem::path& out,
                               ConvertOptions options, const std::filesystem::path& pictures) {
  options.measured = GateOptions{.pictures = pictures, .threads = 1};
  convert_weights(weights, out, options);
  std::vector<double> changes;
  for (const MeasuredPrecision& m : inspect_weights(out).measured) changes.push_back(m.change);
  return changes;
}

// As the weights were trained: a letterbox is the picture in the middle of ImageNet's mean colour.
TEST(MeasuredGates, PicturesAreFittedAsTheWeightsWereTrained) {
  const Network boxed(4, {{"input_size", "64x64"}, {model::kFitKey, "letterbox"}}),
      squashed(4, {{"input_size", "64x64"}});
  const Image picture = test::picture(64, 32, 3);
  Image by_hand(64, 64, 3);
  for (int y = 0; y < 64; ++y)
    for (int i = 0; i < 64 * 3; ++i)
      by_hand.row(y)[i] = y >= 16 && y < 48 ? picture.row(y - 16)[i] : std::array{124, 116, 104}[i % 3];
  const auto changes = [](const Network& network, const Image& image) {
    std::filesystem::create_directories(network.dir / "pictures");
    write_png(network.dir / "pictures" / "a.png", image);
    return changes_of(network.file, network.dir / "out.safetensors", {}, network.dir / "pictures");
  };
  const auto got = changes(boxed, picture);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got, changes(squashed, by_hand));
  EXPECT_NE(got, changes(squashed, picture));
}

// A task-only file and its trunk are a whole network, of which the same is measured; one without is none.
TEST(MeasuredGates, AreOfWholeNetworksAlone) {
  const Network one(1, {{"input_size", "32x64"}});
  std::filesystem::create_directories(one.dir / "pictures");
  write_png(one.dir / "pictures" / "a.png", test::picture(64, 32, 3));
  const auto task = one.dir / "task.safetensors";
  convert_weights(one.file, task, {.task_only = true});
  ConvertOptions options;
  const auto measured = [&](const std::filesystem::path& from) {
    return changes_of(from, one.dir / "out.safetensors", options, one.dir / "pictures");
  };
  const std::string refusal = ": precisions are measured of a whole SAM2-UNet, which this does not become";
  EXPECT_EQ(test::message_of<UsageError>([&] { measured(task); }), task.string() + refusal);
  const auto want = measured(one.file);
  ASSERT_EQ(want.size(), 2u);
  // What was measured is of these very weights: a copy keeps it, whatever changes them drops it.
  const auto kept_by = [&](const ConvertOptions& how) {
    const auto to = one.dir / "converted.safetensors";
    convert_weights(one.dir / "out.safetensors", to, how);
    return inspect_weights(to).measured.size();
  };
  EXPECT_EQ(kept_by({}), 2u);
  EXPECT_EQ(kept_by({.precision = WeightsPrecision::f16}), 0u);
  EXPECT_EQ(kept_by({.task_only = true}), 0u);
  EXPECT_EQ(kept_by({.trunk = one.file}), 0u);
  options.trunk = one.file;
  EXPECT_EQ(measured(task), want);
  options.trunk.clear();
  options.task_only = true;
  EXPECT_EQ(test::message_of<UsageError>([&] { measured(one.file); }), one.file.string() + refusal);
}

// What is stored is the change with the layers that stay in bfloat16, which is why they stay; each layer that
// is tried is told, then each picture.
TEST(MeasuredGates, Int8IsMeasuredWithTheLayersThatItKeeps) {
  const Network four(4, {{"input_size", "32x64"}});
  std::filesystem::create_directories(four.dir / "pictures");
  for (int i = 0; i < 2; ++i)
    write_png(four.dir / "pictures" / (std::to_string(i) + ".png"), test::picture(64 + 9 * i, 32, 3));
  using Step = std::tuple<std::string, std::size_t, std::size_t>;
  std::vector<Step> steps;
  const auto change_of = [&](KeepLayers keep) {
    steps.clear();
    ConvertOptions options;
    options.measured = GateOptions{.pictures = four.dir / "pictures", .keep = keep, .threads = 1};
    options.measured->progress = [&](const std::string& what, std::size_t done, std::size_t total) {
      steps.emplace_back(what, done, total);
    };
    convert_weights(four.file, four.dir / "out.safetensors", options);
    const auto info = inspect_weights(four.dir / "out.safetensors");
    for (const MeasuredPrecision& m : info.measured)
      if (m.precision == "int8") return std::pair{m.change, info.kept_in_bf16.size()};
    return std::pair{-1.0, std::size_t{0}};
  };
  const std::string pictures = "pictures in f32, bf16 and int8";
  std::vector<Step> told{{pictures, 1, 2}, {pictures, 2, 2}};
  const auto [all, none_kept] = change_of(KeepLayers::none);
  EXPECT_EQ(steps, told);
  const auto [some, kept] = change_of(KeepLayers::as_needed);
  auto config = test::tiny_config();
  config.out_channels = 4;
  const std::size_t layers = model::layer_groups(config).size();
  ASSERT_GT(layers, 2U);
  for (std::size_t i = layers; i > 0; --i) told.insert(told.begin(), {"layers of int8", i, layers});
  EXPECT_EQ(steps, told);
  ASSERT_EQ(none_kept, 0U);
  ASSERT_GT(kept, 0U) << all;
  EXPECT_LT(some, 0.95 * all);
}

// Which layers are kept is told by four pictures of all: of eight every other one, wherever the flat ones
// lie.
TEST(MeasuredGates, TheFewThatDecideAreSpreadOverAllPictures) {
  const Network four(4, {{"input_size", "32x64"}});
  const auto kept_of = [&](const char* name, int step) {
    const auto folder = four.dir / name;
    std::filesystem::create_directories(folder);
    for (int i = 0; i < 8; i += step)
      write_png(folder / (std::to_string(i) + ".png"),
                i % 2 == 0 ? test::picture(64 + 9 * i, 32, 3) : Image(64, 32, 3));
    ConvertOptions options;
    options.measured = GateOptions{.pictures = folder, .keep = KeepLayers::as_needed, .threads = 1};
    convert_weights(four.file, four.dir / "out.safetensors", options);
    return inspect_weights(four.dir / "out.safetensors").kept_in_bf16;
  };
  const auto wanted = kept_of("four", 2);
  EXPECT_FALSE(wanted.empty());
  EXPECT_EQ(kept_of("eight", 1), wanted);
}

// Of a trunk, whose tensors all stay, the scales that int8 weights had are none of those.
TEST(Conversion, ScalesOfATrunkGoWithItsWeights) {
  const test::TempDir dir;
  test::write_tiny_weights(dir / "trunk.safetensors", true);
  convert_weights(dir / "trunk.safetensors", dir / "int8.safetensors", {.precision = WeightsPrecision::int8});
  convert_weights(dir / "int8.safetensors", dir / "f32.safetensors", {.precision = WeightsPrecision::f32});
  const auto names = [&](const char* file) {
    std::vector<std::string> out;
    for (const auto& t : inspect_weights(dir / file).tensors) out.push_back(t.name);
    return out;
  };
  EXPECT_GT(names("int8.safetensors").size(), names("trunk.safetensors").size());
  EXPECT_EQ(names("f32.safetensors"), names("trunk.safetensors"));
}

TEST(Conversion, SaysWhatAPyTorchFileCannotCarry) {
  const Network one(1, {{model::kFitKey, "letterbox"}});
  const auto notes_of = [&](const ConvertOptions& options) {
    std::string all;
    for (const auto& note : convert_weights(one.file, one.dir / "out.pth", options)) all += note + "\n";
    return all;
  };
  EXPECT_NE(notes_of({}).find("letterboxed in training"), std::string::npos);
  EXPECT_EQ(notes_of({}).find("sample of its trunk"), std::string::npos);
  EXPECT_NE(notes_of({.task_only = true}).find("sample of its trunk"), std::string::npos);
  const Network squashed(1);
  for (const auto& note : convert_weights(squashed.file, squashed.dir / "out.pth"))
    EXPECT_EQ(note.find("letterboxed"), std::string::npos) << note;
}

}  // namespace
}  // namespace sam2unet
