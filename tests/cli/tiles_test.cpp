// `predict` and `eval` with tiles and test-time augmentation, and with weights of several classes.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
#include "predict_fixture.h"
#include "sam2unet/classes.h"
#include "sam2unet/png_stream.h"
#include "tar/tar_file.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

class Tiles : public PredictTest {
 protected:
  Tiles() { write_three_classes(); }
  Finished predict_classes(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"predict", "--weights", "three.safetensors", "--size", "64"});
    return predict_plain(arguments);
  }
  // Of a picture, but for the time it took.
  Json json(const std::string& name) {
    Json j = Json::parse(get(name));
    j.erase("seconds");
    return j;
  }
};

const std::vector<std::string> kAll = {"--save", "map,mask,overlay,cutout,json", "--instances"};

std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_F(Tiles, APictureThatOneTileCoversStaysAsItIs) {
  put_picture("a.png", 90, 61);
  ASSERT_EQ(predict(with({"a.png", "-o", "plain"}, kAll)).exit_code, 0);
  const Finished r = predict(with({"a.png", "-o", "tiled", "--tile", "90", "--tile-context", "0.5"}, kAll));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  for (const char* ending : {".png", "_mask.png", "_overlay.png", "_cutout.png"})
    EXPECT_EQ(get(std::string("tiled/a") + ending), get(std::string("plain/a") + ending)) << ending;
  Json tiled = json("tiled/a.json"), plain = json("plain/a.json");
  for (std::size_t i = 0; i < plain["instances"].size(); ++i) {  // their confidence is of 8 bits
    const double a = tiled["instances"][i]["mean_confidence"], b = plain["instances"][i]["mean_confidence"];
    EXPECT_NEAR(a, b, 0.5 / 255);
    tiled["instances"][i].erase("mean_confidence");
    plain["instances"][i].erase("mean_confidence");
  }
  EXPECT_EQ(tiled, plain);
  // The picture's own colours under every alpha, in both.
  const std::vector<std::string> own = {"--save", "cutout", "--no-clean-edges"};
  ASSERT_EQ(predict(with({"a.png", "-o", "own"}, own)).exit_code, 0);
  ASSERT_EQ(predict(with({"a.png", "-o", "own_tiled", "--tile", "90"}, own)).exit_code, 0);
  EXPECT_EQ(get("own_tiled/a_cutout.png"), get("own/a_cutout.png"));
  EXPECT_NE(get("own/a_cutout.png"), get("plain/a_cutout.png"));
}

TEST_F(Tiles, ResultsAgreeWithEachOther) {
  put_picture("a.png", 211, 157);
  const Finished r = predict(with({"a.png", "-o", "out", "--tile", "80"}, kAll));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const Image map = gray("out/a.png"), mask = gray("out/a_mask.png");
  ASSERT_EQ(map.width, 211);
  ASSERT_EQ(map.height, 157);
  std::int64_t area = 0;
  for (std::size_t i = 0; i < map.pixels.size(); ++i) {
    EXPECT_EQ(mask.pixels[i], map.pixels[i] >= 128 ? 255 : 0);
    area += mask.pixels[i] != 0 ? 1 : 0;
  }
  EXPECT_EQ(json("out/a.json")["area"], area);
  EXPECT_EQ(read_image(dir / "out/a_overlay.png").width, 211);
  EXPECT_EQ(read_image(dir / "out/a_cutout.png", {.mode = ColorMode::rgba}).channels, 4);
  // Automatic tiles are half as long as the picture.
  ASSERT_EQ(predict({"a.png", "-o", "auto", "--tile", "auto"}).exit_code, 0);
  ASSERT_EQ(predict({"a.png", "-o", "half", "--tile", "106"}).exit_code, 0);
  EXPECT_EQ(get("auto/a.png"), get("half/a.png"));
  EXPECT_NE(get("auto/a.png"), get("out/a.png"));
  // The names are listed as ever, several pictures are each for itself.
  put_picture("b.png", 60, 300);
  const Finished two = predict({"a.png", "b.png", "-o", "two", "--tile", "80", "--batch", "3"});
  EXPECT_EQ(two.out, "two/a.png\ntwo/b.png\n");
  EXPECT_EQ(get("two/a.png"), get("out/a.png"));
}

// A tar and standard output take what the files would hold.
TEST_F(Tiles, ResultsAreTheSameWhereverTheyGo) {
  put_picture("in/a.png", 211, 157);
  put_picture("in/b.png", 60, 130);
  const std::vector<std::string> tiles{"--tile", "80"}, kinds{"--save", "map,mask,overlay,cutout"};
  ASSERT_EQ(predict(with(with({"in", "-o", "out"}, kinds), tiles)).exit_code, 0);
  const Finished r = predict(with(with({"in", "-o", "out.tar"}, kinds), tiles));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  std::string names;
  const tar::TarFile packed(dir / "out.tar");
  for (const auto& member : packed.members()) {
    names += "out.tar/" + member.name + "\n";
    EXPECT_TRUE(std::string(reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size()) ==
                get("out/" + member.name))
        << member.name;
  }
  EXPECT_EQ(packed.members().size(), 8U);
  EXPECT_EQ(r.out, names);
  for (const char* kind : {"mask", "cutout"}) {
    const Finished one = predict(with({"in/a.png", "-o", "-", "--save", kind}, tiles));
    EXPECT_TRUE(one.out == get(std::string("out/a_") + kind + ".png")) << one.err;
  }
  const Finished one = predict(with({"in/a.png", "-o", "new/x.png"}, tiles));
  EXPECT_EQ(one.out, "new/x.png\n");
  EXPECT_TRUE(get("new/x.png") == get("out/a.png"));
}

TEST_F(Tiles, OfSeveralClasses) {
  put_picture("a.png", 150, 111);
  ASSERT_EQ(predict_classes(with({"a.png", "-o", "plain", "--tile", "150"}, kAll)).exit_code, 0);
  ASSERT_EQ(predict_classes(with({"a.png", "-o", "whole"}, kAll)).exit_code, 0);
  for (const char* ending : {".png", "_mask.png", "_overlay.png", "_cutout.png"})
    EXPECT_EQ(get(std::string("whole/a") + ending), get(std::string("plain/a") + ending)) << ending;
  const Finished r = predict_classes(with({"a.png", "-o", "out", "--tile", "64", "--tta", "vflip"}, kAll));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const Image ids = read_image(dir / "out/a.png", {.mode = ColorMode::ids});
  const Json j = json("out/a.json");
  ASSERT_EQ(j["classes"].size(), 2u);
  for (const Json& c : j["classes"]) {
    EXPECT_EQ(c["area"], std::count(ids.pixels.begin(), ids.pixels.end(), c["id"].get<int>()));
    if (c["area"] > 0) {
      EXPECT_GT(c["mean_confidence"], 1.0 / 3 - 0.01);
    }
  }
  EXPECT_EQ(j["classes"][0]["name"], "road");
}

TEST_F(Tiles, AugmentationChangesTheResultAndRunsInBatches) {
  put_picture("a.png", 80, 50);
  put_picture("b.png", 33, 70);
  ASSERT_EQ(predict({"a.png", "b.png", "-o", "plain"}).exit_code, 0);
  const Finished r = predict({"a.png", "b.png", "-o", "tta", "--tta", "hflip,vflip,rot90,scale=0.5:1.5"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_NE(get("tta/a.png"), get("plain/a.png"));
  ASSERT_EQ(
      predict({"a.png", "b.png", "-o", "batched", "--batch", "4", "--tta", "hflip,vflip,rot90,scale=0.5:1.5"})
          .exit_code,
      0);
  const Image one = gray("tta/b.png"), many = gray("batched/b.png");
  for (std::size_t i = 0; i < one.pixels.size(); ++i) EXPECT_LE(std::abs(one.pixels[i] - many.pixels[i]), 1);
}

TEST_F(Tiles, ProgressIsOfTilesOnATerminal) {
  put_picture("a.png", 400, 300);
  const Finished shown = predict({"a.png", "-o", "out", "--tile", "40"}, {.terminal = true});
  EXPECT_EQ(shown.exit_code, 0);
  EXPECT_THAT(shown.err, AllOf(HasSubstr("/130 tiles"), HasSubstr("left")));
  EXPECT_EQ(predict({"a.png", "-o", "out", "--tile", "100"}).err, "");
  put_picture("b.png", 100, 90);
  // When the last picture is through, no tile is underway.
  const std::string two = predict({"a.png", "b.png", "-o", "two", "--tile", "40"}, {.terminal = true}).err;
  const std::size_t last = two.rfind("2/2 pictures");
  ASSERT_NE(last, std::string::npos) << two;
  EXPECT_THAT(two.substr(last), Not(HasSubstr("tiles")));
}

TEST_F(Tiles, WrongUseIsOneLineAndExitCode2) {
  put_picture("a.png", 80, 50);
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--tile", "x"}, "--tile x: give the side"},
      {{"--tile", "16"}, "32 to"},
      {{"--tile", "31"},
       "--tile 31: give the side of a tile in pixels of the picture, 32 to 1048576, or auto\n"},
      {{"--tile", "1048577"}, "--tile 1048577: give the side"},
      {{"--tile", "64", "--overlap", "0.91"}, "'0.91' is not a number from 0 to 0.9"},
      {{"--tile", "64", "--tile-context", "-0.1"}, "'-0.1' is not a number from 0 to 1"},
      {{"--tile", "-5"}, "--tile -5"},
      {{"--tile", "99999999999999999999"}, "--tile 999"},
      {{"--tile", "64", "--overlap", "1"}, "'1' is not a number from 0 to 0.9"},
      {{"--tile", "64", "--overlap", "nan"}, "not a number"},
      {{"--tile", "64", "--tile-context", "2"}, "not a number from 0 to 1"},
      {{"--overlap", "0.5"}, "add --tile"},
      {{"--tile-context", "0.5"}, "add --tile"},
      {{"--tta", "flip"}, "--tta flip: unknown augmentation"},
      {{"--tta", "scale=9"}, "must be 0.25 to 4"},
      {{"--tta", "hflip", "--official"}, "not with --official"},
      {{"--tile", "64", "--official"}, "not with --official"},
  };
  for (const auto& [arguments, says] : cases) {
    const Finished r = predict(with({"a.png", "-o", "out"}, arguments));
    EXPECT_EQ(r.exit_code, 2) << says;
    EXPECT_THAT(r.err, HasSubstr(says));
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
  EXPECT_FALSE(exists("out"));
}

TEST_F(Tiles, HelpSaysThatTilesChangeTheScale) {
  const std::string help = predict_plain({"predict", "--help"}).out;
  std::string text;  // whatever the width of the lines
  for (const char c : help) {
    if (c != '\n' && c != ' ') {
      text += c;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  EXPECT_THAT(text,
              AllOf(HasSubstr("tiles alone change their scale"), HasSubstr("--tta"), HasSubstr("--overlap")));
}

// What results of a large picture take beside it. Half a byte per pixel would show, as every kind once had
// one or two of them.
class LargePicture : public Tiles {
 protected:
  static constexpr int kSide = 6144;
  LargePicture() {
    PngStream png(kSide, kSide, 3);
    Image rows(kSide, 64, 3);
    for (int first = 0; first < kSide; first += rows.height) {
      for (int y = 0; y < rows.height; ++y) {
        for (int x = 0; x < kSide; ++x) {
          const bool inside = std::hypot(x - kSide / 2, first + y - kSide / 3) < kSide / 4.0;
          std::fill_n(rows.row(y) + 3 * x, 3, static_cast<std::uint8_t>(inside ? 230 : 20 + x * 80 / kSide));
        }
      }
      png.add(rows);
    }
    write_file(dir / "large.png", png.finish());
    put_picture("small.png", 64, 64);
  }
  // Beside the decoded picture, of `channels` bytes per pixel, and what a small picture takes.
  double bytes_per_pixel(const std::string& weights, int channels,
                         const std::vector<std::string>& arguments) {
    const std::vector<std::string> all =
        with({"predict", "--weights", weights, "--size", "64", "-j", "2", "-o", "out"}, arguments);
    const Finished small = predict_plain(with(all, {"small.png"})),
                   large = predict_plain(with(all, {"large.png"}));
    EXPECT_EQ(small.exit_code, 0) << small.err;
    EXPECT_EQ(large.exit_code, 0) << large.err;
    constexpr double kPixels = double{kSide} * kSide;
    return static_cast<double>(large.peak_bytes - small.peak_bytes) / kPixels - channels;
  }
};

TEST_F(LargePicture, ResultsTakeLessThanABytePerPixel) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's memory is not the program's";
#endif
  const std::vector<std::string> kinds{"--save", "map,mask,overlay,json", "--instances"};
  // Bands of 8 MB, their overlay and what is made of them: a third of a byte at this size, less at larger
  // ones.
  constexpr double kBand = 32e6 / (double{kSide} * kSide);
  for (const char* weights : {"tiny.safetensors", "three.safetensors"}) {
    EXPECT_LT(bytes_per_pixel(weights, 3, with(kinds, {"--tile", "3000"})), kBand) << weights;
    EXPECT_LT(bytes_per_pixel(weights, 3, kinds), kBand) << weights;
    EXPECT_LT(bytes_per_pixel(weights, 4, {"--save", "cutout"}), kBand) << weights;
  }
}

// Pictures and ground truths to evaluate on.
class Evaluated : public Tiles {
 protected:
  Evaluated() {
    for (int i = 0; i < 4; ++i) {
      const std::string name = std::to_string(i) + ".png";
      put_picture("images/" + name, 100 + i, 80);
      Image mask(100 + i, 80, 1), ids(100 + i, 80, 1);
      for (int y = 0; y < 80; ++y)
        for (int x = 0; x < 100 + i; ++x) {
          const bool inside = std::hypot(x - 40 - 5 * i, y - 40) < 25;
          mask.row(y)[x] = inside ? 255 : 0;
          ids.row(y)[x] = static_cast<std::uint8_t>(inside ? 1 : y > 60 ? 2 : 0);
        }
      std::filesystem::create_directories(dir / "gt");
      std::filesystem::create_directories(dir / "ids");
      write_png(dir / "gt" / name, mask);
      write_png(dir / "ids" / name, ids);
    }
  }
  Finished eval(const std::vector<std::string>& arguments) {
    return predict_plain(
        with({"eval", "--images", "images", "--size", "64", "--bootstrap", "50"}, arguments));
  }
};

TEST_F(Evaluated, EvalTellsWhatTilesAndAugmentationBring) {
  for (const auto& how : std::vector<std::vector<std::string>>{{"--tta", "hflip,rot90"},
                                                               {"--tile", "60", "--tile-context", "0.25"}}) {
    const Finished r = eval(with({"--gt", "gt", "--weights", "tiny.safetensors", "--json", "o.json"}, how));
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_THAT(r.out, AllOf(HasSubstr("tiny, one pass"), HasSubstr("over one pass"), HasSubstr("gain"),
                             HasSubstr(" to "), HasSubstr("times as long")));
    // Both are in the results, the plain one with the values it has alone.
    const Json both = Json::parse(get("o.json"));
    ASSERT_EQ(both.size(), 2u);
    const Finished alone = eval({"--gt", "gt", "--weights", "tiny.safetensors", "--json", "p.json"});
    EXPECT_THAT(alone.out, Not(HasSubstr("gain")));
    EXPECT_EQ(both.at("tiny, one pass").at("dataset"), Json::parse(get("p.json")).at("dataset"));
  }
}

TEST_F(Evaluated, OfClassesToo) {
  const Finished r =
      eval({"--gt", "ids", "--weights", "three.safetensors", "--tta", "vflip", "--html", "o.html"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("three, vflip"), HasSubstr("mIoU"), HasSubstr("gain"),
                           HasSubstr("foreground.mDice")));
  const Finished masks = eval({"--gt", "ids", "--weights", "three.safetensors", "--json", "one.json"});
  ASSERT_EQ(masks.exit_code, 0) << masks.err;
  // The same from files.
  ASSERT_EQ(predict_classes({"images", "-o", "maps"}).exit_code, 0);
  ASSERT_EQ(predict_plain({"eval", "--pred", "maps", "--gt", "ids", "--classes", "3", "--bootstrap", "50",
                           "--json", "two.json"})
                .exit_code,
            0);
  EXPECT_EQ(Json::parse(get("one.json")).at("classes").at("mIoU"),
            Json::parse(get("two.json")).at("classes").at("mIoU"));
}

TEST_F(Evaluated, OptionsOfPredictingAreRefusedForMapsThatAreThere) {
  for (const char* option : {"--tta", "--tile"}) {
    const Finished r =
        predict_plain({"eval", "--pred", "images", "--gt", "gt", option, option[3] == 't' ? "hflip" : "64"});
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_THAT(r.err, HasSubstr("leave one out"));
  }
}

}  // namespace
}  // namespace sam2unet::test
