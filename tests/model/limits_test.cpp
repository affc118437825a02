// What configurations, sizes and weights may be: the limits themselves, and one beyond.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/folding.h"
#include "model/input_size.h"
#include "model/int8.h"
#include "model/weight_source.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ConfigLimits, AreAllowedThemselvesAndNothingBeyond) {
  struct Case {
    const char* allowed;
    const char* refused;
  };
  for (const Case& c : std::vector<Case>{
           {R"({"embed_dim": 4096})", R"({"embed_dim": 4097})"},
           {R"({"embed_dim": 1})", R"({"embed_dim": 0})"},
           {R"({"embed_dim": 12, "num_heads": 12})", R"({"embed_dim": 12, "num_heads": 0})"},
           {R"({"stages": [256, 1, 1, 1]})", R"({"stages": [1, 1, 257, 1]})"},
           {R"({"stages": [1, 1, 1, 1]})", R"({"stages": [1, 0, 1, 1]})"},
           {R"({"window_spec": [1024, 1024, 1024, 1024]})", R"({"window_spec": [8, 4, 14, 1025]})"},
           {R"({"window_spec": [8, 4, 14, 1]})", R"({"window_spec": [8, 4, 14, 0]})"},
           {R"({"window_pos_embed_bkg_spatial_size": [1024, 1]})",
            R"({"window_pos_embed_bkg_spatial_size": [7, 1025]})"},
           {R"({"window_pos_embed_bkg_spatial_size": [1, 1]})",
            R"({"window_pos_embed_bkg_spatial_size": [0, 7]})"},
           {R"({"out_channels": 255})", R"({"out_channels": 256})"},
           {R"({"adapter_width": 4096})", R"({"adapter_width": 4097})"},
           {R"({"adapter_width": 1})", R"({"adapter_width": 0})"},
           {R"({"decoder_width": 1024})", R"({"decoder_width": 1025})"},
           {R"({"decoder_width": 1})", R"({"decoder_width": 0})"},
           {R"({"q_pool": 3})", R"({"q_pool": 2})"},
           {R"({"head_mul": 2.0})", R"({"head_mul": 4.0})"},
           {R"({"global_att_blocks": [0, 1000]})", R"({"global_att_blocks": [0, -1]})"},
       }) {
    EXPECT_NO_THROW(Config::from_json(c.allowed)) << c.allowed;
    EXPECT_THROW(Config::from_json(c.refused), WeightsError) << c.refused;
  }
}

// A window of 12 in a quarter of the picture: sides of 48, and of 32 for the deepest stage.
TEST(ConfigLimits, TheFirstWindowDividesBothSides) {
  Config c;
  c.window_spec[0] = 12;
  EXPECT_NO_THROW(c.check_input(96, 192));
  for (const auto& [height, width] : {std::pair{96, 128}, {128, 96}, {64, 64}}) {
    EXPECT_THAT(test::message_of<UsageError>([&, h = height, w = width] { c.check_input(h, w); }),
                HasSubstr("sides that are multiples of 48"))
        << height << "x" << width;
  }
}

TEST(ConfigLimits, SidesAreCheckedEach) {
  const Config c;
  EXPECT_NO_THROW(c.check_input(8192, 32));
  EXPECT_NO_THROW(c.check_input(32, 8192));
  for (const auto& [height, width, tried] :
       std::vector<std::tuple<int, int, const char*>>{{8224, 32, "try 8192x32"},
                                                      {32, 8224, "try 32x8192"},
                                                      {0, 32, "try 32x32"},
                                                      {64, 100, "try 64x96"}}) {
    EXPECT_THAT(test::message_of<UsageError>([&, h = height, w = width] { c.check_input(h, w); }),
                HasSubstr(tried));
  }
}

// Blocks that are global by their number; stages of several blocks with two heads.
TEST(ConfigBlocks, GlobalOnesAndHeads) {
  const auto blocks =
      Config::from_json(
          R"({"embed_dim": 32, "num_heads": 2, "stages": [2, 1, 2, 1], "global_att_blocks": [1, 3]})")
          .blocks();
  std::vector<int> windows, heads, pools, stages, in, out;
  for (const auto& b : blocks) {
    windows.push_back(b.attention.window);
    heads.push_back(b.attention.heads);
    pools.push_back(b.attention.q_pool);
    stages.push_back(b.stage);
    in.push_back(b.dim_in);
    out.push_back(b.dim_out);
  }
  EXPECT_THAT(windows, ElementsAre(8, 0, 8, 0, 14, 14));
  EXPECT_THAT(heads, ElementsAre(2, 2, 4, 8, 8, 16));
  EXPECT_THAT(pools, ElementsAre(1, 1, 2, 2, 1, 2));
  EXPECT_THAT(stages, ElementsAre(0, 0, 1, 2, 2, 3));
  EXPECT_THAT(in, ElementsAre(32, 32, 32, 64, 128, 128));
  EXPECT_THAT(out, ElementsAre(32, 32, 64, 128, 128, 256));
}

TEST(TrainedSizes, AreHeightAndWidthWithinTheLimits) {
  const auto size = [](const std::string& text) { return trained_size({{std::string(kInputSize), text}}); };
  ASSERT_TRUE(size("64x8192"));
  EXPECT_EQ(size("64x8192")->height, 64);
  EXPECT_EQ(size("64x8192")->width, 8192);
  EXPECT_EQ(size("32")->width, 32);
  for (const char* wrong : {"8224", "64x8224", "8224x64", "64x33", "64x0", "64x64x64", "+64", "0x40"})
    EXPECT_FALSE(size(wrong)) << wrong;
  EXPECT_FALSE(trained_size({}));
}

// One tensor of a file, with its scales or without.
class Int8Tensors : public testing::Test {
 protected:
  static constexpr std::int8_t kBytes[6] = {1, -2, 3, -127, 127, 0};

  void write(const Shape& shape, const std::vector<float>& scales, bool has_scales = true) {
    const Shape of_scales{static_cast<std::int64_t>(scales.size())};
    std::vector<formats::NamedTensor> tensors{
        {"w", {reinterpret_cast<const std::byte*>(kBytes), DType::i8, shape, shape.dense_strides()}}};
    if (has_scales)
      tensors.push_back({"w.scale",
                         {reinterpret_cast<const std::byte*>(scales.data()), DType::f32, of_scales,
                          of_scales.dense_strides()}});
    formats::write_safetensors(dir_ / "w.safetensors", tensors, {});
  }
  std::vector<float> read() {
    std::vector<float> out;
    read_tensor(formats::TensorFile::open(dir_ / "w.safetensors"), "w", out);
    return out;
  }
  std::vector<float> read_part(std::int64_t first, std::size_t n) {
    std::vector<float> out(n);
    read_tensor(formats::TensorFile::open(dir_ / "w.safetensors"), "w", first, out);
    return out;
  }
  test::TempDir dir_;
};

TEST_F(Int8Tensors, EachRowHasItsScale) {
  write({2, 3}, {0.5F, 2.0F});
  EXPECT_THAT(read(), ElementsAre(0.5F, -1.0F, 1.5F, -254.0F, 254.0F, 0.0F));
  write({3, 1, 2}, {1.0F, 10.0F, 100.0F});
  EXPECT_THAT(read(), ElementsAre(1.0F, -2.0F, 30.0F, -1270.0F, 12700.0F, 0.0F));
}

TEST_F(Int8Tensors, PartsBeginAndEndWithinRows) {
  write({2, 3}, {0.5F, 2.0F});
  EXPECT_THAT(read_part(2, 3), ElementsAre(1.5F, -254.0F, 254.0F));
  EXPECT_THAT(read_part(5, 1), ElementsAre(0.0F));
  EXPECT_THAT(read_part(1, 2), ElementsAre(-1.0F, 1.5F));
  EXPECT_THROW(read_part(5, 2), Error);
  EXPECT_THROW(read_part(-1, 2), Error);
  write({2, 3}, {1.0F, std::numeric_limits<float>::infinity()});
  EXPECT_THAT(test::message_of<WeightsError>([&] { read_part(4, 1); }), HasSubstr("element 4"));
  EXPECT_THAT(read_part(1, 2), ElementsAre(-2.0F, 3.0F));  // of what is sound
}

TEST_F(Int8Tensors, PartsBeyondTheEndAreToldInNumbers) {
  write({2, 3}, {0.5F, 2.0F});
  EXPECT_EQ(test::message_of<Error>([&] { read_part(5, 2); }), "elements 5 to 7 of w, which has 6");
  EXPECT_EQ(test::message_of<Error>([&] { read_part(-1, 2); }), "elements -1 to 1 of w, which has 6");
  EXPECT_EQ(test::message_of<Error>([&] { read_part(0, 7); }), "elements 0 to 7 of w, which has 6");
  EXPECT_TRUE(read_part(6, 0).empty());
}

// Elements are counted from the tensor's first on, in whatever part and block of it they are.
TEST_F(Int8Tensors, AWrongNumberOfAPartIsToldItsPlaceInTheWhole) {
  std::vector<float> values(40000);
  values[33000] = std::numeric_limits<float>::infinity();
  const Shape shape{40000};
  formats::write_safetensors(
      dir_ / "w.safetensors",
      {{"w", {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, shape.dense_strides()}}},
      {});
  for (const std::int64_t first : {0, 1000, 32999, 33000})
    EXPECT_THAT(
        test::message_of<WeightsError>([&] { read_part(first, static_cast<std::size_t>(40000 - first)); }),
        HasSubstr("(element 33000)"));
}

TEST_F(Int8Tensors, WithAnotherNumberOfScalesAreRefused) {
  const auto refused = [&] { return test::message_of<WeightsError>([&] { read(); }); };
  for (const std::vector<float>& scales :
       std::vector<std::vector<float>>{{1.0F}, {1.0F, 1.0F, 1.0F}, {1, 1, 1, 1, 1, 1}, {}}) {
    write({2, 3}, scales);
    EXPECT_THAT(refused(), HasSubstr("int8 tensor w needs w.scale with one scale per output channel"))
        << scales.size();
  }
  write({2, 3}, {}, false);
  EXPECT_THAT(refused(), HasSubstr("w.scale"));
  write({}, {1.0F});
  EXPECT_THAT(refused(), HasSubstr("w.scale"));
}

TEST_F(Int8Tensors, ScalesThatAreNoNumbersAreRefused) {
  write({2, 3}, {1.0F, std::numeric_limits<float>::infinity()});
  EXPECT_THAT(test::message_of<WeightsError>([&] { read(); }), HasSubstr("element 3"));
}

// Weights too small for a normal scale stay as they are, as zeros do.
TEST(Int8Scales, AreOfTheLargestOfEachRow) {
  EXPECT_THAT(row_scales({1, -12.7F, 0, 0, 1e-38F, 0}, 3, "w"), ElementsAre(12.7F / 127, 1.0F, 1.0F));
  EXPECT_EQ(quantised(0.5F, 1.0F), 0);
  EXPECT_EQ(quantised(-1.5F, 1.0F), -2);
  EXPECT_EQ(quantised(-300.0F, 1.0F), -127);
  EXPECT_EQ(quantised(300.0F, 1.0F), 127);
}

// Numbers under the names of what is asked for.
class Given final : public WeightSource {
 public:
  std::map<std::string, std::vector<float>> values;
  using WeightSource::read;
  void read(const std::string& name, const Shape& shape, std::int64_t first,
            std::span<float> out) const override {
    EXPECT_EQ(static_cast<std::size_t>(shape.numel()), values.at(name).size()) << name;
    std::copy_n(values.at(name).begin() + first, out.size(), out.begin());
  }
};

// (x - mean) / sqrt(variance + 1e-5) * gamma + beta, by hand: scales of 1 and -1 / 2.
TEST(Folding, BatchNormBecomesWeightsAndBias) {
  Given g;
  g.values = {{"bn.weight", {2, -1.5F}},       {"bn.bias", {1, 10}},
              {"bn.running_mean", {3, 4}},     {"bn.running_var", {4 - 1e-5F, 9 - 1e-5F}},
              {"a.conv.weight", {5, 6, 7, 8}}, {"b.conv.weight", {1, 2, 3, 4}}};
  for (const char* name : {"a.bn", "b.bn"})
    for (const char* what : {".weight", ".bias", ".running_mean", ".running_var"})
      g.values[std::string(name) + what] = g.values["bn" + std::string(what)];
  g.values["b.bn.bias"] = {100, 200};
  std::vector<float> weight{5, 6, 7, 8};
  const auto near = [](const std::vector<float>& want) {
    return testing::Pointwise(testing::FloatNear(1e-5F), want);
  };
  EXPECT_THAT(fold_batch_norm(g, "bn", 2, weight), near({-2, 12}));
  EXPECT_THAT(weight, near({5, 6, -3.5F, -4}));
  g.values["bn.running_var"] = {0, 1};  // 1e-5 keeps it from nothing
  weight = {1, 1};
  EXPECT_THAT(
      fold_batch_norm(g, "bn", 2, weight),
      testing::ElementsAre(testing::FloatNear(1 - 3 * 632.4555F, 0.01F), testing::FloatNear(16, 1e-3F)));
  const std::vector<std::string> names{"a", "b"};
  const FoldedFan fan = fold_fan(g, names, 2, 2);
  EXPECT_THAT(fan.weight, near({5, 6, -3.5F, -4, 1, 2, -1.5F, -2}));
  EXPECT_THAT(fan.bias, near({-2, 12, 97, 202}));
}

TEST(RoundedWeights, AreThoseThatInt8Holds) {
  Given g;
  g.values = {{"w", {127, 0.6F, 2, -0.5F}},
              {"w.bias", {0.3F}},
              {"pos_embed", {0.3F, 0.7F}},
              {"pos_embed_window", {0.3F, 0.7F}}};
  const RoundedWeights rounded(g);
  // Rows of scale 1 and 2 / 127, of which -0.5 is -31.75: -32.
  EXPECT_THAT(rounded.read("w", {2, 2}), ElementsAre(127, 1, 2, testing::FloatNear(-64.0F / 127, 1e-6F)));
  EXPECT_THAT(rounded.read("w.bias", {1}), ElementsAre(0.3F));
  EXPECT_THAT(rounded.read("pos_embed", {1, 2}), ElementsAre(0.3F, 0.7F));
  EXPECT_THAT(rounded.read("pos_embed_window", {1, 2}), ElementsAre(0.3F, 0.7F));
}

}  // namespace
}  // namespace sam2unet::model
