// Files written by PyTorch 2.11 and what they hold (tests/data/pth), and hostile ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "sam2unet/errors.h"
#include "support/shared_data.h"

namespace sam2unet::formats {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

std::filesystem::path golden(const std::string& name) {
  return test::repository_data() / "pth" / name;
}

const nlohmann::json& expected() {
  static const auto json = [] {
    std::ifstream in(golden("expected.json"));
    return nlohmann::json::parse(in).at("tensors");
  }();
  return json;
}

std::string dtype_of(const std::string& torch_name) {
  static const std::map<std::string, std::string> names{
      {"float32", "f32"}, {"float16", "f16"}, {"bfloat16", "bf16"}, {"float64", "f64"},
      {"int64", "i64"},   {"int32", "i32"},   {"uint8", "u8"},      {"bool", "bool"}};
  return names.at(torch_name);
}

void expect_tensor(const TensorView& view, const nlohmann::json& want) {
  EXPECT_EQ(name_of(view.dtype), dtype_of(want.at("dtype")));
  const auto shape = want.at("shape").get<std::vector<std::int64_t>>();
  ASSERT_EQ(view.shape, Shape(std::span<const std::int64_t>(shape)));
  std::vector<double> values(static_cast<std::size_t>(view.numel()));
  copy_to(view, std::span<double>(values));
  EXPECT_EQ(values, want.at("values").get<std::vector<double>>());
}

class WholeStateDict
    : public testing::TestWithParam<std::tuple<const char*, FileFormat, const char*, const char*>> {};

TEST_P(WholeStateDict, HasTheExpectedValues) {
  const auto& [name, format, wrapper, prefix] = GetParam();
  const TensorFile file = TensorFile::open(golden(name));
  EXPECT_EQ(file.format(), format);
  EXPECT_EQ(file.wrapper(), wrapper);
  EXPECT_EQ(file.prefix(), prefix);
  EXPECT_TRUE(file.metadata().empty());
  ASSERT_EQ(file.tensors().size(), expected().size());
  for (const auto& [tensor, want] : expected().items()) {
    SCOPED_TRACE(tensor);
    const TensorView* view = file.find(tensor);
    ASSERT_NE(view, nullptr);
    expect_tensor(*view, want);
    file.release(*view);
    expect_tensor(*view, want);  // still readable
  }
  EXPECT_EQ(file.tensors().front().name, "a.weight");  // file order, not the alphabet's
  EXPECT_EQ(file.find("nothing"), nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, WholeStateDict,
    testing::Values(std::tuple("zip_state_dict.pth", FileFormat::torch_zip, "", ""),
                    std::tuple("zip_dataparallel.pth", FileFormat::torch_zip, "", "module."),
                    std::tuple("zip_nested_model.pt", FileFormat::torch_zip, "model", ""),
                    std::tuple("zip_training_checkpoint.pth", FileFormat::torch_zip, "state_dict", ""),
                    std::tuple("legacy_state_dict.pth", FileFormat::torch_legacy, "", "")));

TEST(GoldenPth, ParametersAndCudaStorages) {
  for (const char* name : {"zip_parameter.pth", "zip_cuda.pth"}) {
    const TensorFile file = TensorFile::open(golden(name));
    ASSERT_EQ(file.tensors().size(), 1u) << name;
    ASSERT_NE(file.find("w"), nullptr) << name;
    expect_tensor(*file.find("w"), expected().at("a.weight"));
  }
}

TEST(GoldenPth, SharedStoragesShareBytes) {
  const TensorFile file = TensorFile::open(golden("zip_state_dict.pth"));
  EXPECT_EQ(file.find("share1")->data + 5 * sizeof(float), file.find("share2")->data);
}

TEST(GoldenPth, HostileFilesAreRefusedAtOnce) {
  const std::map<std::string, std::string> because{{"hostile_eval.pth", "'__builtin__.eval'"},
                                                   {"hostile_os_system.pth", "'posix.system'"},
                                                   {"hostile_not_a_zip.pth", ""},
                                                   {"hostile_short_storage.pth", "storage '0'"},
                                                   {"hostile_truncated.pth", "truncated"}};
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(golden(""))) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("hostile_")) continue;
    seen.insert(name);
    SCOPED_TRACE(name);
    std::string message;
    const double took =
        test::effort([&] { message = message_of<FormatError>([&] { TensorFile::open(entry.path()); }); });
    EXPECT_THAT(message, AllOf(HasSubstr(name), HasSubstr(because.at(name))));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_LT(took, test::kMaxEffort);
  }
  EXPECT_EQ(seen.size(), because.size());
}

TEST(GoldenPth, TheRealCheckpointIsReadWhole) {
  const auto shared = test::shared_data();
  if (!shared) GTEST_SKIP() << "needs the development data beside the checkout";
  const TensorFile file = TensorFile::open(*shared / "weights" / "sam2unet_t_duts.pth");
  std::int64_t parameters = 0;
  for (const auto& t : file.tensors()) {
    if (t.name.find("running_") == std::string::npos && !t.name.ends_with("num_batches_tracked"))
      parameters += t.view.numel();
  }
  EXPECT_EQ(parameters, 29'547'715);
  ASSERT_NE(file.find("encoder.pos_embed"), nullptr);
  EXPECT_EQ(file.find("encoder.pos_embed")->dtype, DType::f16);
}

TEST(GoldenPth, EveryTruncationIsRefusedOrReadWhole) {
  for (const char* name : {"zip_state_dict.pth", "legacy_state_dict.pth"}) {
    std::ifstream in(golden(name), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      const std::string part =
          bytes.substr(0, n);  // its own allocation, so that a sanitizer sees a step past its end
      EXPECT_NE(message_of<FormatError>([&] { TensorFile::view(test::as_span(part), "part"); }), "")
          << name << " " << n;
    }
  }
}

}  // namespace
}  // namespace sam2unet::formats
