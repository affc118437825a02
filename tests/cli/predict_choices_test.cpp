// `sam2unet predict`: that each option does what it says, and is not lost beside another.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "predict_fixture.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

class PredictChoices : public PredictTest {
 protected:
  PredictChoices() {
    // Several of these classes are in the picture mixed.png.
    model::Config config = tiny_config();
    config.out_channels = 4;
    write_weights(dir / "mixed.safetensors", config,
                  {{"classes", R"({"classes": [{"id": 0, "name": "background", "color": "#000000"},
                      {"id": 1, "name": "road", "color": "#804080"}, {"id": 2, "name": "car", "color": "#00008e"},
                      {"id": 3, "name": "sky", "color": "#4682b4"}], "ignore": 255})"}});
    put_picture("mixed.png", 70, 41);
    write_tiny_weights(dir / "letterbox.safetensors", false, {{"fit", "letterbox"}, {"input_size", "32x64"}});
    put_picture("tall.png", 30, 300);
  }
  // A map's file, of which a failed test prints nothing.
  struct File {
    std::string bytes;
    bool operator==(const File&) const = default;
  };
  File map(const std::string& picture, std::vector<std::string> arguments,
           const std::string& weights = "tiny.safetensors") {
    arguments.insert(arguments.begin(), {"predict", picture, "--weights", weights, "-o", "-"});
    const Finished r = predict_plain(arguments);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return {r.out};
  }
  Json json(std::vector<std::string> arguments, const std::string& weights) {
    arguments.insert(arguments.begin(), {"predict", "mixed.png", "--weights", weights, "--size", "32x64",
                                         "--save", "json", "-o", "-"});
    const Finished r = predict_plain(arguments);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return Json::parse(r.out);
  }
};

TEST_F(PredictChoices, FitIsTheWeightsUnlessAsked) {
  const File squashed = map("tall.png", {"--size", "32x64"}),
             boxed = map("tall.png", {"--size", "32x64", "--fit", "letterbox"});
  EXPECT_NE(squashed, boxed);
  EXPECT_EQ(map("tall.png", {"--size", "32x64"}, "letterbox.safetensors"), boxed);
  EXPECT_EQ(map("tall.png", {"--size", "32x64", "--fit", "squash"}, "letterbox.safetensors"), squashed);
  EXPECT_EQ(map("tall.png", {"--size", "32x64", "--fit", "squash"}), squashed);
  EXPECT_EQ(predict({"tall.png", "-o", "o.png", "--fit", "crop"}).exit_code, 2);
  // Of a turned picture too.
  const std::vector<std::string> plain{"--size", "32x64", "--tta", "hflip"},
      asked{"--size", "32x64", "--fit", "letterbox", "--tta", "hflip"};
  EXPECT_NE(map("tall.png", plain), map("tall.png", asked));
  EXPECT_EQ(map("tall.png", plain, "letterbox.safetensors"), map("tall.png", asked));
}

TEST_F(PredictChoices, SizeIsHeightAndWidthAndElseTheWeights) {
  const File trained = map("tall.png", {"--fit", "squash"}, "letterbox.safetensors");
  EXPECT_EQ(map("tall.png", {"--size", "32x64"}), trained);
  EXPECT_NE(map("tall.png", {"--size", "64x32"}), trained);
}

// Higher than wide: 13 begins with the height, which rounds otherwise.
TEST_F(PredictChoices, PillowsVersionIsKeptInEveryPass) {
  for (const auto& more :
       std::vector<std::vector<std::string>>{{}, {"--tta", "vflip"}, {"--tile", "290"}, {"--official"}}) {
    std::vector<std::string> of_12{"--size", "96x32"}, of_13{"--size", "96x32", "--pillow", "13"};
    of_12.insert(of_12.end(), more.begin(), more.end());
    of_13.insert(of_13.end(), more.begin(), more.end());
    const File want = map("tall.png", of_12);
    EXPECT_NE(map("tall.png", of_13), want) << (more.empty() ? "plain" : more[0]);
    of_12.insert(of_12.end(), {"--pillow", "12"});
    EXPECT_EQ(map("tall.png", of_12), want);
  }
}

TEST_F(PredictChoices, TilesTakeTheirOverlapAndContext) {
  const auto tiled = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--size", "32", "--tile", "100"});
    return map("tall.png", more);
  };
  const File usual = tiled({});
  EXPECT_EQ(tiled({"--overlap", "0.25"}), usual);
  EXPECT_NE(tiled({"--overlap", "0.6"}), usual);
  EXPECT_EQ(tiled({"--tile-context", "0"}), usual);
  EXPECT_NE(tiled({"--tile-context", "0.5"}), usual);
  const auto pixels = [](const File& png) {
    return decode_image(std::as_bytes(std::span(png.bytes)), {.mode = ColorMode::gray}).pixels;
  };
  // The whole picture alone is what there is without tiles.
  const auto whole = pixels(map("tall.png", {"--size", "32"})), all = pixels(tiled({"--tile-context", "1"}));
  ASSERT_EQ(whole.size(), all.size());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_LE(std::abs(whole[i] - all[i]), 1);
}

TEST_F(PredictChoices, PolygonsAreSimplified) {
  put_picture("wide.png", 300, 200);
  ASSERT_EQ(predict({"wide.png", "-o", "out"}).exit_code, 0);
  const auto levels = gray("out/wide.png").pixels;
  const auto [low, high] = std::minmax_element(levels.begin(), levels.end());
  const std::string between = std::to_string((*low + *high) / 2.0 / 255.0);
  const auto corners = [&](const std::string& pixels) {
    const Finished r =
        predict({"wide.png", "-o", "-", "--save", "json", "--threshold", between, "--simplify", pixels});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    std::size_t n = 0;
    const Json j = Json::parse(r.out);
    for (const Json& p : j["polygons"]) n += p["outer"].size();
    return n;
  };
  const std::size_t exact = corners("0");
  EXPECT_GT(exact, 20u);
  EXPECT_LT(corners("1.5"), exact / 2);
  EXPECT_LT(corners("2"), exact);
  EXPECT_GT(corners("2"), 0u);
}

TEST_F(PredictChoices, ChosenClassesAreInEveryResult) {
  ASSERT_EQ(predict_plain(
                {"predict", "mixed.png", "--weights", "mixed.safetensors", "--size", "32x64", "-o", "all"})
                .exit_code,
            0);
  const auto all = read_image(dir / "all/mixed.png", {.mode = ColorMode::ids}).pixels;
  const int shown = *std::max_element(all.begin(), all.end());  // one that is there, beside another
  const std::string name =
      std::vector<std::string>{"background", "road", "car", "sky"}.at(static_cast<std::size_t>(shown));
  const Finished r =
      predict_plain({"predict", "mixed.png", "--weights", "mixed.safetensors", "--size", "32x64", "--class",
                     name, "--save", "map,mask,cutout,json", "--no-clean-edges", "-o", "out"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const Image ids = read_image(dir / "out/mixed.png", {.mode = ColorMode::ids});
  const Image mask = gray("out/mixed_mask.png");
  const Image cutout = read_image(dir / "out/mixed_cutout.png", {.mode = ColorMode::rgba});
  std::int64_t area = 0, others = 0;
  for (std::size_t i = 0; i < ids.pixels.size(); ++i) {
    const int want = ids.pixels[i] == shown ? 255 : 0;
    ASSERT_EQ(mask.pixels[i], want);
    ASSERT_EQ(cutout.pixels[4 * i + 3], want);
    area += want == 255 ? 1 : 0;
    others += ids.pixels[i] != shown ? 1 : 0;
  }
  EXPECT_GT(area, 0);
  EXPECT_GT(others, 0);
  const Json j = Json::parse(get("out/mixed.json"));
  ASSERT_EQ(j["classes"].size(), 1u);
  EXPECT_EQ(j["classes"][0]["name"], name);
  EXPECT_EQ(j["classes"][0]["area"], area);
  EXPECT_EQ(j["classes"][0].contains("instances"), false);
  const Json two = json({"--class", "2,road", "--instances"}, "mixed.safetensors");
  ASSERT_EQ(two["classes"].size(), 2u);
  EXPECT_EQ(two["classes"][0]["id"], 2);
  EXPECT_EQ(two["classes"][1]["id"], 1);
  EXPECT_TRUE(two["classes"][0].contains("instances"));
}

TEST_F(PredictChoices, NamesAndColoursOfAClassFileGoBeforeTheWeights) {
  put("mine.toml",
      "[[class]]\nid = 1\nname = \"street\"\ncolor = \"#010203\"\n[[class]]\nid = 2\nname = "
      "\"lorry\"\ncolor = \"#040506\"\n[[class]]\nid = 3\nname = \"air\"\ncolor = \"#070809\"\n");
  const Json j = json({"--classes", "mine.toml"}, "mixed.safetensors");
  EXPECT_EQ(j["classes"][0]["name"], "street");
  EXPECT_EQ(j["classes"][1]["name"], "lorry");
  const auto red = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--size", "32x64"});
    const File png = map("mixed.png", more, "mixed.safetensors");
    const Image p = decode_image(std::as_bytes(std::span(png.bytes)));
    std::vector<int> seen;
    for (std::size_t i = 0; i < p.pixels.size(); i += 3) seen.push_back(p.pixels[i]);
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    return seen;
  };
  const auto mine = red({"--classes", "mine.toml"});
  EXPECT_TRUE(
      std::all_of(mine.begin(), mine.end(), [](int r) { return r == 0 || r == 1 || r == 4 || r == 7; }));
  EXPECT_NE(red({}), mine);
}

TEST_F(PredictChoices, PartsAreToldWhereAskedFor) {
  put_picture("a.png", 60, 60);
  const auto has_parts = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"a.png", "-o", "-", "--save", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Json::parse(predict(arguments).out).contains("instances");
  };
  EXPECT_FALSE(has_parts({}));
  EXPECT_TRUE(has_parts({"--instances"}));
}

// The order in which kinds are named is not the order in which they come.
TEST_F(PredictChoices, KindsAreListedInOneOrderAndOnce) {
  put_picture("a.png", 8, 8);
  EXPECT_EQ(predict({"a.png", "-o", "out", "--save", "json,mask", "--save", "map,mask"}).out,
            "out/a.png\nout/a_mask.png\nout/a.json\n");
}

TEST_F(PredictChoices, ThresholdsAtTheirEnds) {
  put_picture("a.png", 8, 8);
  const Finished r = predict({"a.png", "-o", "-", "--save", "json", "--threshold", "0"});
  EXPECT_EQ(Json::parse(r.out).at("area"), 64);
  EXPECT_EQ(predict({"a.png", "-o", "-", "--save", "json", "--threshold", "-0.001"}).exit_code, 2);
}

TEST_F(PredictChoices, ClassNamesOfAFileReplaceThoseOfTheWeights) {
  write_three_classes();
  put_picture("a.png", 20, 20);
  put("two.toml", "[[class]]\nid = 1\nname = \"path\"\n[[class]]\nid = 2\nname = \"van\"\n");
  const auto of = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"predict", "a.png", "-o", "-", "--size", "64", "--save", "json", "-w", "three.safetensors"});
    return predict_plain(more);
  };
  EXPECT_THAT(of({}).out, AllOf(HasSubstr("\"road\""), HasSubstr("\"car\"")));
  EXPECT_THAT(of({"--classes", "two.toml"}).out, AllOf(HasSubstr("\"path\""), Not(HasSubstr("\"road\""))));
  EXPECT_THAT(of({"--class", "car"}).out, AllOf(HasSubstr("\"car\""), Not(HasSubstr("\"road\""))));
  EXPECT_EQ(of({"--class", "2"}).out.substr(0, 100), of({"--class", "car"}).out.substr(0, 100));
  EXPECT_EQ(of({"--threshold", "0.4"}).exit_code, 2);
}

// A picture is the same in any company, also in int8.
TEST_F(PredictChoices, BatchesDoNotChangeAPicture) {
  Image faint = picture(40, 30, 3);
  for (auto& v : faint.pixels) v = static_cast<std::uint8_t>(120 + v / 32);
  std::filesystem::create_directories(dir / "in");
  write_png(dir / "in/a.png", faint);
  put_picture("in/b.png", 50, 60);
  put_picture("in/c.png", 64, 64);
  for (const std::string precision : {"f32", "bf16", "int8"}) {
    // Of so small an input and so many threads, the feed-forward layers of a batch are not fused either.
    std::vector<std::string> arguments{"predict", "in",    "-o", "one", "--weights",   "tiny.safetensors",
                                       "--size",  "32x64", "-j", "4",   "--precision", precision};
    ASSERT_EQ(predict_plain(arguments).exit_code, 0);
    arguments[3] = "all";
    arguments.insert(arguments.end(), {"--batch", "3"});
    ASSERT_EQ(predict_plain(arguments).exit_code, 0);
    for (const char* name : {"a.png", "b.png", "c.png"}) {
      const Image one = gray(std::string("one/") + name), all = gray(std::string("all/") + name);
      int worst = 0;
      for (std::size_t i = 0; i < one.pixels.size(); ++i)
        worst = std::max(worst, std::abs(one.pixels[i] - all.pixels[i]));
      EXPECT_LE(worst, 1) << precision << " " << name;
    }
  }
}

}  // namespace
}  // namespace sam2unet::test
