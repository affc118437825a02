// The check of a training against the reference's file: what it compares with what, and where it ends.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "support/message.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "train/golden.h"

namespace sam2unet::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(GoldenChecks, ToleratesWhatTheHeaderSays) {
  GoldenErrors e;
  EXPECT_TRUE(e.checks().empty());
  EXPECT_TRUE(e.passes_float64());  // of nothing
  e.inputs.note(0.0, "ids0");
  e.losses.note(1e-9, "losses[0][0]");
  e.gradients.note(1e-7, "g");
  e.norms.note(1e-7, "n");
  e.parameters.note(1e-7, "p");
  e.buffers.note(1e-7, "b");
  e.evaluation.note(1e-6, "eval_out_after");
  EXPECT_TRUE(e.passes_float64());
  std::vector<std::string> names, units;
  std::vector<double> limits;
  for (const VerifyCheck& c : e.checks()) {
    names.push_back(c.name);
    units.push_back(c.unit);
    limits.push_back(c.tolerance);
  }
  EXPECT_THAT(names, ElementsAre("inputs", "losses, worst losses[0][0]", "gradients, worst g",
                                 "gradient norms, worst n", "parameters, worst p", "statistics, worst b",
                                 "evaluation, worst eval_out_after"));
  EXPECT_THAT(limits, ElementsAre(0, 1e-9, 1e-7, 1e-7, 1e-7, 1e-7, 1e-6));
  EXPECT_THAT(
      units, ElementsAre("absolute", "relative", "of scale", "relative", "of scale", "of scale", "of range"));
  for (auto GoldenErrors::*part :
       {&GoldenErrors::inputs, &GoldenErrors::losses, &GoldenErrors::gradients, &GoldenErrors::norms,
        &GoldenErrors::parameters, &GoldenErrors::buffers, &GoldenErrors::evaluation}) {
    GoldenErrors worse = e;
    (worse.*part).note((e.*part).error * 1.01 + 1e-12, "it");
    EXPECT_FALSE(worse.passes_float64());
    worse = e;
    (worse.*part).note(std::nan(""), "it");
    EXPECT_FALSE(worse.passes_float64());
  }
}

// The worst is kept with its place; what is no number is the worst there is, whatever comes later.
TEST(GoldenChecks, TheWorstIsKept) {
  GoldenErrors::Worst w;
  w.note(2, "a");
  w.note(3, "b");
  w.note(3, "c");
  w.note(1, "d");
  EXPECT_EQ(w.error, 3);
  EXPECT_EQ(w.where, "b");
  EXPECT_EQ(w.compared, 4);
  w.note(std::nan(""), "e");
  w.note(1e9, "f");
  EXPECT_TRUE(std::isnan(w.error));
  EXPECT_EQ(w.where, "e");
}

// A golden file of which single values can be changed.
class Changed : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    const auto file = formats::TensorFile::open(golden);
    metadata = file.metadata();
    for (const auto& t : file.tensors()) {
      order.push_back(t.name);
      shapes[t.name] = t.view.shape;
      values[t.name].resize(static_cast<std::size_t>(t.view.numel()));
      copy_to(t.view, std::span(values[t.name]));
    }
  }
  std::filesystem::path write(const std::string& name = "train_c2_4x32x64_my_tag.safetensors") const {
    std::vector<formats::NamedTensor> tensors;
    for (const auto& n : order) {
      const Shape& shape = shapes.at(n);
      tensors.push_back({n,
                         {reinterpret_cast<const std::byte*>(values.at(n).data()), DType::f64, shape,
                          shape.dense_strides()}});
    }
    formats::write_safetensors(dir / name, tensors, metadata);
    return dir / name;
  }
  GoldenErrors check() const { return check_training_golden(formats::TensorFile::open(write())); }
  // Moves one value of a tensor that is stored whole by a part of its largest; the tensor's name.
  std::string move(const std::string& kind, double part) {
    for (const auto& n : order) {
      if (!n.starts_with(kind) || n.find("running_var") != std::string::npos) continue;
      auto& v = values.at(n);
      double largest = 0;
      for (const double x : v) largest = std::max(largest, std::abs(x));
      // Of 65 values and more those that are stored need not hold the largest.
      const bool is_whole = v.size() < 64 || kind == "buffer:";
      if (v.size() < 3 || !is_whole || largest < 1e-2) continue;
      v[2] += part * largest;
      return n.substr(kind.size());
    }
    return "none";
  }

  const std::filesystem::path golden =
      test::repository_data() / "golden" / "train_c2_4x32x64_my_tag.safetensors";
  test::TempDir dir;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::vector<double>> values;
  std::map<std::string, Shape> shapes;
  std::vector<std::string> order;
};

// Each kind of value off by a known part: found where it is, and as large as it is.
TEST_F(Changed, EveryValueThatIsOffIsFoundAtItsPlace) {
  values.at("losses")[4 + 2] *= 1 + 4e-9;  // of the second step, out1
  const std::string gradient = move("grad:", 5e-7), parameter = move("param:", 4e-7),
                    buffer = move("buffer:", 3e-7);
  const auto names = nlohmann::json::parse(metadata.at("grad_names")).get<std::vector<std::string>>();
  const auto largest = static_cast<std::size_t>(
      std::max_element(values.at("grad_norm").begin(), values.at("grad_norm").end()) -
      values.at("grad_norm").begin());
  values.at("grad_norm")[largest] *= 1 + 6e-7;
  auto& map = values.at("eval_out_after");
  const auto [low, high] = std::minmax_element(map.begin(), map.end());
  map[map.size() / 3] += 7e-6 * (*high - *low);
  const GoldenErrors e = check();
  EXPECT_NEAR(e.losses.error, 4e-9, 5e-10);
  EXPECT_EQ(e.losses.where, "losses[1][2]");
  EXPECT_EQ(e.losses.compared, 4 * shapes.at("losses")[0]);
  EXPECT_NEAR(e.gradients.error, 5e-7, 5e-8);
  EXPECT_EQ(e.gradients.where, gradient);
  EXPECT_EQ(e.gradients.compared, static_cast<int>(names.size()));
  EXPECT_NEAR(e.norms.error, 6e-7, 6e-8);
  EXPECT_EQ(e.norms.where, names[largest]);
  EXPECT_NEAR(e.parameters.error, 4e-7, 4e-8);
  EXPECT_EQ(e.parameters.where, parameter);
  EXPECT_NEAR(e.buffers.error, 3e-7, 3e-8);
  EXPECT_EQ(e.buffers.where, buffer);
  EXPECT_NEAR(e.evaluation.error, 7e-6, 7e-7);
  EXPECT_FALSE(e.passes_float64());
}

// What is missing or of another length is no match, and a name that nothing learns under is told.
TEST_F(Changed, LengthsAndNamesThatDoNotFitAreInfinitelyOff) {
  auto names = nlohmann::json::parse(metadata.at("grad_names")).get<std::vector<std::string>>();
  const std::string short_one = "grad:" + names[1];
  shapes.at(short_one) = {1};
  order.erase(std::find(order.begin(), order.end(), "eval_out_after"));
  GoldenErrors e = check();
  EXPECT_TRUE(std::isinf(e.gradients.error));
  EXPECT_EQ(e.gradients.where, names[1]);
  EXPECT_EQ(e.evaluation.compared, 0);
  metadata["grad_names"].replace(metadata["grad_names"].find(names[0]), names[0].size(), "no.such.tensor");
  e = check();
  EXPECT_EQ(e.gradients.where, "no.such.tensor");
}

TEST_F(Changed, FilesThatSayNoRunAreRefused) {
  const auto refusal = [&](const char* name) {
    const auto path = write(name);
    return test::message_of<FormatError>([&] { check_training_golden(formats::TensorFile::open(path)); });
  };
  for (const char* name :
       {"train_c2_0x32x64_t.safetensors", "train_c2_65x32x64_t.safetensors", "train_c2_4x31x64_t.safetensors",
        "train_c2_4x32x4097_t.safetensors", "train_c2_4x4097x32_t.safetensors",
        "train_c2_4x32x31_t.safetensors", "train_c2_4x32x64.safetensors", "train.safetensors"})
    EXPECT_THAT(refusal(name), HasSubstr("the name must be train_VARIANT_BxHxW_TAG.safetensors")) << name;
  metadata["loss"] = "focal";
  EXPECT_THAT(refusal("train_c2_4x32x64_t.safetensors"), HasSubstr("the loss 'focal' is not known"));
  metadata["loss"] = "ce-dice";
  auto config = nlohmann::json::parse(metadata.at("config"));
  config["out_channels"] = 1;
  metadata["config"] = config.dump();
  EXPECT_THAT(refusal("train_c2_4x32x64_t.safetensors"), HasSubstr("ce-dice of a network with one output"));
  config["out_channels"] = 2;
  metadata["config"] = config.dump();
  EXPECT_THAT(refusal("train_c2_4x32x64_t.safetensors"), ::testing::Not(HasSubstr("one output")));
  const auto file = formats::TensorFile::open(golden);
  EXPECT_TRUE(is_training_golden(file));
  metadata.erase("grad_names");
  EXPECT_FALSE(is_training_golden(formats::TensorFile::open(write())));
  EXPECT_FALSE(is_training_golden(
      formats::TensorFile::open(test::repository_data() / "golden" / "forward_nano_2x96x96_a.safetensors")));
}

}  // namespace
}  // namespace sam2unet::train
