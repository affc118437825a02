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
