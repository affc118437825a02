// The Open Inference Protocol over HTTP.
#include <gmock/gmock.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "running.h"
#include "serve/compression.h"

namespace sam2unet::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class ServeInference : public testing::Test {
 protected:
  ServeInference() { gate->open(); }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
};

std::string length_header(std::size_t n) {
  return "Inference-Header-Content-Length: " + std::to_string(n) + "\r\n";
}

std::string floats(std::size_t n, float first) {
  std::string out(n * sizeof(float), '\0');
  for (std::size_t i = 0; i < n; ++i) {
    const float v = first + static_cast<float>(i);
    std::memcpy(out.data() + i * sizeof v, &v, sizeof v);
  }
  return out;
}

constexpr std::size_t kValues = 3 * 32 * 32;
const std::string kTensorJson =
    R"({"id":"x","inputs":[{"name":"input","shape":[1,3,32,32],"datatype":"FP32","parameters":{"binary_data_size":12288}}]})";

TEST_F(ServeInference, Metadata) {
  Running s(options, gate);
  s.wait_for("ready");
  EXPECT_THAT(Json::parse(s.ask("GET", "/v2").body).at("extensions"),
              testing::Contains("binary_tensor_data"));
  EXPECT_EQ(s.ask("GET", "/v2/health/live").status, 200);
  EXPECT_EQ(s.ask("GET", "/v2/health/ready").status, 200);
  for (const char* name : {"half", "half-picture"}) {
    for (const std::string& version : {std::string(), std::string("/versions/1")}) {
      const std::string base = std::string("/v2/models/") + name + version;
      const auto get = [&](const std::string& more) { return Json::parse(s.ask("GET", base + more).body); };
      const bool is_tensor = name == std::string_view("half");
      const Json metadata = get("");
      EXPECT_EQ(metadata.at("name"), name);
      EXPECT_EQ(metadata.at("versions"), Json::array({"1"}));
      EXPECT_EQ(metadata.at("inputs"),
                Json::parse(is_tensor ? R"([{"name":"input","datatype":"FP32","shape":[-1,3,-1,-1]}])"
                                      : R"([{"name":"picture","datatype":"BYTES","shape":[-1]}])"));
      EXPECT_EQ(metadata.at("outputs"),
                Json::parse(is_tensor ? R"([{"name":"logits","datatype":"FP32","shape":[-1,1,-1,-1]}])"
                                      : R"([{"name":"map","datatype":"FP32","shape":[-1,1,-1,-1]}])"));
      const Json config = get("/config");
      EXPECT_EQ(config.at("input"),
                Json::parse(is_tensor ? R"([{"name":"input","data_type":"TYPE_FP32","dims":[-1,3,-1,-1]}])"
                                      : R"([{"name":"picture","data_type":"TYPE_STRING","dims":[-1]}])"));
      EXPECT_EQ(config.at("output").at(0).at("data_type"), "TYPE_FP32");
      EXPECT_FALSE(config.contains("inputs"));
      EXPECT_EQ(get("/stats").at("model_stats").at(0).at("name"), name);
      EXPECT_EQ(s.ask("GET", base + "/ready").status, 200);
    }
  }
  const Answer missing = s.ask("GET", "/v2/models/other");
  EXPECT_EQ(missing.status, 404);
  EXPECT_TRUE(Json::parse(missing.body).at("error").is_string());
  EXPECT_EQ(s.ask("GET", "/v2/models/half/versions/9").status, 404);
  EXPECT_EQ(Json::parse(s.ask("POST", "/v2/repository/index", "", "{}").body).size(), 2U);
}

TEST_F(ServeInference, TensorInBinaryOutInBinary) {
  Running s(options, gate);
  s.wait_for("ready");
  std::string json = kTensorJson;
  json.insert(json.size() - 1, R"(,"parameters":{"binary_data_output":true})");
  const Answer a =
      s.ask("POST", "/v2/models/half/infer", length_header(json.size()), json + floats(kValues, 1));
  ASSERT_EQ(a.status, 200) << a.body;
  const std::size_t n = std::stoul(a.header("inference-header-content-length"));
  const Json answer = Json::parse(a.body.substr(0, n));
  EXPECT_EQ(answer.at("id"), "x");
  EXPECT_EQ(answer.at("outputs")[0].at("shape"), Json({1, 1, 32, 32}));
  EXPECT_EQ(a.body.substr(n), floats(32 * 32, 2));
}

// [N,3,H,W]: 32 rows of 64, of which the fake network tells the first plane plus 1, row by row.
TEST_F(ServeInference, TensorsThatAreNotSquare) {
  Running s(options, gate);
  s.wait_for("ready");
  const Json request{{"inputs",
                      {{{"name", "input"},
                        {"shape", {1, 3, 32, 64}},
                        {"datatype", "FP32"},
                        {"data", std::vector<double>(std::size_t{3} * 32 * 64, 0.5)}}}}};
  const Answer a = s.ask("POST", "/v2/models/half/infer", "", request.dump());
  ASSERT_EQ(a.status, 200) << a.body;
  EXPECT_EQ(Json::parse(a.body).at("outputs")[0].at("shape"), Json({1, 1, 32, 64}));
}

TEST_F(ServeInference, TensorInJsonOutInJson) {
  Running s(options, gate);
  s.wait_for("ready");
  Json request{{"inputs",
                {{{"name", "input"},
                  {"shape", {1, 3, 32, 32}},
                  {"datatype", "FP32"},
                  {"data", std::vector<double>(kValues, 0.5)}}}}};
  const Answer a = s.ask("POST", "/v2/models/half/versions/1/infer", "", request.dump());
  ASSERT_EQ(a.status, 200) << a.body;
  EXPECT_EQ(Json::parse(a.body).at("outputs")[0].at("data").at(0), 1.5);
  EXPECT_FALSE(Json::parse(a.body).contains("id"));
}

TEST_F(ServeInference, PicturesAsBytes) {
  Running s(options, gate);
  s.wait_for("ready");
  const std::string picture = png(8, 6);
  std::string element(4, '\0');
  const auto length = static_cast<std::uint32_t>(picture.size());
  std::memcpy(element.data(), &length, 4);
  element += picture;
  const std::string json =
      R"({"inputs":[{"name":"picture","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":)" +
      std::to_string(2 * element.size()) + "}}]}";
  const Answer a =
      s.ask("POST", "/v2/models/half-picture/infer", length_header(json.size()), json + element + element);
  ASSERT_EQ(a.status, 200) << a.body;
  const Json out = Json::parse(a.body).at("outputs")[0];
  EXPECT_EQ(out.at("shape"), Json({2, 1, 6, 8}));
  EXPECT_EQ(out.at("data").size(), 96U);
  EXPECT_EQ(out.at("data")[0], 1);
  EXPECT_EQ(out.at("data")[7], 0);
}

// Its map is what the picture's first pixel has of red, everywhere.
class FirstPixelNetwork final : public serve::Network {
 public:
  const SegmenterInfo& info() const override { return info_; }
  std::shared_ptr<const ClassTable> classes() const override { return nullptr; }
  std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                    const SegmentOptions&) const override {
    std::vector<Segmentation> out;
    for (const ImageView& p : pictures) {
      Segmentation s;
      s.width = p.width;
      s.height = p.height;
      s.probabilities.assign(static_cast<std::size_t>(p.width) * static_cast<std::size_t>(p.height),
                             static_cast<float>(p.data[0]) / 64.0F);
      out.push_back(std::move(s));
    }
    return out;
  }
  std::vector<float> forward(std::span<const float>, int, const InputSize&) const override { return {}; }

 private:
  SegmenterInfo info_;
};

TEST_F(ServeInference, MapsComeInTheOrderOfTheirPictures) {
  options.open = [](const serve::ModelFile&) { return std::make_unique<FirstPixelNetwork>(); };
  Running s(options, gate);
  s.wait_for("ready");
  std::string elements;
  for (const int red : {16, 64, 32}) {
    Image picture(2, 1, 3);
    std::fill(picture.pixels.begin(), picture.pixels.end(), static_cast<std::uint8_t>(red));
    const auto bytes = encode_png(picture);
    const auto length = static_cast<std::uint32_t>(bytes.size());
    elements.append(reinterpret_cast<const char*>(&length), 4);
    elements.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  const std::string json =
      R"({"inputs":[{"name":"picture","shape":[3],"datatype":"BYTES","parameters":{"binary_data_size":)" +
      std::to_string(elements.size()) + "}}]}";
  const Answer a =
      s.ask("POST", "/v2/models/half-picture/infer", length_header(json.size()), json + elements);
  ASSERT_EQ(a.status, 200) << a.body;
  const Json out = Json::parse(a.body).at("outputs")[0];
  EXPECT_EQ(out.at("shape"), Json({3, 1, 1, 2}));
  EXPECT_EQ(out.at("data"), Json({0.25, 0.25, 1.0, 1.0, 0.5, 0.5}));
}

TEST_F(ServeInference, CompressedBothWays) {
  Running s(options, gate);
  s.wait_for("ready");
  const std::string body = kTensorJson + floats(kValues, 1);
  for (const auto coding : {serve::Coding::gzip, serve::Coding::deflate}) {
    const serve::Bytes packed = serve::compress(serve::view_of(std::string_view(body)), coding);
    const std::string name(name_of(coding));
    const Answer a = s.ask("POST", "/v2/models/half/infer",
                           length_header(kTensorJson.size()) + "Content-Encoding: " + name +
                               "\r\nAccept-Encoding: " + name + "\r\n",
                           {reinterpret_cast<const char*>(packed.data()), packed.size()});
    ASSERT_EQ(a.status, 200) << a.body;
    EXPECT_EQ(a.header("content-encoding"), name);
    const serve::Bytes plain = serve::decompress(serve::view_of(std::string_view(a.body)), coding, 1 << 20);
    EXPECT_EQ(Json::parse(std::string(reinterpret_cast<const char*>(plain.data()), plain.size())).at("id"),
              "x");
  }
}

TEST_F(ServeInference, WhatDoesNotFitIsTold) {
  Running s(options, gate);
  s.wait_for("ready");
  const auto error = [&](const std::string& model, const std::string& input) {
    const Answer a = s.ask("POST", "/v2/models/" + model + "/infer", "", "{\"inputs\":[" + input + "]}");
    EXPECT_EQ(a.status / 100, 4) << a.body;
    return Json::parse(a.body).at("error").get<std::string>();
  };
  EXPECT_THAT(error("half", R"({"name":"x","shape":[1],"datatype":"FP32","data":[1]})"),
              HasSubstr("'input'"));
  EXPECT_THAT(error("half", R"({"name":"input","shape":[1],"datatype":"BYTES","data":["1"]})"),
              HasSubstr("FP32"));
  EXPECT_THAT(error("half", R"({"name":"input","shape":[1,3,1,1],"datatype":"FP32","data":[1,2,3]})"),
              HasSubstr("multiples of 32"));
  EXPECT_THAT(error("half", R"({"name":"input","shape":[3],"datatype":"FP32","data":[1,2,3]})"),
              HasSubstr("[N,3,H,W]"));
  EXPECT_THAT(error("half-picture", R"({"name":"picture","shape":[1],"datatype":"BYTES","data":["hello"]})"),
              HasSubstr("picture"));
  EXPECT_THAT(error("half", "oops"), HasSubstr("JSON"));
  EXPECT_EQ(s.ask("POST", "/v2/models/half/infer", "Inference-Header-Content-Length: x\r\n", "{}").status,
            400);
}

}  // namespace
}  // namespace sam2unet::test
