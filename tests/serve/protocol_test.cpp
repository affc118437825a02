// Several classes, pictures and tensors at a time; what is held meanwhile; which of several problems is told.
#include <gmock/gmock.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "running.h"
#include "sam2unet/classes.h"
#include "serve/work.h"
#include "support/profiles.h"

namespace sam2unet::test {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Two classes. Each value tells where it belongs: of a picture its first pixel's red, the class and the
/// place.
class TwoClasses final : public serve::Network {
 public:
  struct Seen {
    using Pass = std::pair<SegmentOutput, std::size_t>;  // with how many pictures
    std::mutex mutex;
    std::vector<Pass> passes;
    int count = 0;
    InputSize size;
  };
  TwoClasses(std::shared_ptr<Seen> seen, std::shared_ptr<Gate> gate, int batch)
      : seen_(std::move(seen)), gate_(std::move(gate)) {
    info_.channels = 2;
    info_.batch = batch;
    info_.in_flight = 1;
  }
  static float value(int red, std::size_t channel, std::size_t place) {
    return static_cast<float>(static_cast<std::size_t>(red) + 256 * channel + 512 * place) / 65536.0F;
  }
  const SegmenterInfo& info() const override { return info_; }
  std::shared_ptr<const ClassTable> classes() const override { return table_; }
  std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                    const SegmentOptions& options) const override {
    gate_->pass(pictures);
    {
      const std::lock_guard lock(seen_->mutex);
      seen_->passes.emplace_back(options.output, pictures.size());
    }
    std::vector<Segmentation> out;
    for (const ImageView& p : pictures) {
      Segmentation s;
      s.width = p.width;
      s.height = p.height;
      s.channels = 2;
      s.classes = table_;
      const auto n = static_cast<std::size_t>(p.width) * static_cast<std::size_t>(p.height);
      if (options.output == SegmentOutput::ids) {
        s.ids.assign(n, 1);
        s.confidence.assign(n, 0.75F);
      } else {
        for (std::size_t k = 0; k < 2; ++k)
          for (std::size_t i = 0; i < n; ++i) s.probabilities.push_back(value(p.data[0], k, i));
      }
      out.push_back(std::move(s));
    }
    return out;
  }
  std::vector<float> forward(std::span<const float> values, int count, const InputSize& size) const override {
    const std::lock_guard lock(seen_->mutex);
    seen_->count = count;
    seen_->size = size;
    std::vector<float> out(values.size() / 3 * 2);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i] + 1.0F;
    return out;
  }

 private:
  std::shared_ptr<Seen> seen_;
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<const ClassTable> table_ = std::make_shared<ClassTable>(default_class_table(2));
  SegmenterInfo info_;
};

std::string of_one_red(int width, int height, int red) {
  Image picture(width, height, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), static_cast<std::uint8_t>(red));
  const auto bytes = encode_png(picture);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Infer {
  std::string header, body;
};

/// Binary picture files in, the map as JSON or, with `more`, as that says.
Infer infer_of(const std::vector<std::string>& pictures, const std::string& more = "") {
  std::string tail;
  for (const std::string& p : pictures) {
    const auto length = static_cast<std::uint32_t>(p.size());
    tail.append(reinterpret_cast<const char*>(&length), 4);
    tail += p;
  }
  const std::string json = R"({"id":"mine","inputs":[{"name":"picture","shape":[)" +
                           std::to_string(pictures.size()) +
                           R"(],"datatype":"BYTES","parameters":{"binary_data_size":)" +
                           std::to_string(tail.size()) + "}}]" + more + "}";
  return {"Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n", json + tail};
}

struct BinaryAnswer {
  Json json;
  std::vector<float> values;
};
BinaryAnswer binary_answer(const Answer& a) {
  const std::size_t n = std::stoul("0" + a.header("inference-header-content-length"));
  BinaryAnswer out{Json::parse(a.body.substr(0, n), nullptr, false), {}};
  out.values.resize((a.body.size() - n) / sizeof(float));
  if (!out.values.empty())
    std::memcpy(out.values.data(), a.body.data() + n, out.values.size() * sizeof(float));
  return out;
}

const std::string kBinaryMap = R"(,"outputs":[{"name":"map","parameters":{"binary_data":true}}])";

class ServeProtocol : public testing::Test {
 protected:
  serve::Options two_classes(int batch = 1) {
    serve::Options o;
    o.port = 0;
    o.models = {{"m", "m"}};
    o.open = [seen = seen, gate = gate, batch](const serve::ModelFile&) {
      return std::make_unique<TwoClasses>(seen, gate, batch);
    };
    return o;
  }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  std::shared_ptr<TwoClasses::Seen> seen = std::make_shared<TwoClasses::Seen>();
};

// --- Open Inference Protocol, of several classes

// Two of 32 rows with 64 columns: [2,3,32,64] in, [2,2,32,64] out, each value in its place.
TEST_F(ServeProtocol, TensorsOfSeveralPicturesAndClasses) {
  Running s(two_classes(), gate);
  s.wait_for("ready");
  std::vector<float> values(std::size_t{2} * 3 * 32 * 64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::string json =
      R"({"inputs":[{"name":"input","shape":[2,3,32,64],"datatype":"FP32","parameters":{"binary_data_size":)" +
      std::to_string(values.size() * sizeof(float)) + R"(}}],"parameters":{"binary_data_output":true}})";
  const std::string body =
      json + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  const Answer a = s.ask("POST", "/v2/models/m/infer",
                         "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n", body);
  ASSERT_EQ(a.status, 200) << a.body;
  const BinaryAnswer got = binary_answer(a);
  EXPECT_EQ(got.json.at("outputs").at(0).at("shape"), Json({2, 2, 32, 64}));
  ASSERT_EQ(got.values.size(), std::size_t{2} * 2 * 32 * 64);
  for (std::size_t i = 0; i < got.values.size(); ++i)
    ASSERT_EQ(got.values[i], static_cast<float>(i + 1)) << i;
  EXPECT_EQ(seen->count, 2);
  EXPECT_EQ(seen->size, InputSize::of(64, 32));  // width first
  EXPECT_FALSE(got.json.contains("id"));
  // Told as pictures are, though nothing of the request is kept.
  EXPECT_TRUE(s.sees("sam2unet_stage_seconds_count{stage=\"compute\"} 1"));
  EXPECT_TRUE(s.sees("sam2unet_received_bytes_total " + std::to_string(body.size())));
  ASSERT_FALSE(s.log().empty());
  EXPECT_EQ(Json::parse(s.log().at(0)).at("bytes_in"), body.size());
}

// Picture by picture, class by class; and the answer says which version of the model it is of.
TEST_F(ServeProtocol, MapsOfSeveralPicturesAndClasses) {
  gate->open();
  Running s(two_classes(), gate);
  s.wait_for("ready");
  s.server().reload();
  s.wait_for("loaded again");
  const Infer infer = infer_of({of_one_red(3, 2, 7), of_one_red(3, 2, 200)}, kBinaryMap);
  const Answer a = s.ask("POST", "/v2/models/m-picture/infer", infer.header, infer.body);
  ASSERT_EQ(a.status, 200) << a.body;
  const BinaryAnswer got = binary_answer(a);
  EXPECT_EQ(got.json.at("id"), "mine");
  EXPECT_EQ(got.json.at("model_name"), "m-picture");
  EXPECT_EQ(got.json.at("model_version"), "2");
  EXPECT_EQ(got.json.at("outputs"), Json::array({{{"name", "map"},
                                                  {"datatype", "FP32"},
                                                  {"shape", {2, 2, 2, 3}},
                                                  {"parameters", {{"binary_data_size", 96}}}}}));
  std::vector<float> want;
  for (const int red : {7, 200})
    for (std::size_t k = 0; k < 2; ++k)
      for (std::size_t i = 0; i < 6; ++i) want.push_back(TwoClasses::value(red, k, i));
  EXPECT_EQ(got.values, want);
}

// Of several it is said which one; a single one needs no number.
TEST_F(ServeProtocol, APictureThatFailsIsNamedByItsNumber) {
  gate->open();
  Running s(two_classes(), gate);
  s.wait_for("ready");
  const auto said = [&](const std::vector<std::string>& pictures) {
    const Infer infer = infer_of(pictures);
    const Answer a = s.ask("POST", "/v2/models/m-picture/infer", infer.header, infer.body);
    EXPECT_EQ(a.status, 415);
    return Json::parse(a.body).at("error").get<std::string>();
  };
  EXPECT_THAT(said({png(), "hello", png()}), HasSubstr("picture 2:"));
  EXPECT_THAT(said({png(), png(), "hello"}), HasSubstr("picture 3:"));
  EXPECT_THAT(said({"hello"}), AllOf(HasSubstr("picture:"), Not(HasSubstr("picture 1"))));
}

// A map of 8x6 in two classes is 384 bytes, beside those of the body.
TEST_F(ServeProtocol, MapsCountAmongTheBytesHeld) {
  gate->open();
  const Infer infer = infer_of({png(8, 6)});
  for (const std::size_t more : {383U, 384U}) {
    serve::Options o = two_classes();
    o.limits.upload = infer.body.size();
    o.limits.in_flight = infer.body.size() + more;
    Running s(o, gate);
    s.wait_for("ready");
    const Answer a = s.ask("POST", "/v2/models/m-picture/infer", infer.header, infer.body);
    EXPECT_EQ(a.status, more == 384 ? 200 : 429) << a.body;
    EXPECT_EQ(a.body.find("--max-in-flight") == std::string::npos, more == 384) << a.body;
    EXPECT_TRUE(s.sees("sam2unet_in_flight_bytes 0"));
  }
}

// Ids and probabilities are not computed in one pass, though all else is the same.
TEST_F(ServeProtocol, IdsAndProbabilitiesDoNotGoTogether) {
  Running s(two_classes(2), gate);
  s.wait_for("ready");
  const auto send = [&](const std::string& target, const Infer& infer) {
    Client c(s.port());
    c.send(request("POST", target, infer.header, infer.body));
    return c;
  };
  Client first = send("/v1/segment", {"", png()});
  gate->wait_for(1);
  Client ids = send("/v1/segment?result=ids", {"", png()});
  Client maps = send("/v2/models/m-picture/infer", infer_of({of_one_red(2, 1, 9)}));
  EXPECT_TRUE(s.sees("sam2unet_stage_seconds_count{stage=\"decode\"} 3"));
  gate->open();
  EXPECT_EQ(first.read().status, 200);
  EXPECT_EQ(ids.read().status, 200);
  const Answer a = maps.read();
  ASSERT_EQ(a.status, 200) << a.body;
  EXPECT_EQ(Json::parse(a.body).at("outputs").at(0).at("data").at(0).get<float>(),
            TwoClasses::value(9, 0, 0));
  using Pass = TwoClasses::Seen::Pass;
  const std::lock_guard lock(seen->mutex);
  EXPECT_THAT(seen->passes,
              testing::UnorderedElementsAre(Pass(SegmentOutput::ids, 1), Pass(SegmentOutput::ids, 1),
                                            Pass(SegmentOutput::probabilities, 1)));
}

// --- of one foreground

class ServeSeveral : public testing::Test {
 protected:
  ServeSeveral() { gate->open(); }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  serve::Options options = half_options(gate);
};

// Where no picture of a form has a result, the answer is what the first one's problem is.
TEST_F(ServeSeveral, OfSeveralProblemsTheFirstPicturesIsTold) {
  Running s(options, gate);
  s.wait_for("ready");
  const FormFile unknown{"unknown.png", "hello"}, cut{"cut.png", png().substr(0, 60)};
  const auto status = [&](const std::vector<FormFile>& files, const std::string& named) {
    const Answer a = s.ask("POST", "/v1/segment", form_header(), form(files));
    EXPECT_THAT(Json::parse(a.body).at("error").get<std::string>(), HasSubstr(named));
    return a.status;
  };
  EXPECT_EQ(status({unknown, cut}, "unknown.png"), 415);
  EXPECT_EQ(status({cut, unknown}, "cut.png"), 422);
}

// A problem is told with the name that came with the picture, and without one as a picture's.
TEST_F(ServeSeveral, AProblemHasThePicturesName) {
  Running s(options, gate);
  s.wait_for("ready");
  const auto said = [&](const std::string& target, const std::string& headers, const std::string& body) {
    const Json j = Json::parse(s.ask("POST", target, headers, body).body);
    return j.at(j.contains("detail") ? "detail" : "error").get<std::string>();
  };
  EXPECT_THAT(said("/v1/segment?name=dog.jpg", "", "hello"), HasSubstr(" dog.jpg:"));
  EXPECT_THAT(said("/v1/segment", "", "hello"), HasSubstr(" picture:"));
  EXPECT_THAT(said("/api/remove", form_header(), form({{"cat.jpg", "hello"}})), HasSubstr(" cat.jpg:"));
  EXPECT_THAT(said("/api/remove", form_header(), form({}, {{"file", "hello"}})), HasSubstr(" picture:"));
  // Files without a name are counted from 1, over all of the form.
  EXPECT_THAT(said("/v1/segment", form_header(), form({{"", "hello"}, {"b.png", "hello"}})),
              HasSubstr(" picture1:"));
}

// As whoever reads a form into a map has it: the last of one name is what counts, and the form comes after
// the address.
TEST_F(ServeSeveral, OfTheFormForRemoveTheLastWordCounts) {
  Running s(options, gate);
  s.wait_for("ready");
  const auto image = [&](const std::string& query, const std::string& body) {
    const Answer a = s.ask("POST", "/api/remove" + query, form_header(), body);
    EXPECT_EQ(a.status, 200) << a.body;
    return decode_image(std::as_bytes(std::span(a.body)), {.mode = ColorMode::rgba});
  };
  const Image last = image("", form({{"a.png", png(8, 6)}, {"b.png", png(6, 4)}}));
  EXPECT_EQ(last.width, 6);
  EXPECT_EQ(last.height, 4);
  // A mask has no alpha, a cut-out has; its right half is not there.
  const auto is_cut_out = [&](const std::string& query,
                              const std::vector<std::pair<std::string, std::string>>& fields) {
    return image(query, form({{"a.png", png(8, 6)}}, fields)).pixels[4 * 7 + 3] == 0;
  };
  EXPECT_TRUE(is_cut_out("", {}));
  EXPECT_FALSE(is_cut_out("?om=1", {}));
  EXPECT_TRUE(is_cut_out("?om=1", {{"om", "0"}}));
  EXPECT_FALSE(is_cut_out("?om=0", {{"om", "1"}}));
  EXPECT_FALSE(is_cut_out("", {{"om", "0"}, {"om", "1"}}));
  EXPECT_TRUE(is_cut_out("?bgc=1,2,3,255", {{"bgc", ""}}));
  EXPECT_FALSE(is_cut_out("?bgc=", {{"bgc", "1,2,3,255"}}));
}

// What a camera's colours mean is lost otherwise.
TEST_F(ServeSeveral, CutOutsKeepTheColourProfile) {
  Running s(options, gate);
  s.wait_for("ready");
  const std::vector<std::byte> profile = rgb_profile();
  const auto bytes = encode_png(picture(8, 6, 3), profile);
  const std::string file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto kept = [&](const Answer& a) {
    EXPECT_EQ(a.status, 200) << a.body;
    ImageInfo info;
    decode_image(std::as_bytes(std::span(a.body)), {.mode = ColorMode::rgba, .keep_color_profile = true}, "",
                 &info);
    return info.color_profile;
  };
  EXPECT_EQ(kept(s.ask("POST", "/v1/segment?result=cutout", "", file)), profile);
  EXPECT_EQ(kept(s.ask("POST", "/api/remove", form_header(), form({{"a.png", file}}))), profile);
  EXPECT_EQ(kept(s.ask("POST", "/api/remove?bgc=0,0,255,255", form_header(), form({{"a.png", file}}))),
            profile);
  EXPECT_TRUE(kept(s.ask("POST", "/v1/segment?result=cutout", "", png())).empty());
}

// --- HTTP

// RFC 9112, 9.3: a client of 1.0 that asks for it has its connection kept.
TEST_F(ServeSeveral, AnOldClientsConnectionIsKeptOnRequest) {
  Running s(options, gate);
  s.wait_for("ready");
  Client c(s.port());
  for (int i = 0; i < 2; ++i) {
    c.send("GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    const Answer a = c.read();
    EXPECT_EQ(a.status, 200) << i;
    EXPECT_EQ(a.body, "alive\n");
  }
  c.send("GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(c.read().status, 200);
  EXPECT_TRUE(c.ended());
}

// Answers wait in the sockets only so far; the one that does not fit is held, and counts, until it is taken.
TEST_F(ServeSeveral, AnAnswerThatIsNotTakenIsHeld) {
  Running s(options, gate);
  s.wait_for("ready");
  const std::string size = std::to_string(s.ask("GET", "/openapi.json").body.size());
  {
    Client c(s.port());
    std::string many;
    for (int i = 0; i < 2000; ++i) many += "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    std::thread sender([&] { c.send(many); });
    EXPECT_TRUE(s.sees("sam2unet_in_flight_bytes " + size));
    c.half_close();  // whatever of it is still to be sent
    sender.join();
  }
  EXPECT_TRUE(s.sees("sam2unet_in_flight_bytes 0"));
}

// --- work

// As predict counts: the time in the queue is not the picture's.
TEST(ServePiece, SecondsAreThoseOfTheWork) {
  serve::Piece piece;
  EXPECT_EQ(piece.seconds_so_far(), 0.0);
  piece.seconds = {100, 1, 2, 4};
  EXPECT_EQ(piece.seconds_so_far(), 7.0);
}

}  // namespace
}  // namespace sam2unet::test
