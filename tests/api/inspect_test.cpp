// What is told of weight files, and what is said where they cannot be converted or verified.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/verify.h"
#include "sam2unet/weights.h"
#include "support/message.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using formats::NamedTensor;
using formats::TensorFile;
using test::message_of;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using Json = nlohmann::json;
// Name, error, tolerance and unit of each check.
using Told = std::vector<std::tuple<std::string, double, double, std::string>>;

Told told_by_verify(const fs::path& folder, const VerifyOptions& options) {
  Told out;
  bool ok = true;
  const bool all = verify(folder, options, [&](const VerifyCheck& c) {
    out.emplace_back(c.name, c.error, c.tolerance, c.unit);
    ok = ok && c.ok();
  });
  EXPECT_EQ(all, ok);
  return out;
}

class WeightFiles : public testing::Test {
 protected:
  WeightFiles() { test::write_tiny_weights(tiny_); }
  std::string refusal(const fs::path& in, const std::string& out, const ConvertOptions& options = {}) {
    const std::string usage = message_of<UsageError>([&] {
      try {
        convert_weights(in, dir_ / out, options);
      } catch (const UsageError&) {
        throw;
      } catch (const Error& e) {
        throw UsageError(e.what());
      }
    });
    EXPECT_FALSE(fs::exists(dir_ / out)) << out;
    return usage;
  }
  // The tiny network's file without some tensors.
  template <class Keep>
  fs::path part(const std::string& name, const Keep& keep, std::map<std::string, std::string> metadata = {}) {
    const TensorFile file = TensorFile::open(tiny_);
    std::vector<NamedTensor> tensors;
    for (const auto& t : file.tensors())
      if (keep(t.name)) tensors.push_back(t);
    metadata["config"] = test::tiny_config().to_json();
    formats::write_safetensors(dir_ / name, tensors, metadata);
    return dir_ / name;
  }
  test::TempDir dir_;
  const fs::path tiny_ = dir_ / "tiny.safetensors";
};

bool is_trunk(const std::string& name) {
  return model::part_of(name) == model::Part::trunk;
}

TEST_F(WeightFiles, WhatEachIsGoodFor) {
  EXPECT_EQ(inspect_weights(tiny_).usable_for, "predict, eval, verify, convert; a start for training");
  const auto trunk = inspect_weights(part("trunk.safetensors", is_trunk));
  EXPECT_EQ(trunk.usable_for,
            "a start for training, or the trunk that convert completes a task-only file with; not for "
            "predict: adapters, "
            "RFB, decoder and heads are missing");
  EXPECT_EQ(trunk.contents, "Hiera trunk");
  EXPECT_EQ(trunk.out_channels, 0);
  EXPECT_THAT(trunk.differences, IsEmpty());
  const auto task = inspect_weights(part("task.safetensors", [](const auto& n) { return !is_trunk(n); }));
  EXPECT_EQ(
      task.usable_for,
      "convert, which makes a full SAM2-UNet of it and a SAM2 trunk; not for predict: the trunk is missing");
  EXPECT_EQ(task.contents, "task-only SAM2-UNet");
  EXPECT_EQ(task.out_channels, 1);
  EXPECT_THAT(
      inspect_weights(part("less.safetensors", [](const auto& n) { return n != "head.bias"; })).usable_for,
      testing::AllOf(testing::StartsWith("nothing as it is: "), HasSubstr("head.bias [1]")));
  const auto other =
      inspect_weights(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors");
  EXPECT_EQ(other.usable_for, "nothing here: it holds no SAM2-UNet and no SAM2 trunk");
  EXPECT_EQ(other.variant, "");
  EXPECT_EQ(other.config, "");
}

// Counted by hand from the table of tensors: buffers are no parameters.
TEST_F(WeightFiles, ParametersAreCountedByTheirPart) {
  const auto info = inspect_weights(tiny_);
  std::map<std::string, std::int64_t> parts;
  std::int64_t all = 0;
  const TensorFile file = TensorFile::open(tiny_);
  for (const auto& t : file.tensors()) {
    if (t.name.find("running_") != std::string::npos || t.name.ends_with("num_batches_tracked")) continue;
    const std::string part = t.name.find("prompt_learn") != std::string::npos ? "adapters"
                             : t.name.starts_with("encoder.")                 ? "trunk"
                             : t.name.starts_with("rfb")                      ? "RFB"
                             : t.name.starts_with("up4")                      ? "unused up4"
                             : t.name.starts_with("up")                       ? "decoder"
                                                                              : "heads";
    parts[part] += t.view.numel();
    all += t.view.numel();
  }
  EXPECT_EQ(info.parts, parts);
  EXPECT_EQ(info.parameters, all);
  EXPECT_EQ(info.trainable, all - parts["trunk"] - parts["unused up4"]);
  EXPECT_EQ(info.file_size, fs::file_size(tiny_));
  EXPECT_EQ(info.format, "safetensors");
  EXPECT_EQ(info.dtypes, (std::map<std::string, std::int64_t>{{"f32", info.tensors.size()}}));
}

TEST_F(WeightFiles, StrangersAreCountedWhereTheyAreNumbers) {
  const std::vector<std::int64_t> bytes(8, 0);
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  const TensorFile file = TensorFile::open(tiny_);
  std::vector<NamedTensor> tensors = file.tensors();
  const auto add = [&](const char* name, DType d) { tensors.push_back({name, {data, d, {2}, {1}}}); };
  add("s.f64", DType::f64);
  add("s.f16", DType::f16);
  add("s.bf16", DType::bf16);
  add("s.int8", DType::i8);
  add("s.i64", DType::i64);
  add("s.i32", DType::i32);
  add("s.bool", DType::boolean);
  add("s.int8.scale", DType::f32);
  formats::write_safetensors(dir_ / "more.safetensors", tensors, file.metadata());
  EXPECT_EQ(inspect_weights(dir_ / "more.safetensors").parts.at("other"), 8);
}

// Scripts read these keys.
TEST_F(WeightFiles, TheJsonHasEveryMember) {
  const auto info = inspect_weights(tiny_);
  const Json j = Json::parse(to_json(info));
  std::set<std::string> keys;
  for (const auto& [key, value] : j.items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"format",       "contents",         "variant",
                                         "usable_for",   "file_size",        "parameters",
                                         "trainable",    "dtypes",           "parts",
                                         "out_channels", "differences",      "metadata",
                                         "wrapper",      "missing",          "misshapen",
                                         "unexpected",   "left_out",         "passed_over",
                                         "not_finite",   "measured",         "measured_pictures",
                                         "kept_in_bf16", "measured_problem", "tensors",
                                         "config"}));
  EXPECT_EQ(j.at("variant"), "custom");
  EXPECT_EQ(j.at("trainable"), info.trainable);
  EXPECT_EQ(j.at("parameters"), info.parameters);
  EXPECT_EQ(j.at("config"), Json::parse(test::tiny_config().to_json()));
  EXPECT_EQ(j.at("tensors")[0],
            (Json{{"name", "encoder.patch_embed.proj.weight"}, {"dtype", "f32"}, {"shape", {16, 3, 7, 7}}}));
  WeightsInfo told;
  told.measured = {{"bf16", 0.0001, 0.0005}, {"int8", 0.002, 0.0015}};
  told.measured_pictures = 7;
  told.kept_in_bf16 = {"up1"};
  const Json m = Json::parse(to_json(told));
  EXPECT_EQ(m.at("measured"),
            Json::parse(R"([{"precision":"bf16","change":0.0001,"limit":0.0005,"passed":true},
                                              {"precision":"int8","change":0.002,"limit":0.0015,"passed":false}])"));
  EXPECT_EQ(m.at("measured_pictures"), 7);
  EXPECT_EQ(m.at("kept_in_bf16"), Json{"up1"});
  EXPECT_TRUE(m.at("config").is_null());
  EXPECT_TRUE((MeasuredPrecision{"int8", 0.0015, 0.0015}.passed()));
}

// Each under its own name.
TEST(Weights, NoMemberStandsForAnotherInTheJson) {
  WeightsInfo i;
  i.format = "a";
  i.contents = "b";
  i.variant = "c";
  i.usable_for = "d";
  i.out_channels = 1;
  i.differences = {"e"};
  i.config = R"({"f": 2})";
  i.wrapper = "g";
  i.file_size = 3;
  i.parameters = 4;
  i.trainable = 5;
  i.dtypes = {{"h", 6}};
  i.parts = {{"i", 7}};
  i.metadata = {{"j", "k"}};
  i.tensors = {{"l", "m", {8, 9}}};
  i.missing = {"n"};
  i.misshapen = {"o"};
  i.unexpected = {"p"};
  i.left_out = {"q"};
  i.passed_over = {"r"};
  i.not_finite = {"s"};
  i.measured_pictures = 10;
  i.kept_in_bf16 = {"t"};
  i.measured_problem = "u";
  EXPECT_EQ(Json::parse(to_json(i)), Json::parse(R"({
    "format": "a", "contents": "b", "variant": "c", "usable_for": "d", "out_channels": 1, "differences": ["e"],
    "config": {"f": 2}, "wrapper": "g", "file_size": 3, "parameters": 4, "trainable": 5, "dtypes": {"h": 6},
    "parts": {"i": 7}, "metadata": {"j": "k"}, "tensors": [{"name": "l", "dtype": "m", "shape": [8, 9]}],
    "missing": ["n"], "misshapen": ["o"], "unexpected": ["p"], "left_out": ["q"], "passed_over": ["r"],
    "not_finite": ["s"], "measured": [], "measured_pictures": 10, "kept_in_bf16": ["t"], "measured_problem": "u"
  })"));
}

TEST_F(WeightFiles, PrecisionsAreStoredAsAsked) {
  const auto types = [&](WeightsPrecision p, const std::string& name) {
    convert_weights(tiny_, dir_ / name, {.precision = p});
    std::set<std::string> out;
    for (const auto& [type, n] : inspect_weights(dir_ / name).dtypes) out.insert(type);
    return out;
  };
  using S = std::set<std::string>;
  EXPECT_EQ(types(WeightsPrecision::f16, "f16.safetensors"), (S{"f16"}));
  EXPECT_EQ(types(WeightsPrecision::bf16, "bf16.pt"), (S{"bf16"}));
  EXPECT_EQ(types(WeightsPrecision::int8, "int8.safetensors"), (S{"f32", "int8"}));
  EXPECT_EQ(types(WeightsPrecision::keep, "keep.pth"), (S{"f32"}));
  // An int8 file only stays one where its scales can go along.
  convert_weights(dir_ / "int8.safetensors", dir_ / "from8.pth");
  EXPECT_EQ(inspect_weights(dir_ / "from8.pth").dtypes.count("int8"), 0u);
  EXPECT_GT(inspect_weights(dir_ / "from8.pth").dtypes.at("f16"), 100);
  convert_weights(dir_ / "int8.safetensors", dir_ / "kept8.safetensors");
  EXPECT_EQ(inspect_weights(dir_ / "kept8.safetensors").dtypes,
            inspect_weights(dir_ / "int8.safetensors").dtypes);
  const auto metadata = inspect_weights(dir_ / "f16.safetensors").metadata;
  EXPECT_EQ(metadata.at("config"), test::tiny_config().to_json());
  EXPECT_EQ(metadata.at("variant"), "custom");
  EXPECT_EQ(metadata.at("format"), "pt");
  EXPECT_EQ(metadata.size(), 3u);
}

TEST_F(WeightFiles, WhatCannotBeConvertedIsSaid) {
  const auto trunk = part("trunk.safetensors", is_trunk);
  const auto task = part("task.safetensors", [](const auto& n) { return !is_trunk(n); });
  ConvertOptions join;
  join.trunk = trunk;
  const ConvertOptions only{.task_only = true};
  ConvertOptions both = join;
  both.task_only = true;
  EXPECT_THAT(refusal(tiny_, "x.PTH"),
              EndsWith("x.PTH: the extension decides the format; use .safetensors, .pth or .pt"));
  EXPECT_EQ(refusal(tiny_, "x.pth", {.precision = WeightsPrecision::int8}),
            "int8 weights carry scales, which only .safetensors files of ours hold; use another precision "
            "for .pth");
  EXPECT_THAT(message_of<UsageError>([&] { convert_weights(tiny_, tiny_); }),
              EndsWith("tiny.safetensors: input and output are one file; choose another name"));
  EXPECT_THAT(message_of<UsageError>([&] { convert_weights(task, trunk, join); }),
              EndsWith("trunk.safetensors: input and output are one file; choose another name"));
  EXPECT_THAT(refusal(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors", "x.pth"),
              EndsWith(": holds no SAM2-UNet and no SAM2 trunk of a known variant; nothing to convert"));
  EXPECT_THAT(
      refusal(part("less.safetensors", [](const auto& n) { return !n.starts_with("head."); }), "x.pth"),
      EndsWith("less.safetensors: 2 tensors are missing, the first is head.weight [1, 64, 1, 1]"));
  EXPECT_EQ(refusal(tiny_, "x.pth", both),
            "a task-only file has no trunk: it cannot be asked for together with one");
  EXPECT_THAT(
      refusal(trunk, "x.pth", only),
      EndsWith("a SAM2 trunk has no adapters, RFB, decoder or heads that a task-only file could keep"));
  EXPECT_THAT(refusal(trunk, "x.pth", join), EndsWith("is a trunk itself; one completes a task-only file"));
  join.trunk = task;
  EXPECT_THAT(refusal(task, "x.pth", join), HasSubstr("its trunk is custom, but "));
  join.trunk = test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors";
  EXPECT_THAT(refusal(task, "x.pth", join), HasSubstr("its trunk is of no known variant, but "));
}

TEST_F(WeightFiles, WhatAPyTorchFileCannotCarryIsNoted) {
  const auto custom = HasSubstr("a PyTorch file cannot carry the configuration of a custom network");
  EXPECT_THAT(convert_weights(tiny_, dir_ / "a.pth"), ElementsAre(custom));
  EXPECT_THAT(convert_weights(tiny_, dir_ / "a.safetensors"), IsEmpty());
  EXPECT_THAT(
      convert_weights(tiny_, dir_ / "task.pth", {.task_only = true}),
      ElementsAre(custom,
                  "a PyTorch file cannot carry the sample of its trunk by which a wrong one is refused; a "
                  ".safetensors does"));
  test::write_tiny_weights(dir_ / "boxed.safetensors", false, {{model::kFitKey, "letterbox"}});
  EXPECT_THAT(
      convert_weights(dir_ / "boxed.safetensors", dir_ / "b.pth"),
      ElementsAre(custom,
                  "a PyTorch file cannot say that pictures were letterboxed in training, which predict then "
                  "needs to be told; a .safetensors does"));
  auto config = test::tiny_config();
  config.out_channels = 2;
  test::write_weights(dir_ / "two.safetensors", config);
  EXPECT_THAT(
      convert_weights(dir_ / "two.safetensors", dir_ / "c.pt"),
      ElementsAre(custom, "a PyTorch file cannot carry the classes' names and colours; a .safetensors does"));
  const TensorFile file = TensorFile::open(tiny_);
  std::vector<NamedTensor> more = file.tensors();
  more.push_back({"aux", more[0].view});
  more.push_back({"aux2", more[0].view});
  formats::write_safetensors(dir_ / "more.safetensors", more, file.metadata());
  EXPECT_THAT(convert_weights(dir_ / "more.safetensors", dir_ / "d.safetensors"),
              ElementsAre("2 tensors that belong to no SAM2-UNet were left out, the first is aux"));
}

// The trunk's sample as a direction: cosines of 0.9917 and 0.9889 to the one that was stored.
TEST_F(WeightFiles, ATrunkIsAnotherFromACosineOf099) {
  convert_weights(tiny_, dir_ / "task.safetensors", {.task_only = true});
  const TensorFile task = TensorFile::open(dir_ / "task.safetensors");
  const auto sample = Json::parse(task.metadata().at("trunk_sample")).get<std::vector<double>>();
  ASSERT_GT(sample.size(), 10u);
  // At right angles to it and as long: pairs of neighbours turned by a quarter.
  std::vector<double> across(sample.size(), 0.0);
  double length = 0.0, own = 0.0;
  for (std::size_t i = 0; i + 1 < sample.size(); i += 2) {
    across[i] = -sample[i + 1];
    across[i + 1] = sample[i];
  }
  for (std::size_t i = 0; i < sample.size(); ++i) {
    length += across[i] * across[i];
    own += sample[i] * sample[i];
  }
  const auto join_with = [&](const std::string& stored) {
    auto metadata = task.metadata();
    metadata["trunk_sample"] = stored;
    formats::write_safetensors(dir_ / "turned.safetensors", task.tensors(), metadata);
    ConvertOptions join;
    join.trunk = tiny_;
    const std::string said = message_of<Error>(
        [&] { convert_weights(dir_ / "turned.safetensors", dir_ / "j.safetensors", join); });
    fs::remove(dir_ / "j.safetensors");
    return said;
  };
  const auto turned = [&](double by) {
    std::vector<double> v = sample;
    for (std::size_t i = 0; i < v.size(); ++i) v[i] += by * across[i] * std::sqrt(own / length);
    return Json(v).dump();
  };
  EXPECT_EQ(join_with(turned(0.13)), "");
  EXPECT_THAT(join_with(turned(0.15)), HasSubstr("not the trunk that the task-only file was trained on"));
  // As far as they go these are the same direction, but of another network's length.
  std::vector<double> fewer = sample, more = sample;
  fewer.pop_back();
  more.push_back(0.5);
  for (const auto& other : {std::vector<double>(), fewer, more})
    EXPECT_THAT(join_with(Json(other).dump()), HasSubstr("not the trunk")) << other.size();
  EXPECT_EQ(join_with("\"x\""), "metadata \"trunk_sample\" is not a list of numbers");
}

// What is measured is told as it goes, stored, and of these weights alone.
TEST_F(WeightFiles, MeasuredPrecisionsAreToldAndStored) {
  test::write_tiny_weights(tiny_, false, {{"input_size", "32x32"}});
  fs::create_directories(dir_ / "pictures");
  for (const char* name : {"a.png", "b.png", "c.png"}) {
    Image picture(40, 30, 3);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i)
      picture.pixels[i] = static_cast<std::uint8_t>(i * name[0] / 7);
    write_png(dir_ / "pictures" / name, picture);
  }
  std::vector<std::tuple<std::string, std::size_t, std::size_t>> steps;
  ConvertOptions options;
  options.measured = GateOptions{.pictures = dir_ / "pictures", .threads = 1};
  options.measured->progress = [&](const std::string& what, std::size_t done, std::size_t total) {
    steps.emplace_back(what, done, total);
  };
  EXPECT_THAT(convert_weights(tiny_, dir_ / "gated.safetensors", options), IsEmpty());
  const std::string what = "pictures in f32, bf16 and int8";
  EXPECT_THAT(steps, ElementsAre(std::tuple(what, 1, 3), std::tuple(what, 2, 3), std::tuple(what, 3, 3)));
  const auto info = inspect_weights(dir_ / "gated.safetensors");
  EXPECT_EQ(info.measured_problem, "");
  EXPECT_EQ(info.measured_pictures, 3);
  EXPECT_THAT(info.kept_in_bf16, IsEmpty());
  ASSERT_EQ(info.measured.size(), 2u);
  EXPECT_EQ(info.measured[0].precision, "bf16");
  EXPECT_EQ(info.measured[0].limit, 0.0005);
  EXPECT_EQ(info.measured[1].precision, "int8");
  EXPECT_EQ(info.measured[1].limit, 0.0015);
  for (const auto& m : info.measured) EXPECT_GT(m.change, 0.0) << m.precision;
  EXPECT_EQ(info.metadata.at("input_size"), "32x32");
  // Of other weights they say nothing.
  const TensorFile gated = TensorFile::open(dir_ / "gated.safetensors");
  const std::vector<float> other(64, 0.25F);
  std::vector<NamedTensor> tensors = gated.tensors();
  for (auto& t : tensors)
    if (t.name == "head.weight") t.view.data = reinterpret_cast<const std::byte*>(other.data());
  formats::write_safetensors(dir_ / "other.safetensors", tensors, gated.metadata());
  const auto changed = inspect_weights(dir_ / "other.safetensors");
  EXPECT_THAT(changed.measured, IsEmpty());
  EXPECT_EQ(changed.measured_problem, "the precision gates in it were measured of other weights");
}

TEST_F(WeightFiles, WhatIsNoGoldenFileIsSaid) {
  const auto says = [&](const std::map<std::string, std::string>& metadata,
                        const std::vector<NamedTensor>& tensors) {
    formats::write_safetensors(dir_ / "g.safetensors", tensors, metadata);
    return message_of<FormatError>([&] { verify(dir_ / "g.safetensors", {}, [](const VerifyCheck&) {}); });
  };
  const std::vector<float> zeros(65 * 32 * 32, 0.0F);
  const auto out = [&](const Shape& shape, const char* name = "out") {
    return NamedTensor{
        name, {reinterpret_cast<const std::byte*>(zeros.data()), DType::f32, shape, shape.dense_strides()}};
  };
  const std::map<std::string, std::string> tiny{{"config", test::tiny_config().to_json()}, {"input", "x"}};
  EXPECT_THAT(says({}, {out({1, 1, 32, 32})}),
              EndsWith("g.safetensors: no metadata 'config'; not a golden file"));
  EXPECT_THAT(says({{"config", test::tiny_config().to_json()}}, {out({1, 1, 32, 32})}),
              EndsWith("g.safetensors: no metadata 'input'; not a golden file"));
  const auto shapeless = EndsWith("no tensor 'out' of shape [B,1,H,W]; not a golden file");
  EXPECT_THAT(says(tiny, {out({1, 1, 32, 32}, "in")}), shapeless);
  for (const Shape& shape : {Shape{1, 32, 32}, Shape{1, 1, 32}, Shape{1, 1, 32, 32, 1}})
    EXPECT_THAT(says(tiny, {out(shape)}), shapeless) << shape.rank();
  EXPECT_THAT(says(tiny, {out({1, 2, 16, 32})}), shapeless);
  EXPECT_THAT(says(tiny, {out({65, 1, 32, 32})}), EndsWith("a batch of 65 is not in 1..64"));
  EXPECT_THAT(says(tiny, {out({1, 1, 32, 32}), out({1}, "odd")}), EndsWith("unexpected tensor 'odd'"));
  auto strided = tiny;
  strided["feature_stride"] = "channel 0, row 1, column 1";
  EXPECT_THAT(says(strided, {out({1, 1, 32, 32})}),
              EndsWith("metadata feature_stride 'channel 0, row 1, column 1' is not 'channel C, row R, "
                       "column S' of 1 to 65536"));
  strided["feature_stride"] = "channel 1, row 65537, column 1";
  EXPECT_THAT(says(strided, {out({1, 1, 32, 32})}), HasSubstr("of 1 to 65536"));
}

TEST_F(WeightFiles, WhatVerifyNeedsOfAFolder) {
  const auto says = [&](const VerifyOptions& options) {
    return message_of<Error>([&] { verify(dir_ / "folder", options, [](const VerifyCheck&) {}); });
  };
  fs::create_directories(dir_ / "folder");
  EXPECT_THAT(says({}),
              EndsWith("a folder of pictures needs the weights they were predicted with; name their file"));
  test::write_tiny_weights(tiny_, false, {{"input_size", "32x32"}});
  VerifyOptions options;
  options.weights = tiny_;
  EXPECT_THAT(says(options),
              EndsWith("no folder image/ in it; expected image/ and any of resized/, pred/, mask/, "
                       "mask_resized/, logits.safetensors"));
  fs::create_directories(dir_ / "folder" / "image");
  EXPECT_THAT(says(options), EndsWith("folder/image: holds no pictures to verify"));
  write_png(dir_ / "folder" / "image" / "a.png", Image(9, 7, 3));
  EXPECT_THAT(says(options),
              EndsWith("nothing to compare the pictures with; expected any of resized/, pred/, mask_resized/ "
                       "with PNGs of their names, or logits.safetensors"));
}

// Predictions beside the pictures: within a grey level, and in all no more than so many pixels.
TEST_F(WeightFiles, PredictionsAreComparedPixelByPixel) {
  const fs::path folder = dir_ / "folder";
  fs::create_directories(folder / "image");
  fs::create_directories(folder / "pred");
  Image picture(40, 25, 3);
  for (std::size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<std::uint8_t>(i * 31 / 7);
  write_png(folder / "image" / "a.png", picture);
  SegmentOptions official;
  official.official = true;
  test::write_tiny_weights(tiny_, false, {{"input_size", "32x32"}});
  const Image right = Segmenter(tiny_).segment(picture, official).to_gray();
  VerifyOptions options;
  options.weights = tiny_;
  const auto told = [&](int changed, int by) {
    Image pred = right;
    for (std::size_t i = 0; i < static_cast<std::size_t>(changed); ++i)
      pred.pixels[i] =
          static_cast<std::uint8_t>(pred.pixels[i] < 128 ? pred.pixels[i] + by : pred.pixels[i] - by);
    write_png(folder / "pred" / "a.png", pred);
    return told_by_verify(folder, options);
  };
  EXPECT_EQ(told(0, 0), (Told{{"a.png prediction", 0, 1, "grey levels"},
                              {"a.png prediction", 0, 0.02, "of pixels differ"},
                              {"all predictions", 0, 0.005, "of pixels differ"}}));
  EXPECT_EQ(told(5, 1), (Told{{"a.png prediction", 1, 1, "grey levels"},
                              {"a.png prediction", 0.005, 0.02, "of pixels differ"},
                              {"all predictions", 0.005, 0.005, "of pixels differ"}}));
  EXPECT_EQ(told(1, 2), (Told{{"a.png prediction", 2, 1, "grey levels"},
                              {"a.png prediction", 0.001, 0.02, "of pixels differ"},
                              {"all predictions", 0.001, 0.005, "of pixels differ"}}));
  write_png(folder / "pred" / "a.png", Image(39, 25, 1));
  EXPECT_THAT(message_of<FormatError>([&] { verify(folder, options, [](const VerifyCheck&) {}); }),
              EndsWith("a.png: is 39x25x1, expected 40x25x1"));
}

// A folder of one picture, and what verifying it tells.
class VerifiedFolder : public WeightFiles {
 protected:
  VerifiedFolder() : picture_(40, 25, 3) {
    for (const char* name : {"image", "resized", "pred", "mask", "mask_resized"})
      fs::create_directories(folder_ / name);
    for (std::size_t i = 0; i < picture_.pixels.size(); ++i)
      picture_.pixels[i] = static_cast<std::uint8_t>(i * 31 / 7);
    write_png(folder_ / "image" / "a.png", picture_);
  }
  Told told(const fs::path& weights) {
    VerifyOptions options;
    options.weights = weights;
    return told_by_verify(folder_, options);
  }
  const fs::path folder_ = dir_ / "folder";
  Image picture_;
};

TEST_F(VerifiedFolder, ResizedPicturesAndMasksAreComparedLevelByLevel) {
  const Image mask = convert_color(picture_, ColorMode::gray);
  write_png(folder_ / "mask" / "a.png", mask);
  Image picture = resize_pillow(picture_, 64, 32, ResizeFilter::bilinear),
        small = resize_pillow(mask, 16, 8, ResizeFilter::bicubic);
  const auto write = [&] {
    write_png(folder_ / "resized" / "a.png", picture);
    write_png(folder_ / "mask_resized" / "a.png", small);
  };
  write();
  EXPECT_EQ(told(tiny_),
            (Told{{"a.png resized", 0, 0, "grey levels"}, {"a.png mask resized", 0, 0, "grey levels"}}));
  picture.pixels[5] ^= 1;
  small.pixels[7] ^= 2;
  write();
  EXPECT_EQ(told(tiny_),
            (Told{{"a.png resized", 1, 0, "grey levels"}, {"a.png mask resized", 2, 0, "grey levels"}}));
}

// Logits whole, and of every eighth row and column.
TEST_F(VerifiedFolder, LogitsAreComparedWholeOrInPart) {
  write_png(folder_ / "resized" / "a.png", resize_pillow(picture_, 64, 32, ResizeFilter::bilinear));
  SegmentOptions options;
  options.size = InputSize::of(64, 32);
  options.official = true;
  const std::vector<float> logits = Segmenter(tiny_).segment(picture_, options).logits;
  const auto [low, high] = std::minmax_element(logits.begin(), logits.end());
  const double range = static_cast<double>(*high) - *low;
  std::vector<float> thin;
  for (std::size_t y = 0; y < 32; y += 8)
    for (std::size_t x = 0; x < 64; x += 8) thin.push_back(logits[y * 64 + x]);
  for (std::vector<float> values : {logits, thin}) {
    const Shape shape = values.size() == thin.size() ? Shape{1, 1, 4, 8} : Shape{1, 1, 32, 64};
    const auto error = [&] {
      formats::write_safetensors(
          folder_ / "logits.safetensors",
          {{"logits:a.png",
            {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, shape.dense_strides()}}},
          {});
      const Told all = told(tiny_);
      EXPECT_EQ(all.size(), 2u);
      EXPECT_EQ(std::get<0>(all[1]), "a.png logits");
      EXPECT_EQ(std::get<2>(all[1]), 2e-4);
      EXPECT_EQ(std::get<3>(all[1]), "of range");
      return std::get<1>(all[1]);
    };
    EXPECT_LT(error(), 1e-6);
    values[9] += static_cast<float>(range);  // so that the range may be twice as large
    EXPECT_GT(error(), 0.4);
  }
}

// Of several classes the ids; the reference's test.py knows one foreground.
TEST_F(VerifiedFolder, ClassesAreComparedByTheirIds) {
  auto config = test::tiny_config();
  config.out_channels = 3;
  test::write_weights(dir_ / "three.safetensors", config, {{"input_size", "32x64"}});
  Image ids = Segmenter(dir_ / "three.safetensors").segment(picture_).to_ids();
  ids.pixels[3] = static_cast<std::uint8_t>((ids.pixels[3] + 1) % 3);
  write_png(folder_ / "pred" / "a.png", ids);
  EXPECT_EQ(told(dir_ / "three.safetensors"), (Told{{"a.png prediction", 0.001, 0.02, "of pixels differ"},
                                                    {"all predictions", 0.001, 0.005, "of pixels differ"}}));
}

}  // namespace
}  // namespace sam2unet
