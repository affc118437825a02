// Which pictures a run learns from, which it is validated on, in which batches, and what it says of them.
#include <ATen/ATen.h>

#include <fstream>
#include <set>

#include "selection_fixture.h"
#include "support/tiny_weights.h"
#include "support/turned_photo.h"
#include "train/loader.h"
#include "train/run_data.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

// By another seed another part; by the same seed the same; and no picture on both sides or on none.
TEST_F(Selection, ASplitIsTheSeedsAndLosesNoPicture) {
  Settings s = settings_of(dir / "a");
  s.val_split = 0.375;
  std::set<std::vector<std::string>> parts;
  for (s.seed = 1; s.seed < 6; ++s.seed) {
    const Data data = find(s);
    EXPECT_EQ(data.validation.size(), 3u);
    std::vector<std::string> all = names(data.train), held = names(data.validation);
    EXPECT_EQ(held, names(find(s).validation));
    all.insert(all.end(), held.begin(), held.end());
    EXPECT_THAT(all, UnorderedElementsAreArray(
                         {"0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "7.png"}));
    std::sort(held.begin(), held.end());
    parts.insert(held);
  }
  EXPECT_GE(parts.size(), 3u);
}

// 1.6 and 2.4 of eight pictures are two.
TEST_F(Selection, ASplitIsRoundedToWholePictures) {
  Settings s = settings_of(dir / "a");
  for (const double part : {0.2, 0.3}) {
    s.val_split = part;
    EXPECT_EQ(find(s).validation.size(), 2u) << part;
    EXPECT_EQ(find(s).train.size(), 6u) << part;
  }
}

// Parts of 3, 3 and 2; each picture keeps its own mask.
TEST_F(Selection, FoldsThatDoNotComeOutEvenDifferByOnePicture) {
  Settings s = settings_of(dir / "a");
  std::vector<std::size_t> sizes;
  for (int i = 1; i <= 3; ++i) {
    s.fold = {i, 3};
    const Data data = find(s);
    sizes.push_back(data.validation.size());
    EXPECT_EQ(data.train.size() + data.validation.size(), 8u);
    for (const auto* part : {&data.train, &data.validation})
      for (const Pair& p : *part) EXPECT_EQ(p.image.filename(), p.mask.filename());
  }
  EXPECT_THAT(sizes, ElementsAre(3u, 3u, 2u));
}

TEST_F(Selection, ValidationPicturesOfTheirOwnLeaveTheTrainingDataWhole) {
  set_of(dir / "b", 2);
  Settings s = settings_of(dir / "a", dir / "b");
  s.val_split = 0.5;
  const Data data = find(s);
  EXPECT_EQ(data.train.size(), 8u);
  ASSERT_EQ(data.validation.size(), 2u);
  EXPECT_EQ(data.validation[0].mask.parent_path(), dir / "b" / "masks");
}

TEST_F(Selection, EachAffixIsOfItsOwnSide) {
  for (int i = 0; i < 3; ++i) {
    const std::string n = std::to_string(i);
    write_pair(dir / "c", "pic_" + n + "_rgb.png", "gt_" + n + "_seg.png", static_cast<std::uint64_t>(i));
  }
  Settings s = settings_of(dir / "c");
  s.image_prefix = "pic_";
  s.image_suffix = "_rgb";
  s.mask_prefix = "gt_";
  s.mask_suffix = "_seg";
  const Data data = find(s);
  ASSERT_EQ(data.train.size(), 3u);
  EXPECT_EQ(data.train[1].image.filename(), "pic_1_rgb.png");
  EXPECT_EQ(data.train[1].mask.filename(), "gt_1_seg.png");
}

TEST_F(Selection, SubfoldersAreLookedIntoOnlyWhereAsked) {
  for (const char* side : {"images", "masks"}) {
    fs::create_directories(dir / "a" / side / "deep");
    fs::rename(dir / "a" / side / "0.png", dir / "a" / side / "deep" / "0.png");
  }
  Settings s = settings_of(dir / "a");
  EXPECT_EQ(find(s).train.size(), 7u);
  s.recursive = true;
  EXPECT_EQ(find(s).train.size(), 8u);
}

// What is left out of the training data moves no picture to the other side.
TEST_F(Selection, LeavingOutABadPairKeepsTheSides) {
  set_of(dir / "b", 3);
  Settings s = settings_of(dir / "a", dir / "b");
  s.skip_bad = true;
  std::ofstream(dir / "a" / "images" / "0.png") << "no picture";
  std::ofstream(dir / "b" / "images" / "2.png") << "no picture";
  const Data data = check(s);
  EXPECT_EQ(names(data.train),
            (std::vector<std::string>{"1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "7.png"}));
  EXPECT_EQ(names(data.validation), (std::vector<std::string>{"0.png", "1.png"}));
  for (const Pair& p : data.validation) EXPECT_EQ(p.image.parent_path(), dir / "b" / "images");
}

TEST_F(Selection, ForegroundOnTheValidationSideAloneTeachesNothing) {
  set_of(dir / "a", 8, 0);
  set_of(dir / "b", 3);
  Settings s = settings_of(dir / "a", dir / "b");
  EXPECT_THAT(test::message_of<UsageError>([&] { check(s); }),
              HasSubstr("all 8 masks to train on are empty"));
}

TEST_F(Selection, AClassOfTheValidationDataAloneIsTold) {
  set_of(dir / "a", 8, 1);
  set_of(dir / "b", 3, 2);
  Settings s = settings_of(dir / "a", dir / "b");
  const ClassTable classes = default_class_table(3);
  check(s, &classes);
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("training pictures"), HasSubstr("class 2"))));
  set_of(dir / "a", 2, 2);
  check(s, &classes);
  EXPECT_THAT(notes, Not(Contains(HasSubstr("training pictures"))));
}

// 128 is no foreground by the rule of `eval` and `doctor`; 129 is.
TEST_F(Selection, AMaskWhoseBrightestLevelIsHalfIsRefused) {
  write_pair(dir / "a", "3.png", "3.png", 3, 128);
  EXPECT_THAT(test::message_of<ImageError>([&] { check(settings_of(dir / "a")); }),
              HasSubstr("no level above 128"));
  write_pair(dir / "a", "3.png", "3.png", 3, 129);
  EXPECT_EQ(check(settings_of(dir / "a")).train.size(), 8u);
}

// Wider or narrower than the picture by more than 2 %; the same shape in another size goes.
TEST_F(Selection, AMaskOfAnotherShapeIsRefusedWhicheverWay) {
  const auto put_mask = [&](int width, int height) {
    Image mask(width, height, 1);
    for (int y = height / 4; y < height / 2; ++y)
      std::fill_n(mask.row(y) + width / 4, width / 4, std::uint8_t{255});
    write_png(dir / "a" / "masks" / "3.png", mask);
  };
  const Image image = read_image(dir / "a" / "images" / "3.png");
  for (const auto& [width, height] : {std::pair{2 * image.width, image.height},
                                      {image.width, 2 * image.height},
                                      {image.height, image.width},
                                      {103 * image.width, 100 * image.height},
                                      {97 * image.width, 100 * image.height}}) {
    put_mask(width, height);
    EXPECT_THAT(test::message_of<ImageError>([&] { check(settings_of(dir / "a")); }), HasSubstr("its mask"))
        << width << "x" << height;
  }
  put_mask(3 * image.width, 3 * image.height);
  EXPECT_EQ(check(settings_of(dir / "a")).train.size(), 8u);
  put_mask(101 * image.width, 100 * image.height);
  EXPECT_EQ(check(settings_of(dir / "a")).train.size(), 8u);
}

TEST_F(Selection, OfManyBadPairsTheFirstFiveAreNamed) {
  for (int i = 0; i < 7; ++i) std::ofstream(dir / "a" / "images" / (std::to_string(i) + ".png")) << "x";
  EXPECT_THAT(
      test::message_of<ImageError>([&] { check(settings_of(dir / "a")); }),
      AllOf(HasSubstr("7 of 8 pairs"), HasSubstr("4.png"), Not(HasSubstr("5.png")), HasSubstr("and 2 more")));
}

TEST_F(Selection, FiveBadPairsAreAllNamedAndNoneIsLeft) {
  for (int i = 0; i < 5; ++i) std::ofstream(dir / "a" / "images" / (std::to_string(i) + ".png")) << "x";
  EXPECT_THAT(test::message_of<ImageError>([&] { check(settings_of(dir / "a")); }),
              AllOf(HasSubstr("5 of 8 pairs"), HasSubstr("4.png"), Not(HasSubstr("more"))));
}

// A row or a column too many in a large picture is within a fiftieth of its shape.
TEST_F(Selection, ASizeThatDiffersInOneDirectionIsTold) {
  for (const auto& [w, h] : {std::pair(200, 151), std::pair(202, 150)}) {
    write_png(dir / "a" / "images" / "0.png", Image(200, 150, 3));
    Image mask(w, h, 1);
    std::fill_n(mask.row(20) + 5, 50, std::uint8_t{255});
    write_png(dir / "a" / "masks" / "0.png", mask);
    check(settings_of(dir / "a"));
    EXPECT_THAT(notes,
                Contains(HasSubstr("warning: 1 masks have another size than their pictures, though the "
                                   "same shape: 0.png")))
        << w << "x" << h;
  }
}

TEST_F(Selection, MasksInColourOfSeveralLevelsAndOfAnotherSizeAreTold) {
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, IsEmpty());
  Image colour(32, 24, 3), levels(32, 24, 1);
  for (int y = 4; y < 12; ++y)
    for (int x = 5; x < 20; ++x) {
      colour.row(y)[3 * x] = 255;
      levels.row(y)[x] = static_cast<std::uint8_t>(x < 10 ? 80 : x < 15 ? 160 : 240);
    }
  for (std::size_t i = 0; i < colour.pixels.size(); i += 3)
    if (colour.pixels[i] == 255) colour.pixels[i + 1] = 200;
  write_png(dir / "a" / "masks" / "1.png", colour);
  write_png(dir / "a" / "masks" / "2.png", levels);
  write_png(dir / "a" / "masks" / "3.png",
            resize_nearest(read_image(dir / "a" / "masks" / "3.png", {.mode = ColorMode::gray}), 64, 48));
  EXPECT_EQ(check(settings_of(dir / "a")).train.size(), 8u);
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("in colour"), HasSubstr("1.png"))));
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("several flat levels"), HasSubstr("2.png"))));
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("another size"), HasSubstr("3.png"))));
}

TEST_F(Selection, AnOrientationThatIsNotAppliedIsTold) {
  std::ofstream(dir / "a" / "images" / "photo.jpg", std::ios::binary) << test::turned_photo(6);
  const Image stored = read_image(dir / "a" / "images" / "photo.jpg", {.apply_exif_orientation = false});
  Image mask(stored.width, stored.height, 1);
  std::fill_n(mask.pixels.begin(), mask.pixels.size() / 4, std::uint8_t{255});
  write_png(dir / "a" / "masks" / "photo.png", mask);
  EXPECT_EQ(check(settings_of(dir / "a")).train.size(), 9u);
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("1 pairs have an EXIF orientation"), HasSubstr("photo.png"))));
}

// --- the fingerprint by which a resumed run knows its pictures

class Fingerprint : public Selection {
 protected:
  std::string of(const Settings& s) {
    Group alone({}, at::kCPU, std::chrono::seconds(5));
    return checked_data(
               s, test::nano_config(), [](const std::string&) {}, alone, nullptr)
        .fingerprint;
  }
};

TEST_F(Fingerprint, IsOfTheNamesOnBothSidesAndNotOfTheirFolder) {
  set_of(dir / "b", 3);
  Settings s = settings_of(dir / "a");
  s.size = 32;
  s.val_images = settings_of(dir / "b").images;
  s.val_masks = settings_of(dir / "b").masks;
  const std::string before = of(s);
  EXPECT_THAT(before, HasSubstr("8 pictures to train on, 3 to validate on"));
  const auto rename = [&](const char* set, const char* from, const char* to) {
    for (const char* side : {"images", "masks"}) fs::rename(dir / set / side / from, dir / set / side / to);
  };
  rename("b", "1.png", "one.png");
  EXPECT_NE(of(s), before);
  rename("b", "one.png", "1.png");
  EXPECT_EQ(of(s), before);
  rename("a", "7.png", "seven.png");
  EXPECT_NE(of(s), before);
  rename("a", "seven.png", "7.png");
  fs::rename(dir / "a", dir / "moved");
  s.images = settings_of(dir / "moved").images;
  s.masks = settings_of(dir / "moved").masks;
  EXPECT_EQ(of(s), before);
}

TEST_F(Fingerprint, SizesThatTheNetworkCannotTakeAreRefusedBeforeAnyPictureIsRead) {
  Settings s = settings_of(dir / "nowhere");
  s.size = 64;
  s.multi_scale = {1, 1.5};
  EXPECT_THAT(test::message_of([&] { of(s); }), HasSubstr("nowhere"));
  s.size = 8192;
  EXPECT_THAT(test::message_of<UsageError>([&] { of(s); }), Not(HasSubstr("nowhere")));
}

// --- the batches of an epoch

class Batches : public Selection {
 protected:
  std::size_t of(int pictures, int batch, int world) {
    const std::vector<Pair> pairs(static_cast<std::size_t>(pictures),
                                  Pair{dir / "a" / "images" / "0.png", dir / "a" / "masks" / "0.png"});
    LoaderOptions options;
    options.size = 32;
    options.batch = batch;
    options.world = world;
    options.workers = 1;
    return Loader(pairs, options, 0).batches();
  }
};

// train.py:44 has no drop_last; of several processes each must have a picture in every batch.
TEST_F(Batches, OnlyARestWithFewerPicturesThanProcessesIsDropped) {
  EXPECT_EQ(of(8, 4, 1), 2u);
  EXPECT_EQ(of(9, 4, 1), 3u);  // a last batch of one picture
  EXPECT_EQ(of(3, 4, 1), 1u);
  EXPECT_EQ(of(9, 4, 2), 2u);
  EXPECT_EQ(of(10, 4, 2), 3u);
  EXPECT_EQ(of(11, 4, 4), 2u);
}

TEST_F(Batches, WithoutAugmentationTheOrderIsThatOfTheData) {
  const auto pairs = find(settings_of(dir / "a")).train;
  LoaderOptions options;
  options.size = 32;
  options.batch = 8;
  options.augment = Augment::none;
  EXPECT_THAT(Loader(pairs, options, 3).next().members, ElementsAre(0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u));
}

// The loader hands the fit and the classes on: padding is the ignored id, and not a level of gray.
TEST_F(Batches, AreLetterboxedAndOfIdsWhereAsked) {
  const std::vector<Pair> pairs = find(settings_of(dir / "a")).train;
  ClassTable classes = default_class_table(3);
  classes.ignore = 200;
  classes.remap_ids = {{255, 2}};
  for (const bool bytes : {false, true}) {
    LoaderOptions options;
    options.size = 32;
    options.batch = 2;
    options.classes = &classes;
    options.fit = Fit::letterbox;
    options.bytes = bytes;
    const Batch b = Loader(pairs, options, 0).next();
    EXPECT_EQ(b.mask.scalar_type(), bytes ? at::kByte : at::kFloat);
    const at::Tensor mask = b.mask.to(at::kFloat);
    EXPECT_TRUE((mask.slice(1, 0, 4) == 200).all().item<bool>());  // 32x24 in 32x32: four rows above
    EXPECT_TRUE((mask.slice(1, 28, 32) == 200).all().item<bool>());
    EXPECT_TRUE((mask.slice(1, 4, 28) < 3).all().item<bool>());
    EXPECT_EQ((mask == 2).sum().item<std::int64_t>(), 2 * 8 * 9);
  }
}

// What a run hands on: to the checks what is asked for, and to the user what they say.
TEST_F(Fingerprint, ChecksAreMadeAsAskedAndTold) {
  Group alone({}, at::kCPU, std::chrono::seconds(5));
  const auto note = [this](const std::string& line) { notes.push_back(line); };
  Settings s = settings_of(dir / "a");
  s.size = 32;
  write_pair(dir / "a", "2.png", "2.png", 2, 0);
  std::ofstream(dir / "a" / "images" / "4.png") << "no picture";
  EXPECT_THROW(checked_data(s, test::nano_config(), note, alone, nullptr), ImageError);
  notes.clear();
  s.skip_bad = true;
  const RunData data = checked_data(s, test::nano_config(), note, alone, nullptr);
  EXPECT_EQ(data.pairs.train.size(), 7u);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("4.png"), HasSubstr("1 masks are empty"),
                                 HasSubstr("--batch 12 is more than the 7 pictures")));
  const ClassTable classes = default_class_table(3);  // 255 is no class, so that there is none
  EXPECT_THROW(checked_data(s, test::nano_config(), note, alone, &classes), UsageError);
}

// Scales may round to sizes that are allowed where the size itself is not.
TEST_F(Fingerprint, TheSizeItselfIsCheckedBesideItsScales) {
  Settings s = settings_of(dir / "a");
  s.size = 70;
  s.multi_scale = {1};  // 64
  EXPECT_THAT(test::message_of<UsageError>([&] { of(s); }), HasSubstr("input size 70x70"));
}

}  // namespace
}  // namespace sam2unet::train
