// The optimizer step: that it can be recorded and repeated, that a bad one changes nothing, and that its
// outcome may be read late. Recording is shown without a GPU: whatever a repeated step must not do is looked
// for on the CPU.
#include "train/step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "image/sample_kernels.h"
#include "model/weight_source.h"
#include "support/tiny_weights.h"

namespace sam2unet::train {
namespace {

using ::testing::IsEmpty;

// The names of the operations on all threads, as long as it lives. Those inside AdamW's kernel are left out:
// the CPU's reads its rate as a number, the GPU's does not.
class Operations {
 public:
  Operations() {
    seen().clear();
    handle_ =
        at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end).scopes({at::RecordScope::FUNCTION}));
  }
  ~Operations() { at::removeCallback(handle_); }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  static std::multiset<std::string> names() {
    const std::lock_guard lock(mutex());
    return {seen().begin(), seen().end()};
  }
  // What waits for a GPU, or cannot be repeated: values that the host reads, and sizes that depend on them.
  static std::vector<std::string> forbidden() {
    std::vector<std::string> out;
    for (const auto& name : names()) {
      for (const char* bad : {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero",
                              "aten::masked_select", "aten::equal", "aten::unique", "aten::bincount"}) {
        if (name == bad) out.push_back(name);
      }
    }
    return out;
  }

 private:
  struct Inside : at::ObserverContext {
    bool is_adamw = false;
  };
  static int& depth() {
    thread_local int n = 0;
    return n;
  }
  static std::vector<std::string>& seen() {
    static std::vector<std::string> all;
    return all;
  }
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& f) {
    auto inside = std::make_unique<Inside>();
    const std::string name = f.name();
    if (depth() == 0) {
      const std::lock_guard lock(mutex());
      seen().push_back(name);
    }
    inside->is_adamw = name == "aten::_fused_adamw_";
    if (inside->is_adamw) ++depth();
    return inside;
  }
  static void end(const at::RecordFunction&, at::ObserverContext* context) {
    if (static_cast<Inside*>(context)->is_adamw) --depth();
  }
  at::CallbackHandle handle_{};
};

// Records as a GPU does, but that a replay computes: it must do what was done when it was recorded, without
// the host reading anything.
class CheckingRecorder final : public Recorder {
 public:
  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    ++recorded;
    for (int i = 0; i < 2; ++i) work();
    const Operations operations;
    work();
    EXPECT_THAT(Operations::forbidden(), IsEmpty());
    return std::make_unique<Checked>(*this, work, Operations::names());
  }
  int recorded = 0, replayed = 0;

 private:
  struct Checked final : Recording {
    Checked(CheckingRecorder& r, std::function<void()> w, std::multiset<std::string> n)
        : recorder(r), work(std::move(w)), names(std::move(n)) {}
    void replay() override {
      ++recorder.replayed;
      const Operations operations;
      work();
      EXPECT_THAT(Operations::forbidden(), IsEmpty());
      EXPECT_EQ(Operations::names(), names);
    }
    CheckingRecorder& recorder;
    std::function<void()> work;
    std::multiset<std::string> names;
  };
};

struct Choice {
  Freeze freeze = Freeze::trunk;
  bool recompute = false;
  at::ScalarType type = at::kFloat;
  StepNumbers numbers = StepNumbers::device;
  double ema = 0.9, clip = 0.5;
  int accumulate = 1;
  LossKind loss = LossKind::structure;
};

// A network with everything that a step moves.
struct Trained {
  explicit Trained(const Choice& c, std::shared_ptr<Recorder> recorder = {})
      : net(test::nano_config(), source, c.freeze),
        optimizer(net.trainable(), {.numbers = c.numbers}),
        ema(optimizer, c.ema),
        group({}, at::kCPU, std::chrono::seconds(5)) {
    at::set_num_threads(1);
    net.ops().recompute = c.recompute;
    step = std::make_unique<TrainingStep>(
        net, optimizer, ema, group,
        StepOptions{{c.loss}, c.accumulate, false, c.clip, c.type, std::move(recorder)});
  }
  // All tensors, by name.
  std::vector<std::pair<std::string, at::Tensor>> state() const {
    std::vector<std::pair<std::string, at::Tensor>> out;
    for (const auto& e : net.tensors().entries()) out.emplace_back(e.spec.name, e.value.detach());
    for (std::size_t i = 0; i < optimizer.slots().size(); ++i) {
      const auto& s = optimizer.slots()[i];
      out.emplace_back("mean:" + s.name, s.mean);
      out.emplace_back("square:" + s.name, s.square);
      if (ema.enabled()) out.emplace_back("ema:" + s.name, ema.averages()[i]);
    }
    return out;
  }
  std::vector<at::Tensor> copy() const {
    std::vector<at::Tensor> out;
    for (const auto& [name, t] : state()) out.push_back(t.clone());
    return out;
  }
  std::vector<const void*> places() const {
    std::vector<const void*> out;
    for (const auto& [name, t] : state()) out.push_back(t.const_data_ptr());
    return out;
  }
  StepOutcome make(const Batch& batch, int size = 32) {
    step->start(batch, size, static_cast<std::size_t>(batch.image.size(0)), 1e-2, Request::none);
    return step->finish();
  }

  model::DeterministicWeights source;
  TrainableNetwork net;
  AdamW optimizer;
  Ema ema;
  Group group;
  std::unique_ptr<TrainingStep> step;
};

Batch batch_of(std::int64_t n, std::uint64_t seed) {
  at::manual_seed(seed);
  return {
      at::randint(0, 256, {n, 32, 32, 3}, at::kByte), at::randint(0, 2, {n, 32, 32, 1}, at::kByte) * 255, {}};
}

void expect_same(const Trained& trained, const std::vector<at::Tensor>& wanted) {
  const auto state = trained.state();
  ASSERT_EQ(state.size(), wanted.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_TRUE(at::equal(state[i].second, wanted[i])) << state[i].first;
  }
}

class Recorded : public ::testing::TestWithParam<std::pair<const char*, Choice>> {};
INSTANTIATE_TEST_SUITE_P(
    Choices, Recorded,
    ::testing::Values(std::pair{"official", Choice{.ema = 0, .clip = 0}}, std::pair{"clip_ema", Choice{}},
                      std::pair{"all_recompute", Choice{.freeze = Freeze::none, .recompute = true}},
                      std::pair{"accumulate_bf16", Choice{.type = at::kBFloat16, .accumulate = 2}},
                      std::pair{"empty_masks", Choice{.loss = LossKind::structure_empty}},
                      std::pair{"dice", Choice{.loss = LossKind::dice_bce}},
                      std::pair{"focal", Choice{.loss = LossKind::focal}}),
    [](const auto& p) { return p.param.first; });

// Batches of four and two, as an epoch with a smaller last one gives them.
TEST_P(Recorded, IsWhatOperationByOperationComputes) {
  const auto recorder = std::make_shared<CheckingRecorder>();
  Trained plain(GetParam().second), recorded(GetParam().second, recorder);
  const auto places = recorded.places();
  for (std::uint64_t i = 0; i < 4; ++i) {
    // Two pictures to a part at least: of one, /32 is a pixel, whose variance is no number.
    const Batch batch = batch_of((i == 2 ? 2 : 4) * GetParam().second.accumulate, i);
    const StepOutcome a = plain.make(batch), b = recorded.make(batch);
    EXPECT_TRUE(a.ok());
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_EQ(a.norm, b.norm);
  }
  EXPECT_EQ(recorder->recorded, 2);
  EXPECT_EQ(recorder->replayed, 4);
  EXPECT_TRUE(recorded.step->is_recorded());
  EXPECT_EQ(recorded.places(), places);
  expect_same(recorded, plain.copy());
}

TEST(Step, EverySizeIsRecorded) {
  const auto recorder = std::make_shared<CheckingRecorder>();
  Trained trained({}, recorder);
  for (const int size : {32, 64, 32}) EXPECT_TRUE(trained.make(batch_of(2, 1), size).ok());
  EXPECT_EQ(recorder->recorded, 2);
}

TEST(Step, GoesOnWithoutRecordingWhereThatFails) {
  struct Failing final : Recorder {
    std::unique_ptr<Recording> record(const std::function<void()>& work) override {
      work();
      TORCH_CHECK(false, "operation not permitted when stream is capturing");
    }
  };
  Trained plain({}), failing({}, std::make_shared<Failing>());
  for (std::uint64_t i = 0; i < 2; ++i) {
    plain.make(batch_of(2, i));
    EXPECT_TRUE(failing.make(batch_of(2, i)).ok());
  }
  EXPECT_FALSE(failing.step->is_recorded());
  expect_same(failing, plain.copy());
}

TEST(Step, NumbersOfTheHostAreNotRecorded) {
  const auto recorder = std::make_shared<CheckingRecorder>();
  Trained trained({.numbers = StepNumbers::host}, recorder);
  EXPECT_TRUE(trained.make(batch_of(2, 1)).ok());
  EXPECT_EQ(recorder->recorded, 0);
}

// Also where the next step is under way when it is told.
TEST(Step, ABadOneChangesNothing) {
  for (const auto numbers : {StepNumbers::host, StepNumbers::device}) {
    Trained trained({.freeze = Freeze::none, .numbers = numbers});
    EXPECT_TRUE(trained.make(batch_of(2, 1)).ok());
    const auto before = trained.copy();
    Batch bad = batch_of(2, 2);
    bad.image = bad.image.to(at::kFloat);
    bad.image.fill_(std::numeric_limits<float>::quiet_NaN());
    trained.step->start(bad, 32, 2, 1e-2, Request::none);
    trained.step->start(bad, 32, 2, 1e-2, Request::none);
    EXPECT_EQ(trained.step->under_way(), 2u);
    for (int i = 0; i < 2; ++i) {
      const StepOutcome outcome = trained.step->finish();
      EXPECT_FALSE(outcome.ok());
      EXPECT_EQ(outcome.bad_rank, 0);
      EXPECT_TRUE(std::isnan(outcome.loss));
    }
    expect_same(trained, before);
  }
}

// The batch may be let go of when it was handed over; its memory is held until it was read.
TEST(Step, OutcomesMayBeReadLate) {
  Trained now({}), late({});
  std::vector<double> wanted;
  for (std::uint64_t i = 0; i < 4; ++i) wanted.push_back(now.make(batch_of(2, i)).loss);
  std::vector<double> losses;
  for (std::uint64_t i = 0; i < 4; ++i) {
    late.step->start(batch_of(2, i), 32, 2, 1e-2, Request::none);
    if (late.step->under_way() > 1) losses.push_back(late.step->finish().loss);
  }
  losses.push_back(late.step->finish().loss);
  EXPECT_EQ(losses, wanted);
  expect_same(late, now.copy());
}

// AdamW and the average by numbers in tensors against those of the host.
TEST(Step, NumbersInTensorsComputeTheSame) {
  Trained host({.numbers = StepNumbers::host}), device({.numbers = StepNumbers::device});
  for (std::uint64_t i = 0; i < 4; ++i) {
    host.make(batch_of(2, i));
    device.make(batch_of(2, i));
    // Rounding would grow from step to step; what is compared is each step.
    const auto a = host.state(), b = device.state();
    const c10::NoGradGuard no_gradients;
    for (std::size_t k = 0; k < a.size(); ++k) {
      const double scale = std::max(1e-6, a[k].second.abs().max().to(at::kDouble).item<double>());
      EXPECT_LE((a[k].second - b[k].second).abs().max().to(at::kDouble).item<double>(), 2e-6 * scale)
          << a[k].first;
      at::Tensor(b[k].second).copy_(a[k].second);
    }
  }
}

// Copies of one picture have the same statistics in every part, so that parts of two and one sum to the batch
// of three.
TEST(Step, PartsOfUnequalSizeSumToTheWholeBatch) {
  const Batch one = batch_of(1, 3);
  const Batch batch{one.image.repeat({3, 1, 1, 1}), batch_of(3, 4).mask, {}};
  const Choice whole{.numbers = StepNumbers::host, .ema = 0, .clip = 0};
  Choice parted = whole;
  parted.accumulate = 2;
  Trained a(whole), b(parted);
  const StepOutcome wanted = a.make(batch, 96), got = b.make(batch, 96);  // maps of 3x3 at the least
  EXPECT_NEAR(got.loss, wanted.loss, 1e-4 * wanted.loss);
  EXPECT_NEAR(got.norm, wanted.norm, 1e-3 * wanted.norm);
  for (std::size_t i = 0; i < a.optimizer.slots().size(); ++i) {
    const at::Tensor &w = a.optimizer.slots()[i].mean, &g = b.optimizer.slots()[i].mean;
    EXPECT_LE((w - g).abs().max().item<float>(), 2e-3 * w.abs().max().item<float>() + 1e-5 * wanted.norm)
        << a.optimizer.slots()[i].name;
  }
}

TEST(Input, BytesBecomeWhatTheLoaderWrites) {
  std::vector<std::uint8_t> bytes(256 * 3), levels(256);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i / 3);
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<std::uint8_t>(i);
  std::vector<float> image(bytes.size()), mask(levels.size());
  image::normalise_rgb(bytes.data(), 256, image.data());
  image::normalise_gray(levels.data(), 256, mask.data());
  const InputMaker maker(at::kCPU);
  const at::Tensor pixels = at::from_blob(bytes.data(), {1, 16, 16, 3}, at::kByte),
                   gray = at::from_blob(levels.data(), {1, 16, 16, 1}, at::kByte);
  EXPECT_TRUE(at::equal(maker.image(pixels), at::from_blob(image.data(), {1, 16, 16, 3}, at::kFloat)));
  EXPECT_TRUE(at::equal(maker.mask(gray), at::from_blob(mask.data(), {1, 16, 16, 1}, at::kFloat)));
  EXPECT_TRUE(at::equal(maker.ids(gray), gray.to(at::kFloat)));
}

// The loss is a number and its gradient is none: nothing is taken from such a step, BatchNorm's statistics
// included, and no process is to blame.
TEST(Step, AGradientThatIsNoNumberChangesNothing) {
  for (const auto numbers : {StepNumbers::host, StepNumbers::device}) {
    for (const double factor : {std::numeric_limits<double>::infinity(), std::nan("")}) {
      Trained trained({.numbers = numbers});
      EXPECT_TRUE(trained.make(batch_of(2, 1)).ok());
      const auto before = trained.copy();
      const at::Tensor parameter = trained.optimizer.slots().back().parameter;
      const unsigned hook = parameter.register_hook([factor](const at::Tensor& g) { return g * factor; });
      const StepOutcome outcome = trained.make(batch_of(2, 2));
      EXPECT_FALSE(outcome.ok());
      EXPECT_EQ(outcome.bad_rank, -1);
      EXPECT_TRUE(std::isfinite(outcome.loss));
      EXPECT_FALSE(std::isfinite(outcome.norm));
      expect_same(trained, before);
      parameter.remove_hook(hook);
      EXPECT_TRUE(trained.make(batch_of(2, 2)).ok());
    }
  }
}

TEST(Step, WhereRecordingFailsTheReasonIsKept) {
  struct Failing final : Recorder {
    std::unique_ptr<Recording> record(const std::function<void()>&) override {
      TORCH_CHECK(false, "operation not permitted when stream is capturing");
    }
  };
  Trained failing({}, std::make_shared<Failing>());
  EXPECT_EQ(failing.step->failure(), "");
  EXPECT_TRUE(failing.step->is_recorded());
  EXPECT_TRUE(failing.make(batch_of(2, 1)).ok());
  EXPECT_THAT(failing.step->failure(), ::testing::HasSubstr("operation not permitted"));
  EXPECT_THAT(failing.step->failure(), ::testing::Not(::testing::HasSubstr("frame #")));
}

// Strong augmentation gives float32, normalised already.
TEST(Input, WhatIsNoByteStaysAsItIs) {
  const InputMaker maker(at::kCPU);
  const at::Tensor t = at::full({1, 2, 2, 1}, 7.0, at::kFloat);
  EXPECT_TRUE(maker.image(t).is_same(t));
  EXPECT_TRUE(maker.mask(t).is_same(t));
  EXPECT_TRUE(maker.ids(t).is_same(t));
}

}  // namespace
}  // namespace sam2unet::train
