// A graph while it is made, and the bytes of the file it becomes.
#include "onnx/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "core/file.h"
#include "onnx/model_reader.h"
#include "onnx/protobuf.h"
#include "onnx/write.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The documentation's own example, and the widest number there is.
TEST(Protobuf, IsTheWireFormat) {
  EXPECT_EQ(Message().number(1, 150).bytes(), std::string("\x08\x96\x01"));
  EXPECT_EQ(Message().number(1, 127).bytes(), std::string("\x08\x7F"));
  EXPECT_EQ(Message().number(1, 128).bytes(), std::string("\x08\x80\x01"));
  EXPECT_EQ(Message().number(2, -1).bytes(), "\x10" + std::string(9, '\xFF') + "\x01");
  EXPECT_EQ(Message().text(2, "testing").bytes(), std::string("\x12\x07testing"));
  EXPECT_EQ(Message().message(3, Message().number(1, 150)).bytes(), std::string("\x1A\x03\x08\x96\x01"));
  EXPECT_EQ(Message().real(2, 1.0F).bytes(), std::string("\x15\x00\x00\x80\x3F", 5));
  EXPECT_EQ(Message().begin(16, 300).bytes(), std::string("\x82\x01\xAC\x02"));
  EXPECT_EQ(Message().number(20, 7).size(), 3);
}

TEST(Graph, NamesAreOfOneThingEach) {
  Graph g;
  EXPECT_EQ(g.input({"image", ElementType::f32, {}}).name, "image");
  EXPECT_EQ(g.input({"image", ElementType::f32, {}}).name, "image_1");
  const Value a = g.node("Add", {}), b = g.node("Add", {}), c = g.node("Add", {});
  EXPECT_EQ(a.name, "Add");
  EXPECT_EQ(b.name, "Add_1");
  EXPECT_EQ(c.name, "Add_2");
  const auto two = g.node("Split", {a}, {}, 2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].name, "Split_1");
  EXPECT_THAT(g.nodes().back().outputs, ElementsAre("Split", "Split_1"));
  EXPECT_THAT(g.nodes().back().inputs, ElementsAre("Add"));
  // What becomes an output has its name wherever it stands.
  g.output(a, {"sum", ElementType::f32, {}});
  EXPECT_THAT(g.nodes().front().outputs, ElementsAre("sum"));
  EXPECT_THAT(g.nodes().back().inputs, ElementsAre("sum"));
  EXPECT_EQ(g.outputs().front().name, "sum");
}

TEST(Graph, EqualConstantsAreOne) {
  Graph g;
  const Value a = g.ints({1, 2}), b = g.ints({1, 2}), c = g.ints({2, 1});
  EXPECT_EQ(a.name, b.name);
  EXPECT_NE(a.name, c.name);
  EXPECT_NE(g.floats({1, 2}, {2}).name, g.floats({1, 2}, {1, 2}).name);  // of another shape
  EXPECT_NE(g.floats({0}, {1}).name, g.int32s({0}, {1}).name);  // of another type, with the same bytes
  EXPECT_EQ(g.half(1.0F).name, g.half(1.0F).name);
  std::vector<std::byte> bytes;
  g.initializers().front().fill(bytes);
  EXPECT_EQ(bytes.size(), 16u);
  EXPECT_EQ(g.initializers().size(), 7u);
}

TEST(Graph, SizesOfElements) {
  EXPECT_EQ(size_of(ElementType::u8), 1u);
  EXPECT_EQ(size_of(ElementType::i8), 1u);
  EXPECT_EQ(size_of(ElementType::f16), 2u);
  EXPECT_EQ(size_of(ElementType::f32), 4u);
  EXPECT_EQ(size_of(ElementType::i32), 4u);
  EXPECT_EQ(size_of(ElementType::i64), 8u);
  EXPECT_EQ((Initializer{"w", ElementType::f16, {3, 5}, {}}.bytes()), 30);
  EXPECT_THAT(
      test::message_of<FormatError>([] {
        (void)Initializer{"w", ElementType::f32, {std::int64_t{1} << 40, std::int64_t{1} << 40}, {}}.bytes();
      }),
      HasSubstr("w: "));
}

TEST(Write, EveryKindOfAttributeAndDimension) {
  const test::TempDir dir;
  Graph g;
  const Value x = g.input({"x", ElementType::u8, {std::string("batch"), std::int64_t{3}}});
  const Value y = g.node("Odd", {x, Value{}, g.floats({0.5F}, {1})},
                         {{"i", std::int64_t{-7}},
                          {"f", 0.25F},
                          {"s", std::string("text")},
                          {"n", std::vector<std::int64_t>{4, -5, 600}}});
  g.output(y, {"y", ElementType::i64, {std::int64_t{1}}});
  write_model(dir / "m.onnx", g, {"1.2.3", {{"key", "value"}, {"other", ""}}});
  const auto bytes = read_file(dir / "m.onnx");
  EXPECT_THAT(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
              testing::StartsWith("\x08\x08\x12\x08sam2unet\x1A\x05"
                                  "1.2.3"));
  const test::OnnxModel m = test::read_onnx(dir / "m.onnx");
  ASSERT_EQ(m.nodes.size(), 1u);
  const test::OnnxNode& n = m.nodes[0];
  EXPECT_EQ(n.op, "Odd");
  EXPECT_EQ(n.name, "y");
  EXPECT_THAT(n.outputs, ElementsAre("y"));
  EXPECT_THAT(n.inputs, ElementsAre("x", "", "constant"));
  EXPECT_EQ(n.attributes.at("i").integer, -7);
  EXPECT_EQ(n.attributes.at("f").real, 0.25F);
  EXPECT_EQ(n.attributes.at("s").text, "text");
  EXPECT_THAT(n.attributes.at("n").integers, ElementsAre(4, -5, 600));
  EXPECT_THAT(m.inputs.at(0).shape, ElementsAre("batch", "3"));
  EXPECT_EQ(m.inputs.at(0).type, 2);
  EXPECT_EQ(m.outputs.at(0).type, 7);
  EXPECT_THAT(m.initializers.at("constant").data, ElementsAre(0.5));
  EXPECT_EQ(m.metadata.at("key"), "value");
  EXPECT_EQ(m.metadata.at("other"), "");
  EXPECT_EQ(m.ir_version, 8);
  EXPECT_EQ(m.opset, 17);
}

// A whole file by hand, after onnx.proto: ModelProto{1: IR 8, 2, 3, 8: opset{1: "", 2: 17}, 14: metadata{1,
// 2}, 7: graph}, GraphProto{1: node{1, 2, 3, 4}, 2: name, 5: initializer{1: 2 elements, 2: FLOAT, 8, 9:
// bytes}, 11: input, 12: output}, ValueInfoProto{1, 2: type{1: tensor{1: FLOAT, 2: shape{1: dimension{1 or
// 2}}}}}.
TEST(Write, AFileToTheByte) {
  const test::TempDir dir;
  Graph g;
  const Value x = g.input({"x", ElementType::f32, {std::string("n"), std::int64_t{2}}});
  const Value y = g.node("Add", {x, g.floats({1.0F, -2.0F}, {2})});
  g.output(y, {"y", ElementType::f32, {std::string("n")}});
  write_model(dir / "m.onnx", g, {"9", {{"k", "v"}}});
  const auto bytes = read_file(dir / "m.onnx");
  const auto field = [](char tag, const std::string& value) {
    return tag + std::string(1, static_cast<char>(value.size())) + value;
  };
  const auto value_of = [&](const std::string& name, const std::string& dimensions) {
    const std::string tensor = std::string("\x08\x01") + field('\x12', dimensions);
    return field('\x0A', name) + field('\x12', field('\x0A', tensor));
  };
  const std::string node = field('\x0A', "x") + field('\x0A', "constant") + field('\x12', "y") +
                           field('\x1A', "y") + field('\x22', "Add");
  const std::string tensor = std::string("\x08\x02\x10\x01") + field('\x42', "constant") +
                             field('\x4A', std::string("\0\0\x80\x3F\0\0\0\xC0", 8));
  const std::string n = field('\x0A', field('\x12', "n")), two = field('\x0A', std::string("\x08\x02"));
  const std::string graph = field('\x0A', node) + field('\x12', "sam2unet") + field('\x2A', tensor) +
                            field('\x5A', value_of("x", n + two)) + field('\x62', value_of("y", n));
  const std::string model = std::string("\x08\x08") + field('\x12', "sam2unet") + field('\x1A', "9") +
                            field('\x42', field('\x0A', "") + "\x10\x11") +
                            field('\x72', field('\x0A', "k") + field('\x12', "v")) + field('\x3A', graph);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), model);
}

// Each is asked for into memory that holds nothing of the one before it.
TEST(Write, ElementsOfOneAreNotThoseOfAnother) {
  const test::TempDir dir;
  Graph g;
  for (const int v : {3, 5})
    g.initializer({"w" + std::to_string(v), ElementType::u8, {2}, [v](std::vector<std::byte>& buffer) {
                     buffer.insert(buffer.end(), 2, static_cast<std::byte>(v));
                   }});
  write_model(dir / "m.onnx", g, {});
  const test::OnnxModel m = test::read_onnx(dir / "m.onnx");
  EXPECT_THAT(m.initializers.at("w3").data, testing::ElementsAre(3, 3));
  EXPECT_THAT(m.initializers.at("w5").data, testing::ElementsAre(5, 5));
}

TEST(Write, ElementsThatAreNotThereLeaveNoFile) {
  const test::TempDir dir;
  Graph g;
  g.initializer({"w", ElementType::f32, {2}, [](std::vector<std::byte>& buffer) { buffer.resize(7); }});
  EXPECT_EQ(test::message_of<Error>([&] { write_model(dir / "m.onnx", g, {}); }),
            "initializer w has 7 bytes instead of 8");
  // One whose announced size alone is too much: its elements are not asked for.
  Graph large;
  large.initializer({"w", ElementType::u8, {std::int64_t{1} << 31}, [](std::vector<std::byte>&) { FAIL(); }});
  EXPECT_THAT(
      test::message_of<UsageError>([&] { write_model(dir / "m.onnx", large, {}); }),
      HasSubstr("bytes are more than an ONNX file can hold (2 GiB); a smaller size, f16 or int8 take less"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

}  // namespace
}  // namespace sam2unet::onnx
