#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <ios>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "sam2unet/errors.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::le;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

std::string file_of(const std::string& header, const std::string& data = "") {
  return le(header.size(), 8) + header + data;
}
std::string refusal(const std::string& bytes) {
  return message_of<FormatError>([&] { TensorFile::view(as_span(bytes), "test.safetensors"); });
}
std::string member(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const std::string bytes =
      file_of("{\"__metadata__\":{\"a\":\"1\",\"b\":\"x y\"}," + member("q", "I8", "[3]", "[8,11]") + "," +
                  member("w", "F32", "[1,2]", "[0,8]") + "," + member("e", "F16", "[0,4]", "[8,8]") + "," +
                  member("s", "U8", "[]", "[11,12]") + "}   ",
              le(0x3F800000, 4) + le(0xC0000000, 4) + "\x01\xFF\x7F" + "\x09");
  const TensorFile file = TensorFile::view(as_span(bytes), "test.safetensors");
  EXPECT_EQ(file.format(), FileFormat::safetensors);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"a", "1"}, {"b", "x y"}}));
  std::vector<std::string> names;
  for (const auto& t : file.tensors()) names.push_back(t.name);
  EXPECT_THAT(names, ElementsAre("q", "w", "e", "s"));  // the header's order
  std::vector<float> w(2), q(3), s(1);
  copy_to(*file.find("w"), std::span<float>(w));
  copy_to(*file.find("q"), std::span<float>(q));
  copy_to(*file.find("s"), std::span<float>(s));
  EXPECT_THAT(w, ElementsAre(1, -2));
  EXPECT_THAT(q, ElementsAre(1, -1, 127));
  EXPECT_THAT(s, ElementsAre(9));
  EXPECT_EQ(file.find("q")->dtype, DType::i8);
  EXPECT_EQ(file.find("w")->shape, Shape({1, 2}));
  EXPECT_EQ(file.find("e")->numel(), 0);
}

// What is released of a file is read again; bytes that somebody else holds are not given away.
TEST(Safetensors, ReleasedTensorsKeepTheirValues) {
  const std::string values(std::size_t{1} << 16, '\7');
  const std::string bytes = file_of("{" + member("w", "U8", "[65536]", "[0,65536]") + "}   ", values);
  const test::TempDir dir;
  std::ofstream(dir / "w.safetensors", std::ios::binary) << bytes;
  const TensorFile held = TensorFile::view(as_span(bytes), "test.safetensors");
  const TensorFile mapped = TensorFile::open(dir / "w.safetensors");
  for (const TensorFile* file : {&held, &mapped}) {
    std::vector<float> out(values.size());
    file->release(*file->find("w"));
    copy_to(*file->find("w"), std::span<float>(out));
    EXPECT_THAT(out, testing::Each(7));
  }
}

// A type of elements is a tensor's, which "dtype" is none of.
TEST(Safetensors, TextIsNoTensor) {
  const std::string w = member("w", "U8", "[1]", "[0,1]");
  for (const std::string& header : {std::string("{\"dtype\":\"U8\"}"), "{" + w + ",\"dtype\":\"U8\"}",
                                    std::string("{\"w\":{\"shape\":[\"U8\"]}}"), "{" + w + ",\"x\":\"U8\"}"})
    EXPECT_THAT(refusal(file_of(header, "\x01")), HasSubstr("a string")) << header;
}

TEST(Safetensors, NamesOfElementTypesGoBothWays) {
  for (const DType d : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i16,
                        DType::i8, DType::u8, DType::boolean}) {
    EXPECT_EQ(safetensors_dtype(safetensors_name(d)), d);
  }
  EXPECT_EQ(safetensors_dtype("F8_E4M3"), std::nullopt);
  // The format's own names.
  const std::pair<const char*, DType> names[] = {
      {"F64", DType::f64}, {"F32", DType::f32},     {"F16", DType::f16}, {"BF16", DType::bf16},
      {"I64", DType::i64}, {"I32", DType::i32},     {"I16", DType::i16}, {"I8", DType::i8},
      {"U8", DType::u8},   {"BOOL", DType::boolean}};
  for (const auto& [name, dtype] : names) EXPECT_EQ(safetensors_dtype(name), dtype) << name;
}

TEST(Safetensors, HeaderSizes) {
  const std::string good = file_of("{}");
  EXPECT_EQ(refusal(good), "");
  EXPECT_THAT(refusal(le(3, 8) + "{}"), HasSubstr("header of 3 bytes"));
  EXPECT_THAT(refusal(le(~std::uint64_t{0}, 8) + "{}"), HasSubstr("header of"));
  EXPECT_THAT(refusal(le(std::uint64_t{1} << 63, 8) + "{}"), HasSubstr("header of"));
  EXPECT_THAT(refusal(le(0, 8) + "{}"), HasSubstr("no object"));
  EXPECT_THAT(refusal(le(1, 8) + "{}"), HasSubstr("no valid JSON"));
}

// The format's own limit: a header of 100,000,000 bytes, white space included.
TEST(Safetensors, TheLongestHeader) {
  const std::string longest = "{}" + std::string(100'000'000 - 2, ' ');
  EXPECT_EQ(refusal(file_of(longest)), "");
  EXPECT_THAT(refusal(file_of(longest + " ")),
              HasSubstr("header of 100000001 bytes in a file of 100000009; it is truncated or damaged"));
}

TEST(Safetensors, Offsets) {
  const auto one = [](const std::string& shape, const std::string& offsets, std::size_t bytes) {
    return file_of("{" + member("w", "F32", shape, offsets) + "}", std::string(bytes, 'x'));
  };
  EXPECT_EQ(refusal(one("[2]", "[0,8]", 8)), "");
  EXPECT_THAT(refusal(one("[2]", "[0,8]", 7)), HasSubstr("tensor 'w': bytes 0 to 8 lie outside"));
  EXPECT_THAT(refusal(one("[2]", "[0,8]", 9)), HasSubstr("8 bytes of tensors, but 9"));
  EXPECT_THAT(refusal(one("[2]", "[1,9]", 9)), HasSubstr("hole"));
  EXPECT_THAT(refusal(one("[2]", "[8,0]", 8)), HasSubstr("outside"));
  EXPECT_THAT(refusal(one("[3]", "[0,8]", 8)), HasSubstr("needs 12 bytes, not 8"));
  EXPECT_THAT(refusal(one("[2]", "[9223372036854775800,9223372036854775807]", 8)), HasSubstr("outside"));
  EXPECT_THAT(refusal(one("[2]", "[0]", 8)), HasSubstr("pair of offsets"));
  EXPECT_THAT(refusal(one("[2]", "[0,4,8]", 8)), HasSubstr("pair of offsets"));
  EXPECT_THAT(refusal(one("[4611686018427387904,4]", "[0,8]", 8)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(one("[4611686018427387904]", "[0,8]", 8)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(one("[0,4611686018427387904,4]", "[0,0]", 0)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(one("[18446744073709551615]", "[0,8]", 8)), HasSubstr("too large"));
  EXPECT_THAT(refusal(one("[1,1,1,1,1,1,1,1,2]", "[0,8]", 8)), HasSubstr("more than 8 numbers"));
  EXPECT_EQ(refusal(one("[1,1,1,1,1,1,1,2]", "[0,8]", 8)), "");  // eight dimensions
  EXPECT_THAT(refusal(one("[-2]", "[0,8]", 8)), HasSubstr("a negative number"));
  EXPECT_THAT(refusal(one("[2.0]", "[0,8]", 8)), HasSubstr("no integer"));
  EXPECT_THAT(refusal(file_of(
                  "{" + member("a", "F32", "[2]", "[0,8]") + "," + member("b", "F32", "[2]", "[4,12]") + "}",
                  std::string(12, 'x'))),
              HasSubstr("overlap"));
  EXPECT_THAT(refusal(file_of(
                  "{" + member("a", "F32", "[2]", "[0,8]") + "," + member("b", "F32", "[2]", "[0,8]") + "}",
                  std::string(8, 'x'))),
              HasSubstr("overlap"));
}

TEST(Safetensors, HeadersOfAnotherForm) {
  const std::string good = member("w", "U8", "[1]", "[0,1]");
  EXPECT_EQ(refusal(file_of("{" + good + "}", "x")), "");
  EXPECT_THAT(refusal(file_of("{" + good + "," + good + "}", "x")), HasSubstr("two members are named 'w'"));
  EXPECT_THAT(refusal(file_of("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}")),
              HasSubstr("two metadata are named 'a'"));
  EXPECT_THAT(refusal(file_of(
                  "{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "x")),
              HasSubstr("second or unknown member 'dtype'"));
  EXPECT_THAT(
      refusal(file_of("{\"w\":{\"shape\":[1],\"shape\":[1],\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", "x")),
      HasSubstr("second or unknown member 'shape'"));
  EXPECT_THAT(
      refusal(file_of(
          "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"data_offsets\":[0,1]}}", "x")),
      HasSubstr("second or unknown member 'data_offsets'"));
  EXPECT_THAT(
      refusal(file_of("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", "x")),
      HasSubstr("unknown member 'x'"));
  EXPECT_THAT(refusal(file_of("{\"w\":{\"dtype\":\"U8\",\"shape\":[1]}}", "x")), HasSubstr("lacks"));
  EXPECT_THAT(refusal(file_of("{\"w\":{}}")), HasSubstr("lacks"));
  EXPECT_THAT(refusal(file_of("{" + member("w", "F8_E4M3", "[1]", "[0,1]") + "}", "x")),
              HasSubstr("'F8_E4M3' is not read"));
  for (const char* odd : {"{\"w\":1}",
                          "{\"w\":null}",
                          "{\"w\":true}",
                          "{\"w\":\"s\"}",
                          "{\"w\":[1]}",
                          "{\"w\":1.5}",
                          "{\"w\":{\"dtype\":[1]}}",
                          "{\"w\":{\"dtype\":1}}",
                          "{\"w\":{\"dtype\":{}}}",
                          "{\"w\":{\"shape\":\"s\"}}",
                          "{\"w\":{\"shape\":[[1]]}}",
                          "{\"w\":{\"shape\":[{}]}}",
                          "{\"w\":{\"shape\":[\"1\"]}}",
                          "{\"w\":{\"shape\":[null]}}",
                          "{\"__metadata__\":{\"a\":1}}",
                          "{\"__metadata__\":{\"a\":{}}}",
                          "{\"__metadata__\":[]}",
                          "{\"__metadata__\":\"s\"}",
                          "{",
                          "{}}",
                          "{} x",
                          "{\"w\"}",
                          "{\"\xff\":{}}"}) {
    EXPECT_NE(refusal(file_of(odd, "x")), "") << odd;
  }
}

TEST(Safetensors, MessagesSayWhatStandsWhere) {
  const auto says = [](const char* header, const char* what) {
    EXPECT_THAT(refusal(file_of(header, "x")), HasSubstr(what)) << header;
  };
  says("{\"w\":1}", "a number stands where it must not, in 'the header' under 'w'");
  says("{\"w\":null}", "null stands where it must not");
  says("{\"w\":true}", "a boolean stands where it must not");
  says("{\"w\":\"s\"}", "a string stands where it must not");
  says("{\"w\":[1]}", "an array stands where it must not");
  says("{\"w\":{\"dtype\":[1]}}", "an array stands where it must not, in 'w' under 'dtype'");
  says("{\"w\":{\"dtype\":{}}}", "an object stands where it must not, in 'w' under 'dtype'");
  says("{\"w\":{\"shape\":\"s\"}}", "a string stands where it must not, in 'w' under 'shape'");
  says("{\"w\":{\"shape\":[[1]]}}", "an array stands where it must not, in 'w' under 'shape'");
  says("{\"__metadata__\":{\"a\":1}}", "a number stands where it must not, in 'the header' under 'a'");
  says("{\"w\" 1}", "it is no valid JSON at byte 6");
  says("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}",
       "tensor 'w' has a second or unknown member 'x'");
  says("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}",
       "tensor 'w': it lacks its dtype, shape or pair of offsets");
  says("{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,1]}}",
       "tensor 'w': F32 [1, 2] needs 8 bytes, not 1");
}

TEST(Safetensors, BombsAreLinearWork) {
  const std::string deep(20'000'000, '[');
  std::string objects = "{";
  for (int i = 0; i < 2'000'000; ++i) objects += "\"a\":{";
  for (const std::string& header : {"{\"w\":{\"shape\":" + deep, "{\"w\":" + deep, objects,
                                    "{\"w\":{\"shape\":[" + std::string(20'000'000, '1') + "]}}"}) {
    const double took = test::effort([&] { EXPECT_NE(refusal(file_of(header)), ""); });
    EXPECT_LT(took, test::kMaxEffort) << header.substr(0, 20);
  }
}

TEST(Safetensors, TruncationAtEveryByteIsRefused) {
  const std::string whole = file_of("{" + member("w", "U8", "[4]", "[0,4]") + "}", "abcd");
  EXPECT_EQ(refusal(whole), "");
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_NE(refusal(whole.substr(0, n)), "") << n;
}

TEST(Safetensors, GoldenFilesOfThePythonLibrary) {
  const TensorFile file =
      TensorFile::open(test::repository_data() / "golden" / "forward_nano_2x96x96_a.safetensors");
  ASSERT_NE(file.find("out"), nullptr);
  EXPECT_EQ(file.find("out")->shape, Shape({2, 1, 96, 96}));
  ASSERT_NE(file.find("block_stats"), nullptr);
  EXPECT_EQ(file.find("block_stats")->dtype, DType::f64);
  EXPECT_TRUE(file.metadata().contains("config"));
}

// Kilobytes of the mapping in which `address` lies that are in memory; -1 where the system does not say.
long resident_kb(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream words(line);
    if (words >> std::hex >> begin >> dash >> end && dash == '-') here = begin <= wanted && wanted < end;
    if (here && line.starts_with("Rss:")) return std::stol(line.substr(4));
  }
  return -1;
}

// As many bytes as its elements span, also where they are not in the order of rows, and no other tensor's.
TEST(Safetensors, ReleasedTensorsLeaveMemory) {
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const std::string bytes = file_of("{" + member("a", "F32", "[1048576]", "[0,4194304]") + "," +
                                        member("b", "F32", "[2,1024,512]", "[4194304,8388608]") + "," +
                                        member("c", "F64", "[512,1024]", "[8388608,12582912]") + "," +
                                        member("d", "U8", "[4194304]", "[12582912,16777216]") + "}",
                                    std::string(16 * kMiB, '\0'));
  const test::TempDir dir;
  std::ofstream(dir / "w.safetensors", std::ios::binary) << bytes;
  const TensorFile file = TensorFile::open(dir / "w.safetensors");
  const std::byte* first = file.find("a")->data;
  const auto touch = [&] {
    volatile int sum = 0;
    for (std::size_t i = 0; i < 16 * kMiB; i += 4096) sum = sum + static_cast<int>(first[i]);
    return resident_kb(first);
  };
  const long all = touch();
  if (all < 16 * 1024) GTEST_SKIP() << "the system does not count pages of files";
  TensorView turned = *file.find("b");  // the same elements, columns first
  turned.shape = {512, 1024, 2};
  turned.strides = {1, 512, 524288};
  for (const TensorView& view :
       {*file.find("a"), *file.find("b"), turned, *file.find("c"), *file.find("d")}) {
    ASSERT_GE(touch(), all);
    file.release(view);
    // All but the pages at the ends; where pages have two MiB, one at each end may leave as a whole.
    const long gone = all - resident_kb(first);
    EXPECT_GE(gone, 4 * 1024 - 8);
    EXPECT_LE(gone, 8 * 1024);
  }
}

}  // namespace
}  // namespace sam2unet::formats
