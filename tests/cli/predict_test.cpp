// `sam2unet predict` where all is well: inputs, results, names.
#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "predict_fixture.h"

namespace sam2unet {
namespace {

using test::Finished;
using test::PredictTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(PredictTest, AFolderGivesAMapPerPicture) {
  put_picture("in/b.png", 30, 20);
  put_picture("in/a.png", 5, 40);
  put("in/notes.txt", "no picture");
  const Finished r = predict({"in", "-o", "out"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/a.png\nout/b.png\n");  // sorted, whichever was ready first
  EXPECT_EQ(r.err, "");
  EXPECT_THAT(list("out"), ElementsAre("a.png", "b.png"));
  EXPECT_EQ(gray("out/b.png").width, 30);
  EXPECT_EQ(gray("out/a.png").height, 40);
}

TEST_F(PredictTest, AllResultsAgreeWithEachOther) {
  put_picture("a.png", 50, 33);
  // At a level of which about half of the pixels lie above.
  ASSERT_EQ(predict({"a.png", "-o", "first.png"}).exit_code, 0);
  std::vector<std::uint8_t> levels = gray("first.png").pixels;
  std::nth_element(levels.begin(), levels.begin() + 825, levels.end());
  const int level = levels[825];
  const std::string threshold = std::to_string(level / 255.0);
  const Finished r = predict({"a.png", "-o", "out", "--save", "map,mask,overlay,cutout,json", "--threshold",
                              threshold, "--no-clean-edges"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(list("out"), ElementsAre("a.json", "a.png", "a_cutout.png", "a_mask.png", "a_overlay.png"));
  const Image map = gray("out/a.png");
  const Image mask = gray("out/a_mask.png");
  std::int64_t area = 0;
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    ASSERT_TRUE(mask.pixels[i] == 0 || mask.pixels[i] == 255);
    if (mask.pixels[i] != 0)
      EXPECT_GE(map.pixels[i], level);
    else
      EXPECT_LE(map.pixels[i], level);
    area += mask.pixels[i] != 0 ? 1 : 0;
  }
  EXPECT_GT(area, 0);
  EXPECT_LT(area, 50 * 33);
  const Image picture = test::picture(50, 33, 3);
  EXPECT_EQ(read_image(dir / "out/a_cutout.png").pixels, picture.pixels);  // colours under the alpha channel
  const Image overlay = read_image(dir / "out/a_overlay.png");
  EXPECT_EQ(overlay.width, 50);
  const auto json = nlohmann::json::parse(get("out/a.json"));
  EXPECT_EQ(json["input"], "a.png");
  EXPECT_EQ(json["width"], 50);
  EXPECT_EQ(json["height"], 33);
  EXPECT_EQ(json["threshold"], std::stod(threshold));
  EXPECT_EQ(json["area"], area);
  EXPECT_EQ(json["area_fraction"].get<double>(), area / (50.0 * 33.0));
  double enclosed = 0;  // twice the area of the polygons
  const auto add = [&](const nlohmann::json& ring) {
    for (std::size_t i = 0; i < ring.size(); ++i) {
      const auto& p = ring[i];
      const auto& q = ring[(i + 1) % ring.size()];
      enclosed += p[0].get<double>() * q[1].get<double>() - q[0].get<double>() * p[1].get<double>();
    }
  };
  for (const auto& p : json["polygons"]) {
    add(p["outer"]);
    for (const auto& hole : p["holes"]) add(hole);
  }
  EXPECT_EQ(enclosed / 2, static_cast<double>(area));
}

TEST_F(PredictTest, AnEmptyMaskHasNoBox) {
  put_picture("a.png", 8, 8);
  const Finished r = predict({"a.png", "-o", "-", "--save", "json", "--threshold", "1"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_TRUE(json["bounding_box"].is_null());
  EXPECT_EQ(json["area"], 0);
  EXPECT_EQ(json["mean_confidence"], 0.0);
  EXPECT_TRUE(json["polygons"].empty());
}

TEST_F(PredictTest, JsonOfManyIsALineEach) {
  put_picture("in/a.png", 8, 9);
  put_picture("in/b.png", 9, 8);
  const Finished r = predict({"in", "-o", "-", "--save", "json"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const auto end = r.out.find('\n');
  EXPECT_EQ(nlohmann::json::parse(r.out.substr(0, end))["height"], 9);
  EXPECT_EQ(nlohmann::json::parse(r.out.substr(end + 1))["height"], 8);
}

TEST_F(PredictTest, APictureThroughAPipe) {
  put_picture("a.png", 21, 13);
  ASSERT_EQ(predict({"a.png", "-o", "out"}).exit_code, 0);
  const std::string bytes = get("a.png");
  const Finished piped = predict({"-"}, {.input = bytes});
  EXPECT_EQ(piped.exit_code, 0) << piped.err;
  EXPECT_EQ(piped.out, get("out/a.png"));
  EXPECT_EQ(predict({"-", "-o", "-"}, {.input = bytes}).out, piped.out);
  const Finished saved = predict({"-", "-o", "out"}, {.input = bytes});
  EXPECT_EQ(saved.out, "out/stdin.png\n");
  EXPECT_EQ(get("out/stdin.png"), piped.out);
}

TEST_F(PredictTest, AListOnStandardInput) {
  put_picture("BMW.png", 8, 8);  // begins like a BMP
  put_picture("in/b.png", 8, 8);
  const Finished r = predict({"-", "-o", "out"}, {.input = "BMW.png\r\nin\n\n"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/BMW.png\nout/b.png\n");
}

// A dash in a list is no second standard input, and the last line needs no end.
TEST_F(PredictTest, AListMayNameItself) {
  put_picture("in/a.png", 8, 8);
  put_picture("in/b.png", 8, 8);
  const Finished r = predict({"-", "-", "-o", "out"}, {.input = "in/a.png\n-\n./in/../in/a.png\nin/b.png"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/a.png\nout/b.png\n");
  const Finished none = predict({"-", "-o", "out"}, {.input = std::string("a\0b", 3)});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("neither a picture of a known format nor a list of paths"));
}

TEST_F(PredictTest, AGlobThatTheShellDidNotExpand) {
  put_picture("in/a1.png", 8, 8);
  put_picture("in/a2.png", 8, 8);
  put_picture("in/b.png", 8, 8);
  EXPECT_EQ(predict({"in/a*.png", "-o", "out"}).out, "out/a1.png\nout/a2.png\n");
  put_picture("odd[1].png", 8, 8);  // a file first, a pattern only if there is none
  EXPECT_EQ(predict({"odd[1].png", "-o", "out"}).out, "out/odd[1].png\n");
}

TEST_F(PredictTest, SubfoldersOnlyWhenAsked) {
  put_picture("in/a.png", 8, 8);
  put_picture("in/deep/er/a.png", 8, 8);
  EXPECT_EQ(predict({"in", "-o", "out1"}).out, "out1/a.png\n");
  EXPECT_EQ(predict({"in", "-o", "out2", "-r"}).out, "out2/a.png\nout2/deep/er/a.png\n");
}

TEST_F(PredictTest, OneStemTwice) {
  put_picture("x/cat.png", 8, 8);
  put_picture("y/cat.png", 9, 9);
  put_picture("z/cat.png", 10, 10);
  std::filesystem::copy_file(test::repository_data() / "image" / "files" / "rgb.jpg", dir / "x" / "cat.jpg");
  const Finished r =
      predict({"x/cat.png", "x/cat.jpg", "y/cat.png", "z/cat.png", "x/../x/cat.png", "-o", "out"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/cat.png\nout/cat.jpg.png\nout/cat.png.png\nout/cat-2.png\n");
  EXPECT_EQ(gray("out/cat.png").width, 8);
  EXPECT_EQ(gray("out/cat.jpg.png").width, 11);
  EXPECT_EQ(gray("out/cat.png.png").width, 9);
  EXPECT_EQ(gray("out/cat-2.png").width, 10);
}

TEST_F(PredictTest, LinksToOnePictureAreTwoPictures) {
  put_picture("store/x.png", 8, 8);
  std::filesystem::create_directories(dir / "in");
  std::filesystem::create_symlink("../store/x.png", dir / "in" / "a.png");
  std::filesystem::create_symlink("../store/x.png", dir / "in" / "b.png");
  const Finished r = predict({"in", "./in/../in/a.png", "-o", "out"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/a.png\nout/b.png\n");
}

TEST_F(PredictTest, ResultsOfOneInputDoNotHitThoseOfAnother) {
  put_picture("cat.png", 8, 8);
  put_picture("cat_mask.png", 9, 9);
  const Finished r = predict({"cat.png", "cat_mask.png", "-o", "out", "--save", "map,mask"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(list("out"),
              ElementsAre("cat.png", "cat_mask.png", "cat_mask.png.png", "cat_mask.png_mask.png"));
  EXPECT_EQ(gray("out/cat_mask.png").width, 8);
}

TEST_F(PredictTest, AnInputIsNeverOverwritten) {
  put_picture("in/a.png", 8, 8);
  put_picture("in/b.png", 8, 8);
  std::filesystem::create_symlink(dir / "in" / "b.png", dir / "a_link.png");
  const std::string before = get("in/a.png") + get("in/b.png");
  const Finished r = predict({"in", "-o", "in"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "in/a.png.png\nin/b.png.png\n");
  EXPECT_EQ(get("in/a.png") + get("in/b.png"), before);
  // through another name of the same file
  EXPECT_EQ(predict({"a_link.png", "-o", "."}).out, "./a_link.png.png\n");
  EXPECT_EQ(get("in/a.png") + get("in/b.png"), before);
}

TEST_F(PredictTest, OfficialIgnoresExifAndStretches) {
  std::filesystem::copy_file(test::repository_data() / "image" / "files" / "exif6.jpg", dir / "a.jpg");
  ASSERT_EQ(predict({"a.jpg", "-o", "upright"}).exit_code, 0);
  ASSERT_EQ(predict({"a.jpg", "-o", "official", "--official"}).exit_code, 0);
  EXPECT_EQ(gray("upright/a.png").width, 6);
  const Image official = gray("official/a.png");
  EXPECT_EQ(official.width, 11);
  EXPECT_EQ(*std::min_element(official.pixels.begin(), official.pixels.end()), 0);
  EXPECT_GE(*std::max_element(official.pixels.begin(), official.pixels.end()), 254);
}

TEST_F(PredictTest, SizeAndPillowReachTheNetwork) {
  put_picture("a.png", 30, 300);  // Pillow 13 would shrink its height first
  ASSERT_EQ(predict({"a.png", "-o", "o12"}).exit_code, 0);
  ASSERT_EQ(predict({"a.png", "-o", "o13", "--pillow", "13"}).exit_code, 0);
  ASSERT_EQ(predict_plain({"predict", "a.png", "-o", "wide", "--size", "64x96", "-w", "tiny.safetensors"})
                .exit_code,
            0);
  EXPECT_EQ(gray("o13/a.png").height, 300);
  EXPECT_NE(get("wide/a.png"), get("o12/a.png"));
}

TEST_F(PredictTest, OddSizes) {
  put_picture("in/1x1.png", 1, 1);
  put_picture("in/long.png", 20000, 3);
  put_picture("in/tall.png", 2, 20000);
  const Finished r = predict({"in", "-o", "out", "--save", "map,overlay"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(gray("out/1x1.png").width, 1);
  EXPECT_EQ(gray("out/long.png").width, 20000);
  EXPECT_EQ(gray("out/tall.png").height, 20000);
}

TEST_F(PredictTest, ProgressOnATerminalOnly) {
  for (int i = 0; i < 6; ++i) put_picture("in/" + std::to_string(i) + ".png", 8, 8);
  const Finished shown = predict({"in", "-o", "out"}, {.terminal = true});
  EXPECT_EQ(shown.exit_code, 0);
  EXPECT_THAT(shown.err, HasSubstr("6 pictures"));
  EXPECT_THAT(shown.err, HasSubstr("/s"));
  EXPECT_THAT(shown.err, HasSubstr("left"));
  EXPECT_THAT(shown.err, HasSubstr("results in out"));
  EXPECT_EQ(predict({"in", "-o", "out"}).err, "");
}

TEST_F(PredictTest, VerboseTellsTimesAndPlaces) {
  put_picture("a.png", 8, 9);
  const Finished r = predict({"a.png", "-o", "out", "-v"});
  EXPECT_THAT(r.err, HasSubstr("a.png: 8 x 9 pixels, "));
  EXPECT_THAT(r.err, HasSubstr(" s -> out/a.png"));
}

TEST_F(PredictTest, HelpAndCompletionsKnowIt) {
  const Finished help = predict_plain({"predict", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* word : {"--save", "--threshold", "--size", "--official", "--pillow", "Examples:"}) {
    EXPECT_THAT(help.out, HasSubstr(word));
  }
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_THAT(predict_plain({"completion", shell}).out, HasSubstr("official")) << shell;
  }
  EXPECT_THAT(predict_plain({"man"}).out, HasSubstr(".SS predict"));
}

// Every picture of the reference, with its own weights: within 1 grey level everywhere, equal on 98 % of the
// pixels of each and 99.99 % (rounded) of all.
TEST_F(PredictTest, OfficialMapsAreTheReferences) {
  const auto shared = test::shared_data();
  if (!shared) GTEST_SKIP() << "needs the development data beside the checkout";
  const auto golden = *shared / "golden" / "predict";
  const Finished r = predict_plain({"predict", (golden / "image").string(), "-o", "out", "--official",
                                    "--weights", (*shared / "weights" / "sam2unet_t_duts.pth").string()});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  std::int64_t all = 0;
  std::int64_t all_equal = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden / "pred")) {
    const std::string name = entry.path().filename().string();
    const Image want = read_image(entry.path(), {.mode = ColorMode::gray});
    const Image got = gray("out/" + name);
    ASSERT_EQ(got.pixels.size(), want.pixels.size()) << name;
    std::int64_t equal = 0;
    int worst = 0;
    for (std::size_t i = 0; i < want.pixels.size(); ++i) {
      const int d = std::abs(got.pixels[i] - want.pixels[i]);
      worst = std::max(worst, d);
      equal += d == 0 ? 1 : 0;
    }
    EXPECT_LE(worst, 1) << name;
    EXPECT_GE(static_cast<double>(equal), 0.98 * static_cast<double>(want.pixels.size())) << name;
    all += static_cast<std::int64_t>(want.pixels.size());
    all_equal += equal;
  }
  EXPECT_GE(static_cast<double>(all_equal), 0.99985 * static_cast<double>(all));
}

TEST_F(PredictTest, OneResultMayBeAFile) {
  put_picture("a.png", 20, 10);
  const Finished r = predict({"a.png", "-o", "new/map.png"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "new/map.png\n");
  EXPECT_THAT(list("new"), ElementsAre("map.png"));
  EXPECT_EQ(gray("new/map.png").width, 20);
  EXPECT_EQ(predict({"a.png", "-o", "a.json", "--save", "json"}).exit_code, 0);
  EXPECT_EQ(nlohmann::json::parse(get("a.json"))["width"], 20);
  EXPECT_EQ(predict({"a.png", "-o", "upper.PNG"}).out, "upper.PNG\n");  // a camera's way of writing it
  EXPECT_EQ(predict({"a.png", "-o", "upper.json", "--save", "map"}).out, "upper.json/a.png\n");  // a folder
  put_picture("b.png", 20, 10);
  const auto refused = [&](std::vector<std::string> arguments, const std::string& why) {
    const Finished f = predict(std::move(arguments));
    EXPECT_EQ(f.exit_code, 2);
    EXPECT_THAT(f.err, HasSubstr(why));
  };
  refused({"a.png", "b.png", "-o", "x.png"}, "one file, for 2 pictures");
  refused({"a.png", "-o", "x.png", "--save", "map,mask"}, "for 2 kinds of results");
  refused({"a.png", "-o", "x.jpg"}, "written as .png");
  refused({"a.png", "-o", "a.png"}, "the picture itself");
  EXPECT_FALSE(exists("x.png"));
  std::filesystem::create_directories(dir / "folder.png");  // a folder stays one
  EXPECT_EQ(predict({"a.png", "-o", "folder.png"}).out, "folder.png/a.png\n");
}

TEST_F(PredictTest, NamesOfAnyLegalLength) {
  const std::string longest(251, 'n');  // with its extension, what the file system allows
  put_picture("in/" + longest + ".png", 8, 8);
  put_picture("in/z.png", 8, 8);
  const Finished whole = predict({"in", "-o", "out"});
  EXPECT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_THAT(list("out"), ElementsAre(longest + ".png", "z.png"));
  // A name that is too long with what is put behind it fails alone.
  const Finished part = predict({"in", "-o", "masks", "--save", "mask"});
  EXPECT_EQ(part.exit_code, 1);
  EXPECT_THAT(part.err, HasSubstr("name is too long"));
  EXPECT_THAT(list("masks"), ElementsAre("z_mask.png"));
  std::filesystem::create_directories(dir / "blocked" / (longest + ".png"));  // so does one that is a folder
  EXPECT_EQ(predict({"in", "-o", "blocked"}).exit_code, 1);
  EXPECT_TRUE(exists("blocked/z.png"));
}

TEST_F(PredictTest, FilesThatAreLeftOutAreNamed) {
  put_picture("in/a.png", 8, 8);
  put("in/._a.png", std::string("\0\x05\x16\x07", 4));
  put("in/IMG_1.HEIC", "x");
  const Finished r = predict({"in", "-o", "out"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.out, "out/a.png\n");
  EXPECT_EQ(
      r.err,
      "sam2unet: 1 file of a picture format that is not read was left out: IMG_1.HEIC; convert it to JPEG or "
      "PNG\n");
  const Finished listed = predict({"-", "-o", "out"}, {.input = "in/a.png\nin/._a.png\n"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  put("only/b.avif", "x");
  const Finished none = predict({"only", "-o", "out"});
  EXPECT_THAT(none.err, HasSubstr("left out: b.avif"));
  put_picture("deep/sub/c.png", 8, 8);
  EXPECT_THAT(predict({"deep", "-o", "out"}).err, HasSubstr("1 of its subfolders holds some: sub (-r looks"));
}

TEST_F(PredictTest, LinkedFoldersAreFollowed) {
  put_picture("in/a.png", 8, 8);
  put_picture("elsewhere/b.png", 8, 8);
  std::filesystem::create_directory_symlink(dir / "elsewhere", dir / "in/link");
  std::filesystem::create_directory_symlink(dir / "in", dir / "in/circle");
  const Finished r = predict({"in", "-r", "-o", "out"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/a.png\nout/link/b.png\n");
}

TEST_F(PredictTest, StreamsAreTheSamePictures) {
  for (int i = 0; i < 5; ++i) put_picture("in/" + std::to_string(i) + ".png", 30 + i, 20);
  // Of three threads each of three streams has one.
  for (const std::string n : {"1", "3"})
    ASSERT_EQ(predict({"in", "-o", n, "-j", n, "--precision", "int8", "--streams", n}).exit_code, 0);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(get("1/" + std::to_string(i) + ".png"), get("3/" + std::to_string(i) + ".png"));
  for (const std::string wrong : {"0", "65", "two", "1.5"}) {
    const auto f = predict({"in", "-o", "out", "--streams", wrong});
    EXPECT_EQ(f.exit_code, 2);
    EXPECT_THAT(f.err, testing::HasSubstr("must be auto or 1 to 64"));
  }
}

TEST_F(PredictTest, DeepPicturesAreWarnedOfOnce) {
  const auto files = test::repository_data() / "image" / "files";
  std::filesystem::create_directories(dir / "in");
  for (const char* name : {"wide.pgm", "f32.tif", "gray.jpg"})
    std::filesystem::copy_file(files / name, dir / "in" / name);
  const Finished r = predict({"in", "-o", "out"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_THAT(r.err, HasSubstr("warning: 2 pictures are gray of 16 bits or floating point"));
  EXPECT_THAT(r.err, HasSubstr("in/f32.tif, in/wide.pgm"));
}

TEST_F(PredictTest, CutOutsKeepAlpha) {
  Image half = test::picture(40, 20, 4);
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 40; ++x) half.row(y)[4 * x + 3] = x < 20 ? 0 : 255;
  }
  write_png(dir / "half.png", half);
  ASSERT_EQ(predict({"half.png", "-o", "out", "--save", "map,cutout"}).exit_code, 0);
  const Image cutout = read_image(dir / "out/half_cutout.png", {.mode = ColorMode::rgba});
  const Image map = gray("out/half.png");
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 40; ++x) EXPECT_EQ(cutout.row(y)[4 * x + 3], x < 20 ? 0 : map.row(y)[x]);
  }
}

}  // namespace
}  // namespace sam2unet
