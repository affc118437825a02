#include "model/tensor_table.h"

#include <gtest/gtest.h>

#include <set>

namespace sam2unet::model {
namespace {

std::int64_t parameters(const std::string& variant, bool trainable_only) {
  std::int64_t n = 0;
  for (const auto& t : tensor_table(Config::of_variant(variant))) {
    if (!t.is_buffer() && (t.trainable() || !trainable_only)) n += t.shape.numel();
  }
  return n;
}

// The published counts, up4 included.
TEST(TensorTable, ParameterCountsAreTheReferences) {
  EXPECT_EQ(parameters("t", false), 29'547'715);
  EXPECT_EQ(parameters("s", false), 36'745'539);
  EXPECT_EQ(parameters("b+", false), 71'836'979);
  EXPECT_EQ(parameters("l", false), 216'529'891);
}

// By hand: of T the trunk has 26,849,472 (patch embedding 14,208, positions 10,848, 12 blocks), and up4
// 110,848.
TEST(TensorTable, TrainedAreAdaptersNeckDecoderAndHeads) {
  EXPECT_EQ(parameters("t", true), 29'547'715 - 26'849'472 - 110'848);
  std::int64_t adapters = 0;
  for (const auto& t : tensor_table(Config::of_variant("t")))
    if (t.part == Part::adapter) adapters += t.shape.numel();
  EXPECT_EQ(adapters, 65 * 4032 + 32 * 12);  // 4032 channels go into the 12 blocks
}

TEST(TensorTable, RolesAreWhatTheNamesSay) {
  for (const auto& t : tensor_table(Config::of_variant("t"))) {
    const auto ends = [&](const char* what) { return t.name.ends_with(what); };
    if (ends("running_mean")) {
      EXPECT_EQ(t.role, Role::running_mean) << t.name;
    } else if (ends("running_var")) {
      EXPECT_EQ(t.role, Role::running_var) << t.name;
    } else if (ends("num_batches_tracked")) {
      EXPECT_EQ(t.role, Role::counter) << t.name;
    } else if (ends(".bias")) {
      EXPECT_EQ(t.role, Role::bias) << t.name;
    } else if (t.name.find("pos_embed") != std::string::npos) {
      EXPECT_EQ(t.role, Role::position) << t.name;
    } else {
      EXPECT_EQ(t.role, t.shape.rank() == 1 ? Role::norm_weight : Role::weight) << t.name;
    }
    EXPECT_EQ(t.is_buffer(), t.name.find("running_") != std::string::npos || ends("num_batches_tracked"));
  }
}

TEST(TensorTable, TheLargeCheckpointHas1192TensorsOfWhichNoneTwice) {
  const auto table = tensor_table(Config::of_variant("l"));
  EXPECT_EQ(table.size(), 1192u);
  std::set<std::string> names;
  for (const auto& t : table) names.insert(t.name);
  EXPECT_EQ(names.size(), table.size());
}

TEST(TensorTable, UnusedBlockAndTrunkAreNotTrained) {
  std::int64_t unused = 0;
  for (const auto& t : tensor_table(Config::of_variant("l"))) {
    if (t.part == Part::unused && !t.is_buffer()) unused += t.shape.numel();
    if (t.part == Part::trunk || t.part == Part::unused) {
      EXPECT_FALSE(t.trainable()) << t.name;
    }
  }
  EXPECT_EQ(unused, 110'848);
}

}  // namespace
}  // namespace sam2unet::model
