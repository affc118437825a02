// That a step does what it is asked: clips, computes in parts and counts them, takes ids for what they are.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "image/imagenet.h"
#include "support/tiny_weights.h"
#include "train/class_loss.h"
#include "train/multi_scale.h"
#include "train/step.h"

namespace sam2unet::train {
namespace {

struct Stepping {
  explicit Stepping(const StepOptions& options, model::Config config = test::tiny_config())
      : net(config, source, Freeze::trunk, at::kDouble),
        optimizer(net.trainable(), {}),
        ema(optimizer, 0),
        group({}, at::kCPU, std::chrono::seconds(5)),
        step(net, optimizer, ema, group, options) {
    at::set_num_threads(1);
  }
  StepOutcome make(const Batch& batch, int size, Request request = Request::none) {
    step.start(batch, size, static_cast<std::size_t>(batch.image.size(0)), 1e-3, request);
    return step.finish();
  }
  std::vector<std::int64_t> counters(bool of_up4) const {
    std::vector<std::int64_t> out;
    for (const auto& e : net.tensors().entries())
      if (e.spec.role == model::Role::counter && e.spec.name.starts_with("up4.") == of_up4)
        out.push_back(e.value.item<std::int64_t>());
    return out;
  }
  model::DeterministicWeights source;
  TrainableNetwork net;
  AdamW optimizer;
  Ema ema;
  Group group;
  TrainingStep step;
};

StepOptions options_of(int accumulate, double clip, LossOptions loss = {}) {
  return {loss, accumulate, false, clip, at::kDouble};
}

Batch batch_of(std::int64_t n, int largest = 255, int step = 255) {
  at::manual_seed(11);
  return {at::randint(0, 256, {n, 64, 64, 3}, at::kByte),
          (at::randint(0, largest / step + 1, {n, 64, 64, 1}, at::kLong) * step).to(at::kByte),
          {}};
}

// AdamW's first mean is a tenth of the gradient it was given, so it tells by how much that was clipped.
TEST(StepOptions, ClippingShortensTheGradientAndTellsTheWholeNorm) {
  const Batch batch = batch_of(2);
  Stepping free(options_of(1, 0)), clipped(options_of(1, 0.01));
  const StepOutcome a = free.make(batch, 64), b = clipped.make(batch, 64);
  ASSERT_GT(a.norm, 0.1);
  EXPECT_DOUBLE_EQ(a.norm, b.norm);
  for (std::size_t i = 0; i < free.optimizer.slots().size(); ++i) {
    const at::Tensor wanted = free.optimizer.slots()[i].mean * (0.01 / (a.norm + 1e-6)),
                     got = clipped.optimizer.slots()[i].mean;
    EXPECT_LE((wanted - got).abs().max().item<double>(), 1e-9 * wanted.abs().max().item<double>() + 1e-18)
        << free.optimizer.slots()[i].name;
  }
}

// BatchNorm counts each part it sees; up4 sees none. Of two pictures there are no four parts.
TEST(StepOptions, EachPartCountsAsABatch) {
  Stepping step(options_of(4, 0));
  EXPECT_THAT(step.counters(false), ::testing::Each(0));
  step.make(batch_of(4), 64);
  EXPECT_THAT(step.counters(false), ::testing::Each(4));
  step.make(batch_of(2), 64);
  EXPECT_THAT(step.counters(false), ::testing::Each(6));
  EXPECT_THAT(step.counters(true), ::testing::Each(0));
  EXPECT_FALSE(step.counters(true).empty());
}

TEST(StepOptions, ARequestToStopComesBackWithItsStep) {
  Stepping step(options_of(1, 0));
  EXPECT_FALSE(step.make(batch_of(2), 64).stops);
  EXPECT_TRUE(step.make(batch_of(2), 64, Request::stop).stops);
  EXPECT_FALSE(step.make(batch_of(2), 64).stops);
}

// The loss that is told is of ids that were never mixed, at a size that is not the batch's.
TEST(StepOptions, IdsAreResizedByTheNearest) {
  model::Config config = test::tiny_config();
  config.out_channels = 4;
  const LossOptions loss{LossKind::ce_dice, Bce::effective, 3};
  const Batch batch = batch_of(2, 4, 2);  // ids 0, 2 and 4: of no class, so ignored by nobody
  const Batch known{batch.image, at::where(batch.mask == 4, at::full_like(batch.mask, 3), batch.mask), {}};
  Stepping step(options_of(1, 0, loss), config), same({}, config);
  const double got = step.make(known, 96).loss;
  // The naive way: the picture normalised and resized, each id that of the pixel whose middle is nearest.
  at::Tensor image = known.image.to(at::kFloat) / 255;
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto k = static_cast<std::size_t>(c);
    image.select(3, c).sub_(kImagenetMean[k]).div_(kImagenetDeviation[k]);
  }
  at::Tensor ids = at::zeros({2, 96, 96, 1}, at::kFloat);
  for (std::int64_t y = 0; y < 96; ++y)
    for (std::int64_t x = 0; x < 96; ++x) {
      const auto near = [](std::int64_t i) {
        return static_cast<std::int64_t>((static_cast<double>(i) + 0.5) * 64 / 96);
      };
      ids.select(1, y).select(1, x).copy_(known.mask.select(1, near(y)).select(1, near(x)));
    }
  const double wanted = class_losses(same.net.forward_training(at_size(image, 96).to(at::kDouble)), ids, 3)
                            .total.item<double>();
  EXPECT_NEAR(got, wanted, 1e-6 * wanted);
}

// 2x3 to 4x6 is each id twice; to 3x2 those whose middles are nearest.
TEST(MultiScaleIds, AreTakenFromPixelMiddles) {
  const at::Tensor ids = at::arange(9, at::kFloat).view({1, 3, 3, 1});
  const at::Tensor twice = ids_at_size(ids, 6).view({6, 6});
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 6; ++x) EXPECT_EQ(twice[y][x].item<float>(), static_cast<float>(y / 2 * 3 + x / 2));
  const at::Tensor less = ids_at_size(ids, 2).view({2, 2});  // middles at 0.75 and 2.25 of 3: 0 and 2
  EXPECT_EQ(less[0][1].item<float>(), 2.0F);
  EXPECT_EQ(less[1][0].item<float>(), 6.0F);
  EXPECT_TRUE(ids_at_size(ids, 3).is_same(ids));
}

// A network that calls up4 counts its batches like those of the others.
TEST(StepOptions, WhereUp4IsCalledItCountsToo) {
  model::Config config = test::tiny_config();
  config.calls_up4 = true;
  Stepping step(options_of(1, 0), config);
  ASSERT_FALSE(step.counters(true).empty());
  step.make(batch_of(2), 64);
  EXPECT_THAT(step.counters(true), ::testing::Each(1));
  EXPECT_THAT(step.counters(false), ::testing::Each(1));
}

}  // namespace
}  // namespace sam2unet::train
