// What goes with an answer: headers, units, numbers that are told; and which pictures may go together.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "running.h"
#include "serve/archive.h"
#include "serve/budget.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "support/shared_data.h"
#include "support/turned_photo.h"

namespace sam2unet::test {
namespace {

using serve::Milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

class ServeAnswers : public testing::Test {
 protected:
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
  void TearDown() override { gate->open(); }
};

// What stands behind NAME;dur= in a Server-Timing, in milliseconds.
std::map<std::string, double> timing_of(const Answer& a) {
  std::map<std::string, double> out;
  std::string text = a.header("server-timing");
  while (!text.empty()) {
    const auto end = std::min(text.find(", "), text.size());
    const std::string item = text.substr(0, end);
    out[item.substr(0, item.find(';'))] = std::stod(item.substr(item.find("dur=") + 4));
    text.erase(0, std::min(end + 2, text.size()));
  }
  return out;
}

TEST_F(ServeAnswers, TimesAreMillisecondsInTheHeaderAndSecondsInTheLog) {
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send(request("POST", "/v1/segment", "X-Request-Id: timed\r\n", png()));
  gate->wait_for(1);
  std::this_thread::sleep_for(Milliseconds(80));  // of the network
  gate->open();
  auto timing = timing_of(c.read());
  EXPECT_EQ(timing.size(), 4U);
  EXPECT_GE(timing["compute"], 80);
  EXPECT_LT(timing["compute"], 60'000);
  for (const char* stage : {"queue", "decode", "encode"}) EXPECT_LT(timing[stage], 60'000) << stage;
  for (int i = 0; i < 1200 && s.log().empty(); ++i) std::this_thread::sleep_for(Milliseconds(5));
  const Json line = Json::parse(s.log().at(0));
  EXPECT_EQ(line.at("id"), "timed");
  EXPECT_NEAR(line.at("compute").get<double>(), timing["compute"] / 1e3, 1e-3);
  EXPECT_NEAR(line.at("queue").get<double>(), timing["queue"] / 1e3, 1e-3);
  EXPECT_NEAR(line.at("decode").get<double>(), timing["decode"] / 1e3, 1e-3);
  EXPECT_NEAR(line.at("encode").get<double>(), timing["encode"] / 1e3, 1e-3);
  EXPECT_GE(line.at("seconds").get<double>(), 0.08);
  EXPECT_EQ(line.at("bytes_in"), png().size());
  EXPECT_GT(line.at("bytes_out"), 0);
  EXPECT_EQ(line.at("path"), "/v1/segment");
  EXPECT_EQ(line.at("method"), "POST");
  EXPECT_FALSE(line.contains("refused"));
}

// Its answers differ by who asks, also those to pages of its own and refusals: a cache must not mix them.
TEST_F(ServeAnswers, VaryIsOnEveryAnswerWhereOriginsMayCall) {
  {
    Running s(options, gate);
    EXPECT_EQ(s.ask("GET", "/healthz").header("vary"), "");
  }
  options.cors = {"https://app.example.org"};
  Running s(options, gate);
  s.wait_for("ready");
  for (const char* path : {"/healthz", "/", "/nothing", "/v1/models"})
    EXPECT_EQ(s.ask("GET", path).header("vary"), "Origin") << path;
  const Answer other = s.ask("GET", "/v1/models", "Origin: https://app.example.org\r\n");
  EXPECT_THAT(other.header("access-control-expose-headers"), HasSubstr("Server-Timing"));
  EXPECT_EQ(other.header("cross-origin-resource-policy"), "");
}

// From a request's last byte until its picture is taken out of the queue.
TEST_F(ServeAnswers, TheTimeOfTheQueueIsItsOwn) {
  options.workers = 1;
  Running s(options, gate);
  s.wait_for("ready");
  Client first(s.port()), late(s.port());
  first.send(request("POST", "/v1/segment", form_header(), form(std::vector<FormFile>(9, {"a.png", png()}))));
  ASSERT_TRUE(s.sees("sam2unet_stage_seconds_count{stage=\"decode\"} 5"));
  late.send(request("POST", "/v1/segment", "", png()));
  ASSERT_TRUE(s.sees("sam2unet_queue_length 2"));
  std::this_thread::sleep_for(Milliseconds(80));
  gate->open();
  EXPECT_GE(timing_of(late.read())["queue"], 80);
}

// As long as those that wait take, by the mean of what was computed.
TEST_F(ServeAnswers, RetryAfterIsHowLongTheQueueTakes) {
  options.queue = 10;
  options.workers = 1;
  Running s(options, gate);
  s.wait_for("ready");
  Client first(s.port());
  first.send(request("POST", "/v1/segment", "", png()));
  gate->wait_for(1);
  std::this_thread::sleep_for(Milliseconds(310));
  gate->let(1);
  EXPECT_EQ(first.read().status, 200);
  std::vector<Client> clients;
  const std::vector<FormFile> many(9, {"a.png", png()});
  clients.emplace_back(s.port());
  clients.back().send(request("POST", "/v1/segment", form_header(), form(many)));
  // One at the gate, three decoded before it and one in the decoder's hands: the rest stays in the queue.
  ASSERT_TRUE(s.sees("sam2unet_stage_seconds_count{stage=\"decode\"} 6"));
  for (int i = 0; i < 9; ++i) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment", "", png()));
  }
  ASSERT_TRUE(s.sees("sam2unet_queue_length 10"));
  const Answer refused = s.ask("POST", "/v1/segment", "", png());
  EXPECT_EQ(refused.status, 429);
  const int wait = std::stoi(refused.header("retry-after"));  // ten of 0.31 s and more
  EXPECT_GE(wait, 4);
  EXPECT_LE(wait, 30);
  EXPECT_EQ(s.ask("GET", "/healthz").header("retry-after"), "");
  gate->open();
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
}

// Each of these changes the result, so none goes with another.
TEST_F(ServeAnswers, PicturesGoTogetherOnlyWhereTheirResultsAreMadeAlike) {
  options = half_options(gate, 8);
  options.batch_delay = Milliseconds(100);
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  // The first and those that are plain but for one option stand at the network together.
  const std::vector<std::string> kinds = {"threshold=0.5", "tile=64",   "tta=hflip",  "official=1",
                                          "pillow=13",     "size=64",   "size=96",    "fit=letterbox",
                                          "tta=hflip",     "tta=vflip", "size=64x96", "tile=64&overlap=0.5"};
  std::vector<Client> clients;
  for (const std::string& kind : kinds) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", "/v1/segment?" + kind, "", png()));
  }
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
  EXPECT_EQ(gate->batches().size(), kinds.size());
}

// What is only drawn otherwise goes together.
TEST_F(ServeAnswers, ResultsThatAreDrawnOtherwiseGoTogether) {
  options = half_options(gate, 4);
  options.batch_delay = Milliseconds(20'000);  // a full batch does not wait for it
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (const char* query : {"threshold=0.4", "result=json", "result=overlay,mask", "simplify=3"}) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", std::string("/v1/segment?") + query, "", png()));
  }
  for (Client& c : clients) EXPECT_EQ(c.read().status, 200);
  EXPECT_EQ(gate->batches().size(), 1U);
}

TEST_F(ServeAnswers, TheModelAskedForComputesAndEachByItself) {
  auto second = std::make_shared<Gate>();
  second->open();
  gate->open();
  options.models = {{"one", "1.safetensors"}, {"two", "2.safetensors"}};
  options.batch_delay = Milliseconds(200);
  options.open = [gate = gate, second](const serve::ModelFile& m) {
    return std::make_unique<HalfNetwork>(m.name == "one" ? gate : second, 4);
  };
  Running s(options, gate);
  s.wait_for("ready");
  std::vector<Client> clients;
  for (const char* query : {"?model=two", "?model=one", ""}) {
    clients.emplace_back(s.port());
    clients.back().send(request("POST", std::string("/v1/segment") + query, "", png()));
  }
  std::vector<std::string> names;
  for (Client& c : clients) names.push_back(c.read().header("x-sam2unet-model"));
  EXPECT_THAT(names, ElementsAre("two", "one", "one"));
  std::size_t first = 0;
  for (const auto& batch : gate->batches()) first += batch.size();
  EXPECT_EQ(first, 2U);  // together or not
  EXPECT_THAT(second->batches(), ElementsAre(ElementsAre(8)));
}

TEST_F(ServeAnswers, ModelsAndLimitsAreTold) {
  options.limits.upload = 12345;
  options.limits.pixels = 999;
  options.limits.parts = 7;
  options.limits.side = 640;
  Running s(options, gate);
  s.wait_for("ready");
  const Json j = Json::parse(s.ask("GET", "/v1/models").body);
  EXPECT_EQ(j.at("limits"), Json({{"upload_bytes", 12345}, {"pixels", 999}, {"files", 7}, {"size", 640}}));
  const Json& model = j.at("models").at(0);
  EXPECT_EQ(model.at("name"), "half");
  EXPECT_EQ(model.at("version"), 1);
  EXPECT_EQ(model.at("variant"), "t");
  EXPECT_EQ(model.at("device"), "cpu");
  EXPECT_EQ(model.at("channels"), 1);
  EXPECT_TRUE(model.at("classes").empty());
}

TEST_F(ServeAnswers, RequestsKeepTheirSaneIds) {
  Running s(options, gate);
  const auto id = [&](const std::string& given) {
    return s.ask("GET", "/healthz", "X-Request-Id: " + given + "\r\n").header("x-request-id");
  };
  EXPECT_EQ(id("a.B_c-9"), "a.B_c-9");
  EXPECT_EQ(id(std::string(64, 'x')), std::string(64, 'x'));
  EXPECT_NE(id(std::string(65, 'x')), std::string(65, 'x'));
  for (const char* insane : {"a b", "a\"b", "<a>", "a/b"}) EXPECT_NE(id(insane), insane);
  EXPECT_NE(s.ask("GET", "/healthz").header("x-request-id"), s.ask("GET", "/healthz").header("x-request-id"));
  EXPECT_EQ(Json::parse(s.ask("GET", "/nothing", "X-Request-Id: n-1\r\n").body).at("request_id"), "n-1");
}

TEST_F(ServeAnswers, WhatIsCountedIsTold) {
  options.queue = 17;
  options.limits.in_flight = options.limits.upload = 1 << 20;
  const auto hold = hold_back(options, gate);
  gate->open();
  Running s(options, gate);
  hold->wait_for(1);
  EXPECT_THAT(s.ask("GET", "/metrics").body, HasSubstr("\nsam2unet_ready 0\n"));
  hold->open();
  s.wait_for("ready");
  s.ask("GET", "/nothing");
  s.ask("POST", "/v1/segment", "", "no picture");
  s.ask("POST", "/v1/segment", "", png());
  EXPECT_TRUE(s.sees("sam2unet_received_bytes_total " + std::to_string(png().size() + 10)));
  const std::string text = s.ask("GET", "/metrics").body;
  for (const char* line :
       {"sam2unet_ready 1", "sam2unet_queue_limit 17", "sam2unet_in_flight_limit_bytes 1048576",
        "sam2unet_pictures_total 1", "sam2unet_batches_total 1", "sam2unet_responses_total{code=\"4xx\"} 2",
        "sam2unet_responses_total{code=\"5xx\"} 0", "sam2unet_refusals_total{reason=\"not_found\"} 1",
        "sam2unet_refusals_total{reason=\"unreadable_picture\"} 1",
        "sam2unet_reloads_total{result=\"ok\"} 0"})
    EXPECT_THAT(text, HasSubstr(std::string("\n") + line + "\n"));
  s.server().reload();
  s.wait_for("loaded again");
  EXPECT_TRUE(s.sees("sam2unet_reloads_total{result=\"ok\"} 1"));
}

// --- limits, exactly reached

TEST_F(ServeAnswers, ABodyOfJustTheLimitIsTaken) {
  options.limits.upload = options.limits.in_flight = 1000;
  Running s(options, gate);
  s.wait_for("ready");
  // A request's bytes are given back after its answer was sent; until then there is no room for another's.
  const std::string idle = "sam2unet_in_flight_bytes 0";
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", std::string(1000, 'x')).status, 415);  // no picture, but read
  ASSERT_TRUE(s.sees(idle));
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", std::string(1001, 'x')).status, 413);
  for (const auto& [bytes, status] : {std::pair(1000, 415), std::pair(1001, 413)}) {
    ASSERT_TRUE(s.sees(idle));
    Client c(s.port());
    char size[16];
    std::snprintf(size, sizeof size, "%x\r\n", bytes);
    c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
           std::string(size) + std::string(static_cast<std::size_t>(bytes), 'x') + "\r\n0\r\n\r\n");
    EXPECT_EQ(c.read().status, status) << bytes;
  }
}

TEST_F(ServeAnswers, AnAnswerOfJustTheLimitIsSent) {
  gate->open();
  const std::string body = form({{"a.png", png()}, {"b.png", png()}});
  std::size_t map = 0;
  {
    Running s(options, gate);
    s.wait_for("ready");
    map = s.ask("POST", "/v1/segment", "", png()).body.size();
  }
  for (const std::size_t less : {0U, 1U}) {
    options.limits.answer = 2 * map - less;
    Running s(options, gate);
    s.wait_for("ready");
    EXPECT_EQ(
        s.ask("POST", "/v1/segment", form_header(), body).body.find("--max-answer") != std::string::npos,
        less == 1);
  }
  // One file by itself is bound by what may be in flight alone.
  options.limits.answer = 1;
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", png()).status, 200);
}

TEST_F(ServeAnswers, ANetworkInputOfJustTheLimitIsTaken) {
  gate->open();
  options.limits.side = 64;
  Running s(options, gate);
  s.wait_for("ready");
  for (const char* size : {"64", "32x64", "64x32"})
    EXPECT_EQ(s.ask("POST", std::string("/v1/segment?size=") + size, "", png()).status, 200) << size;
  for (const char* size : {"96", "32x96", "96x32", "64&tta=scale=1.5"})
    EXPECT_EQ(s.ask("POST", std::string("/v1/segment?size=") + size, "", png()).status, 400) << size;
}

TEST_F(ServeAnswers, TilesThatAreTooManyAreRefused) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  // 16 x 16 tiles of 64 without overlap; one pixel more makes another column.
  EXPECT_EQ(s.ask("POST", "/v1/segment?tile=64&overlap=0", "", png(1024, 1024)).status, 200);
  const Answer a = s.ask("POST", "/v1/segment?tile=64&overlap=0", "", png(1025, 1024));
  EXPECT_EQ(a.status, 400);
  EXPECT_THAT(a.body, HasSubstr("has 272 such tiles, at most 256"));
  // What overlaps by half comes twice as often, and a tile has the shape of the network's input.
  for (const char* query : {"tile=64&overlap=0.5", "tile=64&overlap=0&size=32x64"}) {
    const auto ask = [&](int width) {
      return s.ask("POST", std::string("/v1/segment?") + query, "", png(width, 512));
    };
    EXPECT_EQ(ask(512).status, 200) << query;
    EXPECT_THAT(ask(513).body, HasSubstr("has 272 such tiles")) << query;
  }
}

TEST_F(ServeAnswers, KindsOnceAndScalesUpToFour) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  // Named twice it is one file, and no archive.
  EXPECT_EQ(s.ask("POST", "/v1/segment?result=mask,%20mask,", "", png()).header("content-type"), "image/png");
  const auto status = [&](const std::string& query) {
    return s.ask("POST", "/v1/segment?" + query, "", png()).status;
  };
  EXPECT_EQ(status("tta=scale=0.5:0.75:1.25:1.5"), 200);
  EXPECT_EQ(status("tta=scale=0.5:0.75:1.25:1.5:1.75"), 400);
  EXPECT_EQ(status("tile=65536"), 200);
  EXPECT_EQ(status("tile=65537"), 400);
  EXPECT_EQ(status("tile=63"), 400);
}

// --- pictures and names

TEST_F(ServeAnswers, PicturesAreTurnedAsExifSaysUnlessOfficial) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  const std::string photo = turned_photo(6);
  const auto width = [&](const std::string& query) {
    const Answer a = s.ask("POST", "/v1/segment" + query, "", photo);
    EXPECT_EQ(a.status, 200) << a.body;
    return decode_image(std::as_bytes(std::span(a.body)), {.mode = ColorMode::gray}).width;
  };
  const Image stored = decode_image(std::as_bytes(std::span(photo)),
                                    {.mode = ColorMode::rgb, .apply_exif_orientation = false});
  ASSERT_NE(stored.width, stored.height);
  EXPECT_EQ(width(""), stored.height);
  EXPECT_EQ(width("?official=yes"), stored.width);
}

TEST_F(ServeAnswers, ParametersReachTheResults) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  const auto json = [&](const std::string& query) {
    return Json::parse(s.ask("POST", "/v1/segment?result=json" + query, "", png(8, 6)).body);
  };
  EXPECT_EQ(json("&threshold=0").at("area"), 48);
  EXPECT_EQ(json("&threshold=1").at("area"), 24);
  EXPECT_EQ(json("&threshold=0.25").at("threshold"), 0.25);
  EXPECT_FALSE(json("").contains("instances"));
  EXPECT_TRUE(json("&instances=on").contains("instances"));
  EXPECT_FALSE(json("&instances=OFF").contains("instances"));
  EXPECT_EQ(json("&name=x.jpg").at("input"), "x.jpg");
  // A field of the form comes after the query, and is the last word.
  const Answer a =
      s.ask("POST", "/v1/segment?result=map", form_header(), form({{"a.png", png()}}, {{"result", "json"}}));
  EXPECT_EQ(a.header("content-type"), "application/json");
}

TEST_F(ServeAnswers, OneResultIsAnArchiveWhereAskedFor) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/v1/segment?archive=zip", "", png()).header("content-type"), "application/zip");
  EXPECT_THAT(s.ask("POST", "/v1/segment?archive=multipart", "", png()).header("content-type"),
              HasSubstr("multipart/mixed"));
  EXPECT_THAT(s.ask("POST", "/v1/segment?result=map,json", "", png()).header("content-type"),
              HasSubstr("multipart/mixed"));
  // What is asked for by name wins over what would be taken.
  EXPECT_THAT(
      s.ask("POST", "/v1/segment?result=map,json&archive=multipart", "Accept: application/zip\r\n", png())
          .header("content-type"),
      HasSubstr("multipart/mixed"));
  // All that went wrong is no archive.
  EXPECT_EQ(s.ask("POST", "/v1/segment?archive=zip", "", "x").status, 415);
}

TEST_F(ServeAnswers, BackgroundsOfRemoveMayBeHalfThere) {
  gate->open();
  Running s(options, gate);
  s.wait_for("ready");
  const auto removed = [&](const std::string& query) {
    const Answer a = s.ask("POST", "/api/remove?" + query, form_header(), form({{"a.png", png(8, 6)}}));
    EXPECT_EQ(a.status, 200) << a.body;
    return decode_image(std::as_bytes(std::span(a.body)), {.mode = ColorMode::rgba});
  };
  const auto pixel = [&](const std::string& query, int x) {
    const Image image = removed(query);
    return std::vector<int>(image.pixels.begin() + 4 * x, image.pixels.begin() + 4 * x + 4);
  };
  EXPECT_THAT(pixel("bgc=10,20,30,128", 7), ElementsAre(10, 20, 30, 128));
  // On one that is not there at all, what is not there is nothing, and the rest is as it was.
  const Image own = picture(8, 6, 3);
  std::vector<std::uint8_t> cut_out;
  for (std::size_t i = 0; i < 8 * 6; ++i) {
    const bool is_there = i % 8 < 4;
    for (std::size_t c = 0; c < 3; ++c) cut_out.push_back(is_there ? own.pixels[i * 3 + c] : 0);
    cut_out.push_back(is_there ? 255 : 0);
  }
  EXPECT_EQ(removed("bgc=10,20,30,0").pixels, cut_out);
  EXPECT_THAT(pixel("bgc=10,20,30,128", 0), ElementsAre(own.pixels[0], own.pixels[1], own.pixels[2], 255));
  for (const char* bad : {"bgc=1,2,3,256", "bgc=1,2,3,-1", "bgc=1,2,3,4,5", "bgc=a,2,3,4"})
    EXPECT_EQ(
        s.ask("POST", std::string("/api/remove?") + bad, form_header(), form({{"a.png", png()}})).status, 422)
        << bad;
}

// RFC 6266: a name for those who read ASCII alone, and the name.
TEST(ServeDisposition, NamesOfAnyLettersAreCarried) {
  EXPECT_EQ(serve::disposition("inline", "a b-1_x.png"),
            "inline; filename=\"a b-1_x.png\"; filename*=UTF-8''a%20b-1_x.png");
  EXPECT_EQ(serve::disposition("attachment", "\xC3\xA4\"\\.png"),
            "attachment; filename=\"____.png\"; filename*=UTF-8''%C3%A4%22%5C.png");
  // Letters and digits from the first to the last, and what stands beside them in ASCII.
  EXPECT_EQ(serve::disposition("inline", "/09:@AZ[`az{"),
            "inline; filename=\"/09:@AZ[`az{\"; filename*=UTF-8''%2F09%3A%40AZ%5B%60az%7B");
  EXPECT_EQ(serve::disposition("inline", "\x1F ~\x7F"),
            "inline; filename=\"_ ~_\"; filename*=UTF-8''%1F%20%7E%7F");
}

TEST(ServeDisposition, NoTwoResultsHaveOneName) {
  serve::FreeNames names;
  const std::vector<std::string> endings = {".png", ".json"};
  EXPECT_EQ(names.take_stem("cat.jpg", endings), "cat");
  EXPECT_EQ(names.take_stem("cat.png", endings), "cat.png");
  EXPECT_EQ(names.take_stem("cat.png", endings), "cat-2");
  EXPECT_EQ(names.take_stem("CAT.png", endings), "CAT-3");  // a file system without case has them all
  EXPECT_EQ(names.take_stem("dog.png", endings), "dog");
  // Whichever of them came first.
  EXPECT_EQ(names.take_stem("Owl.jpg", endings), "Owl");
  EXPECT_EQ(names.take_stem("Owl.jpg", endings), "Owl.jpg");
  EXPECT_EQ(names.take_stem("owl.png", endings), "owl.png");
}

// What went wrong is told in one list, each with its file and status.
TEST(ServeDisposition, ProblemsOfSeveralFilesAreOneList) {
  std::vector<serve::Piece> pieces(4);
  pieces[0].name = "a.png";
  pieces[0].problem = {415, serve::Refusal::unreadable_picture, "no \"picture\"", {}};
  pieces[1].name = "b.png";
  pieces[1].outputs.push_back({"b.png", "image/png", {std::byte{7}}});
  pieces[2].name = "c.png";
  pieces[2].problem = {504, serve::Refusal::deadline, "too late", {}};
  pieces[3].name = "d.png";
  pieces[3].outputs.push_back({"d.png", "image/png", {std::byte{8}, std::byte{9}}});
  const serve::Response zip = serve::archive(pieces, serve::ArchiveKind::zip);
  EXPECT_EQ(zip.headers.get("Content-Disposition"),
            "attachment; filename=\"sam2unet.zip\"; filename*=UTF-8''sam2unet.zip");
  const std::string text(reinterpret_cast<const char*>(serve::bytes_of(zip.body).data()),
                         serve::bytes_of(zip.body).size());
  const auto begin = text.find("[{\"file\"");
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(Json::parse(text.substr(begin, text.find("]\n", begin) + 1 - begin)),
            Json::parse(R"([{"file":"a.png","status":415,"error":"no \"picture\""},
                            {"file":"c.png","status":504,"error":"too late"}])"));
  const serve::Response form = serve::archive(pieces, serve::ArchiveKind::multipart);
  const std::string parts(reinterpret_cast<const char*>(serve::bytes_of(form.body).data()),
                          serve::bytes_of(form.body).size());
  EXPECT_THAT(parts, AllOf(HasSubstr("a.png.error.json"), HasSubstr("c.png.error.json"),
                           Not(HasSubstr("b.png.error.json")), HasSubstr("\r\n\r\n\x08\x09\r\n--")));
}

// --- numbers by themselves

// Prometheus' `le` is "at most": a time of just a bound is in that bucket.
TEST(ServeMetrics, BucketsHoldTheirBounds) {
  serve::Histogram h;
  for (const double seconds : {0.0025, 0.0026, 60.0, 61.0}) h.observe(seconds);
  std::string out;
  h.write(out, "x", "stage=\"a\"");
  for (const char* line :
       {"x_bucket{stage=\"a\",le=\"0.001\"} 0\n", "x_bucket{stage=\"a\",le=\"0.0025\"} 1\n",
        "x_bucket{stage=\"a\",le=\"0.005\"} 2\n", "x_bucket{stage=\"a\",le=\"30\"} 2\n",
        "x_bucket{stage=\"a\",le=\"60\"} 3\n", "x_bucket{stage=\"a\",le=\"+Inf\"} 4\n",
        "x_count{stage=\"a\"} 4\n"})
    EXPECT_THAT(out, HasSubstr(line));
  EXPECT_NEAR(h.mean(), 121.0051 / 4, 1e-6);
  EXPECT_EQ(serve::Histogram().mean(), 0.0);
  std::string bare;
  h.write(bare, "x", "");
  EXPECT_THAT(bare, AllOf(HasSubstr("x_bucket{le=\"60\"} 3\n"), HasSubstr("x_count 4\n")));
}

TEST(ServeBudget, OfJustTheLimitAndBackAgain) {
  serve::Budget budget(10);
  EXPECT_TRUE(budget.has_room(10));
  EXPECT_FALSE(budget.has_room(11));
  serve::Budget::Lease a(budget);
  EXPECT_TRUE(a.grow(4));
  EXPECT_TRUE(budget.has_room(6));
  EXPECT_FALSE(budget.has_room(7));
  EXPECT_TRUE(a.grow(6));
  EXPECT_FALSE(a.grow(1));
  EXPECT_EQ(budget.used(), 10U);
  serve::Budget::Lease b(std::move(a));
  EXPECT_EQ(budget.used(), 10U);
  b = serve::Budget::Lease(budget);  // what it held comes back
  EXPECT_EQ(budget.used(), 0U);
}

TEST(ServeModels, NamesAndTheirLengths) {
  const auto refused = [](std::vector<std::string> names) {
    std::vector<serve::ModelFile> files;
    for (std::string& name : names) files.push_back({std::move(name), "x"});
    try {
      const serve::Models models(std::move(files), {});
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(refused({std::string(64, 'm'), "A.b_c-9", "m"}), "");
  EXPECT_THAT(refused({std::string(65, 'm')}), HasSubstr("is no name of a model"));
  for (const char* bad : {"", ".", "..", "a b", "a/b"})
    EXPECT_THAT(refused({"m", bad}), HasSubstr("is no name of a model")) << bad;
  // The protocol's second name of each.
  EXPECT_THAT(refused({"m", "m-picture"}), HasSubstr("two models would be called 'm-picture'"));
  EXPECT_THAT(refused({"m-picture", "m"}), HasSubstr("two models would be called 'm'"));
  EXPECT_THAT(refused({}), HasSubstr("at least one model"));
}

}  // namespace
}  // namespace sam2unet::test
