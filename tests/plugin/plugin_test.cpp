// The library on LibTorch: the same maps as its own backend, and the reference's golden values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/verify.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using testing::HasSubstr;

constexpr auto kIgnore = [](const VerifyCheck&) {};

// Relative to the range of `want`.
double difference(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return INFINITY;
  const auto [low, high] = std::minmax_element(want.begin(), want.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < want.size(); ++i) worst = std::max<double>(worst, std::abs(got[i] - want[i]));
  return worst / (*high - *low);
}

class Plugin : public testing::Test {
 protected:
  fs::path write_weights() const {
    test::write_tiny_weights(dir / "tiny.safetensors");
    return dir / "tiny.safetensors";
  }
  test::TempDir dir;
  fs::path weights = write_weights();
  Segmenter own{weights};
};

// More sizes than are kept, and the first again.
TEST_F(Plugin, SameMapsAsTheLibrarysBackend) {
  const Segmenter torch(weights, {.device = "torch-cpu"});
  EXPECT_EQ(torch.variant(), own.variant());
  const Image picture = test::picture(150, 90, 3);
  SegmentOptions options;
  for (const auto& [height, width] : std::vector<std::pair<int, int>>{{64, 64},
                                                                      {96, 64},
                                                                      {32, 160},
                                                                      {128, 128},
                                                                      {32, 32},
                                                                      {64, 32},
                                                                      {32, 64},
                                                                      {96, 96},
                                                                      {160, 32},
                                                                      {64, 64}}) {
    options.size = InputSize::of(width, height);
    const auto got = torch.segment(picture, options), want = own.segment(picture, options);
    EXPECT_EQ(got.logits_size, options.size);
    EXPECT_LT(difference(got.logits, want.logits), 2e-5) << height << "x" << width;
    EXPECT_LT(difference(got.probabilities, want.probabilities), 2e-5);
  }
}

// A batch is what its pictures are one by one.
TEST_F(Plugin, Batches) {
  const Segmenter torch(weights, {.device = "torch-cpu"});
  std::vector<Image> pictures;
  for (int i = 0; i < 5; ++i) pictures.push_back(test::picture(40 + 13 * i, 60 - 7 * i, 3));
  const std::vector<ImageView> views(pictures.begin(), pictures.end());
  SegmentOptions options{.size = InputSize::of(64, 96)};
  options.batch = 4;
  const auto got = torch.segment(views, options);
  ASSERT_EQ(got.size(), pictures.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_LT(difference(got[i].logits, torch.segment(pictures[i], options).logits), 1e-6) << i;
}

// bf16 keeps 8 bits: the logits agree to a few per cent of their range.
TEST_F(Plugin, Bf16) {
  const Segmenter torch(weights, {.device = "torch-cpu", .precision = Precision::bf16});
  const Image picture = test::picture(80, 80, 3);
  const SegmentOptions options{.size = InputSize::square(96)};
  const double d = difference(torch.segment(picture, options).logits, own.segment(picture, options).logits);
  EXPECT_LT(d, 0.05);
  EXPECT_GT(d, 1e-5);  // it is not float32
}

TEST_F(Plugin, SeveralThreadsAtOnce) {
  const Segmenter torch(weights, {.threads = 1, .device = "torch-cpu"});
  std::vector<std::thread> threads;
  std::vector<double> errors(4, INFINITY);
  for (std::size_t t = 0; t < errors.size(); ++t) {
    threads.emplace_back([&, t] {
      const Image picture = test::picture(60 + static_cast<int>(t), 50, 3);
      const SegmentOptions options{.size = InputSize::of(32 * (1 + static_cast<int>(t % 2)), 32)};
      errors[t] = difference(torch.segment(picture, options).logits, own.segment(picture, options).logits);
    });
  }
  for (auto& t : threads) t.join();
  for (const double e : errors) EXPECT_LT(e, 2e-5);
}

TEST_F(Plugin, RefusesWhatIsNotThere) {
  EXPECT_THROW(Segmenter(weights, {.device = "tpu"}), UsageError);
  EXPECT_THROW(Segmenter(weights, {.device = "cuda-torch:x"}), UsageError);
  EXPECT_THROW(Segmenter(weights, {.device = "torch-cpu", .precision = Precision::int8}), UsageError);
  EXPECT_THROW(Segmenter(weights, {.device = "torch-cpu", .precision = Precision::tf32}), UsageError);
  EXPECT_THROW(Segmenter(weights, {.device = "cuda-torch", .precision = Precision::f16}), UsageError);
  EXPECT_THAT(message_of([&] { Segmenter s(weights, {.device = "cuda-torch:-1"}); }),
              HasSubstr("cuda-torch:-1"));
  EXPECT_THAT(message_of([&] { Segmenter s(weights, {.device = "cuda-torch:99"}); }),
              HasSubstr("device cuda-torch:99: "));
  EXPECT_THAT(message_of([&] { own.segment(test::picture(9, 9, 3), {.size = InputSize::of(32, 33)}); }),
              HasSubstr("33"));
}

// On a machine with a GPU it computes, elsewhere it says what is missing and the test counts as skipped.
TEST_F(Plugin, Cuda) {
  try {
    const Segmenter gpu(weights, {.device = "cuda-torch", .precision = Precision::f32}),
        half(weights, {.device = "cuda-torch"});
    const Image picture = test::picture(80, 70, 3);
    const SegmentOptions options{.size = InputSize::of(64, 96)};
    const auto want = own.segment(picture, options).logits;
    for (int i = 0; i < 3; ++i) {  // the first records, the others replay
      EXPECT_LT(difference(gpu.segment(picture, options).logits, want), 1e-4);
      EXPECT_LT(difference(half.segment(picture, options).logits, want), 0.05);
    }
  } catch (const UnavailableError& e) {
    ASSERT_THAT(e.what(), testing::AnyOf(HasSubstr("scripts/torch.sh --cuda"), HasSubstr("no GPU")));
    GTEST_SKIP() << e.what();
  }
}

TEST(PluginVerify, ForwardFiles) {
  std::vector<fs::path> folders{test::repository_data() / "golden"};
  if (const auto shared = test::shared_data()) folders.push_back(*shared / "golden");
  int files = 0;
  for (const auto& folder : folders) {
    for (const auto& f : fs::directory_iterator(folder)) {
      if (!f.path().filename().string().starts_with("forward_")) continue;
      ++files;
      EXPECT_TRUE(verify(f.path(), {.device = "torch-cpu"}, [&](const VerifyCheck& c) {
        EXPECT_TRUE(c.ok()) << f.path() << " " << c.name << ": " << c.error;
        EXPECT_LE(c.error, 1e-5) << f.path() << " " << c.name;
      }));
    }
  }
  EXPECT_GE(files, 11);
  EXPECT_TRUE(verify(test::repository_data() / "golden" / "forward_nano_2x96x96_a.safetensors",
                     {.device = "torch-cpu", .precision = Precision::bf16}, kIgnore));
}

class PluginVerifyTraining : public testing::Test {
 protected:
  fs::path golden = test::repository_data() / "golden" / "train_c2_4x32x64_my_tag.safetensors";
  VerifyOptions options{.threads = 1};
  test::TempDir dir;
};

TEST_F(PluginVerifyTraining, AgreesInEveryPart) {
  std::vector<std::string> names;
  EXPECT_TRUE(verify(golden, options, [&](const VerifyCheck& c) {
    EXPECT_TRUE(c.ok()) << c.name << ": " << c.error;
    EXPECT_LE(c.tolerance, 1e-6);
    names.push_back(c.name.substr(0, c.name.find(',')));
  }));
  EXPECT_THAT(names, testing::ElementsAre("losses", "gradients", "gradient norms", "parameters", "statistics",
                                          "evaluation"));
}

// Another tag means other pictures: everything differs.
TEST_F(PluginVerifyTraining, FindsDifferences) {
  const fs::path copy = dir / "train_c2_4x32x64_other.safetensors";
  fs::copy_file(golden, copy);
  int failed = 0;
  EXPECT_FALSE(verify(copy, options, [&](const VerifyCheck& c) { failed += c.ok() ? 0 : 1; }));
  EXPECT_GE(failed, 5);
}

TEST_F(PluginVerifyTraining, RefusesWhatItCannotRun) {
  const fs::path nameless = dir / "run.safetensors";
  fs::copy_file(golden, nameless);
  EXPECT_THAT(message_of([&] { verify(nameless, options, kIgnore); }), HasSubstr("train_VARIANT_BxHxW_TAG"));
  const fs::path odd = dir / "train_c2_4x33x64_my_tag.safetensors";
  fs::copy_file(golden, odd);
  EXPECT_THAT(message_of([&] { verify(odd, options, kIgnore); }), HasSubstr("33"));
  // Files that lack what a run is made of, or hold what it is not compared with.
  const std::string config = test::tiny_config().to_json();
  const std::vector<float> zeros(8, 0.0F);
  const auto write = [&](const Shape& losses, const std::string& extra,
                         std::map<std::string, std::string> metadata) {
    const fs::path path = dir / "train_x_2x32x32_a.safetensors";
    const auto* data = reinterpret_cast<const std::byte*>(zeros.data());
    formats::write_safetensors(path,
                               {{"losses", {data, DType::f32, losses, losses.dense_strides()}},
                                {"grad_norm", {data, DType::f32, {2}, Shape{2}.dense_strides()}},
                                {extra, {data, DType::f32, {2}, Shape{2}.dense_strides()}}},
                               metadata);
    return message_of([&] { verify(path, options, kIgnore); });
  };
  EXPECT_THAT(write({1, 4}, "param:head.bias", {{"grad_names", "[]"}}),
              HasSubstr("metadata lacks \"config\""));
  EXPECT_THAT(write({1, 4}, "param:head.bias", {{"config", config}, {"grad_names", "[3"}}),
              HasSubstr("grad_names"));
  EXPECT_THAT(write({1, 4}, "param:head.bias", {{"config", config}, {"grad_names", "[\"head.bias\"]"}}),
              HasSubstr("grad_norm"));
  EXPECT_THAT(write({8}, "param:head.bias", {{"config", config}}), HasSubstr("losses must be [steps,4]"));
  EXPECT_THAT(write({1, 4}, "param:tail.bias", {{"config", config}}),
              HasSubstr("unexpected tensor param:tail.bias"));
}

}  // namespace
}  // namespace sam2unet
