// Conversion seen from the files: what becomes of values, names, metadata and of trunks that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "api/weight_conversion.h"
#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/weights.h"
#include "support/changed_weights.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using formats::NamedTensor;
using formats::TensorFile;
using test::message_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<float> values_of(const TensorFile& file, const std::string& name) {
  const TensorView* v = file.find(name);
  if (v == nullptr) return {};
  std::vector<float> out(static_cast<std::size_t>(v->numel()));
  copy_to(*v, std::span<float>(out));
  return out;
}

// Values of one weight [rows, n] through append_converted and a file.
class Elements : public testing::Test {
 protected:
  TensorFile convert(const std::vector<float>& values, const Shape& shape, WeightsPrecision precision,
                     bool is_weight = true) {
    formats::write_safetensors(
        dir_ / "in.safetensors",
        {{"w",
          {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, shape.dense_strides()}}},
        {});
    const TensorFile in = TensorFile::open(dir_ / "in.safetensors");
    std::vector<formats::PendingTensor> out;
    api::append_converted({&in, "w", "v", is_weight}, precision, out);
    formats::write_safetensors(dir_ / "out.safetensors", out, {});
    return TensorFile::open(dir_ / "out.safetensors");
  }
  test::TempDir dir_;
};

TEST_F(Elements, Int8IsTheNearestMultipleOfTheRowsScale) {
  // Row 0: scale 127/127 = 1; ties go to even. Row 1: scale 2/127. Row 2: nothing but zeros.
  const auto file =
      convert({127, -126.6F, 0.5F, 1.5F, 1, -2, 0.0079F, 0, 0, 0, 0, 0}, {3, 4}, WeightsPrecision::int8);
  EXPECT_EQ(file.find("v")->dtype, DType::i8);
  EXPECT_EQ(file.find("v")->shape, Shape({3, 4}));
  EXPECT_THAT(values_of(file, "v"), ElementsAre(127, -127, 0, 2, 64, -127, 1, 0, 0, 0, 0, 0));
  EXPECT_EQ(file.find("v.scale")->shape, Shape({3}));
  EXPECT_THAT(values_of(file, "v.scale"), ElementsAre(1.0F, 2.0F / 127.0F, 1.0F));
}

TEST_F(Elements, Int8LeavesWhatIsNoWeightInFloat32) {
  const auto file = convert({0.3F, 70000.0F}, {1, 2}, WeightsPrecision::int8, false);
  EXPECT_THAT(values_of(file, "v"), ElementsAre(0.3F, 70000.0F));
  EXPECT_EQ(file.find("v.scale"), nullptr);
}

TEST_F(Elements, HalfPrecisionsRoundToNearest) {
  // 1 + 2^-11 lies between two halves, 1 + 2^-8 between two bfloat16: both go to the even one, 1.
  EXPECT_THAT(values_of(convert({1.00048828125F, 65504}, {2}, WeightsPrecision::f16), "v"),
              ElementsAre(1, 65504));
  EXPECT_THAT(values_of(convert({1.00390625F, 1e30F}, {2}, WeightsPrecision::bf16), "v"),
              ElementsAre(1, testing::FloatNear(1e30F, 4e27F)));
}

TEST_F(Elements, ValuesThatDoNotFitAreNamed) {
  EXPECT_THAT(message_of<WeightsError>([&] {
                convert({1, 70000}, {2}, WeightsPrecision::f16);
              }),
              testing::EndsWith("in.safetensors: tensor v: 70000 does not fit into f16; use bf16 or f32"));
  EXPECT_FALSE(fs::exists(dir_ / "out.safetensors"));
  const float infinity = std::numeric_limits<float>::infinity();
  // f16 has one too, but no weight is infinite.
  EXPECT_THAT(message_of<WeightsError>([&] { convert({infinity}, {1}, WeightsPrecision::f16); }),
              HasSubstr("tensor w holds inf"));
  EXPECT_THAT(message_of<WeightsError>([&] {
                convert({1, infinity}, {1, 2}, WeightsPrecision::int8);
              }),
              HasSubstr("finite"));
  EXPECT_THAT(message_of<WeightsError>([&] {
                convert({1, std::nanf("")}, {1, 2}, WeightsPrecision::int8);
              }),
              HasSubstr("finite"));
}

// A file with some of another's tensors, renamed.
using Rename = std::function<std::string(const std::string&)>;
void rewrite(const fs::path& from, const fs::path& to, const Rename& rename,
             const std::vector<NamedTensor>& more = {}) {
  const TensorFile file = TensorFile::open(from);
  std::vector<NamedTensor> out = more;
  for (const auto& [name, view] : file.tensors()) {
    if (const std::string n = rename(name); !n.empty()) out.push_back({n, view});
  }
  formats::write_safetensors(to, out, {});
}

// SAM2's names of the trunk's tensors (image_encoder.trunk.blocks.0.attn...), "" for all others.
std::string sam2_name(const std::string& name) {
  model::Recognition r;
  r.trunk_prefix = "image_encoder.trunk.";
  return model::part_of(name) == model::Part::trunk ? model::stored_name(name, r) : "";
}

class Files : public testing::Test {
 protected:
  Files() { test::write_tiny_weights(tiny_); }
  const std::vector<float> ones_ = std::vector<float>(64, 1.0F);
  NamedTensor stranger(const std::string& name) const {
    return {name, {reinterpret_cast<const std::byte*>(ones_.data()), DType::f32, {1, 64}, {64, 1}}};
  }
  test::TempDir dir_;
  const fs::path tiny_ = dir_ / "tiny.safetensors";
};

TEST_F(Files, Sam2AndSam21AreNamedAndKeptWhole) {
  rewrite(default_model_path(), dir_ / "sam2.safetensors", sam2_name, {stranger("maskmem_tpos_enc")});
  rewrite(default_model_path(), dir_ / "sam21.safetensors", sam2_name, {stranger("no_obj_embed_spatial")});
  const auto sam2 = inspect_weights(dir_ / "sam2.safetensors");
  EXPECT_EQ(sam2.contents, "SAM2 trunk");
  EXPECT_EQ(sam2.variant, "t");
  EXPECT_EQ(sam2.parts.at("other"), 64);
  EXPECT_EQ(sam2.parameters, sam2.parts.at("trunk") + 64);
  EXPECT_THAT(sam2.missing, Contains("head.weight [1, 64, 1, 1]"));
  EXPECT_THAT(sam2.usable_for, HasSubstr("not for predict"));
  EXPECT_EQ(inspect_weights(dir_ / "sam21.safetensors").contents, "SAM2.1 trunk");
  EXPECT_THAT(convert_weights(dir_ / "sam21.safetensors", dir_ / "sam21.pt"), IsEmpty());
  const auto converted = inspect_weights(dir_ / "sam21.pt");
  EXPECT_EQ(converted.contents, "SAM2.1 trunk");
  // SAM2's own code reads torch.load(...)["model"].
  EXPECT_EQ(TensorFile::open(dir_ / "sam21.pt").wrapper(), "model");
  EXPECT_EQ(converted.parts.at("other"), 64);
  EXPECT_EQ(converted.dtypes.count("int8"), 0u);  // a .pt has no place for scales
}

TEST_F(Files, ATaskFileTakesOnlyTheTrunkItWasTrainedOn) {
  const fs::path whole = default_model_path(), task = dir_ / "task.safetensors",
                 sam2 = dir_ / "sam2.safetensors";
  convert_weights(whole, task, {.task_only = true});
  rewrite(whole, sam2, sam2_name);
  ConvertOptions join;
  join.trunk = sam2;
  convert_weights(task, dir_ / "joined.safetensors", join);
  const TensorFile a = TensorFile::open(whole), b = TensorFile::open(dir_ / "joined.safetensors");
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const auto& t : a.tensors()) EXPECT_EQ(values_of(a, t.name), values_of(b, t.name)) << t.name;
  EXPECT_EQ(b.metadata().count("trunk_sample"), 0u);

  // Rounding the trunk does not make it another one.
  convert_weights(sam2, dir_ / "bf16.pt", {.precision = WeightsPrecision::bf16});
  join.trunk = dir_ / "bf16.pt";
  EXPECT_NO_THROW(convert_weights(task, dir_ / "x.pth", join));

  // Another trunk of the same shapes: the rows of each weight in the other order.
  const TensorFile file = TensorFile::open(sam2);
  std::vector<NamedTensor> other;
  for (const auto& [name, view] : file.tensors()) {
    TensorView v = view;
    if (v.dtype == DType::i8) {  // backwards along the rows: still within the tensor
      v.data += (v.shape[0] - 1) * v.strides[0];
      v.strides[0] = -v.strides[0];
    }
    other.push_back({name, v});
  }
  formats::write_safetensors(dir_ / "other.safetensors", other, {});
  join.trunk = dir_ / "other.safetensors";
  EXPECT_THAT(message_of<WeightsError>([&] { convert_weights(task, dir_ / "y.pth", join); }),
              HasSubstr("not the trunk"));
  EXPECT_FALSE(fs::exists(dir_ / "y.pth"));
  join.trunk = tiny_;
  EXPECT_THAT(message_of<WeightsError>([&] { convert_weights(task, dir_ / "y.pth", join); }),
              HasSubstr("its trunk is custom"));
  join.trunk = task;
  EXPECT_NE(message_of<WeightsError>([&] { convert_weights(task, dir_ / "y.pth", join); }), "");
}

TEST_F(Files, MetadataGoesAlongAndStrangersStay) {
  const TensorFile tiny = TensorFile::open(tiny_);
  auto tensors = tiny.tensors();
  tensors.push_back(stranger("total_ops"));
  tensors.push_back(stranger("aux.weight"));
  formats::write_safetensors(dir_ / "in.safetensors", tensors,
                             {{"config", test::tiny_config().to_json()}, {"trained_on", "something"}});
  const auto before = inspect_weights(dir_ / "in.safetensors");
  EXPECT_THAT(before.unexpected, ElementsAre("aux.weight"));
  EXPECT_THAT(before.left_out, ElementsAre("total_ops"));
  EXPECT_THAT(before.usable_for, testing::AllOf(HasSubstr("nothing as it is"), HasSubstr("aux.weight")));
  EXPECT_THROW(Segmenter s(dir_ / "in.safetensors"), WeightsError);
  EXPECT_THAT(convert_weights(dir_ / "in.safetensors", dir_ / "out.safetensors"),
              ElementsAre(HasSubstr("total_ops"), HasSubstr("aux.weight")));
  const auto info = inspect_weights(dir_ / "out.safetensors");
  EXPECT_EQ(info.metadata.at("trained_on"), "something");
  EXPECT_EQ(info.variant, "custom");
  EXPECT_EQ(info.contents, "full SAM2-UNet");
  EXPECT_THAT(info.unexpected, IsEmpty());
}

TEST_F(Files, ACustomNetworkIsNotRecognisedFromAPyTorchFile) {
  EXPECT_THAT(convert_weights(tiny_, dir_ / "out.pth"),
              ElementsAre(HasSubstr("configuration of a custom network")));
  EXPECT_EQ(inspect_weights(dir_ / "out.pth").contents, "incomplete SAM2-UNet");
}

TEST_F(Files, NoInputIsOverwritten) {
  ConvertOptions join;
  join.trunk = tiny_;
  convert_weights(tiny_, dir_ / "task.safetensors", {.task_only = true});
  EXPECT_THROW(convert_weights(dir_ / "task.safetensors", tiny_, join), UsageError);
  EXPECT_EQ(inspect_weights(tiny_).contents, "full SAM2-UNet");
}

// A sound network but for one number, through every way that reads it.
TEST(WrongNumbers, AreRefusedByEveryReaderAndTold) {
  const test::TempDir dir;
  test::write_tiny_weights(dir / "sound.safetensors");
  EXPECT_THAT(inspect_weights(dir / "sound.safetensors").not_finite, IsEmpty());
  test::write_filled(dir / "sound.safetensors", dir / "nan.safetensors", "side1.weight",
                     std::numeric_limits<float>::quiet_NaN());
  const auto named = HasSubstr("side1.weight holds nan");
  EXPECT_THAT(message_of<WeightsError>([&] { Segmenter s(dir / "nan.safetensors"); }), named);
  for (const auto precision : {WeightsPrecision::keep, WeightsPrecision::f16, WeightsPrecision::f32}) {
    EXPECT_THAT(message_of<WeightsError>([&] {
                  convert_weights(dir / "nan.safetensors", dir / "out.safetensors", {.precision = precision});
                }),
                named);
    EXPECT_FALSE(fs::exists(dir / "out.safetensors"));
  }
  const auto info = inspect_weights(dir / "nan.safetensors");
  EXPECT_THAT(info.not_finite, ElementsAre("side1.weight"));
  EXPECT_THAT(info.usable_for, testing::AllOf(HasSubstr("nothing as it is"), named));
}

// BatchNorm takes a variance's root.
TEST(WrongNumbers, AVarianceIsNotNegative) {
  const test::TempDir dir;
  test::write_tiny_weights(dir / "sound.safetensors");
  for (const char* kind : {"running_var", "running_mean"}) {
    const std::string name = std::string("rfb1.branch0.0.bn.") + kind;
    ASSERT_NE(TensorFile::open(dir / "sound.safetensors").find(name), nullptr);
    test::write_filled(dir / "sound.safetensors", dir / "changed.safetensors", name, -0.5F);
    const auto open = [&] { Segmenter s(dir / "changed.safetensors"); };
    if (kind == std::string_view("running_mean")) {
      EXPECT_NO_THROW(open());
    } else {
      EXPECT_THAT(message_of<WeightsError>(open),
                  HasSubstr(name + " holds -0.5 (element 0), a negative variance"));
    }
  }
}

// Finite weights whose products are not: the result is an error, not a map of zeros.
TEST(WrongNumbers, AResultThatIsNoneIsRefused) {
  const test::TempDir dir;
  test::write_tiny_weights(dir / "sound.safetensors");
  test::write_filled(dir / "sound.safetensors", dir / "large.safetensors", "head.weight", 3e38F);
  const Segmenter segmenter(dir / "large.safetensors");
  Image picture(32, 32, 3);
  for (std::size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<std::uint8_t>(i);
  EXPECT_THAT(message_of<WeightsError>([&] { segmenter.segment(picture, {.size = InputSize::square(64)}); }),
              HasSubstr("NaN or infinity"));
  Segmentation filled;
  filled.width = 3;
  filled.height = 1;
  filled.probabilities = {std::numeric_limits<float>::quiet_NaN(), 1.0F,
                          std::numeric_limits<float>::infinity()};
  EXPECT_THAT(filled.to_gray().pixels, ElementsAre(0, 255, 255));
}

}  // namespace
}  // namespace sam2unet
