// Names of tensors as training tools leave them, and numbers that are none.
#include "model/tensor_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/finite.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The tiny network's checkpoint, its names changed.
class Names : public testing::Test {
 protected:
  Names() {
    DeterministicWeights source;
    for (const auto& t : tensor_table(test::tiny_config())) {
      const auto values = source.read(t.name, t.shape);
      data_.emplace_back(values.begin(), values.end());
      add(t.name, data_.back(), t.shape);
    }
  }
  void add(const std::string& name, const std::vector<float>& values, const Shape& shape) {
    tensors_.push_back(
        {name,
         {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, shape.dense_strides()}});
  }
  void add_scalar(const std::string& name) { add(name, one_, {1}); }
  template <class Change>
  void rename(const Change& change) {
    for (auto& t : tensors_) t.name = change(t.name);
  }
  float* values_of(const std::string& name) {
    std::size_t i = 0;
    while (tensors_[i].name != name) ++i;
    return data_[i].data();
  }
  formats::TensorFile open() {
    formats::write_safetensors(dir_ / "w.safetensors", tensors_, {{"config", test::tiny_config().to_json()}});
    return formats::TensorFile::open(dir_ / "w.safetensors");
  }
  std::string refusal() {
    return test::message_of<WeightsError>([&] {
      CheckpointWeights w(open());
      for (const auto& t : tensor_table(w.config())) w.read(t.name, t.shape);
    });
  }
  std::vector<std::string> left_out() {
    auto file = open();
    return recognise(file).left_out;
  }

  test::TempDir dir_;
  std::vector<float> one_{1};
  std::vector<std::vector<float>> data_;
  std::vector<formats::NamedTensor> tensors_;
};

std::string after_encoder(const std::string& name, const std::string& what) {
  return name.starts_with("encoder.") ? "encoder." + what + name.substr(8) : name;
}

TEST_F(Names, AnyCommonPrefixIsCutAndWhatStandsBesideItIsNamed) {
  rename([](const std::string& n) { return "module." + n; });
  add_scalar("n_averaged");
  EXPECT_EQ(refusal(), "");
  EXPECT_THAT(left_out(), ElementsAre("n_averaged"));
  rename(
      [](const std::string& n) { return n == "n_averaged" ? "criterion.pos_weight" : "student.net." + n; });
  EXPECT_EQ(refusal(), "");
  EXPECT_THAT(left_out(), ElementsAre("criterion.pos_weight"));
}

TEST_F(Names, WrappersWithinAreCut) {
  rename([](const std::string& n) { return after_encoder(n, "_orig_mod."); });
  EXPECT_EQ(refusal(), "");
  rename([](const std::string& n) { return n.starts_with("rfb") ? "module._orig_mod." + n : n; });
  EXPECT_EQ(refusal(), "");
  EXPECT_THAT(left_out(), IsEmpty());
}

// Of each tool that wraps modules; the last part of a name is the tensor's own.
TEST_F(Names, EveryWrapperIsCut) {
  for (const std::string wrapper :
       {"module", "_orig_mod", "_fsdp_wrapped_module", "_forward_module", "_checkpoint_wrapped_module"}) {
    const auto before = tensors_;
    rename([&](const std::string& n) { return wrapper + "." + after_encoder(n, wrapper + "."); });
    EXPECT_EQ(refusal(), "") << wrapper;
    EXPECT_THAT(left_out(), IsEmpty()) << wrapper;
    tensors_ = before;
  }
  add_scalar("head.module");
  EXPECT_THAT(refusal(), HasSubstr("unexpected tensors for SAM2-UNet custom: head.module"));
}

// Two that only their wrappers tell apart: the second keeps the name it has.
TEST_F(Names, NoTwoTensorsGetOneName) {
  add_scalar("module.head.weight");
  EXPECT_THAT(refusal(), HasSubstr("unexpected tensors for SAM2-UNet custom: module.head.weight"));
}

// The network that was trained goes before copies of it: without a prefix, then model, net, network.
TEST_F(Names, TheUsualPrefixesInTheirOrder) {
  const auto all = tensors_;
  const std::vector<std::string> usual{"", "model.", "net.", "network."};
  for (std::size_t first = 0; first < usual.size(); ++first) {
    tensors_.clear();
    const auto put = [&](const std::string& prefix) {
      for (const auto& t : all) tensors_.push_back({prefix + t.name, t.view});
    };
    for (std::size_t k = usual.size(); k-- > first;) put(usual[k]);
    put("ema.");
    auto file = open();
    const auto r = recognise(file);
    EXPECT_EQ(r.contents, Contents::full) << usual[first];
    // Beside a network without a prefix they are strangers, which convert leaves out.
    const auto& others = first == 0 ? r.unexpected : r.left_out;
    EXPECT_EQ(others.size(), (usual.size() - first) * all.size()) << usual[first];
    for (const auto& name : others) EXPECT_FALSE(first > 0 && name.starts_with(usual[first])) << name;
  }
}

TEST_F(Names, CountersOfToolsAreLeftOut) {
  add_scalar("total_ops");
  add_scalar("encoder.blocks.0.total_params");
  EXPECT_EQ(refusal(), "");
  EXPECT_THAT(left_out(), ElementsAre("total_ops", "encoder.blocks.0.total_params"));
}

TEST_F(Names, TwoNetworksAreNotGuessedAt) {
  const auto all = tensors_;
  rename([](const std::string& n) { return "student." + n; });
  for (const auto& t : all) tensors_.push_back({"teacher." + t.name, t.view});
  EXPECT_THAT(refusal(), HasSubstr("several networks in it (student., teacher.)"));
  // The usual prefix is the network that was trained; the other is named.
  rename([](const std::string& n) { return n.starts_with("student.") ? "model." + n.substr(8) : n; });
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(left_out().size(), all.size());
}

TEST_F(Names, AnotherHeadIsNoReasonlessRefusal) {
  add_scalar("aux_head.weight");
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("aux_head.weight"), HasSubstr("convert")));
  auto file = open();
  EXPECT_NE(why_not_usable(file, recognise(file)), "");
}

TEST_F(Names, NumbersThatAreNoneAreNamed) {
  float* weight = values_of("encoder.blocks.1.block.attn.qkv.weight");
  weight[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(), HasSubstr("encoder.blocks.1.block.attn.qkv.weight holds nan (element 5)"));
  weight[5] = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(refusal(), HasSubstr("encoder.blocks.1.block.attn.qkv.weight holds -inf"));
  weight[5] = 0;
  values_of("rfb1.conv_cat.bn.running_var")[3] = -0.5F;
  EXPECT_THAT(refusal(),
              HasSubstr("rfb1.conv_cat.bn.running_var holds -0.5 (element 3), a negative variance"));
}

TEST(WrongNumbers, AreFoundInEveryTypeAndPastTheFirstBlock) {
  std::vector<float> values(40'000, 1.0F);
  const auto view = [&](const void* data, DType type) {
    const Shape shape{static_cast<std::int64_t>(values.size())};
    return TensorView{static_cast<const std::byte*>(data), type, shape, shape.dense_strides()};
  };
  EXPECT_FALSE(find_wrong_number("w", view(values.data(), DType::f32)));
  values[33'333] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(find_wrong_number("w", view(values.data(), DType::f32))->at, 33'333u);
  std::vector<std::uint16_t> half(values.size(), 0x3C00);
  half[20'000] = 0x7C00;  // infinity
  EXPECT_EQ(find_wrong_number("w", view(half.data(), DType::f16))->at, 20'000u);
  half[20'000] = 0x7BFF;  // the largest number
  EXPECT_FALSE(find_wrong_number("w", view(half.data(), DType::f16)));
  std::vector<std::uint16_t> brain(values.size(), 0x3F80);
  brain[39'999] = 0xFF80;  // minus infinity
  EXPECT_EQ(find_wrong_number("w", view(brain.data(), DType::bf16))->at, 39'999u);
  EXPECT_FALSE(find_wrong_number("w", view(brain.data(), DType::i16)));
  std::vector<double> wide(values.size(), 1.0);
  wide[16'384] = std::numeric_limits<double>::quiet_NaN();  // the first of the second block
  EXPECT_EQ(find_wrong_number("w", view(wide.data(), DType::f64))->at, 16'384u);
  wide[16'384] = -1.0;
  EXPECT_FALSE(find_wrong_number("w", view(wide.data(), DType::f64)));
  EXPECT_EQ(find_wrong_number("bn.running_var", view(wide.data(), DType::f64))->value, -1.0F);
  wide[16'384] = 0.0;
  EXPECT_FALSE(find_wrong_number("bn.running_var", view(wide.data(), DType::f64)));
  EXPECT_EQ(describe("w", {5, std::numeric_limits<float>::infinity()}, 100),
            "tensor w holds inf (element 105), which is not finite: the training that made it diverged, or "
            "the file is "
            "damaged; take an earlier checkpoint");
  // Bits that would be NaN in floats are a number in integers.
  EXPECT_FALSE(find_wrong_number("w", view(values.data(), DType::i32)));
}

}  // namespace
}  // namespace sam2unet::model
