// Fresh weights: every tensor against what PyTorch's layers begin with.
#include "train/start.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "model/tensor_table.h"
#include "sam2unet/errors.h"
#include "support/message.h"
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

}  // namespace
}  // namespace sam2unet::train
