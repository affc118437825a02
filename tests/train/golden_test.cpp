// Losses, gradients and updated parameters of the reference's training loop.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>

#include <map>

#include "support/shared_data.h"
#include "train/golden.h"

namespace sam2unet::train {
namespace {

// By name: what the repository carries, and what lies beside the checkout.
std::map<std::string, std::filesystem::path> golden_files() {
  std::vector<std::filesystem::path> folders{test::repository_data() / "golden",
                                             test::repository_data() / "golden_widths"};
  if (const auto shared = test::shared_data()) {
    folders.push_back(*shared / "golden");
    folders.push_back(*shared / "golden_widths");
  }
  std::map<std::string, std::filesystem::path> out;
  for (const auto& folder : folders) {
    for (const auto& e : std::filesystem::directory_iterator(folder)) {
      if (const auto name = e.path().filename().string(); name.starts_with("train_"))
        out.emplace(name, e.path());
    }
  }
  return out;
}

// One thread: the tests beside this one want the others, and LibTorch's threads wait by spinning.
class Golden : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};

TEST_F(Golden, TrainingFloat64) {
  ASSERT_FALSE(golden_files().empty());
  for (const auto& [name, path] : golden_files()) {
    SCOPED_TRACE(name);
    const auto file = formats::TensorFile::open(path);
    ASSERT_TRUE(is_training_golden(file));
    const GoldenErrors e = check_training_golden(file);
    EXPECT_EQ(e.inputs.error, 0.0) << e.inputs.where;
    EXPECT_LE(e.losses.error, 1e-9) << e.losses.where;
    EXPECT_LE(e.gradients.error, 1e-7) << e.gradients.where;
    EXPECT_LE(e.norms.error, 1e-7) << e.norms.where;
    EXPECT_LE(e.parameters.error, 1e-7) << e.parameters.where;
    EXPECT_LE(e.buffers.error, 1e-7) << e.buffers.where;
    EXPECT_LE(e.evaluation.error, 1e-6) << e.evaluation.where;
    EXPECT_TRUE(e.passes_float64());
  }
}

TEST_F(Golden, LossesFloat32) {
  for (const auto& [name, path] : golden_files()) {
    SCOPED_TRACE(name);
    const auto worst = check_float32_losses(formats::TensorFile::open(path));
    EXPECT_GE(worst.compared, 4);
    EXPECT_LE(worst.error, 1e-5) << worst.where;
    EXPECT_GT(worst.error, 0.0);  // float32 it was
  }
}

// A whole run in float32. AdamW divides a gradient by its own size, so where the true one is nearly zero
// rounding decides the direction of a full step, and runs part. The reference's own float32 run of this file
// is off by 1.7e-4 at its last step.
TEST_F(Golden, RunFloat32) {
  const auto path = test::repository_data() / "golden" / "train_nano_3x96x96_t.safetensors";
  const GoldenErrors e = check_training_golden(formats::TensorFile::open(path), at::kFloat);
  EXPECT_LE(e.losses.error, 5e-5) << e.losses.where;
  EXPECT_FALSE(e.passes_float64());  // the check can fail
}

}  // namespace
}  // namespace sam2unet::train
