// What is said of the data before a run begins: how many, which, and from where on.
#include <fstream>

#include "selection_fixture.h"
#include "support/turned_photo.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class DataNotes : public Selection {
 protected:
  static std::string name(int i) { return std::to_string(i) + ".png"; }
  fs::path mask(int i) const { return dir / "a" / "masks" / name(i); }
  // The first `rows` of 24 are foreground.
  void fill_mask(int i, int rows) {
    Image m(32, 24, 1);
    std::fill_n(m.pixels.begin(), 32 * rows, std::uint8_t{255});
    write_png(mask(i), m);
  }
};

TEST_F(DataNotes, FiveAreNamedAndTheRestIsCounted) {
  for (int i = 0; i < 5; ++i) fill_mask(i, 0);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, ElementsAre(AllOf(StartsWith("warning: 5 masks are empty"),
                                       EndsWith(": 0.png, 1.png, 2.png, 3.png, 4.png"))));
  fill_mask(5, 0);
  fill_mask(6, 0);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, ElementsAre(AllOf(StartsWith("warning: 7 masks are empty"),
                                       EndsWith(": 0.png, 1.png, 2.png, 3.png, 4.png and 2 more"))));
}

// Nine of ten masks, and three at least, that are more than half foreground.
TEST_F(DataNotes, InvertedMasksAreNineOfTen) {
  set_of(dir / "a", 10);
  for (int i = 0; i < 9; ++i) fill_mask(i, 13);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, ElementsAre(StartsWith("warning: in 9 of 10 masks most pixels are foreground: if")));
  fill_mask(3, 12);  // a half is not most of it
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, IsEmpty());
  for (const int n : {2, 3}) {
    const fs::path folder = dir / ("few" + std::to_string(n));
    for (int i = 0; i < n; ++i) {
      write_pair(folder, name(i), name(i), static_cast<std::uint64_t>(900 + 10 * n + i));
      fs::copy_file(mask(0), folder / "masks" / name(i), fs::copy_options::overwrite_existing);
    }
    check(settings_of(folder));
    EXPECT_EQ(notes.size(), n == 3 ? 1u : 0u) << n;
  }
}

// Empty masks are neither: of ten masks one is empty, and eight of the other nine are inverted.
TEST_F(DataNotes, EmptyMasksAreLeftOutOfThatCount) {
  set_of(dir / "a", 10);
  for (int i = 0; i < 9; ++i) fill_mask(i, 13);
  fill_mask(9, 0);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, Contains(HasSubstr("in 9 of 9 masks")));
  fill_mask(8, 2);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, Not(Contains(HasSubstr("most pixels"))));
}

TEST_F(DataNotes, NoiseAndDepthOfMasksAreTold) {
  Image noisy(32, 24, 1);
  for (std::size_t i = 0; i < noisy.pixels.size(); ++i)
    noisy.pixels[i] = static_cast<std::uint8_t>(i % 32 < 16 ? i * 7 % 29 : 255 - i * 7 % 29);
  write_png(mask(2), noisy);
  fs::remove(mask(4));
  std::string levels(32 * 24 * 2, '\0');
  std::fill_n(levels.begin(), 32 * 24 / 2, '\xFF');
  std::ofstream(dir / "a" / "masks" / "4.pgm", std::ios::binary) << "P5 32 24 65535\n" << levels;
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, ElementsAre(AllOf(StartsWith("warning: 1 masks have levels that lossy compression left"),
                                       EndsWith(": 2.png")),
                                 AllOf(StartsWith("warning: 1 masks are gray of 16 bits or floating point"),
                                       HasSubstr(": 4.pgm; scale them to 8 bits"))));
}

// Of either file: where both are turned alike nothing is wrong, and where shapes differ by it, it is said
// why.
TEST_F(DataNotes, AnOrientationOfEitherFileIsTold) {
  const auto put = [&](const char* side, char orientation) {
    std::ofstream(dir / "a" / side / "photo.jpg", std::ios::binary) << test::turned_photo(orientation);
  };
  put("images", 1);
  put("masks", 6);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, Contains(AllOf(StartsWith("warning: 1 pairs have an EXIF orientation"),
                                    EndsWith(": photo.jpg"))));
  put("masks", 1);
  check(settings_of(dir / "a"));
  EXPECT_THAT(notes, Not(Contains(HasSubstr("EXIF"))));
  fs::remove(dir / "a" / "masks" / "photo.jpg");
  const Image stored = read_image(dir / "a" / "images" / "photo.jpg", {.apply_exif_orientation = false});
  ASSERT_NE(stored.width, stored.height);
  write_png(dir / "a" / "masks" / "photo.png", Image(stored.height, stored.width, 1));
  const auto refusal = [&] { return test::message_of<ImageError>([&] { check(settings_of(dir / "a")); }); };
  EXPECT_THAT(refusal(), AllOf(HasSubstr("its mask"), Not(HasSubstr("EXIF"))));
  put("images", 6);
  EXPECT_THAT(refusal(), HasSubstr("(an EXIF tag turns one of them; turn the pixels and drop the tag)"));
}

TEST_F(DataNotes, ScaledAndUnpairedFilesAreCounted) {
  set_of(dir / "b", 3, 1);
  Settings s = settings_of(dir / "b");
  check(s);
  EXPECT_THAT(notes,
              ElementsAre((dir / "b" / "masks").string() + ": the 3 masks hold 0 and 1; 1 is taken as 255"));
  fs::remove(dir / "b" / "masks" / "1.png");
  const auto note = [this](const std::string& line) { notes.push_back(line); };
  EXPECT_THAT(test::message_of<UsageError>([&] { find_data(s, note); }),
              EndsWith("1.png. Add the masks, remove the pictures, or leave them out with --skip-bad"));
  s.skip_bad = true;
  notes.clear();
  EXPECT_EQ(find_data(s, note).train.size(), 2u);
  EXPECT_THAT(notes, ElementsAre(AllOf(StartsWith("left out: 1 file of "), EndsWith(": 1.png"))));
}

// Within the training data copies are nobody's business, nor is a copy that is left out.
TEST_F(DataNotes, DuplicatesCountBetweenTheTwoSidesAlone) {
  set_of(dir / "b", 2);
  const auto copy = [&](const fs::path& from, const fs::path& to) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  };
  copy(dir / "a" / "images" / "0.png", dir / "a" / "images" / "1.png");
  Settings s = settings_of(dir / "a", dir / "b");
  check(s);
  EXPECT_THAT(notes, IsEmpty());
  copy(dir / "a" / "images" / "5.png", dir / "b" / "images" / "1.png");
  check(s);
  EXPECT_THAT(notes, ElementsAre(AllOf(StartsWith("warning: 1 pictures are alike in the training and the"),
                                       EndsWith(": 5.png ~ 1.png"))));
  write_png(dir / "b" / "masks" / "1.png", Image(24, 32, 1));  // of another shape
  s.skip_bad = true;
  check(s);
  EXPECT_THAT(notes, ElementsAre(StartsWith("left out: ")));
}

TEST_F(DataNotes, NothingLeftIsNothingToTrainOn) {
  for (int i = 0; i < 8; ++i) std::ofstream(dir / "a" / "images" / name(i)) << "x";
  Settings s = settings_of(dir / "a");
  s.skip_bad = true;
  EXPECT_EQ(test::message_of<UsageError>([&] { check(s); }), "no picture is left to train on");
  EXPECT_EQ(notes.size(), 8u);
}

TEST_F(DataNotes, AStepOfOnePictureIsToldInTheSingular) {
  Settings s;
  s.batch = 2;
  s.epochs = 1;
  const auto note = [this](const std::string& line) { notes.push_back(line); };
  note_large_batch(s, 1, note);
  EXPECT_THAT(notes, ElementsAre("warning: --batch 2 is more than the 1 picture: every epoch is one step of "
                                 "1; 1 step in all is hardly a training"));
}

// Once for each pair, up to all of them; who asks to stop by an exception is heard.
TEST_F(DataNotes, ProgressCountsThePairsAndMayStopThem) {
  Data data = find(settings_of(dir / "a"));
  data.validation = {data.train.back()};
  CheckOptions options;
  std::vector<std::size_t> done;
  options.progress = [&](std::size_t n, std::size_t total) {
    done.push_back(n);
    EXPECT_EQ(total, 9u);
  };
  Data copy = data;
  check_data(copy, options);
  EXPECT_THAT(done, ElementsAre(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u));
  options.threads = 1;
  done.clear();
  options.progress = [&](std::size_t n, std::size_t) {
    done.push_back(n);
    if (n == 3) throw UsageError("enough");
  };
  copy = data;
  EXPECT_EQ(test::message_of<UsageError>([&] { check_data(copy, options); }), "enough");
  EXPECT_THAT(done, ElementsAre(1u, 2u, 3u));
}

// Masks of classes: what cannot be read is told as such, and what is left out is not told twice.
TEST_F(DataNotes, OfClassesToo) {
  set_of(dir / "a", 8, 1);
  const ClassTable classes = default_class_table(2);
  check(settings_of(dir / "a"), &classes);
  EXPECT_THAT(notes, IsEmpty());
  std::ofstream(dir / "a" / "images" / name(3)) << "no picture";
  write_pair(dir / "a", name(5), name(5), 5, 9);
  Settings s = settings_of(dir / "a");
  EXPECT_THAT(test::message_of<ImageError>([&] { check(s, &classes); }),
              AllOf(StartsWith("2 of 8 pairs cannot be used: cannot decode "), HasSubstr("3.png"),
                    HasSubstr("; " + mask(5).string() + ": the id 9 (72 pixels) is no class. Mend")));
  s.skip_bad = true;
  const Data data = check(s, &classes);
  EXPECT_THAT(names(data.train), ElementsAre("0.png", "1.png", "2.png", "4.png", "6.png", "7.png"));
  EXPECT_THAT(notes, ElementsAre(AllOf(StartsWith("left out: cannot decode "), HasSubstr("3.png")),
                                 AllOf(StartsWith("left out: "), HasSubstr("the id 9"))));
}

// Alike in both parts is alike, whatever the masks hold.
TEST_F(DataNotes, DuplicatesAreToldOfClassesToo) {
  set_of(dir / "a", 8, 1);
  set_of(dir / "b", 2, 1);
  fs::copy_file(dir / "a" / "images" / name(5), dir / "b" / "images" / name(1),
                fs::copy_options::overwrite_existing);
  Settings s = settings_of(dir / "a", dir / "b");
  const ClassTable classes = default_class_table(2);
  check(s, &classes);
  EXPECT_THAT(notes,
              ElementsAre(AllOf(StartsWith("warning: 1 pictures are alike"), EndsWith(": 5.png ~ 1.png"))));
}

// The names are right where others were left out before them, and at the border of the two parts.
TEST_F(DataNotes, DuplicatesAreNamedBesideWhatIsLeftOut) {
  set_of(dir / "a", 8);
  set_of(dir / "b", 2);
  fs::copy_file(dir / "a" / "images" / name(7), dir / "b" / "images" / name(0),
                fs::copy_options::overwrite_existing);
  for (const int i : {0, 3}) std::ofstream(dir / "a" / "images" / name(i)) << "no picture";
  Settings s = settings_of(dir / "a", dir / "b");
  s.skip_bad = true;
  check(s);
  EXPECT_THAT(notes,
              Contains(AllOf(StartsWith("warning: 1 pictures are alike"), EndsWith(": 7.png ~ 0.png"))));
}

// What is learned is in the training data, and not in what it is validated on.
TEST_F(DataNotes, AClassOfTheValidationDataAloneTeachesNothing) {
  set_of(dir / "a", 8, 0);
  set_of(dir / "b", 2, 1);
  Settings s = settings_of(dir / "a", dir / "b");
  const ClassTable classes = default_class_table(2);
  EXPECT_THAT(test::message_of<UsageError>([&] { check(s, &classes); }),
              HasSubstr("no training mask has a pixel of any class but the background"));
}

TEST_F(DataNotes, AMaskOfZeroAndOneAmongOthersIsToldTheirBrightest) {
  write_pair(dir / "a", name(3), name(3), 3, 1);
  EXPECT_THAT(test::message_of<ImageError>([&] { check(settings_of(dir / "a")); }),
              HasSubstr(mask(3).string() +
                        " has 0 and 1 while others of its folder go up to 255; multiply it by 255"));
  // Other folders are other data sets.
  fs::remove(mask(3));
  fs::remove(dir / "a" / "images" / name(3));
  set_of(dir / "b", 2, 1);
  Settings s = settings_of(dir / "a");
  s.images.push_back((dir / "b" / "images").string());
  s.masks.push_back((dir / "b" / "masks").string());
  for (const Pair& p : check(s).train)
    EXPECT_EQ(p.zero_one, p.mask.parent_path() == dir / "b" / "masks") << p.mask;
}

}  // namespace
}  // namespace sam2unet::train
