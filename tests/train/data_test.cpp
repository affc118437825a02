// What a run learns from: pairs, their checks, samples, and the loader's order.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>
#include <tuple>

#include "core/file.h"
#include "image/imagenet.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "train/augment.h"
#include "train/data.h"
#include "train/loader.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class Folders : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 8; ++i) write_pair("a", i);
    settings.images = {(dir / "a" / "images").string()};
    settings.masks = {(dir / "a" / "masks").string()};
  }

  // A disc on stripes that differ from picture to picture; the mask is the disc.
  void write_pair(const std::string& set, int i, int white = 255, int width = 80, int height = 60) {
    Image image(width, height, 3), mask(width, height, 1);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const bool inside = std::hypot(x - 20 - 4 * i, y - 15 - 3 * i) < 12;
        for (int c = 0; c < 3; ++c) {
          const double stripe = std::sin((x * (i + 2) + y * (7 - i % 5)) * 0.05 + i);
          image.row(y)[3 * x + c] = static_cast<std::uint8_t>(inside ? 230 - 20 * c : 100 + 60 * stripe);
        }
        mask.row(y)[x] = static_cast<std::uint8_t>(inside ? white : 0);
      }
    }
    fs::create_directories(dir / set / "images");
    fs::create_directories(dir / set / "masks");
    write_png(dir / set / "images" / (std::to_string(i) + ".png"), image);
    write_png(dir / set / "masks" / (std::to_string(i) + ".png"), mask);
  }
  void add_set(const std::string& set) {
    settings.images.push_back((dir / set / "images").string());
    settings.masks.push_back((dir / set / "masks").string());
  }

  Data check() {
    notes.clear();
    const Notes note = [this](const std::string& line) { notes.push_back(line); };
    Data data = find_data(settings, note);
    CheckOptions options;
    options.skip_bad = settings.skip_bad;
    options.note = note;
    check_data(data, options);
    return data;
  }
  std::string refusal() {
    return test::message_of([&] { check(); });
  }

  test::TempDir dir;
  Settings settings;
  std::vector<std::string> notes;
};

TEST_F(Folders, AreTakenTogether) {
  write_pair("b", 8);
  add_set("b");
  EXPECT_EQ(check().train.size(), 9u);
  EXPECT_TRUE(notes.empty()) << notes.front();
  settings.val_split = 0.34;
  const Data split = check();
  EXPECT_EQ(split.validation.size(), 3u);
  EXPECT_EQ(split.train.size(), 6u);
}

TEST_F(Folders, ASetOfZeroAndOneIsScaledAsAWhole) {
  for (int i = 10; i < 13; ++i) write_pair("b", i, 1);
  write_pair("b", 13, 0);  // an empty mask among them
  add_set("b");
  const Data data = check();
  EXPECT_THAT(notes,
              Contains(AllOf(HasSubstr((dir / "b" / "masks").string()), HasSubstr("1 is taken as 255"))));
  for (const Pair& p : data.train) {
    const Sample s = load_sample(p, 64, Augment::none, Random(0, 0, 0));
    const float most = *std::max_element(s.mask.begin(), s.mask.end());
    EXPECT_EQ(most, p.mask.filename() == "13.png" ? 0.0F : 1.0F) << p.mask;
  }
}

TEST_F(Folders, OneMaskOfZeroAndOneAmongOthersIsNotGuessed) {
  write_pair("a", 3, 1);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("3.png"), HasSubstr("multiply it by 255"), HasSubstr("--skip-bad")));
  settings.skip_bad = true;
  EXPECT_EQ(check().train.size(), 7u);
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("left out"), HasSubstr("3.png"))));
}

TEST_F(Folders, BadPairsAreNamed) {
  write_file(dir / "a" / "images" / "2.png", std::string_view("no picture"));
  write_pair("a", 5, 100);                                                    // no level means foreground
  fs::copy(dir / "a" / "masks" / "7.png", dir / "a" / "masks" / "keep.tmp");  // not a picture's name
  Image tall(60, 80, 1);
  write_png(dir / "a" / "masks" / "6.png", tall);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("3 of 8 pairs"), HasSubstr("2.png"), HasSubstr("5.png"),
                               HasSubstr("6.png"), HasSubstr("80x60"), HasSubstr("60x80")));
  settings.skip_bad = true;
  EXPECT_EQ(check().train.size(), 5u);
}

TEST_F(Folders, OneFolderForBothIsRefusedAndASuffixPairs) {
  settings.masks = settings.images;
  EXPECT_THAT(refusal(), HasSubstr("both sides"));
  const fs::path one = dir / "one";
  fs::create_directories(one);
  for (int i = 0; i < 8; ++i) {
    const std::string stem = std::to_string(i);
    fs::copy(dir / "a" / "images" / (stem + ".png"), one / (stem + ".png"));
    fs::copy(dir / "a" / "masks" / (stem + ".png"), one / (stem + "_gt.png"));
  }
  settings.images = settings.masks = {one.string()};
  settings.mask_suffix = "_gt";
  const Data data = check();
  ASSERT_EQ(data.train.size(), 8u);
  EXPECT_EQ(data.train[3].mask, one / "3_gt.png");
  settings.mask_suffix.clear();
  settings.images = {(one / "?.png").string()};
  settings.masks = {(dir / "a" / "masks").string()};
  EXPECT_EQ(check().train.size(), 8u);
  settings.images = {(dir / "a").string()};
  settings.masks = {(dir / "a").string()};
  settings.recursive = true;
  EXPECT_THAT(refusal(), HasSubstr("both sides"));
}

TEST_F(Folders, DeepPicturesAndShapesInAlphaAreTold) {
  write_file(dir / "a" / "images" / "2.pgm", "P5 80 60 65535\n" + std::string(80 * 60 * 2, 'x'));
  fs::remove(dir / "a" / "images" / "2.png");
  write_file(dir / "a" / "images" / "IMG_5.HEIC", std::string_view("x"));
  check();
  EXPECT_THAT(notes,
              Contains(AllOf(HasSubstr("warning: 1 pictures are gray of 16 bits"), HasSubstr("2.pgm"))));
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("not read"), HasSubstr("IMG_5.HEIC"))));
  Image shape(80, 60, 4);
  for (std::size_t i = 0; i < 2000; ++i) shape.pixels[4 * i + 3] = 255;
  write_png(dir / "a" / "masks" / "6.png", shape);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("6.png"), HasSubstr("alpha")));
}

TEST_F(Folders, ABatchLargerThanTheDataIsNoted) {
  settings.batch = 512;
  const Notes note = [this](const std::string& line) { notes.push_back(line); };
  note_large_batch(settings, 4, note);
  EXPECT_THAT(notes,
              Contains("warning: --batch 512 is more than the 4 pictures: every epoch is one step of 4; 20 "
                       "steps in all are hardly a training"));
  notes.clear();
  note_large_batch(settings, 512, note);
  EXPECT_TRUE(notes.empty());
}

TEST_F(Folders, UnpairedFilesAreNamed) {
  fs::remove(dir / "a" / "masks" / "4.png");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("4.png"), HasSubstr("--skip-bad")));
  settings.skip_bad = true;
  EXPECT_EQ(check().train.size(), 7u);
  settings.skip_bad = false;
  fs::remove(dir / "a" / "images" / "4.png");
  fs::remove(dir / "a" / "images" / "5.png");
  EXPECT_EQ(check().train.size(), 6u);
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("warning"), HasSubstr("5.png"))));
}

TEST_F(Folders, NothingToLearnFromIsRefused) {
  fs::create_directories(dir / "empty");
  settings.images = {(dir / "empty").string()};
  EXPECT_THAT(refusal(), HasSubstr("no pictures"));
  settings.images = {(dir / "nowhere").string()};
  EXPECT_THAT(refusal(), HasSubstr("no such folder"));
  settings.images = {(dir / "a" / "images").string()};
  for (int i = 0; i < 8; ++i) write_pair("a", i, 0);
  EXPECT_THAT(refusal(), HasSubstr("are empty"));
  for (int i = 0; i < 8; ++i) {
    fs::rename(dir / "a" / "masks" / (std::to_string(i) + ".png"),
               dir / "a" / "masks" / (std::to_string(i) + "_gt.png"));
  }
  EXPECT_THAT(refusal(), HasSubstr("_gt"));
}

TEST_F(Folders, DoubtsAreNoted) {
  // Inverted, and the same pictures to validate on.
  for (int i = 0; i < 8; ++i) {
    Image mask = read_image(dir / "a" / "masks" / (std::to_string(i) + ".png"), {.mode = ColorMode::gray});
    for (auto& p : mask.pixels) p = static_cast<std::uint8_t>(255 - p);
    write_png(dir / "a" / "masks" / (std::to_string(i) + ".png"), mask);
  }
  write_pair("a", 2, 0);
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  EXPECT_EQ(check().validation.size(), 8u);
  EXPECT_THAT(notes, Contains(HasSubstr("invert all masks")));
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("8 pictures are alike"), HasSubstr("0.png ~ 0.png"))));
  EXPECT_THAT(notes, Contains(HasSubstr("masks are empty")));
}

std::vector<float> values(const at::Tensor& t) {
  const at::Tensor c = t.contiguous();
  return {c.const_data_ptr<float>(), c.const_data_ptr<float>() + c.numel()};
}

// Three epochs as one loader gives them, and each epoch on its own, for any number of workers.
TEST_F(Folders, BatchesDependOnSeedAndEpochAlone) {
  const auto pairs = check().train;
  LoaderOptions options;
  options.size = 64;
  options.batch = 3;
  options.augment = Augment::strong;
  std::vector<std::vector<float>> wanted;
  std::vector<std::size_t> seen;
  for (const int workers : {1, 2, 7}) {
    options.workers = workers;
    Loader all(pairs, options, 0, 0, 3);
    ASSERT_EQ(all.batches(), 3u);
    std::size_t i = 0;
    std::set<std::vector<std::size_t>> orders;
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
      Loader one(pairs, options, epoch);
      std::vector<std::size_t> order;
      std::set<std::size_t> members;
      for (std::size_t b = 0; b < 3; ++b, ++i) {
        const Batch batch = all.next(), same = one.next();
        EXPECT_EQ(batch.members, same.members);
        EXPECT_EQ(batch.image.size(0), b < 2 ? 3 : 2);
        EXPECT_TRUE(at::equal(batch.image, same.image));
        EXPECT_TRUE(at::equal(batch.mask, same.mask));
        members.insert(batch.members.begin(), batch.members.end());
        order.insert(order.end(), batch.members.begin(), batch.members.end());
        if (workers == 1) {
          wanted.push_back(values(batch.image));
        } else {
          EXPECT_EQ(values(batch.image), wanted[i]);
        }
      }
      EXPECT_EQ(members.size(), 8u);
      orders.insert(order);
    }
    EXPECT_EQ(orders.size(), 3u);  // each epoch has an order of its own
    EXPECT_THROW(all.next(), UsageError);
  }
  EXPECT_NE(wanted[0], wanted[3]);
  Loader later(pairs, options, 1, 2, 3);  // as --resume does
  EXPECT_EQ(values(later.next().image), wanted[5]);
  EXPECT_EQ(values(later.next().image), wanted[6]);
}

TEST_F(Folders, EachEpochAugmentsEachPictureAnew) {
  const auto pairs = check().train;
  LoaderOptions options;
  options.size = 64;
  options.batch = 8;
  options.augment = Augment::strong;
  Loader loader(pairs, options, 0, 0, 3);
  std::map<std::size_t, std::set<std::vector<float>>> seen;
  for (int epoch = 0; epoch < 3; ++epoch) {
    const Batch batch = loader.next();
    for (std::size_t i = 0; i < batch.members.size(); ++i)
      seen[batch.members[i]].insert(values(batch.image[static_cast<std::int64_t>(i)]));
  }
  EXPECT_EQ(seen.size(), 8u);
  for (const auto& [member, pictures] : seen) EXPECT_EQ(pictures.size(), 3u) << member;
}

TEST_F(Folders, ABatchThatIsHeldIsNotOverwritten) {
  const auto pairs = check().train;
  LoaderOptions options;
  options.size = 64;
  options.batch = 2;
  Loader loader(pairs, options, 0, 0, 10);
  std::vector<at::Tensor> held, copies;
  std::set<const void*> places;
  for (int i = 0; i < 40; ++i) {
    const Batch b = loader.next();
    places.insert(b.image.const_data_ptr());
    if (i % 10 != 0) continue;
    held.push_back(b.image.slice(0, 1, 2));  // a view is enough
    copies.push_back(b.image.slice(0, 1, 2).clone());
  }
  for (std::size_t i = 0; i < held.size(); ++i) EXPECT_TRUE(at::equal(held[i], copies[i])) << i;
  EXPECT_LT(places.size(), 12u);  // memory is used again
}

// Without an end it is one epoch, from whichever batch on.
TEST_F(Folders, AfterTheLastBatchThereIsNone) {
  const auto pairs = check().train;
  LoaderOptions options;
  options.size = 32;
  options.batch = 3;
  for (const std::uint64_t end : {0, 6, 7}) {
    Loader loader(pairs, options, 5, 1, end);
    const std::size_t batches = (end == 7 ? 2 : 1) * loader.batches() - 1;
    for (std::size_t i = 0; i < batches; ++i) EXPECT_FALSE(loader.next().members.empty()) << end;
    EXPECT_THROW(loader.next(), UsageError) << end;
  }
}

TEST_F(Folders, ProcessesShareABatch) {
  const auto pairs = check().train;
  LoaderOptions options;
  options.size = 64;
  options.batch = 4;
  const Batch whole = Loader(pairs, options, 0).next();
  options.world = 2;
  for (int rank = 0; rank < 2; ++rank) {
    options.rank = rank;
    const Batch part = Loader(pairs, options, 0).next();
    ASSERT_EQ(part.members.size(), 2u);
    for (std::int64_t i = 0; i < 2; ++i) {
      EXPECT_EQ(part.members[static_cast<std::size_t>(i)],
                whole.members[static_cast<std::size_t>(2 * i + rank)]);
      EXPECT_TRUE(at::equal(part.image[i], whole.image[2 * i + rank]));
    }
  }
}

TEST_F(Folders, AFileThatVanishesIsNamed) {
  const auto pairs = check().train;
  fs::remove(pairs[0].image);
  LoaderOptions options;
  options.size = 64;
  options.batch = 8;
  Loader loader(pairs, options, 0);
  EXPECT_THROW(loader.next(), FileError);
}

// The official sample, spelled out.
TEST_F(Folders, OfficialSamplesAreResizedFlippedAndNormalised) {
  const Pair pair = check().train[1];
  const Image image = resize_pillow(read_image(pair.image), 64, 64, ResizeFilter::bilinear);
  const Image mask =
      resize_pillow(read_image(pair.mask, {.mode = ColorMode::gray}), 64, 64, ResizeFilter::bicubic);
  std::set<int> seen;
  for (std::uint64_t item = 0; item < 16; ++item) {
    Random random(1, 2, item);
    const Sample s = load_sample(pair, 64, Augment::official, random);
    const bool flip_x = random.coin(), flip_y = random.coin();
    seen.insert(2 * flip_x + flip_y);
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        const int sx = flip_x ? 63 - x : x, sy = flip_y ? 63 - y : y;
        const auto at = static_cast<std::size_t>(64 * y + x);
        for (std::size_t c = 0; c < 3; ++c) {
          ASSERT_EQ(s.image[3 * at + c],
                    imagenet_levels()[c][image.row(sy)[static_cast<std::size_t>(3 * sx) + c]]);
        }
        ASSERT_EQ(s.mask[at], static_cast<float>(mask.row(sy)[sx]) / 255.0F);
      }
    }
  }
  EXPECT_EQ(seen.size(), 4u);
}

// A mask that is the picture's green channel stays it, wherever both are cut, turned and flipped to.
TEST_F(Folders, StrongSamplesKeepPictureAndMaskTogether) {
  Image image(200, 150, 3), mask(200, 150, 1);
  for (int y = 0; y < 150; ++y) {
    for (int x = 0; x < 200; ++x) {
      const auto v = static_cast<std::uint8_t>(128 + 90 * std::sin(x * 0.08 + y * 0.03) * std::cos(y * 0.06));
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = v;
      mask.row(y)[x] = v;
    }
  }
  write_png(dir / "image.png", image);
  write_png(dir / "mask.png", mask);
  const Pair pair{dir / "image.png", dir / "mask.png"};
  for (std::uint64_t item = 0; item < 12; ++item) {
    const Sample s = load_sample(pair, 96, Augment::strong, Random(5, 6, item));
    // Brightness and contrast are a straight line, so picture and mask are perfectly correlated but for
    // rounding, clipping and the two filters.
    double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (std::size_t i = 0; i < s.mask.size(); ++i) {
      const double x = s.image[3 * i + 1] * kImagenetDeviation[1] + kImagenetMean[1], y = s.mask[i];
      if (x < 0.02 || x > 0.98) continue;
      ++n, sx += x, sy += y, sxx += x * x, syy += y * y, sxy += x * y;
    }
    EXPECT_GT(n, 4000);
    const double r = (sxy - sx * sy / n) / std::sqrt((sxx - sx * sx / n) * (syy - sy * sy / n));
    EXPECT_GT(r, 0.9995) << item;
    // No black corners: the mirror image continues the picture.
    EXPECT_GT(*std::min_element(s.mask.begin(), s.mask.end()), 30 / 255.0F);
  }
}

// A crop of both needs one size of both: else each is resized whole, so that half of the mask stays half.
TEST_F(Folders, OfAMaskOfAnotherSizeNothingIsCropped) {
  write_png(dir / "image.png", Image(120, 120, 3));
  for (const auto& [width, height] : {std::pair{120, 100}, std::pair{100, 120}}) {
    Image mask(width, height, 1);
    for (int y = 0; y < height; ++y) std::fill_n(mask.row(y), width / 2, std::uint8_t{255});
    write_png(dir / "mask.png", mask);
    for (std::uint64_t item = 0; item < 40; ++item) {
      const Sample s =
          load_sample({dir / "image.png", dir / "mask.png"}, 64, Augment::strong, Random(5, 6, item));
      const double sum = std::accumulate(s.mask.begin(), s.mask.end(), 0.0);
      EXPECT_NEAR(sum / static_cast<double>(s.mask.size()), 0.5, 0.03) << height << ", " << item;
    }
  }
}

TEST(Augmenting, CropsReachEveryEdge) {
  constexpr int kWidth = 20, kHeight = 10;
  bool left = false, right = false, top = false, bottom = false;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Random random(1, 2, i);
    const Crop c = random_crop(kWidth, kHeight, random);
    ASSERT_TRUE(c.x >= 0 && c.y >= 0 && c.width > 0 && c.height > 0);
    ASSERT_TRUE(c.x + c.width <= kWidth && c.y + c.height <= kHeight);
    left = left || (c.x == 0 && c.width < kWidth);
    right = right || (c.x > 0 && c.x + c.width == kWidth);
    top = top || (c.y == 0 && c.height < kHeight);
    bottom = bottom || (c.y > 0 && c.y + c.height == kHeight);
  }
  EXPECT_TRUE(left && right && top && bottom) << left << right << top << bottom;
}

// clip(((gray + (in - gray) saturation) brightness - 128) contrast + 128): middle gray is what contrast
// leaves alone.
TEST(Augmenting, ColoursAreTheFormula) {
  for (const auto& [brightness, contrast, saturation] :
       {std::tuple{1.0, 1.3, 1.0}, {1.0, 0.7, 1.2}, {1.2, 0.8, 0.7}, {0.75, 1.0, 1.3}}) {
    const image::ColourMap map = colour_map(brightness, contrast, saturation);
    for (const auto& in : {std::array{128.0, 128.0, 128.0}, {100.0, 150.0, 90.0}, {60.0, 60.0, 200.0}}) {
      const double gray = 0.299 * in[0] + 0.587 * in[1] + 0.114 * in[2];
      for (std::size_t c = 0; c < 3; ++c) {
        const double wanted = ((gray + (in[c] - gray) * saturation) * brightness - 128) * contrast + 128;
        double got = map.constant;
        for (std::size_t k = 0; k < 3; ++k) got += map.factors[c][k] * in[k];
        EXPECT_NEAR((got - 32768) / 65536, wanted, 0.02) << brightness << contrast << saturation;
      }
    }
  }
}

TEST(Turner, TurnsAboutTheMiddle) {
  Image image(64, 64, 3), mask(64, 64, 1);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x) mask.row(y)[x] = image.row(y)[3 * x] = static_cast<std::uint8_t>(4 * x);
  Turner turner;
  std::vector<float> out(64 * 64 * 3), truth(64 * 64);
  turner.turn(image, mask, 0, image::ColourMap(), out.data(), truth.data());
  for (std::size_t i = 0; i < truth.size(); ++i)
    ASSERT_EQ(truth[i], static_cast<float>(mask.pixels[i]) / 255.0F);
  turner.turn(image, mask, 10, image::ColourMap(), out.data(), truth.data());
  for (int y = 16; y < 48; ++y) {
    for (int x = 16; x < 48; ++x) {
      const double a = 10 * std::numbers::pi / 180,
                   from = std::cos(a) * (x - 31.5) - std::sin(a) * (y - 31.5) + 31.5;
      ASSERT_NEAR(truth[static_cast<std::size_t>(64 * y + x)] * 255, 4 * from, 2) << x << "," << y;
    }
  }
}

}  // namespace
}  // namespace sam2unet::train
