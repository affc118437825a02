// What is told of weight files as others leave them, and what a conversion leaves as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/weight_conversion.h"
#include "core/file.h"
#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/weights.h"
#include "support/changed_weights.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using formats::NamedTensor;
using formats::TensorFile;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Where the tensors lie in what `torch.save` wrote, and what lay beside them.
TEST(ForeignWeights, TheirWrapperAndWhatWasPassedOverAreTold) {
  namespace op = test::op;
  const test::TempDir dir;
  const std::string tensor = op::tensor(6, 0, {6}, {1});
  const std::string object =
      op::global("easydict", "EasyDict") + ")\x81(" + op::text("epochs") + "K\x14" + "u";
  const std::string zip =
      test::torch_zip(op::pickle(op::dict({{"state_dict", op::dict({{"w", tensor}})}, {"args", object}})),
                      std::string(24, '\0'));
  write_file(dir / "w.pth", std::string_view(zip));
  const WeightsInfo info = inspect_weights(dir / "w.pth");
  EXPECT_EQ(info.wrapper, "state_dict");
  EXPECT_THAT(info.passed_over, ElementsAre("easydict.EasyDict"));
  ASSERT_EQ(info.tensors.size(), 1u);
  EXPECT_EQ(info.tensors[0].name, "w");
}

class WeightFilesOfOthers : public testing::Test {
 protected:
  WeightFilesOfOthers() { test::write_tiny_weights(tiny); }
  test::TempDir dir;
  const fs::path tiny = dir / "tiny.safetensors";
};

TEST_F(WeightFilesOfOthers, SeveralNetworksAreOfNoUse) {
  const TensorFile file = TensorFile::open(tiny);
  std::vector<NamedTensor> both;
  for (const char* prefix : {"student.", "teacher."})
    for (const auto& t : file.tensors()) both.push_back({prefix + t.name, t.view});
  formats::write_safetensors(dir / "both.safetensors", both, file.metadata());
  EXPECT_EQ(inspect_weights(dir / "both.safetensors").usable_for,
            "nothing as it is: several networks in it (student., teacher.); save the one to use alone");
}

TEST_F(WeightFilesOfOthers, WhatAForkChangesIsTold) {
  auto config = test::tiny_config();
  config.out_channels = 3;
  config.decoder_width = 96;
  test::write_weights(dir / "fork.safetensors", config);
  const WeightsInfo info = inspect_weights(dir / "fork.safetensors");
  EXPECT_THAT(info.differences,
              ElementsAre("output channels 3 instead of 1", "decoder width 96 instead of 64"));
  EXPECT_EQ(info.out_channels, 3);
  EXPECT_EQ(info.config, config.to_json());
  EXPECT_THAT(inspect_weights(tiny).differences, IsEmpty());
}

// All of them by name, and the first with its place.
TEST_F(WeightFilesOfOthers, EveryTensorWithAWrongNumberIsNamed) {
  test::write_filled(tiny, dir / "nan.safetensors", "side", std::numeric_limits<float>::infinity());
  const WeightsInfo info = inspect_weights(dir / "nan.safetensors");
  std::vector<std::string> want;
  for (const auto& t : info.tensors)
    if (t.name.starts_with("side")) want.push_back(t.name);
  ASSERT_EQ(want.size(), 4u);
  EXPECT_EQ(info.not_finite, want);
  EXPECT_THAT(info.usable_for,
              testing::StartsWith("nothing as it is: tensor " + want[0] + " holds inf (element 0)"));
}

// What was measured is of a whole network: of a part nothing is said.
TEST_F(WeightFilesOfOthers, GatesOfAPartAreNone) {
  const TensorFile file = TensorFile::open(tiny);
  auto metadata = file.metadata();
  metadata[model::kGatesKey] = "{}";
  formats::write_safetensors(dir / "whole.safetensors", file.tensors(), metadata);
  EXPECT_THAT(inspect_weights(dir / "whole.safetensors").measured_problem,
              HasSubstr("\"version\" is missing"));
  std::vector<NamedTensor> task;
  for (const auto& t : file.tensors())
    if (model::part_of(t.name) != model::Part::trunk) task.push_back(t);
  formats::write_safetensors(dir / "task.safetensors", task, metadata);
  const WeightsInfo info = inspect_weights(dir / "task.safetensors");
  EXPECT_EQ(info.contents, "task-only SAM2-UNet");
  EXPECT_EQ(info.measured_problem, "");
}

// The middle element of each weight of the trunk, of 8 bits times the scale of its row. It stays with the
// file while there is no trunk.
TEST_F(WeightFilesOfOthers, ATaskFileKeepsASampleOfItsTrunk) {
  convert_weights(tiny, dir / "int8.safetensors", {.precision = WeightsPrecision::int8});
  for (const char* name : {"tiny.safetensors", "int8.safetensors"}) {
    convert_weights(dir / name, dir / "task.safetensors", {.task_only = true});
    const TensorFile whole = TensorFile::open(dir / name);
    std::vector<float> want;
    for (const auto& spec : model::tensor_table(test::tiny_config())) {
      if (spec.part != model::Part::trunk || spec.role != model::Role::weight) continue;
      std::vector<float> all;
      model::read_tensor(whole, spec.name, all);
      want.push_back(all[all.size() / 2]);
    }
    const std::string stored = TensorFile::open(dir / "task.safetensors").metadata().at("trunk_sample");
    EXPECT_EQ(nlohmann::json::parse(stored).get<std::vector<float>>(), want) << name;
    convert_weights(dir / "task.safetensors", dir / "half.safetensors", {.precision = WeightsPrecision::f16});
    EXPECT_EQ(TensorFile::open(dir / "half.safetensors").metadata().at("trunk_sample"), stored);
    convert_weights(dir / "task.safetensors", dir / "again.safetensors", {.task_only = true});
    EXPECT_EQ(TensorFile::open(dir / "again.safetensors").metadata().at("trunk_sample"), stored);
  }
}

// The weights that are measured lie beside the result meanwhile, whatever comes of it.
TEST_F(WeightFilesOfOthers, NothingIsLeftOfAMeasurement) {
  test::write_tiny_weights(tiny, false, {{"input_size", "32x32"}});
  fs::create_directories(dir / "pictures");
  const auto names = [&] {
    std::vector<std::string> out;
    for (const auto& e : fs::directory_iterator(dir.path())) out.push_back(e.path().filename().string());
    return out;
  };
  ConvertOptions options;
  options.measured = GateOptions{.pictures = dir / "pictures", .threads = 1};
  EXPECT_THROW(convert_weights(tiny, dir / "out.safetensors", options), FileError);  // no pictures
  EXPECT_THAT(names(), testing::UnorderedElementsAre("tiny.safetensors", "pictures"));
  write_png(dir / "pictures/a.png", test::picture(40, 30, 3));
  convert_weights(tiny, dir / "out.safetensors", options);
  EXPECT_THAT(names(), testing::UnorderedElementsAre("tiny.safetensors", "pictures", "out.safetensors"));
}

// One tensor of any type through `append_converted` and a file: its type there, and its numbers.
class ElementTypes : public testing::Test {
 protected:
  template <class T>
  std::pair<DType, std::vector<double>> converted(DType type, const std::vector<T>& values,
                                                  WeightsPrecision precision, bool is_weight = true) {
    const Shape shape{1, static_cast<std::int64_t>(values.size())};
    formats::write_safetensors(
        dir / "in.safetensors",
        {{"w", {reinterpret_cast<const std::byte*>(values.data()), type, shape, shape.dense_strides()}}}, {});
    const TensorFile in = TensorFile::open(dir / "in.safetensors");
    std::vector<formats::PendingTensor> out;
    api::append_converted({&in, "w", "v", is_weight}, precision, out);
    formats::write_safetensors(dir / "out.safetensors", out, {});
    const TensorFile file = TensorFile::open(dir / "out.safetensors");
    std::vector<double> numbers(values.size());
    copy_to(*file.find("v"), std::span<double>(numbers));
    EXPECT_EQ(file.find("v.scale") != nullptr, file.find("v")->dtype == DType::i8);
    return {file.find("v")->dtype, numbers};
  }
  test::TempDir dir;
};

TEST_F(ElementTypes, WhatCountsIsLeftAsItIs) {
  const std::vector<std::int64_t> large{(std::int64_t{1} << 40) + 1, -7};
  for (const auto precision : {WeightsPrecision::keep, WeightsPrecision::f32, WeightsPrecision::f16,
                               WeightsPrecision::bf16, WeightsPrecision::int8}) {
    for (const bool is_weight : {false, true})
      EXPECT_EQ(converted(DType::i64, large, precision, is_weight),
                (std::pair{DType::i64, std::vector<double>{1099511627777.0, -7.0}}));
    // Bytes without scales are numbers themselves.
    EXPECT_EQ(converted(DType::u8, std::vector<std::uint8_t>{3, 200}, precision),
              (std::pair{DType::u8, std::vector<double>{3, 200}}));
  }
}

TEST_F(ElementTypes, FloatsOfAnyWidthBecomeWhatIsAskedFor) {
  using Numbers = std::vector<double>;
  const std::vector<double> wide{0.1, -3.0};
  const std::vector<std::uint16_t> brain{0x3F80, 0xC040}, half{0x3C00, 0xC200};  // 1 and -3
  EXPECT_EQ(converted(DType::f64, wide, WeightsPrecision::keep), (std::pair{DType::f64, Numbers{0.1, -3.0}}));
  EXPECT_EQ(converted(DType::f64, wide, WeightsPrecision::f32),
            (std::pair{DType::f32, Numbers{static_cast<double>(0.1F), -3.0}}));
  EXPECT_EQ(converted(DType::f64, wide, WeightsPrecision::f16),
            (std::pair{DType::f16, Numbers{0.0999755859375, -3.0}}));
  EXPECT_EQ(converted(DType::f64, wide, WeightsPrecision::bf16),
            (std::pair{DType::bf16, Numbers{0.10009765625, -3.0}}));
  EXPECT_EQ(converted(DType::bf16, brain, WeightsPrecision::f32), (std::pair{DType::f32, Numbers{1, -3}}));
  EXPECT_EQ(converted(DType::bf16, brain, WeightsPrecision::f16), (std::pair{DType::f16, Numbers{1, -3}}));
  EXPECT_EQ(converted(DType::bf16, brain, WeightsPrecision::bf16), (std::pair{DType::bf16, Numbers{1, -3}}));
  EXPECT_EQ(converted(DType::f16, half, WeightsPrecision::bf16), (std::pair{DType::bf16, Numbers{1, -3}}));
  EXPECT_EQ(converted(DType::f16, half, WeightsPrecision::int8), (std::pair{DType::i8, Numbers{42, -127}}));
  EXPECT_EQ(converted(DType::f16, half, WeightsPrecision::int8, false),
            (std::pair{DType::f32, Numbers{1, -3}}));
}

// 65504 is the largest half; 65520 is the first number that would be rounded past it.
TEST_F(ElementTypes, HalvesEndWhereRoundingDoes) {
  using Values = std::vector<float>;
  EXPECT_EQ(converted(DType::f32, Values{65519.0F, -65519.0F}, WeightsPrecision::f16),
            (std::pair{DType::f16, std::vector<double>{65504, -65504}}));
  for (const float wrong : {65520.0F, -65520.0F})
    EXPECT_THAT(test::message_of<WeightsError>([&] {
                  converted(DType::f32, Values{1.0F, wrong}, WeightsPrecision::f16);
                }),
                HasSubstr("tensor v: " + std::string(wrong < 0 ? "-" : "") + "65520 does not fit into f16"));
}

// SAM2's own code looks for its weights under "model"; a bare trunk is a dict of tensors.
TEST_F(WeightFilesOfOthers, ABareTrunkIsNotWrapped) {
  const TensorFile file = TensorFile::open(default_model_path());
  model::Recognition named;
  named.trunk_prefix = "trunk.";
  std::vector<NamedTensor> trunk;
  for (const auto& t : file.tensors())
    if (model::part_of(t.name) == model::Part::trunk)
      trunk.push_back({model::stored_name(t.name, named), t.view});
  formats::write_safetensors(dir / "trunk.safetensors", trunk, {});
  convert_weights(dir / "trunk.safetensors", dir / "trunk.pt");
  const WeightsInfo info = inspect_weights(dir / "trunk.pt");
  EXPECT_EQ(info.wrapper, "");
  EXPECT_EQ(info.contents, "Hiera trunk");
}

}  // namespace
}  // namespace sam2unet
