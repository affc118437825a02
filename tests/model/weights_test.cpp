#include <algorithm>

#include <gtest/gtest.h>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/int8.h"
#include "model/tensor_table.h"
#include "model/weight_source.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet::model {
namespace {

TEST(DeterministicWeights, TheCheckValuesOfTheDefinition) {
  const double want[] = {0.04737353324890137, -0.14812350273132324, -0.619655966758728, 0.6241564750671387};
  const auto got = deterministic_values("check", 4);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(got[i], want[i]);
}

Config tiny() {
  return Config::from_json(R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": []})");
}

// A complete tiny checkpoint, from which the tests take things away.
struct TinyFile {
  test::TempDir dir;
  std::vector<std::vector<float>> data;
  std::vector<formats::NamedTensor> tensors;
  std::map<std::string, std::string> metadata{{"config", tiny().to_json()}};

  TinyFile() {
    DeterministicWeights source;
    for (const auto& t : tensor_table(tiny())) {
      const auto values = source.read(t.name, t.shape);
      data.emplace_back(values.begin(), values.end());
      tensors.push_back({t.name,
                         {reinterpret_cast<const std::byte*>(data.back().data()), DType::f32, t.shape,
                          t.shape.dense_strides()}});
    }
  }
  void remove(std::string_view part) {
    std::erase_if(tensors, [&](const auto& t) { return t.name.find(part) != std::string::npos; });
  }
  formats::TensorFile open() {
    formats::write_safetensors(dir / "w.safetensors", tensors, metadata);
    return formats::TensorFile::open(dir / "w.safetensors");
  }
  std::string refusal() {
    return test::message_of<WeightsError>([&] { CheckpointWeights w(open()); });
  }
};

TEST(Checkpoint, ACompleteFileIsRead) {
  TinyFile f;
  CheckpointWeights w(f.open());
  EXPECT_EQ(w.config(), tiny());
  DeterministicWeights want;
  const Shape shape{48, 16};
  const auto got = w.read("encoder.blocks.0.block.attn.qkv.weight", shape);
  const auto expected = want.read("encoder.blocks.0.block.attn.qkv.weight", shape);
  EXPECT_TRUE(std::equal(got.begin(), got.end(), expected.begin(), expected.end()));
}

TEST(Checkpoint, PartsOfATensorAreThoseOfTheWhole) {
  TinyFile f;
  const CheckpointWeights w(f.open());
  const RoundedWeights rounded(w);
  const DeterministicWeights fresh;
  const std::string name = "encoder.blocks.0.block.attn.qkv.weight";
  const Shape shape{48, 16};
  for (const WeightSource* source :
       {static_cast<const WeightSource*>(&w), static_cast<const WeightSource*>(&rounded),
        static_cast<const WeightSource*>(&fresh)}) {
    const auto all = source->read(name, shape);
    std::vector<float> part(100);
    source->read(name, shape, 37, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + 37));
  }
}

// A transposed tensor, as torch.save leaves views.
TEST(Checkpoint, PartsOfStridedTensorsAreInOrder) {
  const test::TempDir dir;
  const std::vector<float> values{0, 1, 2, 3, 4, 5};
  formats::write_torch_zip(dir / "w.pth", {{"w",
                                            {.data = reinterpret_cast<const std::byte*>(values.data()),
                                             .dtype = DType::f32,
                                             .shape = {3, 2},
                                             .strides = {1, 3}}}});
  std::vector<float> part(3);
  read_tensor(formats::TensorFile::open(dir / "w.pth"), "w", 1, part);
  EXPECT_EQ(part, (std::vector<float>{3, 1, 4}));  // of 0 3 / 1 4 / 2 5
}

TEST(Checkpoint, TheUnusedBlockMayBeAbsent) {
  TinyFile f;
  f.remove("up4.");
  EXPECT_EQ(f.refusal(), "");
}

TEST(Checkpoint, AMissingTensorIsNamed) {
  TinyFile f;
  f.remove("rfb2.conv_cat.bn.running_var");
  EXPECT_NE(f.refusal().find("rfb2.conv_cat.bn.running_var [64]"), std::string::npos) << f.refusal();
}

TEST(Checkpoint, AMisshapenTensorIsNamedWithBothShapes) {
  TinyFile f;
  for (auto& t : f.tensors) {
    if (t.name == "head.weight") t.view.shape = t.view.strides = {64};
  }
  f.tensors.back().view.strides = f.tensors.back().view.shape.dense_strides();
  for (auto& t : f.tensors) t.view.strides = t.view.shape.dense_strides();
  EXPECT_NE(f.refusal().find("head.weight is [64], expected [1, 64, 1, 1]"), std::string::npos)
      << f.refusal();
}

TEST(Checkpoint, AnUnexpectedTensorIsNamed) {
  TinyFile f;
  f.tensors.push_back(f.tensors.front());
  f.tensors.back().name = "side3.weight";
  EXPECT_NE(f.refusal().find("side3.weight"), std::string::npos) << f.refusal();
}

TEST(Checkpoint, ATrunkAndATaskFileSayWhatTheyAre) {
  TinyFile trunk;
  std::erase_if(trunk.tensors, [](const auto& t) {
    return !t.name.starts_with("encoder.") || t.name.find("prompt_learn") != std::string::npos;
  });
  EXPECT_NE(trunk.refusal().find("trunk without"), std::string::npos) << trunk.refusal();
  TinyFile task;
  std::erase_if(task.tensors, [](const auto& t) {
    return t.name.starts_with("encoder.") && t.name.find("prompt_learn") == std::string::npos;
  });
  EXPECT_NE(task.refusal().find("task-only"), std::string::npos) << task.refusal();
}

TEST(Checkpoint, SomethingElseIsRefused) {
  TinyFile f;
  f.tensors.resize(1);
  f.tensors.front().name = "fc.weight";
  f.metadata.clear();
  EXPECT_NE(f.refusal().find("not a SAM2-UNet checkpoint"), std::string::npos) << f.refusal();
}

TEST(Checkpoint, Sam2NamesAreUnderstood) {
  Recognition r;
  r.trunk_prefix = "image_encoder.trunk.";
  EXPECT_EQ(stored_name("encoder.blocks.3.block.mlp.layers.0.weight", r),
            "image_encoder.trunk.blocks.3.mlp.layers.0.weight");
  EXPECT_EQ(stored_name("encoder.pos_embed", r), "image_encoder.trunk.pos_embed");
  EXPECT_EQ(stored_name("rfb1.conv_cat.conv.weight", r), "rfb1.conv_cat.conv.weight");
}

// A fork's file as torch.save writes it: of a published trunk, without metadata. Only the directory is looked
// at, so the tensors need no values but where a counter is read.
struct ForkFile {
  test::TempDir dir;
  std::vector<std::byte> zeros;
  float count = 0.0F;
  Config config = Config::of_variant("t");

  Recognition recognise_it(const std::string& neck_prefix = "rfb") {
    zeros.resize(4 << 20);
    std::vector<formats::NamedTensor> tensors;
    for (const auto& t : tensor_table(config)) {
      std::string name = t.name;
      if (name.starts_with("rfb")) name = neck_prefix + name.substr(3);
      const bool counts = name == "up4.conv.double_conv.1.num_batches_tracked";
      zeros.resize(std::max(zeros.size(), 4 * static_cast<std::size_t>(t.shape.numel())));
      tensors.push_back({name,
                         {counts ? reinterpret_cast<const std::byte*>(&count) : nullptr, DType::f32, t.shape,
                          t.shape.dense_strides()}});
    }
    for (auto& t : tensors)
      if (t.view.data == nullptr) t.view.data = zeros.data();
    formats::write_safetensors(dir / "w.safetensors", tensors, {});
    auto file = formats::TensorFile::open(dir / "w.safetensors");
    return recognise(file);
  }
};

TEST(Checkpoint, AForksWidthsAreToldFromItsShapes) {
  ForkFile f;
  f.config.out_channels = 7;
  f.config.adapter_width = 72;
  f.config.decoder_width = 128;
  const auto r = f.recognise_it();
  EXPECT_EQ(r.contents, Contents::full) << (r.misshapen.empty() ? "" : r.misshapen[0]);
  ASSERT_TRUE(r.config);
  EXPECT_EQ(*r.config, f.config);
  EXPECT_TRUE(r.unexpected.empty());
}

TEST(Checkpoint, AForksNeckIsToldFromItsNames) {
  ForkFile f;
  f.config.neck = NeckKind::pointwise;
  for (const char* prefix : {"rfb", "conv"}) {  // rfb1.weight, or conv1.weight
    const auto r = f.recognise_it(prefix);
    EXPECT_EQ(r.contents, Contents::full) << prefix;
    ASSERT_TRUE(r.config);
    EXPECT_EQ(*r.config, f.config) << prefix;
    EXPECT_EQ(stored_name("rfb3.weight", r), std::string(prefix) + "3.weight");
    EXPECT_TRUE(r.unexpected.empty());
  }
}

TEST(Checkpoint, AForkThatCallsUp4IsToldFromItsCounter) {
  ForkFile f;
  EXPECT_FALSE(f.recognise_it().config->calls_up4);
  for (const float count : {1.0F, 12.0F}) {
    f.count = count;
    EXPECT_TRUE(f.recognise_it().config->calls_up4);
  }
}

TEST(Checkpoint, WidthsThatContradictTheMetadataAreNamed) {
  TinyFile f;
  f.metadata["config"] =
      R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": [], "out_channels": 3})";
  EXPECT_NE(f.refusal().find("[1, 64, 1, 1], expected [3, 64, 1, 1]"), std::string::npos) << f.refusal();
}

}  // namespace
}  // namespace sam2unet::model
