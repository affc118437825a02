// Which network a file holds, told from its names and shapes alone, and what is said of one that cannot be
// used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/tensor_table.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A file of zeros with these names and shapes.
class Recognised : public testing::Test {
 protected:
  using Tensors = std::vector<std::pair<std::string, Shape>>;
  formats::TensorFile file(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    std::vector<formats::NamedTensor> out;
    for (const auto& [name, shape] : tensors) {
      const auto& data = data_.emplace_back(static_cast<std::size_t>(shape.numel()));
      out.push_back({name, {data.data(), DType::u8, shape, shape.dense_strides()}});
    }
    formats::write_safetensors(dir_ / "w.safetensors", out, metadata);
    return formats::TensorFile::open(dir_ / "w.safetensors");
  }
  Recognition recognition(const Tensors& tensors) {
    auto f = file(tensors);
    return recognise(f);
  }
  std::string refusal(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return test::message_of<WeightsError>([&] { CheckpointWeights w(file(tensors, metadata)); });
  }

  // The trunk's width and depth under a prefix.
  static Tensors trunk_outline(const std::string& prefix, std::int64_t width, int depth,
                               const std::string& probe) {
    Tensors t{{prefix + "patch_embed.proj.weight", {width, 3, 7, 7}}};
    for (int i = 0; i < depth; ++i)
      t.emplace_back(prefix + "blocks." + std::to_string(i) + "." + probe, Shape{width});
    return t;
  }
  static Tensors tensors_of(const Config& config, bool trunk, bool task) {
    Tensors t;
    for (const auto& spec : tensor_table(config)) {
      if (spec.part == Part::trunk ? trunk : task) t.emplace_back(spec.name, spec.shape);
    }
    return t;
  }

  test::TempDir dir_;
  std::list<std::vector<std::byte>> data_;
};

// sam2/configs/sam2/sam2_hiera_*.yaml: width, and blocks in all.
TEST_F(Recognised, VariantsByWidthAndDepth) {
  struct Case {
    const char* variant;
    int width, depth;
  };
  for (const Case& c : {Case{"t", 96, 12}, Case{"s", 96, 16}, Case{"b+", 112, 24}, Case{"l", 144, 48}}) {
    const auto r = recognition(trunk_outline("encoder.", c.width, c.depth, "block.norm1.weight"));
    ASSERT_TRUE(r.config) << c.variant;
    EXPECT_EQ(variant_name(*r.config), c.variant);
    EXPECT_EQ(r.contents, Contents::partial);
  }
  for (const auto& [width, depth] : {std::pair{96, 13}, {112, 12}, {144, 24}, {100, 12}})
    EXPECT_FALSE(recognition(trunk_outline("encoder.", width, depth, "block.norm1.weight")).config);
}

TEST_F(Recognised, TrunksUnderEachOfTheirPrefixes) {
  for (const std::string prefix : {"image_encoder.trunk.", "trunk.", ""}) {
    Recognition named;
    named.trunk_prefix = prefix;
    Tensors tensors;
    for (const auto& [name, shape] : tensors_of(Config::of_variant("t"), true, false))
      tensors.emplace_back(stored_name(name, named), shape);
    const auto r = recognition(tensors);
    EXPECT_EQ(r.contents, Contents::trunk) << prefix;
    EXPECT_EQ(r.trunk_prefix, prefix);
    ASSERT_TRUE(r.config) << prefix;
    EXPECT_EQ(variant_name(*r.config), "t");
    EXPECT_THAT(r.unexpected, IsEmpty());
    // Everything of the network's own is missing: adapters first.
    EXPECT_EQ(r.missing.front(), "encoder.blocks.0.prompt_learn.0.weight [32, 96]") << prefix;
    EXPECT_THAT(refusal(tensors),
                HasSubstr("a SAM2 trunk without SAM2-UNet's adapters, RFB, decoder and heads"));
  }
}

TEST_F(Recognised, ATaskFileByItsAdaptersAlone) {
  const Tensors tensors = tensors_of(Config::of_variant("t"), false, true);
  const auto r = recognition(tensors);
  EXPECT_EQ(r.contents, Contents::task_only);
  ASSERT_TRUE(r.config);
  EXPECT_EQ(*r.config, Config::of_variant("t"));
  EXPECT_THAT(refusal(tensors), HasSubstr("a task-only file without the frozen trunk"));
}

// What the metadata does not say is what the shapes say.
TEST_F(Recognised, MetadataLeavesTheRestToTheShapes) {
  Config config = test::tiny_config();
  config.out_channels = 3;
  config.decoder_width = 96;
  auto f = file(tensors_of(config, true, true), {{"config", test::tiny_config().to_json()}});
  const auto r = recognise(f);
  EXPECT_EQ(r.contents, Contents::full);
  ASSERT_TRUE(r.config);
  EXPECT_EQ(*r.config, config);
}

TEST_F(Recognised, CountersMayBeAbsent) {
  Tensors tensors = tensors_of(test::tiny_config(), true, true);
  const std::size_t all = tensors.size();
  std::erase_if(tensors, [](const auto& t) { return t.first.ends_with("num_batches_tracked"); });
  EXPECT_LT(tensors.size(), all);
  auto f = file(tensors, {{"config", test::tiny_config().to_json()}});
  const auto r = recognise(f);
  EXPECT_EQ(r.contents, Contents::full);
  EXPECT_THAT(r.missing, IsEmpty());
}

TEST_F(Recognised, WhatIsSaidOfWhatCannotBeUsed) {
  EXPECT_THAT(
      refusal({{"fc.weight", {3, 4}}, {"fc.bias", {3}}}),
      HasSubstr(
          "not a SAM2-UNet checkpoint; none of its 2 tensors is an encoder's patch embedding (the first is "
          "fc.weight)"));
  EXPECT_THAT(refusal({}), testing::EndsWith("none of its 0 tensors is an encoder's patch embedding"));
  EXPECT_THAT(
      refusal(trunk_outline("encoder.", 100, 3, "block.norm1.weight")),
      HasSubstr(
          "the width and depth of this network belong to no published variant (t, s, b+, l); a custom one "
          "needs its configuration in the metadata key \"config\""));
  EXPECT_THAT(refusal({{"head.weight", {1, 64, 1, 1}}}), HasSubstr("belong to no published variant"));

  const std::map<std::string, std::string> tiny{{"config", test::tiny_config().to_json()}};
  Tensors tensors = tensors_of(test::tiny_config(), true, true);
  const auto without = [&](const std::vector<std::string>& names) {
    Tensors some = tensors;
    std::erase_if(
        some, [&](const auto& t) { return std::find(names.begin(), names.end(), t.first) != names.end(); });
    return some;
  };
  EXPECT_THAT(refusal(without({"head.bias", "head.weight"}), tiny),
              testing::EndsWith(
                  "2 tensors of SAM2-UNet custom are missing: head.weight [1, 64, 1, 1], head.bias [1]"));
  // The first three, and how many more.
  EXPECT_THAT(
      refusal(without({"head.bias", "head.weight", "side1.weight", "side1.bias", "side2.bias"}), tiny),
      testing::ContainsRegex("5 tensors of SAM2-UNet custom are missing: .*, .*, .* and 2 more$"));
  tensors.emplace_back("aux1", Shape{1});
  tensors.emplace_back("aux2", Shape{1});
  EXPECT_THAT(refusal(tensors, tiny),
              HasSubstr("unexpected tensors for SAM2-UNet custom: aux1, aux2; if they are of a part "
                        "that only training needs (an auxiliary head), `sam2unet convert "));
}

// Shapes that no network of ours has, of a file that says nothing else.
TEST_F(Recognised, WidthsBeyondTheLimitsAreRefused) {
  const auto with = [&](const std::string& name, const Shape& shape) {
    Tensors tensors = trunk_outline("encoder.", 96, 12, "block.norm1.weight");
    tensors.emplace_back(name, shape);
    return refusal(tensors);
  };
  EXPECT_THAT(with("head.weight", {256, 64, 1, 1}), HasSubstr("out_channels 256 is not in 1..255"));
  EXPECT_THAT(with("head.weight", {0, 64, 1, 1}), HasSubstr("out_channels 0 is not in 1..255"));
  EXPECT_THAT(with("head.weight", {1, 1025, 1, 1}), HasSubstr("decoder_width 1025 is not in 1..1024"));
  EXPECT_THAT(with("encoder.blocks.0.prompt_learn.0.weight", {4097, 96}),
              HasSubstr("adapter_width 4097 is not in 1..4096"));
  // Of another rank they say nothing of a width, and are told with the rest.
  Tensors odd = trunk_outline("encoder.", 96, 12, "block.norm1.weight");
  odd.emplace_back("head.weight", Shape{256, 64});
  odd.emplace_back("encoder.blocks.0.prompt_learn.0.weight", Shape{4097});
  const auto r = recognition(odd);
  ASSERT_TRUE(r.config);
  EXPECT_EQ(*r.config, Config::of_variant("t"));
  EXPECT_THAT(r.misshapen,
              testing::IsSupersetOf({"head.weight is [256, 64], expected [1, 64, 1, 1]",
                                     "encoder.blocks.0.prompt_learn.0.weight is [4097], expected [32, 96]"}));
}

TEST_F(Recognised, WhatWasLeftOutIsNoted) {
  const std::map<std::string, std::string> tiny{{"config", test::tiny_config().to_json()}};
  Tensors tensors = tensors_of(test::tiny_config(), true, true);
  EXPECT_THAT(CheckpointWeights(file(tensors, tiny)).notes(), IsEmpty());
  tensors.emplace_back("total_ops", Shape{1});
  const std::string where = (dir_ / "w.safetensors").string();
  EXPECT_THAT(CheckpointWeights(file(tensors, tiny)).notes(),
              ElementsAre(where + ": 1 tensor beside the network was left out: total_ops"));
  tensors.emplace_back("total_params", Shape{1});
  EXPECT_THAT(CheckpointWeights(file(tensors, tiny)).notes(),
              ElementsAre(where + ": 2 tensors beside the network were left out: total_ops, total_params"));
}

TEST_F(Recognised, TensorsAreAskedForByShape) {
  CheckpointWeights w(
      file(tensors_of(test::tiny_config(), true, true), {{"config", test::tiny_config().to_json()}}));
  EXPECT_THAT(test::message_of<WeightsError>([&] {
                w.read("head.weight", {2, 64, 1, 1});
              }),
              HasSubstr("tensor head.weight is [1, 64, 1, 1], expected [2, 64, 1, 1]"));
  EXPECT_THAT(test::message_of<WeightsError>([&] { w.read("head.other", {3}); }),
              HasSubstr("tensor head.other [3] is missing"));
  std::vector<float> values;
  const auto plain = file({{"w", {2}}});
  EXPECT_THAT(test::message_of<WeightsError>([&] { read_tensor(plain, "v", values); }),
              HasSubstr("tensor v is missing"));
}

TEST(Contents, HaveNames) {
  EXPECT_EQ(name_of(Contents::full), "full SAM2-UNet");
  EXPECT_EQ(name_of(Contents::trunk), "SAM2 trunk");
  EXPECT_EQ(name_of(Contents::task_only), "task-only SAM2-UNet");
  EXPECT_EQ(name_of(Contents::partial), "incomplete SAM2-UNet");
  EXPECT_EQ(name_of(Contents::unknown), "unknown");
}

TEST(Parts, HaveNames) {
  EXPECT_EQ(name_of(part_of("encoder.blocks.0.block.mlp.layers.0.weight")), "trunk");
  EXPECT_EQ(name_of(part_of("encoder.blocks.0.prompt_learn.0.weight")), "adapters");
  EXPECT_EQ(name_of(part_of("rfb1.conv_cat.conv.weight")), "RFB");
  EXPECT_EQ(name_of(part_of("up3.conv.double_conv.0.weight")), "decoder");
  EXPECT_EQ(name_of(part_of("up4.conv.double_conv.0.weight")), "unused up4");
  EXPECT_EQ(name_of(part_of("side1.weight")), "heads");
  EXPECT_EQ(name_of(part_of("head.weight")), "heads");
  Config fork;
  fork.calls_up4 = true;
  EXPECT_EQ(part_of("up4.conv.double_conv.0.weight", fork), Part::up);
}

}  // namespace
}  // namespace sam2unet::model
