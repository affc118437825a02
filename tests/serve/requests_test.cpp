// /v1/segment and /api/remove, and what HTTP asks of anyone.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "running.h"
#include "serve/multipart.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ServeRequests : public testing::Test {
 protected:
  ServeRequests() { gate->open(); }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
};

Image decoded(const std::string& body, ColorMode mode = ColorMode::gray) {
  return decode_image(std::as_bytes(std::span(body)), {.mode = mode});
}

TEST_F(ServeRequests, APictureAsItIs) {
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment?name=cat.jpg",
                         "Content-Type: application/x-www-form-urlencoded\r\n", png(8, 6));
  ASSERT_EQ(a.status, 200);
  EXPECT_EQ(a.header("content-type"), "image/png");
  EXPECT_THAT(a.header("content-disposition"), HasSubstr("cat.png"));
  EXPECT_THAT(a.header("server-timing"), HasSubstr("compute;dur="));
  EXPECT_EQ(a.header("x-sam2unet-model"), "half");
  const Image map = decoded(a.body);
  EXPECT_EQ(map.width, 8);
  EXPECT_EQ(map.pixels[0], 255);
  EXPECT_EQ(map.pixels[7], 0);
}

TEST_F(ServeRequests, EveryKindOfResult) {
  Running s(options, gate);
  s.wait_for("ready");
  for (const char* kind : {"map", "mask", "overlay", "cutout"}) {
    const Answer a = s.ask("POST", std::string("/v1/segment?result=") + kind, "", png());
    EXPECT_EQ(a.status, 200) << kind;
    EXPECT_EQ(a.header("content-type"), "image/png");
  }
  const Answer json = s.ask("POST", "/v1/segment?result=json&name=a/b.png", "", png());
  EXPECT_EQ(json.header("content-type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(json.body).at("input"), "b.png");
  EXPECT_EQ(nlohmann::json::parse(json.body).at("area"), 24);
  const Answer ids = s.ask("POST", "/v1/segment?result=ids", "", png());
  EXPECT_EQ(ids.status, 400);
  EXPECT_THAT(ids.body, HasSubstr("one foreground"));
}

TEST_F(ServeRequests, SeveralFilesAsMultipartWithAProblemAmongThem) {
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a =
      s.ask("POST", "/v1/segment", form_header(),
            form({{"x/a.png", png()}, {"b.png", "no picture"}, {"A.jpg", png()}}, {{"result", "mask,json"}}));
  ASSERT_EQ(a.status, 200);
  std::string body = a.body;
  for (std::size_t at = 0; (at = body.find("attachment;", at)) != std::string::npos;)
    body.replace(at, 11, "form-data; name=x;");
  const auto type = serve::parse_parameters(a.header("content-type"));
  EXPECT_EQ(type->value, "multipart/mixed");
  const auto parts =
      serve::parse_multipart(serve::view_of(std::string_view(body)), type->find("boundary").value(), {});
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_EQ(parts[0].file_name, "a_mask.png");
  EXPECT_EQ(parts[1].file_name, "a.json");
  EXPECT_EQ(parts[2].file_name, "b.png.error.json");
  EXPECT_EQ(nlohmann::json::parse(parts[2].text()).at("status"), 415);
  EXPECT_EQ(parts[3].file_name, "A.jpg_mask.png");  // "a_mask.png" is taken where letters have no case
}

TEST_F(ServeRequests, FilesWithoutNamesAreCounted) {
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/v1/segment", form_header(),
                         form({{"", png()}, {"", png()}, {"c.png", png()}}, {{"result", "mask"}}));
  ASSERT_EQ(a.status, 200);
  EXPECT_THAT(a.body, AllOf(HasSubstr("\"picture1_mask.png\""), HasSubstr("\"picture2_mask.png\""),
                            HasSubstr("\"c_mask.png\"")));
}

TEST_F(ServeRequests, SeveralFilesAsZip) {
  Running s(options, gate);
  s.wait_for("ready");
  const std::string body =
      form({{"a.png", png()}, {"../../b.png", png()}, {"a.png", png()}, {"bad.png", "x"}});
  for (const std::string& how : {std::string("Accept: application/zip\r\n"), std::string()}) {
    const Answer a =
        s.ask("POST", how.empty() ? "/v1/segment?archive=zip" : "/v1/segment", form_header() + how, body);
    ASSERT_EQ(a.status, 200);
    EXPECT_EQ(a.header("content-type"), "application/zip");
    for (const char* name : {"a.png", "b.png", "a.png.png", "errors.json"})
      EXPECT_THAT(a.body, HasSubstr(name));
    EXPECT_THAT(a.body, testing::Not(HasSubstr("../")));
  }
}

TEST_F(ServeRequests, WhatIsWrongWithPicturesIsTold) {
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", "hello").status, 415);
  const Answer cut = s.ask("POST", "/v1/segment", "", png(50, 50).substr(0, 3000));
  EXPECT_EQ(cut.status, 422);
  EXPECT_THAT(cut.body, HasSubstr("get a whole copy"));
  EXPECT_EQ(s.ask("POST", "/v1/segment", "", "").status, 400);
  EXPECT_EQ(s.ask("POST", "/v1/segment", form_header(), form({})).status, 400);
  EXPECT_EQ(s.ask("POST", "/v1/segment", form_header(), form({{"", ""}})).status, 400);
  EXPECT_EQ(s.ask("POST", "/v1/segment", form_header(), "x").status, 400);
}

TEST_F(ServeRequests, WhatIsWrongWithParametersIsTold) {
  Running s(options, gate);
  s.wait_for("ready");
  for (const char* bad : {"result=heat",
                          "result=",
                          "threshold=2",
                          "threshold=nan",
                          "threshold=x",
                          "size=33",
                          "size=x",
                          "fit=stretch",
                          "class=1",
                          "official=perhaps",
                          "pillow=9",
                          "archive=rar",
                          "tile=1",
                          "tile=64.5",
                          "overlap=1",
                          "tile_context=2",
                          "tta=1",
                          "tta=scale=9",
                          "official=true&tile=auto",
                          "colour=1",
                          "simplify=-1"}) {
    const Answer a = s.ask("POST", std::string("/v1/segment?") + bad, "", png());
    EXPECT_EQ(a.status, 400) << bad;
    EXPECT_NE(nlohmann::json::parse(a.body).at("error").get<std::string>(), "") << bad;
  }
  EXPECT_EQ(s.ask("POST", "/v1/segment?model=other", "", png()).status, 404);
}

TEST_F(ServeRequests, PathsAndMethods) {
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("GET", "/nothing").status, 404);
  EXPECT_EQ(s.ask("GET", "/v1/segment").status, 405);
  EXPECT_EQ(s.ask("GET", "/v1/segment").header("allow"), "POST");
  EXPECT_EQ(s.ask("POST", "/healthz", "", "x").status, 405);
  EXPECT_EQ(s.ask("DELETE", "/healthz").status, 405);
  EXPECT_EQ(s.ask("GET", "/../etc/passwd").status, 400);
  const Answer head = s.ask("HEAD", "/openapi.json");
  EXPECT_EQ(head.status, 200);
  EXPECT_GT(std::stoul(head.header("content-length")), 1000U);
  const auto document = nlohmann::json::parse(s.ask("GET", "/openapi.json").body);
  EXPECT_EQ(document.at("openapi"), "3.1.0");
}

TEST_F(ServeRequests, PipelinedAndContinued) {
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  c.send(request("GET", "/healthz") + request("POST", "/v1/segment", "", png()) + request("GET", "/readyz"));
  EXPECT_EQ(c.read().body, "alive\n");
  EXPECT_EQ(c.read().status, 200);
  EXPECT_EQ(c.read().body, "ready\n");
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: " +
         std::to_string(png().size()) + "\r\n\r\n");
  ASSERT_TRUE(c.is_readable(60'000));  // 100 comes before the body goes
  c.send(png());
  EXPECT_EQ(c.read().status, 200);
  // A refusal comes instead of 100.
  c.send("POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(c.read().status, 404);
}

TEST_F(ServeRequests, MalformedRequests) {
  Running s(options, gate);
  for (const char* bad :
       {"GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n",
        "POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"}) {
    Client c(s.port());
    c.send(bad);
    EXPECT_EQ(c.read().status, 400) << bad;
  }
  Client c(s.port());
  c.send("POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n");
  EXPECT_GE(c.read().status, 400);
  EXPECT_EQ(s.ask("GET", "/healthz").status, 200);
}

TEST_F(ServeRequests, PageIsOneFileWithAStrictPolicy) {
  Running s(options, gate);
  const Answer a = s.ask("GET", "/");
  ASSERT_EQ(a.status, 200);
  EXPECT_THAT(a.header("content-security-policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(a.header("content-security-policy"), testing::Not(HasSubstr("unsafe")));
  EXPECT_THAT(a.body, testing::Not(HasSubstr("@NONCE@")));
  const auto at = a.body.find("nonce=\"") + 7;
  EXPECT_THAT(a.header("content-security-policy"), HasSubstr("'nonce-" + a.body.substr(at, 32) + "'"));
  EXPECT_NE(s.ask("GET", "/").body, a.body) << "a nonce is used once";
  for (const char* outside : {"http://", "https://", "src=\"", "@import"})
    EXPECT_THAT(a.body, testing::Not(HasSubstr(outside)));
}

TEST_F(ServeRequests, LogIsJsonWithoutPictures) {
  Running s(options, gate);
  s.wait_for("ready");
  s.ask("POST", "/v1/segment?name=secret.png", "X-Request-Id: my-7\r\n", png());
  s.ask("GET", "/\"x", "X-Request-Id: bad id\r\n");
  bool found = false;
  for (int i = 0; i < 1200 && s.log().size() < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  for (const std::string& line : s.log()) {
    const auto json = nlohmann::json::parse(line);
    if (json.at("id") != "my-7") continue;
    found = true;
    EXPECT_EQ(json.at("status"), 200);
    EXPECT_EQ(json.at("model"), "half");
    EXPECT_EQ(json.at("pictures"), 1);
    EXPECT_EQ(json.at("client"), "127.0.0.1");
    EXPECT_EQ(line.find("secret"), std::string::npos);
  }
  EXPECT_TRUE(found);
}

TEST_F(ServeRequests, MetricsAreCounted) {
  Running s(options, gate);
  s.wait_for("ready");
  s.ask("POST", "/v1/segment", form_header(), form({{"a.png", png()}, {"b.png", png()}}));
  EXPECT_TRUE(s.sees("sam2unet_pictures_total 2"));
  const std::string text = s.ask("GET", "/metrics").body;
  for (const char* stage : {"queue", "decode", "compute", "encode"})
    EXPECT_THAT(text, HasSubstr(std::string("sam2unet_stage_seconds_count{stage=\"") + stage + "\"} 2"));
  EXPECT_THAT(text, HasSubstr("sam2unet_stage_seconds_bucket{stage=\"queue\",le=\"+Inf\"} 2"));
  EXPECT_THAT(text, testing::ContainsRegex("sam2unet_resident_memory_bytes [1-9]"));
}

// --- rembg's form

std::string rembg_form(const std::string& bytes,
                       const std::vector<std::pair<std::string, std::string>>& fields = {}) {
  return form({{"cat.jpg", bytes}}, fields);
}

TEST_F(ServeRequests, RemoveGivesTheCutOut) {
  Running s(options, gate);
  s.wait_for("ready");
  const Answer a = s.ask("POST", "/api/remove", form_header(), rembg_form(png()));
  ASSERT_EQ(a.status, 200);
  EXPECT_EQ(a.header("content-type"), "image/png");
  EXPECT_EQ(decoded(a.body, ColorMode::rgba).pixels[3], 255);
  EXPECT_EQ(decoded(a.body, ColorMode::rgba).pixels[7 * 4 + 3], 0);
  const Answer mask = s.ask("POST", "/api/remove", form_header(), rembg_form(png(), {{"om", "true"}}));
  EXPECT_EQ(decoded(mask.body).pixels[0], 255);
  const Answer blue = s.ask("POST", "/api/remove?bgc=0,0,255,255", form_header(), rembg_form(png()));
  const Image image = decoded(blue.body, ColorMode::rgba);
  EXPECT_EQ((std::vector(image.pixels.begin() + 28, image.pixels.begin() + 32)),
            (std::vector<std::uint8_t>{0, 0, 255, 255}));
}

TEST_F(ServeRequests, RemoveTellsWhatItCannotDo) {
  Running s(options, gate);
  s.wait_for("ready");
  for (const auto& field :
       std::vector<std::pair<std::string, std::string>>{{"model", "u2net"}, {"a", "true"}, {"ppm", "true"}}) {
    const Answer a = s.ask("POST", "/api/remove", form_header(), rembg_form(png(), {field}));
    EXPECT_EQ(a.status, 422) << field.first;
    EXPECT_THAT(nlohmann::json::parse(a.body).at("detail").get<std::string>(), HasSubstr("--rembg-alias"));
  }
  EXPECT_EQ(s.ask("POST", "/api/remove?bgc=1,2,3", form_header(), rembg_form(png())).status, 422);
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(), form({}, {{"model", "half"}})).status, 422);
  const Answer get = s.ask("GET", "/api/remove?url=http://169.254.169.254/");
  EXPECT_EQ(get.status, 403);
  EXPECT_THAT(get.body, HasSubstr("fetches nothing"));
}

TEST_F(ServeRequests, RemoveWithAliasPassesOverIt) {
  options.rembg_alias = true;
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_EQ(s.ask("POST", "/api/remove", form_header(),
                  rembg_form(png(), {{"model", "u2net"}, {"a", "true"}, {"af", "240"}, {"ppm", "1"}}))
                .status,
            200);
}

}  // namespace
}  // namespace sam2unet::test
