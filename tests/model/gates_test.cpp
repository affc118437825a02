// What files say of lower precisions is believed only where it can be meant.
#include "model/gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::model {
namespace {

using testing::HasSubstr;

PrecisionGates some_gates() {
  PrecisionGates g;
  g.pictures = 3;
  g.bf16 = {0.0001, true};
  g.int8 = {0.002, false};
  g.kept = {"encoder.blocks.1.block.mlp", "up2"};
  g.weights = 0x0123456789abcdefU;
  return g;
}

TEST(Gates, ComeBackAsTheyWere) {
  const auto g = gates_from_json(some_gates().to_json(), test::tiny_config());
  EXPECT_EQ(g.pictures, 3);
  EXPECT_EQ(g.bf16->change, 0.0001);
  EXPECT_TRUE(g.bf16->rounds_bf16);
  EXPECT_EQ(g.int8->change, 0.002);
  EXPECT_FALSE(g.int8->rounds_bf16);
  EXPECT_EQ(g.kept, some_gates().kept);
  EXPECT_EQ(g.weights, some_gates().weights);
}

TEST(Gates, WhatCannotBeMeantIsRefused) {
  const std::string text = some_gates().to_json();
  const auto refused = [&](const char* pointer, const nlohmann::json& value, const char* because) {
    auto j = nlohmann::json::parse(text);
    j[nlohmann::json::json_pointer(pointer)] = value;
    try {
      gates_from_json(j.dump(), test::tiny_config());
      ADD_FAILURE() << pointer << " " << value;
    } catch (const FormatError& e) {
      EXPECT_THAT(e.what(), HasSubstr(because)) << pointer;
      EXPECT_THAT(e.what(), HasSubstr(kGatesKey));
    }
  };
  refused("/version", 2, "another version");
  refused("/version", "1", "another version");
  for (const nlohmann::json& n :
       {nlohmann::json(0), nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json(1e300),
        nlohmann::json(18446744073709551615U), nlohmann::json(nullptr)})
    refused("/pictures", n, "pictures");
  refused("/bf16", nlohmann::json::array(), "no object");
  for (const nlohmann::json& n :
       {nlohmann::json(-0.1), nlohmann::json(1.5), nlohmann::json("0"), nlohmann::json(nullptr)})
    refused("/bf16/change", n, "change");
  refused("/bf16/rounds_bf16", 1, "neither true nor false");
  refused("/int8/kept", "up2", "no list");
  refused("/int8/kept", {1}, "no list");
  refused("/int8/kept", {"up2", "up2"}, "twice");
  refused("/int8/kept", {"up"}, "has not");
  refused("/int8/kept", {""}, "has not");
  refused("/int8/kept", std::vector<std::string>(1000, "up2"), "no list");
  refused("/weights", "0123456789ABCDEF", "fingerprint");
  refused("/weights", "0", "fingerprint");
  refused("/weights", 5, "fingerprint");
  for (const std::string bad : {"", "{", "[]", "null", "3", R"({"version":1})", "\"\xff\""})
    EXPECT_THROW(gates_from_json(bad, test::tiny_config()), FormatError) << bad;
  EXPECT_THROW(gates_from_json(std::string(1 << 20, '['), test::tiny_config()), FormatError);
}

// What stands in files, word for word, and the limits themselves.
TEST(Gates, AreWrittenAsTheyAreRead) {
  EXPECT_EQ(some_gates().to_json(),
            R"({"bf16":{"change":0.0001,"rounds_bf16":true},)"
            R"("int8":{"change":0.002,"kept":["encoder.blocks.1.block.mlp","up2"],"rounds_bf16":false},)"
            R"("pictures":3,"version":1,"weights":"0123456789abcdef"})");
  PrecisionGates few;
  few.pictures = 1;
  few.weights = 5;
  few.kept = {"up1"};  // of int8, which is not there
  EXPECT_EQ(few.to_json(), R"({"pictures":1,"version":1,"weights":"0000000000000005"})");
  EXPECT_EQ(gates_from_json(few.to_json(), test::tiny_config()).weights, 5u);
  EXPECT_EQ(kMaxChangeBf16, 0.0005);
  EXPECT_EQ(kMaxChangeInt8, 0.0015);
}

TEST(Gates, TheLimitsThemselvesAreAllowed) {
  const auto read = [](const std::string& pictures, const std::string& change, std::size_t spaces = 0) {
    return test::message_of<FormatError>([&] {
      gates_from_json(R"({"version":1,"weights":"0123456789abcdef","pictures":)" + pictures +
                          R"(,"bf16":{"rounds_bf16":true,"change":)" + change + "}}" +
                          std::string(spaces, ' '),
                      test::tiny_config());
    });
  };
  EXPECT_EQ(read("100000000", "1.0"), "");
  EXPECT_EQ(read("1", "0.0"), "");
  EXPECT_EQ(read("100000001", "0.5"), R"(metadata "precision_gates": "pictures" is no number of pictures)");
  EXPECT_EQ(read("1", "1.0000001"), R"(metadata "precision_gates": the change of bf16 is not in 0 to 1)");
  EXPECT_EQ(read("1", "\"1\""), R"(metadata "precision_gates": the change of bf16 is no number)");
  const std::size_t size =
      std::string(
          R"({"version":1,"weights":"0123456789abcdef","pictures":1,"bf16":{"rounds_bf16":true,"change":1}})")
          .size();
  EXPECT_EQ(read("1", "1", 262'144 - size), "");
  EXPECT_EQ(read("1", "1", 262'145 - size), R"(metadata "precision_gates": too long)");
}

TEST(Gates, WhatIsMissingIsNamed) {
  const auto says = [](const char* text) {
    return test::message_of<FormatError>([&] { gates_from_json(text, test::tiny_config()); });
  };
  EXPECT_EQ(says("[]"), R"(metadata "precision_gates": no JSON object)");
  EXPECT_EQ(says("{}"), R"(metadata "precision_gates": "version" is missing)");
  EXPECT_EQ(says(R"({"version":1})"), R"(metadata "precision_gates": "pictures" is missing)");
  EXPECT_EQ(says(R"({"version":1,"pictures":1})"), R"(metadata "precision_gates": "weights" is missing)");
  const std::string begin = R"({"version":1,"pictures":1,"weights":"0123456789abcdef",)";
  EXPECT_EQ(says((begin + R"("bf16":3})").c_str()), R"(metadata "precision_gates": "bf16" is no object)");
  EXPECT_EQ(says((begin + R"("bf16":{"change":0}})").c_str()),
            R"(metadata "precision_gates": "rounds_bf16" is missing)");
  EXPECT_EQ(says((begin + R"("int8":{"change":0,"rounds_bf16":3}})").c_str()),
            R"(metadata "precision_gates": "rounds_bf16" of int8 is neither true nor false)");
  EXPECT_EQ(says((begin + R"("int8":{"change":0,"rounds_bf16":true}})").c_str()),
            R"(metadata "precision_gates": "kept" is missing)");
}

TEST(Gates, GroupsOfTheTinyNetwork) {
  EXPECT_THAT(
      layer_groups(test::tiny_config()),
      testing::ElementsAre(
          "encoder.blocks.0.prompt_learn", "encoder.blocks.0.block.attn", "encoder.blocks.0.block.mlp",
          "encoder.blocks.1.prompt_learn", "encoder.blocks.1.block.attn", "encoder.blocks.1.block.proj",
          "encoder.blocks.1.block.mlp", "encoder.blocks.2.prompt_learn", "encoder.blocks.2.block.attn",
          "encoder.blocks.2.block.proj", "encoder.blocks.2.block.mlp", "encoder.blocks.3.prompt_learn",
          "encoder.blocks.3.block.attn", "encoder.blocks.3.block.proj", "encoder.blocks.3.block.mlp", "rfb1",
          "rfb2", "rfb3", "rfb4", "up1", "up2", "up3"));
}

// A neck of one 1x1 convolution each is no group, and all else is as ever.
TEST(Gates, PointwiseNecksAreNoGroups) {
  Config config = test::tiny_config();
  auto want = layer_groups(config);
  std::erase_if(want, [](const std::string& g) { return g.starts_with("rfb"); });
  ASSERT_EQ(want.size() + 4, layer_groups(config).size());
  config.neck = NeckKind::pointwise;
  EXPECT_EQ(layer_groups(config), want);
  config.calls_up4 = true;
  want.push_back("up4");
  EXPECT_EQ(layer_groups(config), want);
}

TEST(Gates, GroupsNameEveryLayerThatInt8Changes) {
  Config with_up4 = test::tiny_config();
  with_up4.calls_up4 = true;
  for (const Config& config : {test::tiny_config(), Config::of_variant("l"), with_up4}) {
    const auto groups = layer_groups(config);
    for (const auto& spec : tensor_table(config)) {
      if (spec.role != Role::weight || spec.part == Part::unused) continue;
      const bool is_plain = spec.name.find("patch_embed") != std::string::npos ||
                            spec.name.starts_with("side") || spec.name.starts_with("head");
      const auto n = std::count_if(groups.begin(), groups.end(),
                                   [&](const std::string& g) { return spec.name.starts_with(g + "."); });
      EXPECT_EQ(n, is_plain ? 0 : 1) << spec.name;
    }
  }
}

class StoredGatesTest : public testing::Test {
 protected:
  void write(const std::string& gates, const std::string& input_size = {}) {
    std::map<std::string, std::string> metadata{{kGatesKey, gates}};
    if (!input_size.empty()) metadata["input_size"] = input_size;
    test::write_tiny_weights(dir_ / "w.safetensors", false, metadata);
  }
  CheckpointWeights open() { return CheckpointWeights(formats::TensorFile::open(dir_ / "w.safetensors")); }
  test::TempDir dir_;
};

TEST_F(StoredGatesTest, CountForTheWeightsTheyWereMeasuredOf) {
  write("{}");
  auto g = some_gates();
  g.weights = open().fingerprint();
  write(g.to_json());
  ASSERT_TRUE(open().gates().gates);
  EXPECT_EQ(open().gates().problem, "");
  EXPECT_TRUE(open().notes().empty());
  write(g.to_json(), "96x96");  // other metadata is no other weights
  EXPECT_TRUE(open().gates().gates);

  // One number of the file's last tensor but few changes.
  std::fstream file(dir_ / "w.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  const TensorView* head = nullptr;
  const auto whole = formats::TensorFile::open(dir_ / "w.safetensors");
  head = whole.find("head.weight");
  const auto* begin = whole.tensors().front().view.data;
  const auto size = std::filesystem::file_size(dir_ / "w.safetensors");
  std::int64_t data = 0;
  for (const auto& t : whole.tensors()) data += t.view.numel() * 4;
  file.seekp(static_cast<std::int64_t>(size) - data + (head->data - begin) + head->numel() / 2 * 4);
  file.write("\x00\x00\x80\x3e", 4);
  file.close();
  EXPECT_FALSE(open().gates().gates);
  EXPECT_THAT(open().gates().problem, HasSubstr("other weights"));
  EXPECT_THAT(open().notes().at(0), HasSubstr("converting the file with pictures"));
}

// Weights of 8 bits are their scales too.
TEST_F(StoredGatesTest, FingerprintsAreOfTheScalesToo) {
  const auto with_scale = [&](float scale) {
    DeterministicWeights source;
    std::vector<std::vector<float>> data;
    std::vector<formats::NamedTensor> tensors;
    const auto add = [&](const std::string& name, const Shape& shape, std::vector<float> values) {
      data.push_back(std::move(values));
      tensors.push_back({name,
                         {reinterpret_cast<const std::byte*>(data.back().data()), DType::f32, shape,
                          shape.dense_strides()}});
    };
    const std::vector<std::int8_t> bytes(1 << 20, std::int8_t{1});
    bool is_done = false;
    for (const TensorSpec& t : tensor_table(test::tiny_config())) {
      if (!is_done && t.role == Role::weight && t.name.starts_with("up1.")) {
        is_done = true;
        tensors.push_back({t.name,
                           {reinterpret_cast<const std::byte*>(bytes.data()), DType::i8, t.shape,
                            t.shape.dense_strides()}});
        add(t.name + ".scale", Shape{t.shape[0]},
            std::vector<float>(static_cast<std::size_t>(t.shape[0]), scale));
      } else {
        const auto values = source.read(t.name, t.shape);
        add(t.name, t.shape, {values.begin(), values.end()});
      }
    }
    formats::write_safetensors(dir_ / "w.safetensors", tensors, {{"config", test::tiny_config().to_json()}});
    return open().fingerprint();
  };
  const std::uint64_t one = with_scale(0.5F);
  EXPECT_EQ(with_scale(0.5F), one);
  EXPECT_NE(with_scale(0.25F), one);
}

// The number itself, as another program counts it: files made before must stay what they are.
TEST_F(StoredGatesTest, FingerprintsDoNotChange) {
  write("{}");
  EXPECT_EQ(open().fingerprint(), 0x4F1FE1C5E8B04C60U);
}

TEST_F(StoredGatesTest, DamagedOnesAreNoneAndAreTold) {
  write(R"({"version": 1, "pictures": "many"})");
  EXPECT_FALSE(open().gates().gates);
  EXPECT_THAT(open().gates().problem, HasSubstr("pictures"));
}

}  // namespace
}  // namespace sam2unet::model
