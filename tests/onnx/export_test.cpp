// What `export_onnx` writes, read by the tests' own reader and run by their own loops, is the network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <ostream>
#include <set>

#include "core/sha256.h"
#include "model/int8.h"
#include "model/metadata.h"
#include "model/network.h"
#include "onnx/interpreter.h"
#include "ops/plain/plain_ops.h"
#include "sam2unet/errors.h"
#include "sam2unet/onnx.h"
#include "sam2unet/version.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

std::string config_json(const std::string& more = "") {
  return R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": [])" + more + "}";
}

// Planes [B,C,H,W] of values in the generator's range.
OnnxTensor image(std::int64_t batch, std::int64_t height, std::int64_t width) {
  OnnxTensor t{
      1, {batch, 3, height, width}, model::deterministic_values("image", batch * 3 * height * width)};
  for (double& v : t.data) v *= 2.0;
  return t;
}

// The plain backend's logits, as planes.
std::vector<double> plain_logits(model::WeightSource& source, const model::Config& config,
                                 const OnnxTensor& planes) {
  const std::int64_t b = planes.shape[0], h = planes.shape[2], w = planes.shape[3];
  ops::PlainTensor x({b, h, w, 3});
  for (std::int64_t i = 0; i < b; ++i)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t p = 0; p < h * w; ++p)
        x.data[static_cast<std::size_t>((i * h * w + p) * 3 + c)] =
            planes.data[static_cast<std::size_t>((i * 3 + c) * h * w + p)];
  ops::PlainWeights weights(source);
  const auto network = model::Network<ops::PlainWeights>::make(weights, config);
  ops::PlainOps o;
  const auto out = model::sam2unet(o, network, x).out;
  std::vector<double> result(out.data.size());
  const std::int64_t k = out.extent.c;
  for (std::int64_t i = 0; i < b; ++i)
    for (std::int64_t p = 0; p < h * w; ++p)
      for (std::int64_t c = 0; c < k; ++c)
        result[static_cast<std::size_t>((i * k + c) * h * w + p)] =
            out.data[static_cast<std::size_t>((i * h * w + p) * k + c)];
  return result;
}

double error_of(const std::vector<double>& got, const std::vector<double>& want) {
  EXPECT_EQ(got.size(), want.size());
  if (got.size() != want.size()) return INFINITY;
  const auto [low, high] = std::minmax_element(want.begin(), want.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double d = std::abs(got[i] - want[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst / (*high - *low);
}

class OnnxExport : public testing::Test {
 protected:
  // Writes deterministic weights and exports them.
  OnnxModel exported(const model::Config& config, const OnnxOptions& options,
                     const std::map<std::string, std::string>& metadata = {}) {
    write_weights(dir_ / "w.safetensors", config, metadata);
    summary_ = export_onnx(dir_ / "w.safetensors", dir_ / "out.onnx", options);
    return read_onnx(dir_ / "out.onnx");
  }
  TempDir dir_;
  OnnxSummary summary_;
};

struct Case {
  const char* name;
  std::string json;
  int batch, height, width;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class OnnxNetworks : public OnnxExport, public testing::WithParamInterface<Case> {};

TEST_P(OnnxNetworks, ACoreGraphIsTheNetwork) {
  const Case& c = GetParam();
  const auto config = model::Config::from_json(c.json);
  const auto m = exported(config, {OnnxGraph::core, InputSize::of(c.width, c.height)});
  const auto x = image(c.batch, c.height, c.width);
  const auto values = run_onnx(m, {{"image", x}});
  const OnnxTensor& logits = values.at("logits");
  EXPECT_THAT(logits.shape, testing::ElementsAre(c.batch, config.out_channels, c.height, c.width));
  model::DeterministicWeights source;
  EXPECT_LT(error_of(logits.data, plain_logits(source, config, x)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    , OnnxNetworks,
    testing::Values(
        // Windows of every kind, two of them cut by the edge, a global block, heads, pooled queries.
        Case{"nano", nano_config().to_json(), 1, 64, 96}, Case{"batch", nano_config().to_json(), 3, 32, 64},
        Case{"heads",
             R"({"embed_dim": 16, "num_heads": 2, "stages": [1, 2, 2, 1], "global_att_blocks": [1, 2, 3]})",
             2, 64, 32},
        Case{"classes", config_json(R"(, "out_channels": 5)"), 2, 32, 32},
        Case{"widths", config_json(R"(, "adapter_width": 7, "decoder_width": 24)"), 1, 32, 64},
        Case{"pointwise_neck", config_json(R"(, "neck": "1x1")"), 1, 32, 32},
        Case{"up4", config_json(R"(, "up4": true, "out_channels": 3)"), 1, 32, 32}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(OnnxExport, TheFileIsSound) {
  for (const auto graph : {OnnxGraph::core, OnnxGraph::full}) {
    const auto m = exported(nano_config(), {graph, InputSize::of(96, 64), OnnxPrecision::int8});
    EXPECT_EQ(m.ir_version, 8);
    EXPECT_EQ(m.opset, 17);
    EXPECT_EQ(m.producer, "sam2unet");
    EXPECT_EQ(m.nodes.size(), summary_.nodes);
    EXPECT_EQ(std::filesystem::file_size(dir_ / "out.onnx"), summary_.bytes);
    std::set<std::string> known, used;
    for (const auto& [name, t] : m.initializers) known.insert(name);
    for (const auto& i : m.inputs) EXPECT_TRUE(known.insert(i.name).second) << i.name;
    for (const auto& n : m.nodes) {
      for (const auto& i : n.inputs) {
        EXPECT_TRUE(i.empty() || known.contains(i)) << n.name << " uses " << i;
        used.insert(i);
      }
      for (const auto& o : n.outputs) EXPECT_TRUE(known.insert(o).second) << o;
    }
    for (const auto& o : m.outputs) {
      EXPECT_TRUE(known.contains(o.name));
      used.insert(o.name);
    }
    EXPECT_EQ(known, (used.erase(""), used)) << "something is made for nobody";
  }
}

// What TensorRT builds an engine from without shape inputs: every size but the batch is a constant.
TEST_F(OnnxExport, NoShapeOfACoreGraphDependsOnData) {
  const auto m = exported(nano_config(), {OnnxGraph::core, InputSize::of(96, 64)});
  ASSERT_EQ(m.inputs.size(), 1U);
  EXPECT_THAT(m.inputs[0].shape, testing::ElementsAre("batch", "3", "64", "96"));
  ASSERT_EQ(m.outputs.size(), 1U);
  EXPECT_THAT(m.outputs[0].shape, testing::ElementsAre("batch", "1", "64", "96"));
  const std::set<std::string> allowed{
      "Add",    "Concat", "Conv",    "Div",       "Erf",       "Gemm",
      "MatMul", "Mul",    "Pad",     "ReduceMax", "Relu",      "Reshape",
      "Resize", "Slice",  "Softmax", "Split",     "Transpose", "LayerNormalization"};
  for (const auto& n : m.nodes) {
    EXPECT_TRUE(allowed.contains(n.op)) << n.op;
    const bool takes_sizes =
        n.op == "Reshape" || n.op == "Pad" || n.op == "Slice" || n.op == "Split" || n.op == "Resize";
    for (std::size_t i = 1; takes_sizes && i < n.inputs.size(); ++i)
      EXPECT_TRUE(n.inputs[i].empty() || m.initializers.contains(n.inputs[i])) << n.name;
    if (n.op == "Reshape") {
      const auto& shape = m.initializers.at(n.inputs[1]).data;
      EXPECT_EQ(std::count(shape.begin(), shape.end(), -1.0), 1) << n.name;
      EXPECT_EQ(shape[0], -1.0) << "the batch comes first in " << n.name;
    }
  }
}

TEST_F(OnnxExport, Int8IsTheNetworkWithRoundedWeights) {
  const auto m = exported(nano_config(), {OnnxGraph::core, InputSize::of(64, 32), OnnxPrecision::int8});
  EXPECT_EQ(m.initializers.at("encoder.blocks.0.block.attn.qkv.weight").type, 3);
  EXPECT_EQ(m.initializers.at("encoder.blocks.0.block.attn.qkv.weight.scale").shape,
            std::vector<std::int64_t>{48});
  EXPECT_EQ(m.initializers.at("encoder.blocks.0.block.attn.qkv.bias").type, 1);
  const auto x = image(1, 32, 64);
  model::DeterministicWeights exact;
  model::RoundedWeights source(
      exact);  // rounded before BatchNorm is folded in: a weight may fall on the other side of a tie
  EXPECT_LT(error_of(run_onnx(m, {{"image", x}}).at("logits").data, plain_logits(source, nano_config(), x)),
            1e-4);
}

TEST_F(OnnxExport, F16HoldsTheWeightsInHalfPrecision) {
  const auto m = exported(nano_config(), {OnnxGraph::core, InputSize::of(64, 32), OnnxPrecision::f16});
  for (const auto& [name, t] : m.initializers)
    EXPECT_TRUE(t.type == 10 || t.type == 7 || t.shape == std::vector<std::int64_t>{4}) << name;
  EXPECT_EQ(m.inputs[0].type, 1);
  EXPECT_EQ(m.outputs[0].type, 1);
  const auto x = image(1, 32, 64);
  model::DeterministicWeights source;
  EXPECT_LT(error_of(run_onnx(m, {{"image", x}}).at("logits").data, plain_logits(source, nano_config(), x)),
            2e-3);
}

// A picture's levels as the full graph resizes them, [H,W,3].
Image resized_by(const OnnxModel& m, const std::map<std::string, OnnxTensor>& values) {
  for (const auto& n : m.nodes) {
    const auto it = n.op == "Div" ? m.initializers.find(n.inputs[1]) : m.initializers.end();
    if (it == m.initializers.end() || it->second.data != std::vector<double>{255.0}) continue;
    const OnnxTensor& t = values.at(n.inputs[0]);
    Image out(static_cast<int>(t.shape[3]), static_cast<int>(t.shape[2]), 3);
    const std::size_t plane = t.data.size() / 3;
    for (std::size_t i = 0; i < plane; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        out.pixels[i * 3 + c] = static_cast<std::uint8_t>(t.data[c * plane + i]);
    return out;
  }
  return {};
}

OnnxTensor tensor_of(const Image& picture) {
  return {2, {picture.height, picture.width, 3}, {picture.pixels.begin(), picture.pixels.end()}};
}

class OnnxFull : public OnnxExport {};

// Only the nodes up to the resized picture.
OnnxModel without_the_network(OnnxModel m) {
  const auto end =
      std::find_if(m.nodes.begin(), m.nodes.end(), [](const OnnxNode& n) { return n.op == "Conv"; });
  m.nodes.erase(end, m.nodes.end());
  return m;
}

TEST_F(OnnxFull, ResizesAsPillowDoes) {
  for (const auto& size : {InputSize::of(64, 64), InputSize::of(96, 32)}) {
    const auto m = without_the_network(exported(tiny_config(), {OnnxGraph::full, size}));
    for (const auto& [w, h] : std::vector<std::pair<int, int>>{{1, 1},
                                                               {2, 3},
                                                               {64, 64},
                                                               {96, 32},
                                                               {64, 9},
                                                               {65, 63},
                                                               {127, 129},
                                                               {31, 200},
                                                               {333, 17},
                                                               {640, 480},
                                                               {1000, 3},
                                                               {77, 1}}) {
      const Image picture = test::picture(w, h, 3);
      const Image got = resized_by(m, run_onnx(m, {{"picture", tensor_of(picture)}}, Arithmetic::float32));
      const Image want = resize_pillow(picture, size.width, size.height, ResizeFilter::bilinear);
      EXPECT_EQ(got.pixels, want.pixels) << w << "x" << h << " to " << size.width << "x" << size.height;
    }
  }
}

// A side so long that the coefficients of its sum have no room to spare in 32 bits: an overflow is an error
// there.
TEST_F(OnnxFull, ResizesLongSides) {
  const auto m = without_the_network(exported(tiny_config(), {OnnxGraph::full, InputSize::square(64)}));
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{16384, 2}, {30, 2900}}) {
    const Image picture = test::picture(w, h, 3);
    const Image got = resized_by(m, run_onnx(m, {{"picture", tensor_of(picture)}}, Arithmetic::float32));
    EXPECT_EQ(got.pixels, resize_pillow(picture, 64, 64, ResizeFilter::bilinear).pixels) << w << "x" << h;
  }
}

TEST_F(OnnxFull, GivesTheSegmentersMaps) {
  for (const int classes : {1, 3}) {
    model::Config config = tiny_config();
    config.out_channels = classes;
    const auto m = exported(config, {OnnxGraph::full, InputSize::of(64, 32)});
    const Segmenter segmenter(dir_ / "w.safetensors");
    for (const auto& [w, h] : std::vector<std::pair<int, int>>{{90, 50}, {7, 40}, {64, 32}}) {
      const Image picture = test::picture(w, h, 3);
      const auto values = run_onnx(m, {{"picture", tensor_of(picture)}});
      SegmentOptions options;
      options.size = InputSize::of(64, 32);
      const Segmentation want = segmenter.segment(picture, options);
      EXPECT_THAT(values.at("map").shape, testing::ElementsAre(classes, h, w));
      EXPECT_LT(error_of(values.at("map").data, {want.probabilities.begin(), want.probabilities.end()}),
                1e-5);
      ASSERT_EQ(values.contains("ids"), classes > 1);
      if (classes == 1) continue;
      EXPECT_THAT(values.at("ids").shape, testing::ElementsAre(h, w));
      EXPECT_EQ(values.at("ids").type, 2);  // bytes
      const auto ids = want.to_ids().pixels;
      EXPECT_EQ(values.at("ids").data, std::vector<double>(ids.begin(), ids.end()));
    }
  }
}

// In f16 the picture is resized as ever: the maps are off by the network's rounding alone.
TEST_F(OnnxFull, OfHalfPrecisionGivesNearlyTheSegmentersMaps) {
  model::Config config = tiny_config();
  config.out_channels = 3;
  for (const auto precision : {OnnxPrecision::f16, OnnxPrecision::int8}) {
    const auto m = exported(config, {OnnxGraph::full, InputSize::of(64, 32), precision});
    EXPECT_THAT(m.inputs[0].shape, testing::ElementsAre("height", "width", "3"));
    EXPECT_EQ(m.inputs[0].type, 2);  // bytes
    const Image picture = test::picture(51, 90, 3);
    SegmentOptions options;
    options.size = InputSize::of(64, 32);
    const Segmentation want = Segmenter(dir_ / "w.safetensors").segment(picture, options);
    const auto got = run_onnx(m, {{"picture", tensor_of(picture)}}).at("map");
    EXPECT_THAT(got.shape, testing::ElementsAre(3, 90, 51));
    const double error = error_of(got.data, {want.probabilities.begin(), want.probabilities.end()});
    EXPECT_LT(error, precision == OnnxPrecision::f16 ? 5e-3 : 5e-2);
    EXPECT_GT(error, 1e-6);
  }
}

TEST_F(OnnxExport, TheMetadataSaysWhatItIs) {
  model::Config config = tiny_config();
  config.out_channels = 3;
  const auto table =
      parse_class_table("[[class]]\nid = 1\nname = \"road\"\n[[class]]\nid = 2\nname = \"sky\"\n");
  const auto m = exported(config, {OnnxGraph::full, InputSize::of(64, 32), OnnxPrecision::f16},
                          {{model::kClassesKey, to_json(table)}});
  EXPECT_EQ(m.metadata.at("sam2unet.graph"), "full");
  EXPECT_EQ(m.metadata.at("sam2unet.precision"), "f16");
  EXPECT_EQ(m.metadata.at("sam2unet.variant"), "custom");
  EXPECT_EQ(m.metadata.at("sam2unet.size"), "32x64");
  EXPECT_EQ(m.metadata.at("sam2unet.mean"), "0.485 0.456 0.406");
  EXPECT_EQ(m.metadata.at("sam2unet.std"), "0.229 0.224 0.225");
  EXPECT_EQ(m.metadata.at("sam2unet.pillow"), "12");
  EXPECT_EQ(m.metadata.at("sam2unet.version"), version());
  EXPECT_EQ(m.metadata.size(), 12U);
  EXPECT_EQ(m.metadata.at("sam2unet.weights_sha256"), sha256_of_file(dir_ / "w.safetensors"));
  EXPECT_EQ(summary_.weights_sha256, sha256_of_file(dir_ / "w.safetensors"));
  EXPECT_EQ(model::Config::from_json(m.metadata.at("sam2unet.config")), config);
  EXPECT_TRUE(same_classes(class_table_from_json(m.metadata.at("sam2unet.classes")), table));
}

// Of weights that say nothing, and of letterboxed ones, of which there is a core graph.
TEST_F(OnnxExport, TheMetadataSaysWhatIsUsualToo) {
  const auto one = exported(tiny_config(), {OnnxGraph::core, InputSize::of(96, 32)});
  EXPECT_EQ(one.metadata.at("sam2unet.graph"), "core");
  EXPECT_EQ(one.metadata.at("sam2unet.precision"), "f32");
  EXPECT_EQ(one.metadata.at("sam2unet.fit"), "squash");
  EXPECT_EQ(one.metadata.at("sam2unet.size"), "32x96");
  EXPECT_FALSE(one.metadata.contains("sam2unet.classes"));
  EXPECT_EQ(summary_.size, InputSize::of(96, 32));
  EXPECT_EQ(summary_.channels, 1);
  model::Config config = tiny_config();
  config.out_channels = 4;
  const auto four = exported(config, {OnnxGraph::core, InputSize::of(32, 32), OnnxPrecision::int8},
                             {{model::kFitKey, "letterbox"}});
  EXPECT_EQ(four.metadata.at("sam2unet.fit"), "letterbox");
  EXPECT_EQ(four.metadata.at("sam2unet.precision"), "int8");
  EXPECT_EQ(class_table_from_json(four.metadata.at("sam2unet.classes")), default_class_table(4));
  EXPECT_EQ(summary_.channels, 4);
}

// A side that is not asked for is the trained one.
TEST_F(OnnxExport, OneSideMayBeLeftToTheWeights) {
  const std::map<std::string, std::string> trained{{"input_size", "32x64"}};
  EXPECT_THAT(exported(tiny_config(), {OnnxGraph::core, InputSize::of(0, 96)}, trained).inputs[0].shape,
              testing::ElementsAre("batch", "3", "96", "64"));
  EXPECT_THAT(exported(tiny_config(), {OnnxGraph::core, InputSize::of(96, 0)}, trained).inputs[0].shape,
              testing::ElementsAre("batch", "3", "32", "96"));
}

TEST_F(OnnxExport, TheSizeIsWhatTheWeightsWereTrainedAt) {
  EXPECT_EQ(exported(tiny_config(), {}, {{"input_size", "32x64"}}).inputs[0].shape.at(2), "32");
  EXPECT_EQ(summary_.size, InputSize::of(64, 32));
}

TEST_F(OnnxExport, WhatCannotBeMeantIsRefusedAndLeavesNothing) {
  const auto w = dir_ / "w.safetensors", out = dir_ / "out.onnx";
  write_tiny_weights(w);
  const auto refused = [&](const OnnxOptions& options) {
    return message_of<UsageError>([&] { export_onnx(w, out, options); });
  };
  EXPECT_THAT(refused({OnnxGraph::core, InputSize::of(352, 350)}), HasSubstr("multiples of 32"));
  EXPECT_THAT(message_of<UsageError>([&] { export_onnx(w, w); }), HasSubstr("weight file itself"));
  EXPECT_THAT(message_of<FileError>([&] { export_onnx(w, dir_ / "none" / "o.onnx"); }), HasSubstr("none"));
  EXPECT_THAT(message_of<FileError>([&] { export_onnx(dir_ / "none.pth", out); }), HasSubstr("none.pth"));
  write_tiny_weights(w, /*only_trunk=*/true);
  EXPECT_THAT(message_of<WeightsError>([&] { export_onnx(w, out); }), HasSubstr("trunk"));
  write_tiny_weights(w, false, {{model::kFitKey, "letterbox"}});
  EXPECT_THAT(refused({OnnxGraph::full, InputSize::square(64)}), HasSubstr("letterbox"));
  EXPECT_EQ(refused({OnnxGraph::core, InputSize::square(64)}), "");
  std::filesystem::remove(out);
  EXPECT_THAT(refused({OnnxGraph::core, InputSize::square(16384)}), HasSubstr("from 32 to 8192"));
  // The table of positions alone would be 2.5 GiB.
  write_weights(
      w, model::Config::from_json(R"({"embed_dim": 160, "stages": [1, 1, 1, 1], "global_att_blocks": []})"));
  EXPECT_THAT(refused({OnnxGraph::core, InputSize::square(8192)}), HasSubstr("2 GiB"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace sam2unet::test
