// Validation against the network's own logits, thresholded, counted and compared here.
#include "train/validate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "image/imagenet.h"
#include "image/placement.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kSide = 64;

// Pictures of the network's own size, so that nothing is resized between logits and truth.
class Validating : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    for (int i = 0; i < 3; ++i) {
      Image image(kSide, kSide, 3), mask(kSide, kSide, 1);
      Random random(static_cast<std::uint64_t>(i), 2, 3);
      for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x) {
          for (int c = 0; c < 3; ++c)
            image.row(y)[3 * x + c] = static_cast<std::uint8_t>(4 * (c == 0 ? x : c == 1 ? y : 20 * i));
          mask.row(y)[x] = static_cast<std::uint8_t>(x < 4 ? 9 : x * y > 900 + 300 * i ? 1 : y > 50 ? 2 : 0);
        }
      const std::string name = std::to_string(i) + ".png";
      write_png(dir / name, image);
      write_png(dir / ("ids" + name), mask);
      for (auto& p : mask.pixels) p = p == 1 ? 255 : 0;
      write_png(dir / ("mask" + name), mask);
      masks.push_back({dir / name, dir / ("mask" + name)});
      ids.push_back({dir / name, dir / ("ids" + name)});
    }
    table.ignore = 9;
  }
  static model::Config config(int outputs) {
    model::Config c = test::tiny_config();
    c.out_channels = outputs;
    return c;
  }
  // [1,S,S,K]
  static at::Tensor logits(TrainableNetwork& net, const Pair& pair) {
    const Image image = read_image(pair.image);
    at::Tensor in = at::empty({1, kSide, kSide, 3}, at::kFloat);
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
      in.mutable_data_ptr<float>()[i] = imagenet_levels()[i % 3][image.pixels[i]];
    return net.forward_inference(in);
  }

  test::TempDir dir;
  std::vector<Pair> masks, ids;
  ClassTable table = default_class_table(3);
  Group alone{{}, at::kCPU, std::chrono::seconds(5)};
  model::DeterministicWeights source;
};

// As `eval` scores it: 8 bits, stretched to the map's own range; of a set the mean over its pictures.
TEST_F(Validating, TheErrorIsThatOfRoundedProbabilities) {
  TrainableNetwork net(config(1), source, Freeze::trunk);
  double sum = 0;
  for (const Pair& pair : masks) {
    const at::Tensor x = logits(net, pair);
    const Image truth = read_image(pair.mask, {.mode = ColorMode::gray});
    std::vector<double> map;
    for (std::size_t i = 0; i < truth.pixels.size(); ++i)
      map.push_back(std::round(255 / (1 + std::exp(-static_cast<double>(x.const_data_ptr<float>()[i])))));
    const auto [low, high] = std::minmax_element(map.begin(), map.end());
    double error = 0;
    for (std::size_t i = 0; i < map.size(); ++i)
      error += std::abs((map[i] - *low) / (*high - *low) - truth.pixels[i] / 255.0);
    sum += error / (kSide * kSide);
  }
  const ValidationOptions options{.size = kSide};
  const Validation v = validate(net, masks, options, alone);
  EXPECT_NEAR(v.value("MAE"), sum / 3, 1e-5);
  EXPECT_TRUE(std::isnan(v.value("no such value")));
}

// Letterboxed without resizing: a portrait of 32x64 stands from column 16 on, a landscape from row 16 on, and
// nothing beside them counts.
TEST_F(Validating, LetterboxesAreScoredUnderThePictureAlone) {
  TrainableNetwork net(config(1), source, Freeze::trunk);
  for (const auto& [width, height] : {std::pair{32, 64}, {64, 32}}) {
    SCOPED_TRACE(width);
    const int left = (kSide - width) / 2, top = (kSide - height) / 2;
    Image image(width, height, 3), mask(width, height, 1);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < 3 * width; ++x) image.row(y)[x] = static_cast<std::uint8_t>(2 * x + 5 * y);
      for (int x = 0; x < width; ++x) mask.row(y)[x] = x * y > 300 ? 255 : 0;
    }
    write_png(dir / "box.png", image);
    write_png(dir / "box_mask.png", mask);
    Image boxed;
    image::Preparer().prepare(image, image::place(image, InputSize::square(kSide), Fit::letterbox),
                              PillowVersion::v12, boxed);
    for (int y = 0; y < height; ++y)
      ASSERT_TRUE(std::equal(image.row(y), image.row(y) + 3 * width, boxed.row(top + y) + 3 * left));
    write_png(dir / "boxed.png", boxed);
    const at::Tensor x = logits(net, {dir / "boxed.png", {}});  // [1,S,S,1]
    std::vector<double> map;
    for (int row = top; row < top + height; ++row) {
      for (int column = left; column < left + width; ++column)
        map.push_back(std::round(
            255 / (1 + std::exp(-static_cast<double>(x.const_data_ptr<float>()[row * kSide + column])))));
    }
    const auto [low, high] = std::minmax_element(map.begin(), map.end());
    double error = 0;
    for (std::size_t i = 0; i < map.size(); ++i)
      error += std::abs((map[i] - *low) / (*high - *low) - mask.pixels[i] / 255.0);
    const std::vector<Pair> one{{dir / "box.png", dir / "box_mask.png"}};
    const Validation v = validate(net, one, {.size = kSide, .fit = Fit::letterbox}, alone);
    EXPECT_NEAR(v.value("MAE"), error / (width * height), 1e-5);
  }
}

// Maps are stretched to each truth's own size between pixel middles (align_corners false), before they are
// rounded or compared: here by hand, for a picture larger than the network's square and one that is smaller.
class Stretched : public Validating {
 protected:
  // Logits of class `c` at row y, column x of `height` by `width`.
  static double stretched(const at::Tensor& logits, int c, int y, int x, int height, int width) {
    const auto a = logits.accessor<float, 4>();
    const auto place = [](int i, int n) {
      return std::clamp((i + 0.5) * kSide / n - 0.5, 0.0, static_cast<double>(kSide - 1));
    };
    const double v = place(y, height), u = place(x, width);
    const auto top = static_cast<int>(v), left = static_cast<int>(u);
    const int bottom = std::min(top + 1, kSide - 1), right = std::min(left + 1, kSide - 1);
    const double below = v - top, beside = u - left;
    return (1 - below) * ((1 - beside) * a[0][top][left][c] + beside * a[0][top][right][c]) +
           below * ((1 - beside) * a[0][bottom][left][c] + beside * a[0][bottom][right][c]);
  }
  Pair pair_of(int width, int height, int white) {
    Image image(width, height, 3);
    truth = Image(width, height, 1);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<std::uint8_t>(x * (c + 1) + 2 * y);
        truth.row(y)[x] = static_cast<std::uint8_t>(3 * x > width && 2 * y > height ? white : 0);
      }
    write_png(dir / "large.png", image);
    write_png(dir / "large_truth.png", truth);
    Image squashed;
    image::Preparer().prepare(image, image::place(image, InputSize::square(kSide), Fit::squash),
                              PillowVersion::v12, squashed);
    write_png(dir / "squashed.png", squashed);
    return {dir / "large.png", dir / "large_truth.png"};
  }
  Image truth;
};

TEST_F(Stretched, MapsHaveTheTruthsSize) {
  TrainableNetwork net(config(1), source, Freeze::trunk);
  for (const auto& [width, height] : {std::pair{96, 80}, {40, 52}}) {
    const Pair pair = pair_of(width, height, 255);
    const at::Tensor x = logits(net, {dir / "squashed.png", {}});
    std::vector<double> map;
    for (int row = 0; row < height; ++row)
      for (int column = 0; column < width; ++column)
        map.push_back(std::round(255 / (1 + std::exp(-stretched(x, 0, row, column, height, width)))));
    const auto [low, high] = std::minmax_element(map.begin(), map.end());
    double error = 0;
    for (std::size_t i = 0; i < map.size(); ++i)
      error += std::abs((map[i] - *low) / (*high - *low) - truth.pixels[i] / 255.0);
    const Validation v = validate(net, {pair}, {.size = kSide}, alone);
    EXPECT_NEAR(v.value("MAE"), error / (width * height), 2e-5) << width;
  }
}

// The heads' biases are set so that no class is ahead everywhere.
TEST_F(Stretched, ClassesAreThoseOfTheStretchedLogits) {
  TrainableNetwork net(config(3), source, Freeze::trunk);
  const Pair pair = pair_of(96, 80, 2);
  const Pair squashed{dir / "squashed.png", {}};
  {
    const c10::NoGradGuard no_gradients;
    at::Tensor(*net.tensors().find("head.bias")).sub_(logits(net, squashed).mean({0, 1, 2}));
  }
  const at::Tensor x = logits(net, squashed);
  double right = 0;
  std::array<int, 3> taken{};
  for (int row = 0; row < 80; ++row)
    for (int column = 0; column < 96; ++column) {
      std::array<double, 3> of{};
      for (int c = 0; c < 3; ++c) of[static_cast<std::size_t>(c)] = stretched(x, c, row, column, 80, 96);
      const auto best = std::max_element(of.begin(), of.end()) - of.begin();
      ++taken[static_cast<std::size_t>(best)];
      right += best == truth.row(row)[column] ? 1 : 0;
    }
  ASSERT_GT(std::count_if(taken.begin(), taken.end(), [](int n) { return n > 400; }), 1);
  const Validation v = validate(net, {pair}, {.size = kSide, .classes = &table}, alone);
  EXPECT_NEAR(v.value("aAcc"), right / (96 * 80), 3e-4);
}

// Of twelve pictures eight are shown, which ones being settled once and for all (drawn by another program).
TEST_F(Validating, TheSameEightOfTwelveAreShown) {
  TrainableNetwork net(config(1), source, Freeze::trunk);
  std::vector<Pair> many;
  for (int i = 0; i < 12; ++i) {
    const std::string name = fmt::format("p{}.png", i);
    std::filesystem::copy_file(masks[0].image, dir / name);
    many.push_back({dir / name, masks[0].mask});
  }
  const Validation v = validate(net, many, {.size = kSide, .batch = 5}, alone);
  std::vector<std::string> names;
  for (const auto& row : v.rows) names.push_back(row.name);
  EXPECT_THAT(names, ::testing::ElementsAre("p0", "p1", "p3", "p5", "p6", "p8", "p10", "p11"));
}

// A strip whose small picture would have no row keeps one.
TEST_F(Validating, AStripIsShownAsARow) {
  write_png(dir / "strip.png", Image(1400, 1, 3));
  write_png(dir / "strip_mask.png", Image(1400, 1, 1));
  TrainableNetwork net(config(1), source, Freeze::trunk);
  const Validation v = validate(net, {{dir / "strip.png", dir / "strip_mask.png"}}, {.size = kSide}, alone);
  EXPECT_EQ(v.rows.at(0).picture.width, 3 * 640);
  EXPECT_EQ(v.rows.at(0).picture.height, 1);
}

// Whatever the batch and the threads: the running statistics know no neighbours.
TEST_F(Validating, NeitherBatchNorWorkersChangeAValue) {
  TrainableNetwork net(config(1), source, Freeze::trunk);
  net.forward_training(at::ones({2, kSide, kSide, 3}));  // as the epoch before it
  const Validation one = validate(net, masks, {.size = kSide, .batch = 1, .workers = 1}, alone),
                   all = validate(net, masks, {.size = kSide, .batch = 3, .workers = 3}, alone);
  ASSERT_EQ(one.values.size(), all.values.size());
  for (const auto& [key, value] : one.values) EXPECT_NEAR(value, all.value(key), 1e-6) << key;
}

TEST_F(Validating, ClassesAreCountedPixelByPixel) {
  TrainableNetwork net(config(3), source, Freeze::trunk);
  double both[3] = {}, truth[3] = {}, predicted[3] = {}, right = 0, all = 0;
  for (const Pair& pair : ids) {
    const at::Tensor x = logits(net, pair);
    const Image mask = read_image(pair.mask, {.mode = ColorMode::gray});
    for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
      const float* v = x.const_data_ptr<float>() + 3 * i;
      const auto best = std::max_element(v, v + 3) - v;
      if (mask.pixels[i] == 9) continue;
      truth[mask.pixels[i]] += 1;
      predicted[best] += 1;
      if (best == mask.pixels[i]) both[best] += 1, right += 1;
      all += 1;
    }
  }
  const Validation v = validate(net, ids, {.size = kSide, .classes = &table}, alone);
  double iou = 0, recall = 0;
  for (int c = 0; c < 3; ++c) {
    ASSERT_GT(truth[c], 0);
    const double own = both[c] / (truth[c] + predicted[c] - both[c]);
    EXPECT_NEAR(v.value("IoU." + table.classes[static_cast<std::size_t>(c)].name), own, 1e-9);
    iou += own / 3;
    recall += both[c] / truth[c] / 3;
  }
  EXPECT_NEAR(v.value("mIoU"), iou, 1e-9);
  EXPECT_NEAR(v.value("mAcc"), recall, 1e-9);
  EXPECT_NEAR(v.value("aAcc"), right / all, 1e-9);
}

// Picture, truth and prediction from left to right.
TEST_F(Validating, RowsShowPictureTruthAndMapSideBySide) {
  TrainableNetwork net(config(1), source, Freeze::trunk), of_classes(config(3), source, Freeze::trunk);
  const Validation v = validate(net, masks, {.size = kSide}, alone);
  ASSERT_EQ(v.rows.size(), 3u);
  for (const auto& row : v.rows) {
    ASSERT_EQ(row.picture.width, 3 * kSide);
    ASSERT_EQ(row.picture.height, kSide);
    const Image image = read_image(dir / (row.name + ".png"));
    const Image truth = read_image(dir / ("mask" + row.name + ".png"), {.mode = ColorMode::rgb});
    const at::Tensor x = logits(net, {dir / (row.name + ".png"), {}});
    for (int y = 0; y < kSide; ++y) {
      ASSERT_TRUE(std::equal(image.row(y), image.row(y) + 3 * kSide, row.picture.row(y)));
      ASSERT_TRUE(std::equal(truth.row(y), truth.row(y) + 3 * kSide, row.picture.row(y) + 3 * kSide));
      const double p = 1 / (1 + std::exp(-x.const_data_ptr<float>()[y * kSide + 5]));
      ASSERT_NEAR(row.picture.row(y)[6 * kSide + 3 * 5], 255 * p, 1);
    }
  }
  const Validation c = validate(of_classes, ids, {.size = kSide, .classes = &table}, alone);
  const std::uint8_t* corner = c.rows.at(0).picture.row(60) + 3 * (kSide + 6);  // id 2, VOC's dark green
  EXPECT_EQ(std::vector<int>(corner, corner + 3), (std::vector<int>{0, 128, 0}));
}

TEST_F(Validating, LargePicturesAreShownSmall) {
  Image image(1280, 64, 3), mask(1280, 64, 1);
  write_png(dir / "wide.png", image);
  write_png(dir / "wide_mask.png", mask);
  TrainableNetwork net(config(1), source, Freeze::trunk);
  const Validation v = validate(net, {{dir / "wide.png", dir / "wide_mask.png"}}, {.size = kSide}, alone);
  EXPECT_EQ(v.rows.at(0).picture.width, 3 * 640);
  EXPECT_EQ(v.rows.at(0).picture.height, 32);
}

// --- the line of an epoch

TEST(Summary, BeginsWithWhatDecides) {
  Validation v;
  v.values = {{"dice.mean", 0.8}, {"iou.mean", 0.7}, {"fm.mean", 0.6}, {"E_mean", 0.9},
              {"wF", 0.5},        {"S", 0.4},        {"MAE", 0.1}};
  EXPECT_EQ(summary(v, nullptr, "dice.mean"), "mean Dice 0.8000, weighted F 0.5000, S 0.4000, MAE 0.1000");
  EXPECT_EQ(summary(v, nullptr, "MAE"), "MAE 0.1000, mean Dice 0.8000, weighted F 0.5000, S 0.4000");
  EXPECT_EQ(summary(v, nullptr, "iou.mean"),
            "mean IoU 0.7000, mean Dice 0.8000, weighted F 0.5000, S 0.4000, MAE 0.1000");
  EXPECT_THAT(summary(v, nullptr, "fm.mean"), StartsWith("mean F 0.6000, "));
  EXPECT_THAT(summary(v, nullptr, "E_mean"), StartsWith("mean E 0.9000, "));
}

TEST(Summary, OfClassesNamesTwentyAndMarksWhatNeverOccurs) {
  const ClassTable table = default_class_table(22);
  Validation v;
  v.values = {{"mIoU", 0.5}, {"mDice", 0.6}, {"aAcc", 0.9}};
  for (std::size_t c = 0; c < 22; ++c)
    v.values.emplace_back("IoU." + table.classes[c].name, c == 1 ? std::nan("") : 0.25);
  const std::string line = summary(v, &table, "mIoU");
  EXPECT_THAT(line, StartsWith("mIoU 0.5000, mDice 0.6000, aAcc 0.9000; IoU background 0.2500, class 1 -, "));
  EXPECT_THAT(line, HasSubstr("class 19 0.2500 ..."));
  EXPECT_THAT(line, Not(HasSubstr("class 20")));
}

// The longer side decides; the truth is shown at the picture's size, whatever its own is.
TEST_F(Validating, TallPicturesAreShownSmallAndTruthsBesideThem) {
  Image image(64, 1280, 3), mask(128, 2560, 1);
  for (int y = 0; y < 2560; ++y) std::fill_n(mask.row(y), 64, std::uint8_t{255});
  write_png(dir / "tall.png", image);
  write_png(dir / "tall_mask.png", mask);
  TrainableNetwork net(config(1), source, Freeze::trunk);
  const Validation v = validate(net, {{dir / "tall.png", dir / "tall_mask.png"}}, {.size = kSide}, alone);
  const Image& row = v.rows.at(0).picture;
  ASSERT_EQ(row.width, 3 * 32);
  ASSERT_EQ(row.height, 640);
  for (const int y : {0, 320, 639}) {
    EXPECT_EQ(row.row(y)[3 * 5], 0);           // the picture
    EXPECT_EQ(row.row(y)[3 * (32 + 5)], 255);  // its truth: white on the left
    EXPECT_EQ(row.row(y)[3 * (32 + 26)], 0);   // and black on the right
  }
}

}  // namespace
}  // namespace sam2unet::train
