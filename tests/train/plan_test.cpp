// The memory model against the peak of live tensor bytes over real training steps.
#include <gmock/gmock.h>

#include <ATen/Parallel.h>

#include "sam2unet/errors.h"
#include "support/tiny_weights.h"
#include "train/measure.h"

namespace sam2unet::train {
namespace {

using ::testing::HasSubstr;

struct Case {
  int size, batch, accumulate;
  ComputeType precision;
  Freeze freeze;
  double ema;
  std::vector<double> scales = {};
  LossKind loss = LossKind::structure;
};

class Model : public ::testing::TestWithParam<Case> {};

TEST_P(Model, PredictsThePeak) {
  at::set_num_threads(1);
  const Case& c = GetParam();
  Settings s;
  s.size = c.size;
  s.batch = c.batch;
  s.accumulate = c.accumulate;
  s.precision = c.precision;
  s.freeze = c.freeze;
  s.ema = c.ema;
  s.multi_scale = c.scales;
  s.loss = c.loss;
  const auto config = test::nano_config();
  const auto measured = static_cast<double>(measured_peak(config, s));
  const auto predicted = static_cast<double>(memory_need(config, s).total());
  EXPECT_NEAR(predicted / measured, 1.0, 0.15) << predicted << " predicted, " << measured << " measured";
}

INSTANTIATE_TEST_SUITE_P(
    Nano, Model,
    ::testing::Values(Case{96, 4, 1, ComputeType::f32, Freeze::trunk, 0},
                      Case{160, 2, 1, ComputeType::f32, Freeze::none, 0.9},
                      Case{160, 2, 1, ComputeType::bf16, Freeze::trunk, 0},
                      Case{96, 4, 1, ComputeType::f64, Freeze::trunk, 0},
                      Case{160, 4, 2, ComputeType::f32, Freeze::trunk, 0},
                      Case{160, 2, 1, ComputeType::f32, Freeze::trunk, 0, {0.75, 1, 1.25}},
                      Case{160, 2, 1, ComputeType::f32, Freeze::trunk, 0, {0.5, 1}},
                      Case{160, 2, 1, ComputeType::f32, Freeze::trunk, 0, {}, LossKind::structure_empty},
                      Case{160, 2, 1, ComputeType::f32, Freeze::trunk, 0, {}, LossKind::dice_bce},
                      Case{160, 2, 1, ComputeType::f32, Freeze::trunk, 0, {}, LossKind::focal}));

// Counted here from the table of tensors: float32 weights, gradients of what learns, two moments and an
// average.
TEST(Plan, CountsWhatLearnsAndItsMoments) {
  const auto config = test::nano_config();
  std::int64_t learned = 0;
  for (const auto& t : model::tensor_table(config)) learned += t.trainable() ? t.shape.numel() : 0;
  Settings s;
  s.size = 96;
  s.batch = 3;
  const MemoryNeed plain = memory_need(config, s);
  s.ema = 0.9;
  const MemoryNeed averaged = memory_need(config, s);
  EXPECT_EQ(plain.gradients, 4 * learned);
  EXPECT_EQ(plain.optimizer, 2 * 4 * learned);
  EXPECT_EQ(averaged.optimizer, 3 * 4 * learned);
  EXPECT_EQ(averaged.total() - plain.total(), 4 * learned);
  EXPECT_EQ(plain.batch, 3 * 96 * 96 * (3 + 1) * 4);
  EXPECT_EQ(process_need(plain, 1000), plain.total() + plain.total() / 10 + 1000);
}

TEST(Plan, KnowsWhatFits) {
  Settings s;
  s.images = s.masks = {"data"};
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  const Plan plan = make_plan(s, 12 * kGiB, kGiB / 2);
  ASSERT_EQ(plan.entries.size(), 16u);  // variants, precisions, recompute
  for (const auto& e : plan.entries) {
    const auto config = model::Config::of_variant(e.variant);
    Settings one = s;
    one.precision = e.precision;
    one.recompute = e.recompute;
    const auto total = [&](int batch, int accumulate) {
      one.batch = batch;
      one.accumulate = accumulate;
      return process_need(memory_need(config, one), kGiB / 2);
    };
    if (e.largest_batch > 0) {
      EXPECT_LE(total(e.largest_batch, 1), plan.memory) << e.variant;
    }
    EXPECT_GT(total(e.largest_batch + 1, 1), plan.memory) << e.variant;
    if (e.accumulate > 0) {
      EXPECT_LE(total(s.batch, e.accumulate), plan.memory) << e.variant;
    }
  }
  ASSERT_GE(plan.recommended, 0);
  EXPECT_THAT(plan.command, HasSubstr("--images data --masks data --init sam2_hiera_"));
  EXPECT_THAT(to_json(plan, s), HasSubstr("\"largest_batch\""));
  EXPECT_LT(make_plan(s, kGiB / 2, kGiB / 2).recommended, 0);
}

TEST(Plan, ReadsSizes) {
  EXPECT_EQ(parse_bytes("12G"), std::int64_t{12} << 30);
  EXPECT_EQ(parse_bytes("1.5GiB"), std::int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("800MB"), std::int64_t{800} << 20);
  EXPECT_EQ(parse_bytes("4096"), 4096);
  for (const char* bad : {"", "G", "12X", "-1G", "12GG", "nan", "1e30T"})
    EXPECT_THROW(parse_bytes(bad), UsageError) << bad;
}

}  // namespace
}  // namespace sam2unet::train
