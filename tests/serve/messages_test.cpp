// What takes messages apart, without a service around it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "serve/compression.h"
#include "serve/http.h"
#include "serve/multipart.h"
#include "serve/oip.h"

namespace sam2unet::serve {
namespace {

using testing::HasSubstr;

template <typename F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const Refused& e) {
    return std::to_string(e.status()) + " " + e.what();
  }
  return "";
}

std::string text(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

TEST(ServeTarget, PathAndQueryAreDecoded) {
  const auto t = parse_target("/a%20b/c?x=1%26&y=a+b&z");
  ASSERT_TRUE(t);
  EXPECT_EQ(t->path, "/a b/c");
  ASSERT_EQ(t->query.size(), 3U);
  EXPECT_EQ(t->query[0].value, "1&");
  EXPECT_EQ(t->query[1].value, "a b");
  EXPECT_EQ(t->query[2].name, "z");
}

TEST(ServeTarget, WhatIsNoPathIsRefused) {
  for (const char* bad : {"", "http://x/", "*", "/%", "/%2", "/%gg", "/a/../b", "/%2e%2e/etc", "/..", "/a%00",
                          "/a%0d%0ab", "/?a=%z"})
    EXPECT_FALSE(parse_target(bad)) << bad;
  EXPECT_TRUE(parse_target("/..a/b..c"));
}

TEST(ServeTarget, QueryHasABound) {
  std::string many = "/?";
  for (int i = 0; i < 300; ++i) many += "a&";
  EXPECT_FALSE(parse_target(many));
}

TEST(ServeTarget, WhatIsDecodedAndWhereItEnds) {
  EXPECT_EQ(parse_target("/a+b?c=d+e")->path, "/a+b");  // only a query has spaces so
  EXPECT_EQ(parse_target("/%C3%bF")->path, "/\xC3\xBF");
  const auto t = parse_target("/a?x=1#y=2");
  EXPECT_EQ(t->path, "/a");
  ASSERT_EQ(t->query.size(), 1U);
  EXPECT_EQ(t->query[0].value, "1");
  for (const char* bad : {"/.", "/./a", "/a%7fb", "/a%1f"}) EXPECT_FALSE(parse_target(bad)) << bad;
}

TEST(ServeTarget, QueriesHave256ParametersAtMost) {
  std::string query;
  for (int i = 0; i < 256; ++i) query += "a&";
  ASSERT_TRUE(parse_query(query));
  EXPECT_EQ(parse_query(query)->size(), 256U);
  EXPECT_FALSE(parse_query(query + "a"));
}

TEST(ServeParameters, QuotedAndBare) {
  const auto v = parse_parameters("form-data; name=\"a;b\"; filename=\"q\\\"uote\\n.png\"; x=y");
  ASSERT_TRUE(v);
  EXPECT_EQ(v->value, "form-data");
  EXPECT_EQ(v->find("NAME").value(), "a;b");
  EXPECT_EQ(v->find("filename").value(), "q\"uote\\n.png");
  EXPECT_EQ(v->find("x").value(), "y");
  EXPECT_FALSE(parse_parameters("a; b"));
  EXPECT_FALSE(parse_parameters("a; b=\"c"));
  EXPECT_FALSE(parse_parameters("a; b=\"c\"d"));
}

TEST(ServeParameters, ThirtyTwoAtMost) {
  std::string text = "a;";  // a semicolon at the end says nothing
  for (int i = 0; i < 32; ++i) text += "b=c;";
  ASSERT_TRUE(parse_parameters(text));
  EXPECT_EQ(parse_parameters(text)->parameters.size(), 32U);
  EXPECT_FALSE(parse_parameters(text + "b=c"));
}

TEST(ServeHeaders, NamesAreCountedWithoutCase) {
  Headers h;
  h.add("Host", "a");
  h.add("HOST", "b");
  h.add("Hosts", "c");
  EXPECT_EQ(h.count("host"), 2U);
  EXPECT_EQ(h.get("hOST"), "a");
}

TEST(ServeAccepts, NamesRangesAndZeroes) {
  EXPECT_TRUE(accepts("text/html, application/zip;q=0.5", "application/zip"));
  EXPECT_FALSE(accepts("application/zip;q=0.0", "application/zip"));
  EXPECT_TRUE(accepts("application/*", "application/zip"));
  EXPECT_FALSE(accepts("*/*", "application/zip"));
  EXPECT_TRUE(accepts("deflate, GZIP", "gzip"));
  EXPECT_FALSE(accepts("", "gzip"));
}

TEST(ServeAccepts, EachItemCountsByItself) {
  EXPECT_FALSE(accepts("video/*", "image/png"));  // as long a word
  EXPECT_FALSE(accepts("imagery/*", "image/png"));
  EXPECT_TRUE(accepts("a;b, gzip", "gzip"));
  EXPECT_TRUE(accepts("br;q=0, gzip", "gzip"));
  EXPECT_TRUE(accepts("gzip;q=0.001", "gzip"));
  EXPECT_FALSE(accepts("gzip;q=0", "gzip"));
}

TEST(ServeNames, FilesAreNamesAlone) {
  EXPECT_EQ(safe_file_name("/etc/passwd"), "passwd");
  EXPECT_EQ(safe_file_name("C:\\x\\..\\cat.jpg"), "cat.jpg");
  EXPECT_EQ(safe_file_name(".."), "picture");
  EXPECT_EQ(safe_file_name("a/"), "picture");
  EXPECT_EQ(safe_file_name("a\r\nb\".png"), "a__b_.png");
  const std::string umlauts = safe_file_name(std::string(150, 'x') + "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü");
  EXPECT_LE(umlauts.size(), 200U);
  EXPECT_EQ(json_string(umlauts).find("\xEF\xBF\xBD"), std::string::npos) << "cut inside a letter";
}

TEST(ServeNames, TwoHundredBytesAndNoSignsOfPaths) {
  EXPECT_EQ(safe_file_name(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(safe_file_name(std::string(201, 'x')), std::string(200, 'x'));
  EXPECT_EQ(safe_file_name(std::string(199, 'x') + "\xC3\xA4"), std::string(199, 'x'));
  EXPECT_EQ(safe_file_name("c:d\x7F.png"), "c_d_.png");
  EXPECT_EQ(safe_file_name("."), "picture");
}

// --- multipart

std::vector<Part> parts_of(const std::string& body, const std::string& boundary = "B",
                           MultipartLimits limits = {}) {
  return parse_multipart(view_of(std::string_view(body)), boundary, limits);
}

TEST(ServeMultipart, FilesFieldsPreambleAndPadding) {
  const std::string body =
      "preamble\r\n--B \t\r\nContent-Disposition: form-data; name=\"result\"\r\n\r\nmask\r\n"
      "--B\r\ncontent-disposition: form-data; name=file; filename=\"..\\x/a.png\"\r\nContent-Type: "
      "image/png\r\n\r\n"
      "\r\n--BB is no boundary\r\n\r\n--B--epilogue";
  const auto parts = parts_of(body);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].name, "result");
  EXPECT_FALSE(parts[0].is_file);
  EXPECT_EQ(parts[0].text(), "mask");
  EXPECT_TRUE(parts[1].is_file);
  EXPECT_EQ(parts[1].file_name, "a.png");
  EXPECT_EQ(parts[1].content_type, "image/png");
  EXPECT_EQ(parts[1].text(), "\r\n--BB is no boundary\r\n");
}

TEST(ServeMultipart, EmptyBodiesAndEmptyForms) {
  EXPECT_TRUE(parts_of("--B--").empty());
  const auto parts =
      parts_of("--B\r\nContent-Disposition: form-data; name=f; filename=\"\"\r\n\r\n\r\n--B--");
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_TRUE(parts[0].is_file);
  EXPECT_TRUE(parts[0].bytes.empty());
}

TEST(ServeMultipart, WhatIsMalformedIsRefused) {
  const std::string head = "--B\r\nContent-Disposition: form-data; name=f\r\n\r\n";
  for (const std::string& bad :
       {std::string(), std::string("x"), std::string("--B"), std::string("--B\r\n"), head, head + "x",
        head + "x\r\n--B", head + "x\r\n--Bx", std::string("--B\r\n\r\nx\r\n--B--"),
        std::string("--B\r\nno colon\r\n\r\nx\r\n--B--"),
        std::string("--B\r\nContent-Disposition: attachment\r\n\r\nx\r\n--B--"),
        std::string("--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--"),
        std::string("--B\r\nContent-Disposition: form-data; name=f\r\nContent-Transfer-Encoding: "
                    "base64\r\n\r\nx\r\n--B--")}) {
    EXPECT_THAT(refusal([&] { parts_of(bad); }), HasSubstr("400 ")) << bad;
  }
}

TEST(ServeMultipart, Bounds) {
  std::string many;
  for (int i = 0; i < 4; ++i) many += "--B\r\nContent-Disposition: form-data; name=f\r\n\r\nx\r\n";
  EXPECT_THAT(refusal([&] { parts_of(many + "--B--", "B", {.parts = 3}); }),
              HasSubstr("413 more than 3 parts"));
  EXPECT_EQ(refusal([&] { parts_of(many + "--B--", "B", {.parts = 4}); }), "");
  const std::string long_header =
      "--B\r\nContent-Disposition: form-data; name=f\r\nX: " + std::string(9000, 'x') + "\r\n\r\nx\r\n--B--";
  EXPECT_THAT(refusal([&] { parts_of(long_header); }), HasSubstr("400 "));
}

// The empty line that ends a part's header counts as of it.
TEST(ServeMultipart, AHeaderOfJustTheLimitIsRead) {
  const std::string header = "Content-Disposition: form-data; name=f\r\n\r\n";
  const std::string body = "--B\r\n" + header + "x\r\n--B--";
  EXPECT_EQ(refusal([&] { parts_of(body, "B", {.header = header.size()}); }), "");
  EXPECT_THAT(refusal([&] { parts_of(body, "B", {.header = header.size() - 1}); }),
              HasSubstr("400 multipart: a part's header does not end within 41 bytes"));
}

TEST(ServeMultipart, PartsMaySayThatTheyAreAsTheyAre) {
  for (const char* how : {"binary", "8bit", "7BIT"}) {
    const std::string body = "--B\r\nContent-Transfer-Encoding: " + std::string(how) +
                             "\r\nContent-Disposition: form-data; name=f\r\n\r\nx\r\n--B--";
    const auto parts = parts_of(body);  // views of `body`
    ASSERT_EQ(parts.size(), 1U) << how;
    EXPECT_EQ(parts[0].text(), "x");
  }
}

TEST(ServeMultipart, ABoundaryOf70BytesIsTaken) {
  const std::string longest(70, 'a');
  EXPECT_EQ(boundary_of("Multipart/Form-Data; boundary=" + longest), longest);
}

TEST(ServeMultipart, BoundaryOfTheHeader) {
  EXPECT_EQ(boundary_of("multipart/form-data; boundary=\"a b'(),/:=?\""), "a b'(),/:=?");
  for (const char* bad : {"multipart/form-data", "multipart/form-data; boundary=",
                          "multipart/form-data; boundary=\"a \"", "multipart/form-data; boundary=a\"b"})
    EXPECT_THAT(refusal([&] { boundary_of(bad); }), HasSubstr("400 ")) << bad;
  EXPECT_THAT(refusal([&] { boundary_of("multipart/mixed; boundary=a"); }), HasSubstr("415 "));
  EXPECT_THAT(refusal([&] { boundary_of("multipart/form-data; boundary=" + std::string(71, 'a')); }),
              HasSubstr("400 "));
}

TEST(ServeMultipart, WrittenIsReadAgain) {
  MultipartWriter w("XX");
  Headers h;
  h.add("Content-Disposition", "form-data; name=a");
  w.add(h, view_of(std::string_view("one")));
  w.add(h, view_of(std::string_view("")));
  const Bytes body = w.finish();
  const auto parts = parse_multipart(body, "XX", {});
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].text(), "one");
  EXPECT_TRUE(parts[1].bytes.empty());
}

// --- compression

TEST(ServeCompression, ThereAndBack) {
  const std::string plain(1'000'000, 'x');
  for (const Coding coding : {Coding::gzip, Coding::deflate}) {
    const Bytes small = compress(view_of(std::string_view(plain)), coding);
    EXPECT_LT(small.size(), 10'000U);
    EXPECT_EQ(text(decompress(small, coding, plain.size())), plain);
    EXPECT_THAT(refusal([&] { decompress(small, coding, plain.size() - 1); }), HasSubstr("413 "));
    EXPECT_THAT(refusal([&] { decompress(ByteView(small).first(small.size() / 2), coding, plain.size()); }),
                HasSubstr("400 "));
    Bytes longer = small;
    longer.push_back(std::byte{1});
    EXPECT_THAT(refusal([&] { decompress(longer, coding, plain.size()); }), HasSubstr("400 "));
    EXPECT_THAT(refusal([&] { decompress({}, coding, 10); }), HasSubstr("400 "));
    EXPECT_TRUE(decompress(compress({}, coding), coding, 0).empty());
  }
  EXPECT_THAT(refusal([] { parse_coding("br"); }), HasSubstr("415 "));
}

TEST(ServeCompression, CodingsAndTheirNames) {
  EXPECT_FALSE(parse_coding(""));
  EXPECT_FALSE(parse_coding(" Identity "));
  EXPECT_EQ(parse_coding("x-gzip"), Coding::gzip);
  EXPECT_EQ(parse_coding("GZip"), Coding::gzip);
  EXPECT_EQ(parse_coding("deflate"), Coding::deflate);
  EXPECT_EQ(choose_coding("deflate, gzip"), Coding::gzip);
  EXPECT_EQ(choose_coding("gzip;q=0, deflate"), Coding::deflate);
  EXPECT_FALSE(choose_coding("br"));
}

// --- Open Inference Protocol

oip::InferRequest infer(const std::string& body, std::optional<std::size_t> length = {}) {
  return oip::parse_infer_request(view_of(std::string_view(body)), length);
}

TEST(ServeOip, NestedAndFlatData) {
  const auto r =
      infer(R"({"id":"7","inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","data":[[1,2.5],[-3,4e1]]},
                           {"name":"b","shape":[2],"datatype":"BYTES","data":["x","yz"]}],"outputs":[{"name":"o","parameters":{"binary_data":true}}]})");
  EXPECT_EQ(r.id.value(), "7");
  ASSERT_EQ(r.inputs.size(), 2U);
  EXPECT_THAT(r.inputs[0].values, testing::ElementsAre(1, 2.5F, -3, 40));
  EXPECT_EQ(text(r.inputs[1].elements[1]), "yz");
  EXPECT_EQ(r.outputs.at(0).encoding, oip::Encoding::binary);
}

TEST(ServeOip, BinaryTensorsBehindTheJson) {
  const std::string json =
      R"({"inputs":[{"name":"a","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}},
      {"name":"b","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}}],"parameters":{"binary_data_output":true}})";
  const std::string tail("\0\0\x80\x3f\0\0\0\xc0\x02\0\0\0ab\x01\0\0\0c", 19);
  const auto r = infer(json + tail, json.size());
  EXPECT_THAT(r.inputs[0].values, testing::ElementsAre(1, -2));
  EXPECT_EQ(text(r.inputs[1].elements[0]), "ab");
  EXPECT_EQ(text(r.inputs[1].elements[1]), "c");
  EXPECT_EQ(r.encoding, oip::Encoding::binary);
  EXPECT_THAT(refusal([&] { infer(json + tail + "x", json.size()); }), HasSubstr("1 bytes follow"));
  EXPECT_THAT(refusal([&] { infer(json + tail.substr(0, 10), json.size()); }), HasSubstr("400 "));
  EXPECT_THAT(refusal([&] { infer(json, json.size() + 1); }), HasSubstr("Inference-Header-Content-Length"));
}

TEST(ServeOip, WhatCannotBeMeantIsRefused) {
  const auto one = [](const std::string& input) { return "{\"inputs\":[" + input + "]}"; };
  for (const std::string& bad :
       {std::string(),
        std::string("[]"),
        std::string("{}"),
        std::string("{\"inputs\":[]}"),
        std::string("{\"inputs\":{}}"),
        std::string("{\"inputs\":[1]}"),
        one(R"({"name":"a","shape":[1],"datatype":"INT8","data":[1]})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32"})"),
        one(R"({"name":"a","shape":[2],"datatype":"FP32","data":[1]})"),
        one(R"({"name":"a","shape":[],"datatype":"FP32","data":[1]})"),
        one(R"({"name":"a","shape":[-1],"datatype":"FP32","data":[1]})"),
        one(R"({"name":"a","shape":[1.5],"datatype":"FP32","data":[1]})"),
        one(R"({"name":"a","shape":[4294967296,4294967296,4294967296],"datatype":"FP32","data":[]})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","data":["x"]})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","data":[null]})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","data":[{"x":1}]})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","data":5})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":4}})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}})"),
        one(R"({"name":"a","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}})"),
        std::string("{\"id\":7,\"inputs\":[]}"),
        std::string(100'000, '['),
        "{\"inputs\":[{\"data\":" + std::string(100'000, '[')}) {
    EXPECT_THAT(refusal([&] { infer(bad); }), HasSubstr("400 ")) << bad.substr(0, 100);
  }
}

TEST(ServeOip, LimitsAreTakenThemselves) {
  const auto many = [](int n) {
    std::string out = R"({"inputs":[)";
    for (int i = 0; i < n; ++i)
      out += std::string(i == 0 ? "" : ",") + R"({"name":"a","shape":[1],"datatype":"FP32","data":[7]})";
    return out + "]}";
  };
  EXPECT_EQ(infer(many(16)).inputs.size(), 16U);
  EXPECT_EQ(infer(many(16)).inputs[15].values.at(0), 7);
  EXPECT_THAT(refusal([&] { infer(many(17)); }), HasSubstr("400 "));
  const auto shaped = [](const std::string& shape, const std::string& data) {
    return R"({"inputs":[{"name":"a","shape":[)" + shape + R"(],"datatype":"FP32","data":)" + data + "}]}";
  };
  EXPECT_EQ(infer(shaped("1,1,1,1,1,1,1,1", "[3]")).inputs[0].shape.size(), 8U);
  EXPECT_THAT(refusal([&] { infer(shaped("1,1,1,1,1,1,1,1,1", "[3]")); }), HasSubstr("1 to 8 sizes"));
  const auto nested = [&](std::size_t n) {
    return shaped("1", std::string(n, '[') + "3" + std::string(n, ']'));
  };
  EXPECT_EQ(infer(nested(16)).inputs[0].values.at(0), 3);
  EXPECT_THAT(refusal([&] { infer(nested(17)); }), HasSubstr("nested too deep"));
}

TEST(ServeOip, BinaryElementsThatAreCutOffAreRefused) {
  const auto of = [](const std::string& type, const std::string& bytes) {
    const std::string json = R"({"inputs":[{"name":"a","shape":[1],"datatype":")" + type +
                             R"(","parameters":{"binary_data_size":)" + std::to_string(bytes.size()) + "}}]}";
    return refusal([&] { infer(json + bytes, json.size()); });
  };
  EXPECT_EQ(of("BYTES", std::string("\x02\0\0\0ab", 6)), "");
  EXPECT_THAT(of("BYTES", std::string("\x03\0\0\0ab", 6)), HasSubstr("an element is cut off"));
  EXPECT_THAT(of("BYTES", std::string("\x02\0\0", 3)), HasSubstr("a length is cut off"));
  EXPECT_EQ(of("FP32", std::string(4, '\0')), "");
  EXPECT_THAT(of("FP32", std::string(5, '\0')), HasSubstr("5 bytes are no whole FP32 values"));
}

TEST(ServeOip, WhatIsAskedOfAllOutputsIsOfEachNamed) {
  const std::string inputs = R"({"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1]}],)";
  const auto all =
      infer(inputs + R"("outputs":[{"name":"o"},{"name":"p"}],"parameters":{"binary_data_output":true}})");
  ASSERT_EQ(all.outputs.size(), 2U);
  EXPECT_EQ(all.outputs[1].name, "p");
  EXPECT_EQ(all.outputs[1].encoding, oip::Encoding::binary);
  const auto none = infer(inputs + R"("outputs":[{"name":"o","parameters":{"binary_data":false}}]})");
  EXPECT_EQ(none.outputs.at(0).encoding, oip::Encoding::json);
}

// Only what goes as bytes stands behind the JSON.
TEST(ServeOip, OutputsOfBothEncodings) {
  const oip::InferResponse r{
      "m",
      "2",
      {},
      {{"o", {1}, {0.5F}, oip::Encoding::json}, {"p", {1, 2}, {1.0F, -2.0F}, oip::Encoding::binary}}};
  const auto e = oip::encode(r);
  const std::string json =
      R"({"model_name":"m","model_version":"2","outputs":[{"name":"o","datatype":"FP32","shape":[1],"data":[0.5]},)"
      R"({"name":"p","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]})";
  EXPECT_EQ(text(e.body), json + std::string("\0\0\x80\x3f\0\0\0\xc0", 8));
  EXPECT_EQ(e.json_length, json.size());
  oip::InferResponse turned = r;
  std::swap(turned.outputs[0], turned.outputs[1]);
  const auto t = oip::encode(turned);
  EXPECT_EQ(t.json_length, json.size());
  EXPECT_EQ(text(t.body).substr(json.size()), std::string("\0\0\x80\x3f\0\0\0\xc0", 8));
}

TEST(ServeOip, ResponsesCarryTheShortestExactNumbers) {
  oip::InferResponse r{"m", "1", "an \"id\"", {{"o", {1, 2}, {0.1F, 3.0F}, oip::Encoding::json}}};
  EXPECT_EQ(
      text(oip::encode(r).body),
      R"({"model_name":"m","model_version":"1","id":"an \"id\"","outputs":[{"name":"o","datatype":"FP32","shape":[1,2],"data":[0.1,3]}]})");
  r.outputs[0].encoding = oip::Encoding::binary;
  const auto e = oip::encode(r);
  ASSERT_TRUE(e.json_length);
  EXPECT_EQ(e.body.size(), *e.json_length + 8);
  EXPECT_THAT(text(e.body), HasSubstr("\"parameters\":{\"binary_data_size\":8}"));
}

}  // namespace
}  // namespace sam2unet::serve
