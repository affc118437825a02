// Fresh weights: every tensor against what PyTorch's layers begin with.
#include "train/start.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "formats/tensor_file.h"
#include "model/tensor_table.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::train {
namespace {

using ::testing::HasSubstr;

std::vector<float> fresh(const model::TensorSpec& spec, std::uint64_t seed,
                         AdapterInit adapters = AdapterInit::standard) {
  return StartWeights({}, test::nano_config(), seed, adapters).read(spec.name, spec.shape);
}

double deviation(const std::vector<float>& v) {
  double sum = 0, squares = 0;
  for (const float x : v) sum += x, squares += static_cast<double>(x) * x;
  const auto n = static_cast<double>(v.size());
  return std::sqrt(squares / n - sum / n * (sum / n));
}

// kaiming_uniform_(a = sqrt 5): uniform within 1 / sqrt(fan_in), of deviation bound / sqrt 3, where fan_in is
// what feeds one output: all but the first side.
TEST(FreshWeights, AreUniformWithinTheRootOfTheirFanIn) {
  int seen = 0;
  for (const auto& spec : model::tensor_table(test::nano_config())) {
    if (spec.role != model::Role::weight) continue;
    double fan_in = 1;
    for (std::size_t i = 1; i < spec.shape.rank(); ++i) fan_in *= static_cast<double>(spec.shape[i]);
    const double bound = 1 / std::sqrt(fan_in);
    const auto v = fresh(spec, 1);
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    EXPECT_GE(*low, -bound - 1e-6) << spec.name;
    EXPECT_LE(*high, bound + 1e-6) << spec.name;
    if (v.size() < 2000) continue;
    EXPECT_NEAR(deviation(v), bound / std::sqrt(3.0), 0.05 * bound) << spec.name;
    ++seen;
  }
  EXPECT_GT(seen, 20);
}

TEST(FreshWeights, NormsAreOneBiasesZeroAndPositionsSmall) {
  for (const auto& spec : model::tensor_table(test::nano_config())) {
    if (spec.role == model::Role::weight) continue;
    const auto v = fresh(spec, 1);
    if (spec.role == model::Role::position) {
      if (v.size() < 500) continue;
      EXPECT_NEAR(deviation(v), 0.02, 0.003) << spec.name;
      continue;
    }
    const bool is_one = spec.role == model::Role::norm_weight || spec.role == model::Role::running_var;
    for (const float x : v) ASSERT_EQ(x, is_one ? 1.0F : 0.0F) << spec.name;
  }
}

// Not two layers alike, and none as by another seed.
TEST(FreshWeights, DependOnTheSeedAndTheName) {
  std::vector<model::TensorSpec> specs;
  for (const auto& spec : model::tensor_table(test::nano_config()))
    if (spec.role == model::Role::weight) specs.push_back(spec);
  std::size_t alike = 0;
  for (std::size_t i = 1; i < specs.size(); ++i) {
    EXPECT_NE(fresh(specs[i], 1), fresh(specs[i], 2)) << specs[i].name;
    EXPECT_EQ(fresh(specs[i], 7), fresh(specs[i], 7)) << specs[i].name;
    if (specs[i].shape != specs[i - 1].shape) continue;
    ++alike;
    EXPECT_NE(fresh(specs[i], 1), fresh(specs[i - 1], 1)) << specs[i].name;
  }
  EXPECT_GT(alike, 0u);
}

TEST(FreshWeights, OfClassesHaveAsManyOutputs) {
  StartWeights start({}, test::nano_config(), 1, AdapterInit::standard, default_class_table(5));
  EXPECT_EQ(start.config().out_channels, 5);
  EXPECT_THAT(test::message_of<UsageError>([] { StartWeights({}, std::nullopt, 1); }),
              HasSubstr("--variant"));
}

// --- what a file is told to be, and what it is not

class StartFile : public ::testing::Test {
 protected:
  void SetUp() override {
    test::write_weights(full, test::nano_config());
    test::write_weights(trunk, test::nano_config(), {}, /*only_trunk=*/true);
  }
  static std::string refusal(const std::filesystem::path& file, const std::optional<model::Config>& config,
                             const ClassTable& classes = {}, const AskedParts& parts = {}) {
    return test::message_of<WeightsError>(
        [&] { StartWeights(file, config, 1, AdapterInit::standard, classes, parts); });
  }
  test::TempDir dir;
  const std::filesystem::path full = dir / "full.safetensors", trunk = dir / "trunk.safetensors";
};

TEST_F(StartFile, IsDescribedByWhatItHolds) {
  EXPECT_EQ(StartWeights(full, std::nullopt, 1).description(), full.string() + " (full SAM2-UNet, custom)");
  EXPECT_EQ(StartWeights(trunk, std::nullopt, 1).description(), trunk.string() + " (SAM2 trunk, custom)");
  EXPECT_EQ(StartWeights({}, test::nano_config(), 1).description(), "fresh weights");
  EXPECT_EQ(StartWeights(full, std::nullopt, 1, AdapterInit::standard, default_class_table(4)).description(),
            full.string() +
                " (full SAM2-UNet, custom); its heads are of one foreground, those of 4 classes start fresh");
  // A trunk has no heads that could be of anything.
  EXPECT_EQ(StartWeights(trunk, std::nullopt, 1, AdapterInit::standard, default_class_table(4)).description(),
            trunk.string() + " (SAM2 trunk, custom)");
}

// The values of the file where it has them: all of them, or the trunk's; whole tensors and parts of one.
TEST_F(StartFile, GivesTheFilesValuesAndFreshOnesBesideThem) {
  model::DeterministicWeights stored;
  const StartWeights of_full(full, std::nullopt, 5), of_trunk(trunk, std::nullopt, 5),
      none({}, test::nano_config(), 5);
  for (const auto& spec : model::tensor_table(test::nano_config())) {
    const auto wanted = stored.read(spec.name, spec.shape);
    const auto fresh = none.read(spec.name, spec.shape);
    EXPECT_EQ(of_full.read(spec.name, spec.shape), wanted) << spec.name;
    EXPECT_EQ(of_trunk.read(spec.name, spec.shape), spec.part == model::Part::trunk ? wanted : fresh)
        << spec.name;
    if (wanted.size() < 4) continue;
    std::vector<float> some(2);
    for (const StartWeights* start : {&of_full, &none}) {
      start->read(spec.name, spec.shape, 1, some);
      const auto& whole = start == &of_full ? wanted : fresh;
      EXPECT_EQ(some, std::vector<float>(whole.begin() + 1, whole.begin() + 3)) << spec.name;
    }
  }
}

TEST_F(StartFile, ThatContradictsWhatIsAskedIsRefused) {
  EXPECT_EQ(refusal(full, model::Config::of_variant("t")),
            full.string() + ": holds variant custom, not the t that was asked for");
  model::Config wide = test::nano_config();
  wide.decoder_width = 32;
  EXPECT_EQ(refusal(trunk, wide), "");
  EXPECT_THAT(refusal(full, wide), ::testing::StartsWith(full.string() + ": has the original's parts, but "));
  EXPECT_THAT(refusal(full, wide), ::testing::EndsWith(" is asked for; start from a SAM2 trunk"));
  EXPECT_THAT(refusal(full, std::nullopt, {}, {72, 0, NeckChoice::as_start}),
              ::testing::EndsWith("; start from a SAM2 trunk, or leave its parts as they are"));
  EXPECT_EQ(refusal(full, std::nullopt, {}, {32, 64, NeckChoice::rfb}), "");
  // A file of other parts, where they are asked for, or nothing is said of them.
  const auto file = dir / "wide.safetensors";
  test::write_weights(file, wide);
  for (const model::Config& asked : {wide, test::nano_config()}) {
    EXPECT_EQ(refusal(file, asked), "");
    EXPECT_EQ(StartWeights(file, asked, 1).config().decoder_width, 32);
  }
  wide.decoder_width = 16;
  EXPECT_THAT(refusal(file, wide), ::testing::EndsWith(" is asked for; start from a SAM2 trunk"));
}

// Names are compared from the first class to the last.
TEST_F(StartFile, OfOtherClassesIsRefused) {
  model::Config three = test::nano_config();
  three.out_channels = 3;
  const ClassTable stored = default_class_table(3);
  const auto file = dir / "three.safetensors";
  test::write_weights(file, three, {{"classes", to_json(stored)}});
  EXPECT_EQ(refusal(file, std::nullopt, stored), "");
  for (std::size_t i = 0; i < 3; ++i) {
    ClassTable other = stored;
    other.classes[i].name = "reef";
    EXPECT_EQ(refusal(file, std::nullopt, other),
              file.string() + ": its class " + std::to_string(i) + " is '" + stored.classes[i].name +
                  "', not the 'reef' that is asked for; start from these classes, from one foreground or "
                  "from a SAM2 trunk");
  }
}

// A file of part of a network starts nothing, and says what it is.
TEST_F(StartFile, OfPartOfANetworkIsRefused) {
  const auto whole = formats::TensorFile::open(full);
  std::vector<formats::NamedTensor> task;
  for (const auto& t : whole.tensors())
    if (model::part_of(t.name) != model::Part::trunk) task.push_back(t);
  const auto path = dir / "task.safetensors";
  formats::write_safetensors(path, task, whole.metadata());
  EXPECT_THAT(
      refusal(path, std::nullopt),
      ::testing::StartsWith(path.string() + ": task-only SAM2-UNet checkpoint; a training starts from a SAM2 "
                                            "trunk or a full SAM2-UNet (missing: "));
}

// SAM2's own files, and trunks taken out of them, call the tensors otherwise: none of them is fresh for that.
TEST_F(StartFile, ATrunkByTheNamesOfItsMakersIsTakenWhole) {
  const model::Config config = model::Config::of_variant("t");
  const auto path = dir / "sam2.safetensors";
  for (const std::string prefix : {"image_encoder.trunk.", "trunk.", ""}) {
    model::Recognition named;
    named.trunk_prefix = prefix;
    std::vector<std::vector<std::byte>> data;
    std::vector<formats::NamedTensor> tensors;
    for (const auto& spec : model::tensor_table(config)) {  // each of a number of its own
      if (spec.part != model::Part::trunk) continue;
      const auto value = static_cast<std::byte>(2 + data.size() % 250);
      data.emplace_back(static_cast<std::size_t>(spec.shape.numel()), value);
      tensors.push_back({model::stored_name(spec.name, named),
                         {data.back().data(), DType::u8, spec.shape, spec.shape.dense_strides()}});
    }
    formats::write_safetensors(path, tensors, {});
    ASSERT_NE(formats::TensorFile::open(path).find(prefix + "blocks.0.norm1.weight"), nullptr);
    const StartWeights start(path, std::nullopt, 5);
    EXPECT_EQ(start.config(), config);
    std::size_t i = 0;
    for (const auto& spec : model::tensor_table(config)) {
      if (spec.part != model::Part::trunk) continue;
      std::vector<float> first(1);
      start.read(spec.name, spec.shape, 0, first);
      EXPECT_EQ(first[0], static_cast<float>(2 + i++ % 250)) << prefix << " " << spec.name;
    }
  }
}

// Several classes have no use for the heads of one foreground, but for all that stands before them.
TEST_F(StartFile, OfOneForegroundAllButItsHeadsIsKept) {
  const StartWeights start(full, std::nullopt, 5, AdapterInit::standard, default_class_table(4)),
      none({}, start.config(), 5);
  model::DeterministicWeights stored;
  int heads = 0;
  for (const auto& spec : model::tensor_table(start.config())) {
    const bool is_head = spec.part == model::Part::head;
    heads += is_head ? 1 : 0;
    EXPECT_EQ(start.read(spec.name, spec.shape),
              is_head ? none.read(spec.name, spec.shape) : stored.read(spec.name, spec.shape))
        << spec.name;
  }
  EXPECT_EQ(heads, 6);  // weight and bias of three
}

// Another program's file says how many classes it has, and not what they are.
TEST_F(StartFile, OfUnnamedClassesIsToldByTheirNumber) {
  model::Config three = test::nano_config();
  three.out_channels = 3;
  const auto file = dir / "unnamed.safetensors";
  test::write_weights(file, three);
  EXPECT_EQ(refusal(file, std::nullopt, default_class_table(3)), "");
  EXPECT_EQ(StartWeights(file, std::nullopt, 1, AdapterInit::standard, default_class_table(3)).description(),
            file.string() + " (full SAM2-UNet, custom)");
  EXPECT_EQ(refusal(file, std::nullopt, default_class_table(4)),
            file.string() +
                ": holds 3 classes, but 4 are asked for; start from these classes, from one foreground or "
                "from a SAM2 trunk");
  EXPECT_EQ(refusal(file, std::nullopt), file.string() + ": holds 3 classes; name them with --classes");
}

// Which of two networks is meant nobody knows; what lies beside one is named.
TEST_F(StartFile, OfTwoNetworksIsRefusedAndStrangersAreNamed) {
  const auto whole = formats::TensorFile::open(full);
  std::vector<formats::NamedTensor> two;
  for (const char* prefix : {"student.", "teacher."})
    for (const auto& t : whole.tensors()) two.push_back({prefix + t.name, t.view});
  const auto path = dir / "two.safetensors";
  formats::write_safetensors(path, two, whole.metadata());
  EXPECT_THAT(refusal(path, std::nullopt),
              ::testing::StartsWith(path.string() + ": several networks in it (student., teacher.)"));
  std::vector<formats::NamedTensor> counted = whole.tensors();
  counted.push_back({"total_ops", whole.tensors().front().view});
  formats::write_safetensors(path, counted, whole.metadata());
  EXPECT_THAT(StartWeights(path, std::nullopt, 1).description(),
              ::testing::AllOf(::testing::StartsWith(path.string() + " (full SAM2-UNet, custom); "),
                               HasSubstr("1 tensor beside the network was left out: total_ops")));
}

}  // namespace
}  // namespace sam2unet::train
