// What a request asks for reaches the network as that, and of several classes too; the protocol's tensors.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "running.h"
#include "sam2unet/classes.h"
#include "sam2unet/version.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

/// Keeps what it was asked for. Its map is 0.4 everywhere; of three classes the left third is 0, then 1, then
/// 2, of two what lies above the diagonal is 1. A picture of 13 columns is too much for it.
class Recorder final : public serve::Network {
 public:
  struct Seen {
    std::mutex mutex;
    std::vector<SegmentOptions> options;
    std::vector<std::size_t> pictures;
  };
  Recorder(std::shared_ptr<Seen> seen, int channels, int batch) : seen_(std::move(seen)) {
    info_.channels = channels;
    info_.batch = batch;
    info_.fit = Fit::letterbox;
    info_.size = InputSize::of(96, 64);
    if (channels > 1) {
      table_ = std::make_shared<ClassTable>(default_class_table(channels));
      table_->classes[1] = {"road", {1, 2, 3}};
      if (channels > 2) table_->classes[2] = {"sky", {250, 251, 252}};
    }
  }
  const SegmenterInfo& info() const override { return info_; }
  std::shared_ptr<const ClassTable> classes() const override { return table_; }
  std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                    const SegmentOptions& options) const override {
    {
      const std::lock_guard lock(seen_->mutex);
      seen_->options.push_back(options);
      seen_->pictures.push_back(pictures.size());
    }
    std::vector<Segmentation> out;
    for (const ImageView& p : pictures) {
      if (p.width == 13) throw WeightsError("logits are no numbers");
      Segmentation s;
      s.width = p.width;
      s.height = p.height;
      s.channels = info_.channels;
      s.official = options.official;
      s.classes = table_;
      const auto n = static_cast<std::size_t>(p.width) * static_cast<std::size_t>(p.height);
      if (options.output == SegmentOutput::ids) {
        for (std::size_t i = 0; i < n; ++i)
          s.ids.push_back(static_cast<std::uint8_t>(
              info_.channels == 2 ? static_cast<int>(i) % p.width > static_cast<int>(i) / p.width
                                  : 3 * (static_cast<int>(i) % p.width) / p.width));
        s.confidence.assign(n, 0.75F);
      } else {
        s.probabilities.assign(n * static_cast<std::size_t>(info_.channels), 0.4F);
      }
      out.push_back(std::move(s));
    }
    return out;
  }
  std::vector<float> forward(std::span<const float> values, int count, const InputSize& size) const override {
    std::vector<float> out(static_cast<std::size_t>(count * info_.channels * size.width * size.height));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i] + 1.0F;
    return out;
  }

 private:
  std::shared_ptr<Seen> seen_;
  SegmenterInfo info_;
  std::shared_ptr<ClassTable> table_;
};

class ServeParametersOf : public testing::Test {
 protected:
  serve::Options of(int channels, int batch = 1) {
    serve::Options o;
    o.port = 0;
    o.models = {{"m", "m"}};
    o.open = [seen = seen, channels, batch](const serve::ModelFile&) {
      return std::make_unique<Recorder>(seen, channels, batch);
    };
    return o;
  }
  SegmentOptions asked(Running& s, const std::string& query) {
    const Answer a = s.ask("POST", "/v1/segment?" + query, "", png());
    EXPECT_EQ(a.status, 200) << query << " " << a.body;
    const std::lock_guard lock(seen->mutex);
    return seen->options.empty() ? SegmentOptions() : seen->options.back();
  }
  std::shared_ptr<Recorder::Seen> seen = std::make_shared<Recorder::Seen>();
};

TEST_F(ServeParametersOf, SegmentReachTheNetwork) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const SegmentOptions usual = asked(s, "");
  EXPECT_EQ(usual.size, InputSize::square(0));
  EXPECT_FALSE(usual.official);
  EXPECT_EQ(usual.pillow, PillowVersion::v12);
  EXPECT_FALSE(usual.fit);  // the model's own
  EXPECT_FALSE(usual.tiles);
  EXPECT_TRUE(usual.augmentation.empty());
  EXPECT_EQ(usual.output, SegmentOutput::probabilities);
  EXPECT_EQ(usual.batch, 1);
  EXPECT_EQ(asked(s, "size=64x128").size, InputSize::of(128, 64));  // height first
  EXPECT_EQ(asked(s, "size=96").size, InputSize::square(96));
  EXPECT_TRUE(asked(s, "official").official);
  EXPECT_FALSE(asked(s, "official=no").official);
  EXPECT_EQ(asked(s, "pillow=13").pillow, PillowVersion::v13);
  EXPECT_EQ(asked(s, "pillow=13&pillow=12").pillow, PillowVersion::v12);  // the last word
  EXPECT_EQ(asked(s, "fit=squash").fit, Fit::squash);
  EXPECT_EQ(asked(s, "fit=letterbox").fit, Fit::letterbox);
  const SegmentOptions tiled = asked(s, "tile=auto");
  ASSERT_TRUE(tiled.tiles);
  EXPECT_EQ(tiled.tiles->side, 0);
  EXPECT_EQ(tiled.tiles->overlap, 0.25);
  EXPECT_EQ(tiled.tiles->context, 0.0);
  const SegmentOptions own = asked(s, "tile=64&overlap=0.5&tile_context=0.75");
  ASSERT_TRUE(own.tiles);
  EXPECT_EQ(own.tiles->side, 64);
  EXPECT_EQ(own.tiles->overlap, 0.5);
  EXPECT_EQ(own.tiles->context, 0.75);
  EXPECT_FALSE(asked(s, "overlap=0.5").tiles);
  EXPECT_EQ(asked(s, "tta=hflip,scale=1.5").augmentation, parse_augmentation("hflip,scale=1.5"));
  EXPECT_FALSE(asked(s, "tta=hflip").tiles);
}

// The document says the least and the most of each number.
TEST_F(ServeParametersOf, NumbersHaveTheBoundsOfTheDocument) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const Json document = Json::parse(s.ask("GET", "/openapi.json").body);
  std::vector<std::string> seen_names;
  for (const Json& p : document.at("paths").at("/v1/segment").at("post").at("parameters")) {
    if (!p.at("schema").contains("maximum")) continue;
    const std::string name = p.at("name");
    seen_names.push_back(name);
    const double least = p.at("schema").at("minimum"), most = p.at("schema").at("maximum");
    const auto status = [&](double v) {
      return s.ask("POST", "/v1/segment?tile=auto&" + name + "=" + Json(v).dump(), "", png()).status;
    };
    EXPECT_EQ(status(least), 200) << name;
    EXPECT_EQ(status(most), 200) << name;
    EXPECT_EQ(status(least - 0.01), 400) << name;
    EXPECT_EQ(status(most + 0.01), 400) << name;
  }
  EXPECT_THAT(seen_names, testing::UnorderedElementsAre("threshold", "overlap", "tile_context", "simplify"));
}

TEST_F(ServeParametersOf, WhatCannotBeMeantIsSaid) {
  serve::Options o = of(1);
  o.limits.side = 640;
  Running s(o, nullptr);
  s.wait_for("ready");
  const auto said = [&](const std::string& query) {
    const Answer a = s.ask("POST", "/v1/segment?" + query, "", png());
    const Json j = Json::parse(a.body.starts_with("{") ? a.body : "{\"error\":\"\"}");
    return std::to_string(a.status) + " " + j.at("error").get<std::string>();
  };
  EXPECT_EQ(said("result=mask,heat"), "400 result: 'heat' is none of map, mask, overlay, cutout, json, ids");
  EXPECT_EQ(said("result=,"), "400 result: name one of map, mask, overlay, cutout, json, ids");
  EXPECT_EQ(said("result=ids"),
            "400 result=ids: the model m has one foreground and no classes; take map or mask");
  EXPECT_EQ(said("class=road"), "400 class: the model m has one foreground, not several classes");
  EXPECT_EQ(said("class=,"), "200 ");
  EXPECT_EQ(said("tile=64.5"), "400 tile: give auto, or a whole number of pixels");
  EXPECT_EQ(said("tile=63"), "400 tile must be a number from 64 to 65536");
  EXPECT_EQ(said("official&tile=64"), "400 official: the reference's test.py knows neither tile nor tta");
  EXPECT_EQ(said("official&tta=hflip"), "400 official: the reference's test.py knows neither tile nor tta");
  EXPECT_EQ(said("pillow=14"), "400 pillow must be 12 or 13");
  EXPECT_EQ(said("archive=tar"), "400 archive must be zip or multipart");
  EXPECT_EQ(said("model=n"), "404 there is no model 'n'; /v1/models lists them");
  EXPECT_EQ(said("size=672"), "400 size 672: a side may be 640 at most here (--max-size)");
  EXPECT_EQ(said("size=640"), "200 ");
  EXPECT_EQ(said("size=320&tta=scale=2"), "200 ");  // just as large as may be
  EXPECT_EQ(said("size=32x320&tta=scale=2.125"),
            "400 tta: scale 2.125 makes a side longer than 640 (--max-size)");
  EXPECT_EQ(said("size=320x32&tta=scale=2.125"),
            "400 tta: scale 2.125 makes a side longer than 640 (--max-size)");
  EXPECT_EQ(said("tta=scale=4"), "200 ");  // the weights' own size is 96x64
  EXPECT_EQ(said("tta=scale=0.5:0.6:0.7:0.8:0.9"), "400 tta: 5 scales, at most 4 here");
  EXPECT_EQ(
      said("colour=1"),
      "400 'colour' is no parameter; there are result, model, threshold, size, fit, class, official, pillow, "
      "simplify, instances, clean_edges, tile, overlap, tile_context, tta, archive, name");
}

TEST_F(ServeParametersOf, FilesAreNamedAsPredictNamesThem) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const std::map<std::string, std::pair<std::string, std::string>> kinds = {
      {"map", {"a.png", "image/png"}},
      {"mask", {"a_mask.png", "image/png"}},
      {"overlay", {"a_overlay.png", "image/png"}},
      {"cutout", {"a_cutout.png", "image/png"}},
      {"json", {"a.json", "application/json"}}};
  for (const auto& [kind, file] : kinds) {
    const Answer a = s.ask("POST", "/v1/segment?name=x/a.jpg&result=" + kind, "", png());
    EXPECT_EQ(a.header("content-disposition"),
              "inline; filename=\"" + file.first + "\"; filename*=UTF-8''" + file.first);
    EXPECT_EQ(a.header("content-type"), file.second);
  }
  EXPECT_THAT(s.ask("POST", "/v1/segment", "", png()).header("content-disposition"),
              HasSubstr("\"picture.png\""));
  // 0.4 is under the threshold unless it is lower.
  EXPECT_EQ(Json::parse(s.ask("POST", "/v1/segment?result=json", "", png()).body).at("area"), 0);
  EXPECT_EQ(Json::parse(s.ask("POST", "/v1/segment?result=json&threshold=0.4", "", png()).body).at("area"),
            48);
}

TEST_F(ServeParametersOf, DrawingReachesTheResults) {
  Running s(of(2), nullptr);
  s.wait_for("ready");
  // A stair of nine steps, whose corners lie within a pixel of its slope.
  const auto corners = [&](const std::string& query) {
    const Json j = Json::parse(s.ask("POST", "/v1/segment?result=json" + query, "", png(10, 10)).body);
    return j.at("classes").at(0).at("polygons").at(0).at("outer").size();
  };
  EXPECT_EQ(corners(""), 20U);
  EXPECT_LT(corners("&simplify=2"), 8U);
  // A body of another kind of form is none; what is no form is a picture, whatever it is called.
  EXPECT_EQ(s.ask("POST", "/v1/segment", "Content-Type: multipart/mixed; boundary=a\r\n", png()).status, 415);
  EXPECT_EQ(s.ask("POST", "/v1/segment", "Content-Type: MULTIPART/form-data\r\n", png()).status, 400);
  EXPECT_EQ(s.ask("POST", "/v1/segment", "Content-Type: multipart\r\n", png()).status, 200);
}

// Without it the colours are the picture's own.
TEST_F(ServeParametersOf, EdgesAreCleanUnlessAskedNot) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const auto pixels = [&](const std::string& query) {
    const Answer a = s.ask("POST", "/v1/segment?result=cutout" + query, "", png(8, 6));
    return decode_image(std::as_bytes(std::span(a.body)), {.mode = ColorMode::rgba}).pixels;
  };
  const Image own = picture(8, 6, 3);
  const auto plain = pixels("&clean_edges=0"), clean = pixels("");
  for (std::size_t i = 0; i < 48; ++i)
    for (std::size_t c = 0; c < 3; ++c) ASSERT_EQ(plain[4 * i + c], own.pixels[3 * i + c]) << i;
  EXPECT_NE(clean, plain);
  EXPECT_EQ(pixels("&clean_edges=1"), clean);
}

// Asked for by name: a range holds a zip too, but whoever sends one takes anything.
TEST_F(ServeParametersOf, AZipIsForWhoNamesIt) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const auto type = [&](const std::string& accept) {
    return s
        .ask("POST", "/v1/segment?result=map,json", accept.empty() ? "" : "Accept: " + accept + "\r\n", png())
        .header("content-type");
  };
  EXPECT_EQ(type("image/png, application/zip"), "application/zip");
  for (const char* other : {"", "*/*", "application/*", "application/zip;q=0, */*"})
    EXPECT_THAT(type(other), testing::StartsWith("multipart/mixed; boundary=")) << other;
}

TEST_F(ServeParametersOf, SeveralClassesHaveTheirOwnResults) {
  Running s(of(3), nullptr);
  s.wait_for("ready");
  const auto post = [&](const std::string& query) {
    return s.ask("POST", "/v1/segment?" + query, "", png(9, 6));
  };
  const Answer ids = post("result=ids&name=a.jpg"), map = post("result=map");
  ASSERT_EQ(ids.status, 200) << ids.body;
  EXPECT_EQ(ids.body, map.body);
  EXPECT_THAT(ids.header("content-disposition"), HasSubstr("\"a_ids.png\""));
  const Image of_ids = decode_image(std::as_bytes(std::span(ids.body)), {.mode = ColorMode::ids});
  ASSERT_EQ(of_ids.channels, 1);
  EXPECT_THAT(std::vector<int>(of_ids.pixels.begin(), of_ids.pixels.begin() + 9),
              ElementsAre(0, 0, 0, 1, 1, 1, 2, 2, 2));
  EXPECT_EQ(asked(s, "result=ids").output, SegmentOutput::ids);
  EXPECT_EQ(post("result=ids,map").status, 200);  // both at once, under two names
  const auto names = [&](const std::string& query) {
    const Answer a = post("result=json" + query);
    std::vector<std::string> out;
    const Json j = Json::parse(a.body);
    for (const Json& c : j.at("classes")) out.push_back(c.at("name"));
    return out;
  };
  EXPECT_THAT(names(""), ElementsAre("road", "sky"));
  EXPECT_THAT(names("&class=sky"), ElementsAre("sky"));
  EXPECT_THAT(names("&class=%20sky%20,,road"), testing::UnorderedElementsAre("road", "sky"));
  EXPECT_THAT(names("&threshold=0.5"), ElementsAre("road", "sky"));
  const std::string foreground =
      "official and threshold are of one foreground; the model m has several classes";
  EXPECT_EQ(Json::parse(post("threshold=0.4").body).at("error"), foreground);
  EXPECT_EQ(Json::parse(post("official=1").body).at("error"), foreground);
  EXPECT_EQ(post("class=water").status, 400);
  EXPECT_THAT(post("class=water").body, AllOf(HasSubstr("class water"), HasSubstr("road, sky")));
  const Json model = Json::parse(s.ask("GET", "/v1/models").body).at("models").at(0);
  EXPECT_EQ(model.at("classes"), Json::array({{{"id", 0}, {"name", "background"}, {"color", "#000000"}},
                                              {{"id", 1}, {"name", "road"}, {"color", "#010203"}},
                                              {{"id", 2}, {"name", "sky"}, {"color", "#fafbfc"}}}));
  EXPECT_EQ(model.at("channels"), 3);
  EXPECT_EQ(model.at("fit"), "letterbox");
  EXPECT_EQ(model.at("size"), Json({{"width", 96}, {"height", 64}}));
  // The protocol's shapes have the classes, and of pictures the probabilities.
  for (const char* name : {"m", "m-picture"})
    EXPECT_EQ(
        Json::parse(s.ask("GET", std::string("/v2/models/") + name).body).at("outputs").at(0).at("shape"),
        Json({-1, 3, -1, -1}));
}

// rembg cuts out whatever is no background.
TEST_F(ServeParametersOf, RemoveTakesEveryClassButTheBackground) {
  Running s(of(3), nullptr);
  s.wait_for("ready");
  const auto ask = [&](const std::vector<std::pair<std::string, std::string>>& fields) {
    return s.ask("POST", "/api/remove", form_header(), form({{"a.png", png(9, 6)}}, fields));
  };
  const Answer cut = ask({});
  ASSERT_EQ(cut.status, 200) << cut.body;
  const Image rgba = decode_image(std::as_bytes(std::span(cut.body)), {.mode = ColorMode::rgba});
  for (const auto& [x, alpha] : {std::pair{0, 0}, {2, 0}, {4, 255}, {6, 255}, {8, 255}})
    EXPECT_EQ(rgba.pixels[static_cast<std::size_t>(4 * x + 3)] > 127, alpha > 127) << x;
  const Answer mask = ask({{"om", "1"}});
  const Image gray = decode_image(std::as_bytes(std::span(mask.body)), {.mode = ColorMode::ids});
  EXPECT_EQ(gray.pixels[0], 0);
  EXPECT_NE(gray.pixels[4], 0);
  EXPECT_NE(gray.pixels[8], 0);
  EXPECT_EQ(seen->options.back().output, SegmentOutput::ids);
}

// --- rembg's form, of one foreground

TEST_F(ServeParametersOf, RemoveSaysWhatItDoesNotDo) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const auto said = [&](const std::string& name, const std::string& value) {
    const Answer a = s.ask("POST", "/api/remove", form_header(), form({{"a.png", png()}}, {{name, value}}));
    return std::to_string(a.status) +
           (a.status == 200 ? "" : " " + Json::parse(a.body).at("detail").get<std::string>());
  };
  const std::string not_done = " is not done here; leave it out, or start the service with --rembg-alias";
  EXPECT_EQ(said("a", "true"), "422 a: alpha matting" + not_done);
  EXPECT_EQ(said("ppm", "1"), "422 ppm: smoothing of the mask" + not_done);
  EXPECT_EQ(said("extras", "{\"x\":1}"), "422 extras" + not_done);
  EXPECT_EQ(said("model", "u2net"),
            "422 there is no model 'u2net' here; leave it out, or start the service with --rembg-alias");
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"a", "false"},
                                                                                    {"ppm", "0"},
                                                                                    {"extras", "{}"},
                                                                                    {"extras", " "},
                                                                                    {"model", "m"},
                                                                                    {"model", ""},
                                                                                    {"bgc", ""},
                                                                                    {"bgc", " 1, 2 ,255,0"},
                                                                                    {"af", "240"},
                                                                                    {"other", "x"}})
    EXPECT_EQ(said(name, value), "200") << name << "=" << value;
  EXPECT_EQ(said("a", "x"), "400 a must be true or false");
  EXPECT_EQ(said("bgc", "1,2,3"), "422 bgc must be R,G,B,A, each from 0 to 255");
  const Answer none = s.ask("POST", "/api/remove", form_header(), form({}, {{"om", "1"}}));
  EXPECT_EQ(none.status, 422);
  EXPECT_EQ(Json::parse(none.body).at("detail"), "the form has no 'file'");
  EXPECT_EQ(s.ask("POST", "/api/remove", "", png()).status, 415);
  // As a field it is a picture too, but a file of that name is meant first, and others are not.
  const std::string field =
      std::string("--") + kBoundary + "\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
  const std::string as_field = field + png() + "\r\n--" + kBoundary + "--\r\n";
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), as_field).status, 200);
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), form({{"a.png", png()}}, {{"file", "text"}})).status,
            200);
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), form({{"a.png", "x"}})).status, 415);
  std::string other = form({{"a.png", png()}});
  other.replace(other.find("\"file\""), 6, "\"fill\"");
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), other).status, 422);
}

// Porter and Duff's "over", with both alphas.
TEST_F(ServeParametersOf, BackgroundsShowThroughWhatIsHalfThere) {
  Running s(of(1), nullptr);
  s.wait_for("ready");
  const auto pixels = [&](const std::string& query) {
    const Answer a = s.ask("POST", "/api/remove" + query, form_header(), form({{"a.png", png(8, 6)}}));
    EXPECT_EQ(a.status, 200);
    return decode_image(std::as_bytes(std::span(a.body)), {.mode = ColorMode::rgba}).pixels;
  };
  const auto above = pixels(""), over = pixels("?bgc=10,200,30,128");
  ASSERT_EQ(above.size(), over.size());
  const double background[] = {10, 200, 30};
  for (std::size_t i = 0; i < above.size(); i += 4) {
    ASSERT_EQ(above[i + 3], 102);  // 0.4
    const double a = 102 / 255.0, b = 128 / 255.0 * (1 - a);
    EXPECT_EQ(over[i + 3], std::lround(255 * (a + b)));
    for (std::size_t c = 0; c < 3; ++c)
      EXPECT_EQ(over[i + c], std::lround((above[i + c] * a + background[c] * b) / (a + b)));
  }
  const Answer mask =
      s.ask("POST", "/api/remove?om=1&bgc=1,2,3,255", form_header(), form({{"a.png", png(8, 6)}}));
  EXPECT_EQ(decode_image(std::as_bytes(std::span(mask.body)), {.mode = ColorMode::gray}).pixels[0], 102);
}

// --- batches

// Of a batch that fails each picture is tried by itself, and fails alone.
TEST_F(ServeParametersOf, APictureFailsAlone) {
  serve::Options o = of(1, 3);
  o.batch_delay = serve::Milliseconds(20'000);  // a full batch does not wait for it
  Running s(o, nullptr);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment?archive=zip", form_header(),
                         form({{"a.png", png()}, {"b.png", png(13, 6)}, {"c.png", png()}}));
  EXPECT_EQ(a.status, 200);
  EXPECT_THAT(
      a.body,
      AllOf(
          HasSubstr("a.png"), HasSubstr("c.png"),
          HasSubstr(R"({"file":"b.png","status":500,"error":"the model has no result for this picture"})")));
  EXPECT_THAT(seen->pictures, ElementsAre(3, 1, 1, 1));
  EXPECT_EQ(seen->options.at(0).batch, 3);
  EXPECT_EQ(seen->options.at(1).batch, 1);
  EXPECT_THAT(s.said(), AllOf(HasSubstr(": logits are no numbers"), HasSubstr("request ")));
  EXPECT_TRUE(s.sees("sam2unet_batches_total 2"));
  const std::string text = s.ask("GET", "/metrics").body;
  EXPECT_THAT(text, AllOf(HasSubstr("sam2unet_pictures_total 2\n"),
                          HasSubstr("stage_seconds_count{stage=\"compute\"} 2\n"),
                          HasSubstr("stage_seconds_count{stage=\"decode\"} 3\n")));
}

// --- Open Inference Protocol

std::string binary_request(const std::string& input, const std::string& shape, std::size_t bytes,
                           const std::string& more = "") {
  return R"({"inputs":[{"name":")" + input + R"(","shape":)" + shape +
         R"(,"datatype":"FP32","parameters":{"binary_data_size":)" + std::to_string(bytes) + "}}]" + more +
         "}";
}

TEST_F(ServeParametersOf, TensorsOfShapesThatMayBe) {
  serve::Options o = of(1);
  o.limits.side = 64;
  Running s(o, nullptr);
  s.wait_for("ready");
  const auto infer = [&](std::vector<std::size_t> shape, const std::string& more = "") {
    std::size_t n = 4;
    std::string text;
    for (const std::size_t side : shape) {
      n *= side;
      text += (text.empty() ? "[" : ",") + std::to_string(side);
    }
    const std::string json = binary_request("input", text + "]", n, more);
    return s.ask("POST", "/v2/models/m/infer",
                 "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n",
                 json + std::string(n, '\0'));
  };
  const std::string binary = R"(,"outputs":[{"name":"logits","parameters":{"binary_data":true}}])";
  const Answer most = infer({256, 3, 32, 32}, binary);
  EXPECT_EQ(most.status, 200) << most.body;
  EXPECT_EQ(most.header("content-type"), "application/octet-stream");
  const std::size_t n = std::stoul(most.header("inference-header-content-length"));
  EXPECT_EQ(most.body.size(), n + std::size_t{256} * 32 * 32 * 4);
  const Json answer = Json::parse(most.body.substr(0, n));
  EXPECT_EQ(answer.at("model_name"), "m");
  EXPECT_EQ(answer.at("model_version"), "1");
  EXPECT_EQ(answer.at("outputs").at(0).at("name"), "logits");
  const Answer plain = infer({1, 3, 64, 32});
  EXPECT_EQ(plain.header("content-type"), "application/json");
  EXPECT_EQ(plain.headers.count("inference-header-content-length"), 0U);
  EXPECT_EQ(plain.headers.count("content-encoding"), 0U);
  for (const std::vector<std::size_t>& shape : std::vector<std::vector<std::size_t>>{
           {257, 3, 32, 32}, {0, 3, 32, 32}, {1, 1, 32, 32}, {3, 32, 32}, {1, 3, 32, 32, 1}})
    EXPECT_THAT(infer(shape).body, HasSubstr("'input': the shape must be [N,3,H,W], N from 1 to 256"))
        << shape.size();
  for (const auto& [h, w] : std::vector<std::pair<std::size_t, std::size_t>>{
           {32, 96}, {96, 32}, {0, 32}, {32, 0}, {48, 32}, {32, 33}})
    EXPECT_THAT(infer({1, 3, h, w}).body,
                HasSubstr("'input': height and width must be multiples of 32 up to 64 (--max-size), not "));
  const std::string only = "this model has one output, 'logits'";
  EXPECT_THAT(infer({1, 3, 32, 32}, R"(,"outputs":[{"name":"map"}])").body, HasSubstr(only));
  EXPECT_THAT(infer({1, 3, 32, 32}, R"(,"outputs":[{"name":"logits"},{"name":"logits"}])").body,
              HasSubstr(only));
  const Answer two = s.ask("POST", "/v2/models/m/infer", "",
                           R"({"inputs":[{"name":"input","shape":[1],"datatype":"FP32","data":[1]},)"
                           R"({"name":"input","shape":[1],"datatype":"FP32","data":[1]}]})");
  EXPECT_THAT(two.body, HasSubstr("this model has one input, 'input' of FP32"));
  for (const char* length : {"1x", "-1", ""})
    EXPECT_THAT(s.ask("POST", "/v2/models/m/infer",
                      std::string("Inference-Header-Content-Length: ") + length + "\r\n", "{}")
                    .body,
                HasSubstr("Inference-Header-Content-Length must be a number"));
  // A tensor goes through the network once, and is one of its requests.
  EXPECT_EQ(Json::parse(s.ask("GET", "/v2/models/m/stats").body).at("model_stats").at(0),
            Json({{"name", "m"}, {"version", "1"}, {"inference_count", 2}, {"execution_count", 2}}));
}

TEST_F(ServeParametersOf, PicturesOfOneTensorAreOfOneSize) {
  serve::Options o = of(1, 2);
  o.limits.parts = 2;
  o.batch_delay = serve::Milliseconds(20'000);
  Running s(o, nullptr);
  s.wait_for("ready");
  const auto infer = [&](const std::vector<std::string>& pictures, const std::string& more = "") {
    std::string tail;
    for (const std::string& p : pictures) {
      const auto length = static_cast<std::uint32_t>(p.size());
      tail.append(reinterpret_cast<const char*>(&length), 4);
      tail += p;
    }
    const std::string json = R"({"inputs":[{"name":"picture","shape":[)" + std::to_string(pictures.size()) +
                             R"(],"datatype":"BYTES","parameters":{"binary_data_size":)" +
                             std::to_string(tail.size()) + "}}]" + more + "}";
    return s.ask("POST", "/v2/models/m-picture/infer",
                 "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n", json + tail);
  };
  const Answer a = infer({png(8, 6), png(8, 6)});
  ASSERT_EQ(a.status, 200) << a.body;
  const Json out = Json::parse(a.body);
  EXPECT_EQ(out.at("model_name"), "m-picture");
  EXPECT_EQ(out.at("outputs").at(0).at("name"), "map");
  EXPECT_EQ(out.at("outputs").at(0).at("shape"), Json({2, 1, 6, 8}));
  EXPECT_TRUE(s.sees("sam2unet_pictures_total 2"));
  EXPECT_EQ(Json::parse(s.ask("GET", "/v2/models/m-picture/stats").body).at("model_stats").at(0),
            Json({{"name", "m-picture"}, {"version", "1"}, {"inference_count", 2}, {"execution_count", 1}}));
  for (const auto& [w, h] : {std::pair{8, 7}, {9, 6}})
    EXPECT_THAT(infer({png(8, 6), png(w, h)}).body,
                HasSubstr("pictures of different sizes do not fit into one tensor: send them one by one"));
  const std::string number = "'picture': 1 to 2 pictures (--max-parts)";
  EXPECT_THAT(infer({}).body, HasSubstr(number));
  EXPECT_THAT(infer({png(), png(), png()}).body, HasSubstr(number));
  EXPECT_THAT(infer({png(), png()}, R"(,"outputs":[{"name":"logits"}])").body,
              HasSubstr("this model has one output, 'map'"));
}

TEST_F(ServeParametersOf, TheProtocolsOwnWords) {
  serve::Options o = of(1);
  o.models = {{"m", "m"}, {"a-picture", "a"}};
  Running s(o, nullptr);
  s.wait_for("ready");
  const auto get = [&](const std::string& path) { return Json::parse(s.ask("GET", path).body); };
  EXPECT_EQ(get("/v2"), Json({{"name", "sam2unet"},
                              {"version", version()},
                              {"extensions", Json::array({"binary_tensor_data"})}}));
  EXPECT_EQ(
      get("/v2/models/m"),
      Json({{"name", "m"},
            {"versions", Json::array({"1"})},
            {"platform", "sam2unet"},
            {"inputs", Json::array({{{"name", "input"}, {"datatype", "FP32"}, {"shape", {-1, 3, -1, -1}}}})},
            {"outputs",
             Json::array({{{"name", "logits"}, {"datatype", "FP32"}, {"shape", {-1, 1, -1, -1}}}})}}));
  EXPECT_EQ(
      get("/v2/models/m/config"),
      Json({{"name", "m"},
            {"platform", "sam2unet"},
            {"max_batch_size", 0},
            {"input",
             Json::array({{{"name", "input"}, {"data_type", "TYPE_FP32"}, {"dims", {-1, 3, -1, -1}}}})},
            {"output",
             Json::array({{{"name", "logits"}, {"data_type", "TYPE_FP32"}, {"dims", {-1, 1, -1, -1}}}})}}));
  EXPECT_EQ(get("/v2/models/m-picture/ready"), Json({{"name", "m-picture"}, {"ready", true}}));
  // A model that has such a name itself is meant by it.
  EXPECT_EQ(get("/v2/models/a-picture").at("inputs").at(0).at("name"), "input");
  EXPECT_EQ(get("/v2/models/a-picture-picture").at("inputs").at(0).at("name"), "picture");
  EXPECT_EQ(s.ask("GET", "/v2/models/a").status, 404);
  EXPECT_EQ(get("/v2/models/x-picture").at("error"), "there is no model 'x'; /v1/models lists them");
  const Json index = Json::parse(s.ask("POST", "/v2/repository/index", "", "{}").body);
  const auto entry = [](const char* name, const char* version) {
    return Json({{"name", name}, {"version", version}, {"state", "READY"}});
  };
  EXPECT_EQ(index, Json::array({entry("m", "1"), entry("m-picture", "1"), entry("a-picture", "1"),
                                entry("a-picture-picture", "1")}));
  s.server().reload();
  s.wait_for("loaded again");
  EXPECT_EQ(s.ask("GET", "/v2/models/m/versions/2").status, 200);
  EXPECT_EQ(get("/v2/models/m/versions/1").at("error"), "model m has the version 2 alone");
  EXPECT_EQ(Json::parse(s.ask("POST", "/v2/repository/index", "", "{}").body).at(0), entry("m", "2"));
}

}  // namespace
}  // namespace sam2unet::test
