// The grammar of messages to its edges: every escape, every letter of a boundary, every bound, each by
// itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "serve/compression.h"
#include "serve/http.h"
#include "serve/multipart.h"
#include "serve/oip.h"
#include "serve/random.h"

namespace sam2unet::serve {
namespace {

using testing::ElementsAre;
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

// RFC 3986, 2.1: two hexadecimal digits of either case, and nothing else.
TEST(ServeGrammar, EscapesAreTwoHexadecimalDigits) {
  const std::string digits = "0123456789ABCDEFabcdef";
  const std::vector<int> values = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                   11, 12, 13, 14, 15, 10, 11, 12, 13, 14, 15};
  for (int c = 1; c < 256; ++c) {
    const char letter = static_cast<char>(c);
    const auto at = digits.find(letter);
    const auto low = parse_query(std::string("x=%4") + letter),
               high = parse_query(std::string("x=%") + letter + "1");
    if (letter == '&') continue;  // ends the parameter
    ASSERT_EQ(low.has_value(), at != std::string::npos) << c;
    ASSERT_EQ(high.has_value(), at != std::string::npos) << c;
    if (!low) continue;
    EXPECT_EQ(low->at(0).value, std::string(1, static_cast<char>(64 + values[at])));
    EXPECT_EQ(high->at(0).value, std::string(1, static_cast<char>(16 * values[at] + 1)));
  }
}

TEST(ServeGrammar, QueriesOfOddForms) {
  const auto q = parse_query("&&a=b=c&&d%20e+f=g%2Bh&=i&&");
  ASSERT_TRUE(q);
  ASSERT_EQ(q->size(), 3U);
  EXPECT_EQ(q->at(0).name, "a");
  EXPECT_EQ(q->at(0).value, "b=c");
  EXPECT_EQ(q->at(1).name, "d e f");
  EXPECT_EQ(q->at(1).value, "g+h");
  EXPECT_EQ(q->at(2).name, "");
  EXPECT_EQ(q->at(2).value, "i");
  EXPECT_FALSE(parse_query("%zz=a"));
  EXPECT_TRUE(parse_query("")->empty());
}

// Only the letters of ASCII have a case: what stands beside them in its table has none.
TEST(ServeGrammar, WordsAreComparedWithoutCase) {
  EXPECT_TRUE(equal_words("AZaz-09", "azAZ-09"));
  for (const auto& [a, b] : {std::pair{"@", "`"}, {"[", "{"}, {"\xC4", "\xE4"}, {"ab", "abc"}, {"abc", "ab"}})
    EXPECT_FALSE(equal_words(a, b)) << a;
  EXPECT_EQ(trim(" \t a \t b \t "), "a \t b");
  EXPECT_EQ(trim("\t"), "");
  EXPECT_EQ(trim("\va\v"), "\va\v");
}

TEST(ServeGrammar, ParametersOfValues) {
  const auto v = parse_parameters(" a/b ; c = d ; e=\"f\" ; C=g;h=");
  ASSERT_TRUE(v);
  EXPECT_EQ(v->value, "a/b");
  ASSERT_EQ(v->parameters.size(), 4U);
  EXPECT_EQ(v->find("c"), "d");  // the first of that name
  EXPECT_EQ(v->find("e"), "f");
  EXPECT_EQ(v->find("h"), "");
  EXPECT_FALSE(v->find("f"));
  EXPECT_FALSE(parse_parameters("a; b; c=d"));
  EXPECT_FALSE(parse_parameters("a; b=\"c\\"));
  EXPECT_FALSE(parse_parameters("a; b=\"c\\\""));
  EXPECT_EQ(parse_parameters("a; b=\"\"; c=d")->find("c"), "d");
  EXPECT_TRUE(parse_parameters("")->value.empty());
}

// RFC 9110, 12.4.2: a weight of 0 in each of its forms is "not acceptable".
TEST(ServeGrammar, WeightsOfZeroAndWordsOfOtherKinds) {
  for (const char* zero : {"gzip;q=0.", "gzip;q=0.000", "GZIP ; Q=0", "gzip;q=\"0\""})
    EXPECT_FALSE(accepts(zero, "gzip")) << zero;
  for (const char* more : {"gzip;q=1.000", "gzip;q=0.1", "gzip;level=1", ",,gzip,", "gzip;q=0,gzip"})
    EXPECT_TRUE(accepts(more, "gzip")) << more;
  EXPECT_FALSE(accepts("gz/*", "gzip"));
  EXPECT_TRUE(accepts("IMAGE/*", "image/png"));
  EXPECT_FALSE(accepts("image/xx", "image/png"));
  EXPECT_FALSE(accepts("image/*;q=0", "image/png"));
}

TEST(ServeGrammar, NamesOfFilesLoseWhatIsNoName) {
  EXPECT_EQ(safe_file_name("a\x1F\x01z \x80~.png"), "a__z \x80~.png");
  EXPECT_EQ(safe_file_name("a/b\\c"), "c");
  EXPECT_EQ(safe_file_name("a\\b/c"), "c");
  EXPECT_EQ(safe_file_name("..."), "...");
  EXPECT_EQ(safe_file_name(std::string(300, '\x80')), "picture");  // a sequence without a beginning
  EXPECT_EQ(safe_file_name(std::string(197, 'x') + "\xF0\x9F\x90\xB1"), std::string(197, 'x'));
  EXPECT_EQ(safe_file_name(std::string(196, 'x') + "\xF0\x9F\x90\xB1"),
            std::string(196, 'x') + "\xF0\x9F\x90\xB1");
}

TEST(ServeGrammar, TextsInJson) {
  EXPECT_EQ(json_string("\xC3\xA4\"\n"), "\"\xC3\xA4\\\"\\n\"");
  EXPECT_EQ(json_string("a\xFF"), "\"a\xEF\xBF\xBD\"");
}

TEST(ServeGrammar, ReasonsAreCalled) {
  const std::vector<std::string> names = {"none",       "bad_request",        "unauthorized",     "forbidden",
                                          "not_found",  "too_large",          "header_too_large", "too_slow",
                                          "queue_full", "memory_full",        "connections_full", "deadline",
                                          "not_ready",  "unreadable_picture", "abandoned",        "failed"};
  ASSERT_EQ(names.size(), kRefusals);
  EXPECT_EQ(name_of(Refusal::forbidden), "forbidden");
  EXPECT_EQ(name_of(Refusal::too_slow), "too_slow");
  EXPECT_EQ(name_of(Refusal::connections_full), "connections_full");
  EXPECT_EQ(name_of(Refusal::failed), "failed");
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(name_of(static_cast<Refusal>(i)), names[i]);
}

// --- multipart

// RFC 2046, 5.1.1: bchars.
TEST(ServeGrammar, LettersOfBoundaries) {
  const std::string signs = "'()+_,-./:=? ";
  for (int c = 0x20; c < 0x80; ++c) {
    const char letter = static_cast<char>(c);
    const bool is_allowed = std::isalnum(c) != 0 || signs.find(letter) != std::string::npos;
    if (letter == '"') continue;  // ends the text
    const std::string type = std::string("multipart/form-data; boundary=\"x") + letter + "y\"";
    const std::string said = refusal([&] { EXPECT_EQ(boundary_of(type), std::string("x") + letter + "y"); });
    EXPECT_EQ(said, is_allowed ? "" : "400 multipart: the Content-Type names no valid boundary") << letter;
  }
  EXPECT_EQ(refusal([] { boundary_of(""); }), "415 the body must be multipart/form-data");
}

TEST(ServeGrammar, WhatIsWrongWithAPartIsSaid) {
  const auto said = [](const std::string& part) {
    return refusal(
        [&] { parse_multipart(view_of(std::string_view("--B\r\n" + part + "\r\n--B--")), "B", {}); });
  };
  const std::string form = "Content-Disposition: form-data; name=f\r\n";
  EXPECT_EQ(said(form + "\r\n"), "");
  EXPECT_EQ(said(form + ": x\r\n\r\n"), "400 multipart: a part's header is malformed");
  EXPECT_EQ(said(form + "x\r\n\r\n"), "400 multipart: a part's header is malformed");
  EXPECT_EQ(said("Content-Type: a\r\n\r\n"), "400 multipart: a part has no Content-Disposition");
  EXPECT_EQ(said("Content-Disposition: form-data; file=f\r\n\r\n"), "400 multipart: a part has no name");
  EXPECT_EQ(said("Content-Disposition: inline; name=f\r\n\r\n"),
            "400 multipart: a part's Content-Disposition is not form-data");
  EXPECT_EQ(said("Content-Disposition: form-data; name=\"f\r\n\r\n"),
            "400 multipart: a part's Content-Disposition is not form-data");
  EXPECT_EQ(said(form + "content-transfer-encoding: Base64\r\n\r\n"),
            "400 multipart: parts must be sent as they are, not in Base64");
  EXPECT_EQ(refusal([] {
              parse_multipart(
                  view_of("--B\r\n" + std::string("Content-Disposition: form-data; name=f\r\n\r\nx")), "B",
                  {});
            }),
            "400 multipart: the body ends inside a part");
  EXPECT_EQ(refusal([] { parse_multipart(view_of("--C--"), "B", {}); }),
            "400 multipart: the boundary does not occur in the body");
}

TEST(ServeGrammar, ABodyMayBeginWithWhatLooksLikeItsBoundary) {
  const std::string part = "\r\nContent-Disposition: form-data; name=a\r\n\r\n";
  const std::string body =
      "--BB\r\n--B" + part + "1\r\n--B\t \t" + part + "2\r\n--B--\r\n--B" + part + "3\r\n--B--";
  const auto parts = parse_multipart(view_of(std::string_view(body)), "B", {});
  ASSERT_EQ(parts.size(), 2U);  // what follows the last one nobody reads
  EXPECT_EQ(parts[0].text(), "1");
  EXPECT_EQ(parts[1].text(), "2");
  EXPECT_EQ(parts[0].content_type, "");
  EXPECT_EQ(parts[0].file_name, "");
}

TEST(ServeGrammar, WrittenPartsToTheByte) {
  MultipartWriter w("BB");
  Headers h;
  h.add("A", "b");
  h.add("C", "d");
  w.add(h, view_of(std::string_view("one")));
  w.add({}, view_of(std::string_view("")));
  EXPECT_EQ(w.content_type(), "multipart/mixed; boundary=BB");
  const Bytes out = w.finish();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(out.data()), out.size()),
            "--BB\r\nA: b\r\nC: d\r\n\r\none\r\n--BB\r\n\r\n\r\n--BB--\r\n");
}

// --- compression: RFC 1952 begins with 1F 8B 08, RFC 1950 with a number that 31 divides and 8 in its low
// half

TEST(ServeGrammar, FramesOfGzipAndDeflate) {
  const Bytes gzip = compress(view_of("x"), Coding::gzip), deflate = compress(view_of("x"), Coding::deflate);
  EXPECT_THAT((std::vector(gzip.begin(), gzip.begin() + 3)),
              ElementsAre(std::byte{0x1F}, std::byte{0x8B}, std::byte{8}));
  EXPECT_EQ(std::to_integer<int>(deflate[0]) & 15, 8);
  EXPECT_EQ((std::to_integer<int>(deflate[0]) * 256 + std::to_integer<int>(deflate[1])) % 31, 0);
  // "x" by any zlib: fixed Huffman codes, and the sums of both frames.
  const std::string known("\x78\x9C\xAB\x00\x00\x00\x79\x00\x79", 9);
  const Bytes plain = decompress(view_of(std::string_view(known)), Coding::deflate, 1);
  EXPECT_EQ(plain, Bytes{std::byte{'x'}});
  EXPECT_EQ(parse_coding("\t gzip "), Coding::gzip);
  EXPECT_THAT(refusal([&] { decompress(gzip, Coding::deflate, 9); }),
              HasSubstr("400 the body is no whole deflate data"));
  EXPECT_THAT(refusal([&] { decompress(deflate, Coding::gzip, 9); }),
              HasSubstr("400 the body is no whole gzip data"));
  EXPECT_EQ(refusal([&] { decompress(gzip, Coding::gzip, 0); }),
            "413 the body is more than 0 bytes when decompressed (--max-upload)");
  EXPECT_EQ(choose_coding("gzip, deflate"), Coding::gzip);
}

// --- Open Inference Protocol

std::string said_of(const std::string& body, std::optional<std::size_t> length = {}) {
  return refusal([&] { oip::parse_infer_request(view_of(std::string_view(body)), length); });
}
std::string with_input(const std::string& input, const std::string& more = "") {
  return "{\"inputs\":[" + input + "]" + more + "}";
}
const std::string kInput = R"({"name":"a","shape":[1],"datatype":"FP32","data":[1]})";

TEST(ServeOipGrammar, WhatIsWrongIsSaid) {
  EXPECT_EQ(said_of(with_input(kInput)), "");
  EXPECT_EQ(said_of(with_input(kInput), with_input(kInput).size()), "");
  EXPECT_EQ(said_of(with_input(kInput, ",\"id\":7")), "400 'id' must be a string");
  EXPECT_EQ(said_of("[]"), "400 the request must be a JSON object");
  EXPECT_EQ(said_of("{"), "400 the request: the JSON is malformed at byte 2");
  EXPECT_EQ(said_of(R"({"inputs":[]})"), "400 'inputs' must be a list of 1 to 16 tensors");
  EXPECT_EQ(said_of(with_input("1")), "400 an input must be an object");
  EXPECT_EQ(said_of(with_input(R"({"shape":[1]})")), "400 an input: 'name' must be a string");
  EXPECT_EQ(said_of(with_input(R"({"name":5})")), "400 an input: 'name' must be a string");
  EXPECT_EQ(said_of(with_input(R"({"name":"a"})")), "400 an input: 'datatype' must be a string");
  EXPECT_EQ(said_of(with_input(R"({"name":"a","datatype":"FP64"})")),
            "400 input 'a': datatype FP64 is not taken; FP32 and BYTES are");
  EXPECT_EQ(said_of(with_input(kInput, ",\"outputs\":{}")), "400 'outputs' must be a list");
  EXPECT_EQ(said_of(with_input(kInput, ",\"outputs\":[1]")), "400 an output must be an object");
  EXPECT_EQ(said_of(with_input(kInput, ",\"outputs\":[{}]")), "400 an output: 'name' must be a string");
  EXPECT_EQ(said_of(with_input(kInput, ",\"parameters\":[]")), "400 'parameters' must be an object");
  EXPECT_EQ(said_of(with_input(R"({"name":"a","shape":[1],"datatype":"FP32","data":[1],"parameters":1})")),
            "400 'parameters' must be an object");
  std::string outputs;
  for (int i = 0; i < 16; ++i) outputs += std::string(i == 0 ? "" : ",") + R"({"name":"o"})";
  EXPECT_EQ(said_of(with_input(kInput, ",\"outputs\":[" + outputs + "]")), "");
  EXPECT_EQ(said_of(with_input(kInput, ",\"outputs\":[" + outputs + R"(,{"name":"o"}])")),
            "400 'outputs' must be a list");
}

TEST(ServeOipGrammar, DataIsOfItsType) {
  const auto of = [](const std::string& type, const std::string& data, const std::string& shape = "[1]") {
    return said_of(with_input(R"({"name":"a","shape":)" + shape + R"(,"datatype":")" + type + R"(","data":)" +
                              data + "}"));
  };
  EXPECT_EQ(of("BYTES", R"(["x"])"), "");
  EXPECT_EQ(of("BYTES", "[1]"), "400 input 'a': 'data' holds what is no BYTES");
  EXPECT_EQ(of("FP32", "[true]"), "400 input 'a': 'data' holds what is no FP32");
  EXPECT_EQ(of("FP32", "[1,null]", "[1]"), "400 input 'a': 'data' holds what is no FP32");
  EXPECT_EQ(of("FP32", "[]", "[0]"), "");
  EXPECT_EQ(of("FP32", "[]", "[3,0,17179869184]"), "");
  EXPECT_EQ(of("FP32", "[{}]"), "400 the request: 'data' holds an object");
  // 2^34 elements at most, counted before there is memory for any.
  EXPECT_EQ(of("FP32", "[1]", "[17179869184]"),
            "400 input 'a': its shape has 17179869184 elements, its data 1");
  EXPECT_EQ(of("FP32", "[1]", "[8589934592,2]"),
            "400 input 'a': its shape has 17179869184 elements, its data 1");
  EXPECT_EQ(of("FP32", "[1]", "[8589934592,3]"), "400 input 'a': 'shape' is too large");
  EXPECT_EQ(of("FP32", "[1]", "[17179869185]"),
            "400 input 'a': a size in 'shape' is no whole number of 0 or more");
  EXPECT_EQ(of("FP32", "[1]", "5"), "400 input 'a': 'shape' must be a list of 1 to 8 sizes");
}

// Numbers of JSON in each of its forms; what is called data elsewhere is none.
TEST(ServeOipGrammar, NumbersAndOtherData) {
  const auto r = oip::parse_infer_request(
      view_of(
          std::string_view(R"({"data":[9],"inputs":[{"parameters":{"data":["p"]},"name":"a","shape":[2,2],)"
                           R"("datatype":"FP32","data":[[-7,8],[1.5e1,18446744073709551615]]}],)"
                           R"("outputs":[{"name":"o","data":[1]}]})")),
      {});
  EXPECT_THAT(r.inputs.at(0).values, ElementsAre(-7, 8, 15, 18446744073709551615.0F));
  EXPECT_THAT(r.inputs.at(0).shape, ElementsAre(2, 2));
  EXPECT_FALSE(r.id);
  EXPECT_EQ(r.encoding, oip::Encoding::json);
}

// A number is no list, though lists are there; of a name that comes twice the last word counts.
TEST(ServeOipGrammar, ANumberIsNotAnotherInputsData) {
  const std::string b = R"({"name":"b","shape":[1],"datatype":"FP32","data":[7]})";
  const std::string neither = ": it has neither 'data', a list, nor binary_data_size";
  EXPECT_EQ(said_of(with_input(R"({"name":"a","shape":[1],"datatype":"FP32","data":0},)" + b)),
            "400 input 'a'" + neither);
  EXPECT_EQ(said_of(with_input(R"({"name":"a","shape":[1],"datatype":"FP32","data":[7],"data":0})")),
            "400 input 'a'" + neither);
  EXPECT_EQ(said_of(with_input(R"({"name":"a","shape":[1],"datatype":"FP32","data":0,"data":[7]})")), "");
  const auto r = oip::parse_infer_request(view_of(std::string_view(with_input(kInput + "," + b))), {});
  EXPECT_THAT(r.inputs.at(0).values, ElementsAre(1));
  EXPECT_THAT(r.inputs.at(1).values, ElementsAre(7));
}

// A flag is a true that JSON knows; whatever else stands there is none.
TEST(ServeOipGrammar, FlagsAreTrueOrNothing) {
  const auto encoding = [](const std::string& value) {
    const std::string body = with_input(kInput, R"(,"parameters":{"binary_data_output":)" + value + "}");
    return oip::parse_infer_request(view_of(std::string_view(body)), {}).encoding;
  };
  EXPECT_EQ(encoding("true"), oip::Encoding::binary);
  for (const char* no : {"false", "\"true\"", "1", "null"})
    EXPECT_EQ(encoding(no), oip::Encoding::json) << no;
}

TEST(ServeOipGrammar, BinaryDataOfEachInput) {
  const auto of = [](const std::string& parameters, const std::string& data, const std::string& tail) {
    const std::string json = with_input(R"({"name":"a","shape":[2],"datatype":"BYTES")" + data +
                                        R"(,"parameters":{)" + parameters + "}}");
    return said_of(json + tail, json.size());
  };
  const std::string two("\0\0\0\0\x01\0\0\0x", 9);  // the first is empty
  EXPECT_EQ(of(R"("binary_data_size":9)", "", two), "");
  EXPECT_EQ(of(R"("binary_data_size":8)", "", two), "400 input 'a': an element is cut off");
  EXPECT_EQ(of(R"("binary_data_size":10)", "", two),
            "400 input 'a': binary_data_size is 10, but 9 bytes are left of the body");
  EXPECT_EQ(of(R"("binary_data_size":"9")", "", two), "400 'binary_data_size' must be a number of bytes");
  EXPECT_EQ(of(R"("binary_data_size":9)", R"(,"data":["x","y"])", two),
            "400 input 'a': it has 'data' and binary_data_size");
  EXPECT_EQ(of("", "", ""), "400 input 'a': it has neither 'data', a list, nor binary_data_size");
  EXPECT_EQ(of("", R"(,"data":5)", ""), "400 input 'a': it has neither 'data', a list, nor binary_data_size");
  EXPECT_EQ(said_of("{}", 3), "400 Inference-Header-Content-Length is 3, but the body has 2 bytes");
}

// Memory of what is no tensor is bounded too: 4096 names, 16384 values, 16 levels.
TEST(ServeOipGrammar, TheTreeIsBounded) {
  // Each input has four names besides those of the request: "inputs", "x" and what is in it.
  const auto names = [](int n) {
    std::string out;
    for (int i = 0; i < n - 6; ++i) out += (i == 0 ? "" : ",") + std::string("\"k\":1");
    return said_of(with_input(kInput, ",\"x\":{" + out + "}"));
  };
  EXPECT_EQ(names(4096), "");
  EXPECT_EQ(names(4097), "400 the request: too many names");
  // The request, inputs, the input with name, shape and its one size, datatype and data, and "x": nine.
  const auto values = [](int n) {
    std::string out;
    for (int i = 0; i < n - 9; ++i) out += i == 0 ? "1" : ",1";
    return said_of(with_input(kInput, ",\"x\":[" + out + "]"));
  };
  EXPECT_EQ(values(16384), "");
  EXPECT_EQ(values(16385), "400 the request: too many values");
  const auto lists = [](int n) {
    std::string out;
    for (int i = 0; i < n - 9; ++i) out += i == 0 ? "[]" : ",{}";
    return said_of(with_input(kInput, ",\"x\":[" + out + "]"));
  };
  EXPECT_EQ(lists(16384), "");
  EXPECT_EQ(lists(16385), "400 the request: too many values");
  const auto levels = [](std::size_t n) {
    return said_of(with_input(kInput, ",\"x\":" + std::string(n - 1, '[') + std::string(n - 1, ']')));
  };
  EXPECT_EQ(levels(16), "");
  EXPECT_EQ(levels(17), "400 the request: it is nested too deep");
}

// What cannot be made smaller, of more bytes than are compressed at a time (256 KiB), and of just as many.
TEST(ServeCompression, WhatDoesNotGetSmallerComesBackWhole) {
  for (const std::size_t size : {std::size_t{256} << 10, std::size_t{700'001}}) {
    Bytes noise(size);
    std::uint32_t state = 1;
    for (std::byte& b : noise) {
      state = state * 1664525U + 1013904223U;
      b = static_cast<std::byte>(state >> 24);
    }
    for (const Coding coding : {Coding::gzip, Coding::deflate}) {
      const Bytes packed = compress(noise, coding);
      EXPECT_GT(packed.size(), std::size_t{256} << 10);
      EXPECT_LT(packed.size(), size + size / 100);
      EXPECT_TRUE(decompress(packed, coding, size) == noise) << size;
    }
  }
}

// --- random

// Every digit in every place, in as many draws as make its absence impossible (1 - 1/16 to the 4096th).
TEST(ServeRandom, DigitsOfBothHalvesOfABytes) {
  EXPECT_EQ(random_hex(0), "");
  EXPECT_EQ(random_hex(8).size(), 16U);
  const std::string text = random_hex(4096);
  ASSERT_EQ(text.size(), 8192U);
  std::map<char, std::set<char>> followed;
  std::set<char> first, second;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    first.insert(text[i]);
    second.insert(text[i + 1]);
    followed[text[i]].insert(text[i + 1]);
  }
  EXPECT_EQ(std::string(first.begin(), first.end()), "0123456789abcdef");
  EXPECT_EQ(std::string(second.begin(), second.end()), "0123456789abcdef");
  for (const auto& [digit, others] : followed) EXPECT_GT(others.size(), 8U) << digit;
  EXPECT_NE(text.substr(0, 128), text.substr(128, 128));
}

}  // namespace
}  // namespace sam2unet::serve
