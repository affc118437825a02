// The memory model against the peak of live tensor bytes over real training steps.
#include <gmock/gmock.h>

#include <ATen/Parallel.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
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
  bool recompute = false;
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
  s.recompute = c.recompute;
  const auto config = test::nano_config();
  const auto measured = static_cast<double>(measured_peak(config, s));
  const auto predicted = static_cast<double>(memory_need(config, s).total());
  EXPECT_NEAR(predicted / measured, 0.98, 0.06) << predicted << " predicted, " << measured << " measured";
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
                      Case{160, 2, 1, ComputeType::f32, Freeze::trunk, 0, {}, LossKind::focal},
                      Case{160, 2, 1, ComputeType::f32, Freeze::none, 0, {}, LossKind::structure, true},
                      Case{160, 2, 1, ComputeType::bf16, Freeze::none, 0, {}, LossKind::structure, true},
                      Case{96, 4, 1, ComputeType::bf16, Freeze::none, 0},
                      Case{96, 3, 1, ComputeType::f64, Freeze::none, 0},
                      Case{160, 4, 2, ComputeType::bf16, Freeze::none, 0}));

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

// The largest size decides, in whatever order the scales are given; the batch as it was read is there beside
// it.
TEST(Plan, OfSeveralScalesTheLargestCounts) {
  const auto config = test::nano_config();
  Settings s;
  s.batch = 2;
  s.size = 96;
  const std::int64_t wanted = memory_need(config, s).activations;
  s.size = 64;
  for (const auto& scales : {std::vector<double>{0.5, 1.5}, {1.5, 0.5}, {1, 1.5, 0.5}}) {
    s.multi_scale = scales;
    const MemoryNeed need = memory_need(config, s);
    EXPECT_EQ(need.activations, wanted);
    EXPECT_EQ(need.batch, 2 * (64 * 64 + 96 * 96) * (3 + 1) * 4);
  }
}

// With the trunk, in float64, in bf16, whose parameters are float32: counted from the table again.
TEST(Plan, CountsWhatFreezeAndPrecisionSay) {
  const auto config = test::nano_config();
  std::int64_t learned = 0, trunk = 0, all = 0;
  for (const auto& t : model::tensor_table(config)) {
    if (t.role == model::Role::counter) continue;
    all += t.shape.numel();
    learned += t.trainable() ? t.shape.numel() : 0;
    trunk += t.part == model::Part::trunk ? t.shape.numel() : 0;
  }
  Settings s;
  s.size = 96;
  s.batch = 2;
  s.freeze = Freeze::none;
  EXPECT_EQ(memory_need(config, s).gradients, 4 * (learned + trunk));
  s.freeze = Freeze::trunk;
  s.precision = ComputeType::f64;
  EXPECT_EQ(memory_need(config, s).parameters, 8 * all);
  EXPECT_EQ(memory_need(config, s).optimizer, 2 * 8 * learned);
  s.precision = ComputeType::bf16;
  EXPECT_EQ(memory_need(config, s).parameters, 4 * all);
}

TEST(Plan, RecomputingAndPartsTakeLess) {
  const auto config = test::nano_config();
  Settings s;
  s.size = 160;
  s.batch = 4;
  s.freeze = Freeze::none;
  const std::int64_t whole = memory_need(config, s).total();
  s.accumulate = 4;
  EXPECT_LT(memory_need(config, s).total(), whole);
  s.accumulate = 1;
  s.recompute = true;
  EXPECT_LT(memory_need(config, s).total(), whole);
}

// Three pictures in two parts are two and one, of which the larger counts: as of four.
TEST(Plan, OfUnequalPartsTheLargestCounts) {
  const auto config = test::nano_config();
  Settings s;
  s.size = 96;
  s.accumulate = 2;
  s.batch = 4;
  const std::int64_t even = memory_need(config, s).activations;
  s.batch = 3;
  EXPECT_EQ(memory_need(config, s).activations, even);
  s.batch = 2;
  EXPECT_LT(memory_need(config, s).activations, even);
}

TEST(Plan, AProcessTakesHalfAGibibyteAndWithAGpuAWholeOne) {
  EXPECT_EQ(default_overhead(DeviceKind::cpu), 512 * 1024 * 1024);
  EXPECT_EQ(default_overhead(DeviceKind::cuda), 1024 * 1024 * 1024);
}

// The largest network that fits in the precision asked for, then the fewest parts, then without recomputing.
TEST(Plan, RecommendsTheLargestThatFitsInAsFewPartsAsCanBe) {
  Settings s;
  s.images = s.masks = {"data"};
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  int in_parts = 0;
  for (const ComputeType precision : {ComputeType::f32, ComputeType::bf16}) {
    for (const std::int64_t memory : {kGiB, 2 * kGiB, 3 * kGiB, 24 * kGiB}) {
      s.precision = precision;
      const Plan plan = make_plan(s, memory, kGiB / 2);
      const PlanEntry* best = nullptr;
      for (const char* variant : {"t", "s", "b+", "l"}) {
        const PlanEntry* own = nullptr;
        for (const auto& e : plan.entries) {
          if (e.variant != variant || e.precision != precision || e.accumulate == 0) continue;
          if (own == nullptr || e.accumulate < own->accumulate) own = &e;  // without recomputing stands first
        }
        if (own != nullptr) best = own;
      }
      ASSERT_NE(best, nullptr);
      ASSERT_GE(plan.recommended, 0);
      EXPECT_EQ(&plan.entries[static_cast<std::size_t>(plan.recommended)], best);
      const auto has = [&](const std::string& option) {
        return plan.command.find(option) != std::string::npos;
      };
      EXPECT_TRUE(has("--variant " + best->variant + " ") || plan.command.ends_with(best->variant))
          << plan.command;
      EXPECT_EQ(has("--recompute"), best->recompute);
      EXPECT_EQ(has("--precision bf16"), precision == ComputeType::bf16);
      EXPECT_EQ(has("--accumulate " + std::to_string(best->accumulate)), best->accumulate > 1)
          << plan.command;
      in_parts += best->accumulate > 1 ? 1 : 0;
    }
  }
  EXPECT_GT(in_parts, 0);
}

TEST(Plan, IsOfTheNetworksAskedFor) {
  Settings s;
  s.images = s.masks = {"data"};
  s.size = 96;
  s.variant = "s";
  constexpr std::int64_t kMemory = std::int64_t{8} << 30;
  const Plan plain = make_plan(s, kMemory, 0);
  ASSERT_EQ(plain.entries.size(), 4u);
  for (const auto& e : plain.entries) EXPECT_EQ(e.variant, "s");
  s.classes = "150";
  apply_classes(s);
  s.decoder_width = 128;
  const Plan wide = make_plan(s, kMemory, 0);
  model::Config config = model::Config::of_variant("s");
  config.decoder_width = 128;
  config.out_channels = 150;
  Settings own = s;
  own.accumulate = wide.entries[0].accumulate;
  EXPECT_EQ(wide.entries[0].need.total(), memory_need(config, own).total());
  EXPECT_GT(wide.entries[0].need.parameters, plain.entries[0].need.parameters);
  s = Settings();
  s.network = test::nano_config().to_json();
  s.size = 96;
  EXPECT_EQ(make_plan(s, kMemory, 0).entries.at(0).variant, "custom");
  s.size = 70;
  EXPECT_THROW(make_plan(s, kMemory, 0), UsageError);
  s.network.clear();
  s.variant = "xl";
  EXPECT_THROW(make_plan(s, kMemory, 0), UsageError);
}

TEST(Plan, JsonAndTextSayTheSame) {
  Settings s;
  s.images = s.masks = {"data"};
  s.size = 96;
  s.variant = "t";
  const Plan plan = make_plan(s, std::int64_t{4} << 30, std::int64_t{256} << 20);
  const auto j = nlohmann::json::parse(to_json(plan, s));
  EXPECT_EQ(j.at("memory"), std::int64_t{4} << 30);
  EXPECT_EQ(j.at("overhead"), std::int64_t{256} << 20);
  EXPECT_EQ(j.at("recommended"), plan.recommended);
  EXPECT_EQ(j.at("command"), plan.command);
  ASSERT_EQ(j.at("entries").size(), 4u);
  for (const auto& e : j.at("entries")) {
    std::int64_t total = 0;
    for (const char* part : {"parameters", "optimizer", "gradients", "batch", "activations"})
      total += e.at(part).get<std::int64_t>();
    EXPECT_EQ(e.at("total"), total);
    EXPECT_EQ(e.at("process"), total + total / 10 + (std::int64_t{256} << 20));
  }
  const std::string text = to_text(plan, s);
  EXPECT_THAT(
      text, HasSubstr("4096 MiB, of which 256 MiB for the process itself; size 96, batch 12, freeze trunk"));
  EXPECT_TRUE(text.ends_with(plan.command + "\n"));
  EXPECT_THAT(to_text(make_plan(s, 1 << 20, 0), s), HasSubstr("nothing fits"));
}

TEST(Plan, ReadsSizes) {
  EXPECT_EQ(parse_bytes("12G"), std::int64_t{12} << 30);
  EXPECT_EQ(parse_bytes("1.5GiB"), std::int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("800MB"), std::int64_t{800} << 20);
  EXPECT_EQ(parse_bytes("4096"), 4096);
  for (const char* bad : {"", "G", "12X", "-1G", "12GG", "nan", "1e30T"})
    EXPECT_THROW(parse_bytes(bad), UsageError) << bad;
}

// The trunk that a frozen start wants, as the download page calls it, where nobody says what to start from.
TEST(Plan, NamesTheTrunkThatIsMissing) {
  const std::vector<std::pair<std::string, std::string>> trunks{{"t", "sam2_hiera_tiny.pt"},
                                                                {"s", "sam2_hiera_small.pt"},
                                                                {"b+", "sam2_hiera_base_plus.pt"},
                                                                {"l", "sam2_hiera_large.pt"}};
  Settings s;
  s.size = 96;
  constexpr std::int64_t kMemory = std::int64_t{32} << 30;
  for (const auto& [variant, trunk] : trunks) {
    s.variant = variant;
    const Plan plan = make_plan(s, kMemory, 0);
    EXPECT_THAT(plan.command, HasSubstr("--images DIR --masks DIR "));
    EXPECT_THAT(plan.command, HasSubstr(" --init " + trunk + " --variant " + variant));
    EXPECT_TRUE(to_text(plan, s).ends_with("\n\n# " + trunk +
                                           " is the trunk of SAM2 for this network, wherever you have it\n" +
                                           plan.command + "\n"));
  }
  for (const bool learns : {false, true}) {
    Settings other = s;
    if (learns) other.freeze = Freeze::none;
    other.frozen_scratch = !learns;
    const Plan plan = make_plan(other, kMemory, 0);
    EXPECT_THAT(plan.command, ::testing::Not(HasSubstr("--init")));
    EXPECT_THAT(to_text(plan, other), ::testing::Not(HasSubstr("#")));
  }
}

// A file says which network it is: only that one is planned for, whatever `variant` is left at.
TEST(Plan, OfAFileIsForItsNetwork) {
  const test::TempDir dir;
  const auto file = dir / "w.safetensors";
  Settings s;
  s.size = 96;
  s.init = file.string();
  constexpr std::int64_t kMemory = std::int64_t{8} << 30;
  for (const model::Config& config : {test::nano_config(), model::Config::of_variant("t")}) {
    test::write_weights(file, config);
    const Plan plan = make_plan(s, kMemory, 0);
    ASSERT_FALSE(plan.entries.empty());
    for (const PlanEntry& e : plan.entries) {
      EXPECT_EQ(e.variant, model::variant_name(config));
      Settings whole = s;
      whole.precision = e.precision;
      whole.recompute = e.recompute;
      whole.accumulate = e.accumulate;
      EXPECT_EQ(e.need.total(), memory_need(config, whole).total()) << e.variant;
    }
  }
}

// Where not even one picture fits, the need that is told is that of one picture.
TEST(Plan, OfTooLittleMemoryTellsTheNeedOfOnePicture) {
  Settings s;
  s.size = 96;
  s.variant = "t";
  const Plan plan = make_plan(s, std::int64_t{1} << 20, 0);
  EXPECT_EQ(plan.recommended, -1);
  ASSERT_FALSE(plan.entries.empty());
  for (const PlanEntry& e : plan.entries) {
    EXPECT_EQ(std::pair(e.largest_batch, e.accumulate), std::pair(0, 0));
    Settings one = s;
    one.precision = e.precision;
    one.recompute = e.recompute;
    one.batch = one.accumulate = 1;
    EXPECT_EQ(e.need.total(), memory_need(model::Config::of_variant("t"), one).total());
  }
}

// Column by column, in MiB rounded to the nearest.
TEST(Plan, TheTableSaysWhatWasCounted) {
  Settings s;
  s.images = s.masks = {"data"};
  s.size = 96;
  s.variant = "t";
  const std::int64_t memory = std::int64_t{900} << 20, overhead = std::int64_t{256} << 20;
  const Plan plan = make_plan(s, memory, overhead);
  std::istringstream text(to_text(plan, s));
  std::string line, word;
  std::getline(text, line);
  std::getline(text, line);
  EXPECT_EQ(line, "");
  std::getline(text, line);
  EXPECT_EQ(
      line,
      "variant  precision  recompute  largest batch  accumulate   weights  optimizer  gradients  batch  "
      "activations  tensors  process MiB");
  const auto mib = [](std::int64_t bytes) {
    return std::to_string(std::lround(static_cast<double>(bytes) / 1048576));
  };
  for (const auto& e : plan.entries) {
    std::getline(text, line);
    std::istringstream words(line);
    std::vector<std::string> got;
    while (words >> word) got.push_back(word);
    const std::int64_t total =
        e.need.parameters + e.need.optimizer + e.need.gradients + e.need.batch + e.need.activations;
    EXPECT_EQ(got,
              (std::vector<std::string>{
                  "t", e.precision == ComputeType::f32 ? "f32" : "bf16", e.recompute ? "yes" : "no",
                  std::to_string(e.largest_batch), e.accumulate == 0 ? "-" : std::to_string(e.accumulate),
                  mib(e.need.parameters), mib(e.need.optimizer), mib(e.need.gradients), mib(e.need.batch),
                  mib(e.need.activations), mib(total), mib(total + total / 10 + overhead)}));
  }
  std::getline(text, line);
  EXPECT_EQ(line, "");
}

TEST(Plan, SizesHaveFourUnitsAndTheRefusalNamesThem) {
  EXPECT_EQ(parse_bytes("3K"), 3 * 1024);
  EXPECT_EQ(parse_bytes("2KiB"), 2 * 1024);
  EXPECT_EQ(parse_bytes("2T"), std::int64_t{2} << 40);
  EXPECT_EQ(parse_bytes("512B"), 512);
  EXPECT_EQ(parse_bytes("0.5M"), std::int64_t{1} << 19);
  EXPECT_EQ(test::message_of<UsageError>([] { parse_bytes("0"); }),
            "--memory 0: give a size such as 12G or 800M");
  EXPECT_EQ(test::message_of<UsageError>([] { parse_bytes("9000000T"); }), "--memory 9000000T: too large");
  EXPECT_THROW(parse_bytes("12g"), UsageError);
  EXPECT_THROW(parse_bytes("12KM"), UsageError);
}

// A file is of one network: what else is asked for beside it is refused, and its classes count.
TEST(Plan, OfAFileAnotherNetworkIsRefused) {
  const test::TempDir dir;
  const auto file = dir / "w.safetensors";
  test::write_weights(file, test::nano_config());
  Settings s;
  s.size = 96;
  s.init = file.string();
  s.variant = "t";
  constexpr std::int64_t kMemory = std::int64_t{8} << 30;
  EXPECT_EQ(test::message_of<WeightsError>([&] { make_plan(s, kMemory, 0); }),
            file.string() + ": holds variant custom, not the t that was asked for");
  s.variant.clear();
  s.network = test::tiny_config().to_json();
  EXPECT_THROW(make_plan(s, kMemory, 0), WeightsError);
  s.network.clear();
  s.classes = "5";
  apply_classes(s);
  const Plan plan = make_plan(s, kMemory, 0);
  model::Config five = test::nano_config();
  five.out_channels = 5;
  Settings own = s;
  own.accumulate = plan.entries.at(0).accumulate;
  EXPECT_EQ(plan.entries[0].need.total(), memory_need(five, own).total());
}

}  // namespace
}  // namespace sam2unet::train
