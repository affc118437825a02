// Weights as initializers of each precision, and what cannot be recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "onnx/graph.h"
#include "ops/onnx/onnx_ops.h"
#include "ops/onnx/onnx_weights.h"
#include "sam2unet/errors.h"
#include "support/message.h"

namespace sam2unet::ops {
namespace {

using onnx::ElementType;
using onnx::Graph;
using onnx::Initializer;
using testing::ElementsAre;

/// Tensors of given values.
class Given : public model::WeightSource {
 public:
  using WeightSource::read;
  explicit Given(std::map<std::string, std::vector<float>> values) : values_(std::move(values)) {}
  void read(const std::string& name, const Shape&, std::int64_t first, std::span<float> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = values_.at(name).at(static_cast<std::size_t>(first) + i);
  }

 private:
  std::map<std::string, std::vector<float>> values_;
};

template <typename T>
std::vector<T> elements(const Initializer& i) {
  std::vector<std::byte> buffer;
  i.fill(buffer);
  std::vector<T> out(buffer.size() / sizeof(T));
  std::memcpy(out.data(), buffer.data(), out.size() * sizeof(T));
  return out;
}

TEST(OnnxInitializers, OfHalfPrecisionWhatItHolds) {
  Given source({{"a.bias", {65504.0F, -1.0F}}, {"b.bias", {1.0F, -65520.0F}}});
  Graph g;
  OnnxInitializers made(g, source, OnnxPrecision::f16);
  EXPECT_EQ(made.vector("a.bias", 2).name, "a.bias");
  EXPECT_EQ(made.vector("a.bias", 2).name, "a.bias");  // once
  made.vector("b.bias", 2);
  ASSERT_EQ(g.initializers().size(), 2U);
  EXPECT_EQ(g.initializers()[0].type, ElementType::f16);
  EXPECT_THAT(elements<std::uint16_t>(g.initializers()[0]), ElementsAre(0x7BFF, 0xBC00));
  EXPECT_EQ(test::message_of<WeightsError>([&] { elements<std::uint16_t>(g.initializers()[1]); }),
            "tensor b.bias holds -65520, which does not fit into f16; use f32 or int8");
  EXPECT_EQ(made.number(0.5F).name, made.number(0.5F).name);
  EXPECT_EQ(g.initializers().back().type, ElementType::f16);
}

// By the output channel: 127 steps to the largest; vectors stay as they are.
TEST(OnnxInitializers, OfBytesWithAScaleForEachRow) {
  Given source({{"l.weight", {1.27F, -0.5F, 0.25F, -2.0F}}, {"l.bias", {3.0F, 4.0F}}});
  Graph g;
  OnnxInitializers made(g, source, OnnxPrecision::int8);
  const auto w = OnnxWeights::linear("l", 2, 2);
  const auto matrix = made.matrix(w);
  EXPECT_EQ(made.matrix(w).name, matrix.name);
  ASSERT_EQ(g.nodes().size(), 1U);
  EXPECT_EQ(g.nodes()[0].op, "DequantizeLinear");
  EXPECT_THAT(g.nodes()[0].inputs, ElementsAre("l.weight", "l.weight.scale"));
  ASSERT_EQ(g.nodes()[0].attributes.size(), 1U);
  EXPECT_EQ(g.nodes()[0].attributes[0].name, "axis");
  EXPECT_EQ(std::get<std::int64_t>(g.nodes()[0].attributes[0].value), 0);
  ASSERT_EQ(g.initializers().size(), 2U);
  EXPECT_EQ(g.initializers()[0].type, ElementType::i8);
  EXPECT_THAT(g.initializers()[0].shape, ElementsAre(2, 2));
  EXPECT_THAT(elements<std::int8_t>(g.initializers()[0]), ElementsAre(127, -50, 16, -127));
  EXPECT_EQ(g.initializers()[1].type, ElementType::f32);
  EXPECT_THAT(g.initializers()[1].shape, ElementsAre(2));
  EXPECT_THAT(elements<float>(g.initializers()[1]), ElementsAre(1.27F / 127, 2.0F / 127));
  made.vector("l.bias", 2);
  EXPECT_EQ(g.initializers().back().type, ElementType::f32);
  EXPECT_THAT(elements<float>(g.initializers().back()), ElementsAre(3, 4));
  // The same weights as a kernel are another tensor.
  made.kernel(w);
  EXPECT_EQ(g.nodes().size(), 2U);
  EXPECT_THAT(g.initializers()[3].shape, ElementsAre(2, 2, 1, 1));
  EXPECT_EQ(g.initializers()[3].name, "l.weight_1");
}

TEST(OnnxOps, WhatCannotBeRecordedIsAFault) {
  Given source({});
  Graph g;
  OnnxOps o(g, source, OnnxPrecision::f32);
  const auto x = o.input(g.input({"x", ElementType::f32, {}}), {1, 4, 6, 9});
  for (const auto& [h, w] : {std::pair{6, 12}, {8, 9}})
    EXPECT_EQ(test::message_of<Error>(
                  [&, height = h, width = w] { o.upsample(x, height, width, Corners::aligned); }),
              "an upsampling by no whole factor cannot be recorded");
  EXPECT_EQ(test::message_of<Error>([&] { o.upsample(x, 8, 18, Corners::aligned); }), "");
  const auto w = OnnxWeights::linear("a", 3, 9);
  EXPECT_EQ(test::message_of<Error>([&] {
              o.window_attention(x, w, {1, 4, 1});
            }),
            "attention over padded windows needs the product it attends to");
  EXPECT_EQ(test::message_of<Error>([&] { o.window_attention(x, w, {1, 2, 1}); }), "");
}

}  // namespace
}  // namespace sam2unet::ops
