// What becomes of a row of logits: probabilities, and the class of each pixel.
#include "api/rows.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace sam2unet {
namespace {

struct Decided {
  std::vector<std::uint8_t> ids;
  std::vector<float> confidence;
};

template <class Decide>
Decided decided(std::vector<float> values, int channels, Decide decide) {
  const int width = static_cast<int>(values.size()) / channels;
  Decided out{std::vector<std::uint8_t>(static_cast<std::size_t>(width), 77),
              std::vector<float>(static_cast<std::size_t>(width))};
  decide({values.data(), channels, width, width}, out.ids.data(), out.confidence.data());
  return out;
}

// Even odds are foreground, as `p >= 0.5` has it everywhere; 0.49999997 is the number before.
TEST(Rows, OfOneForegroundEvenOddsAreForeground) {
  const Decided p = decided({0.0F, 0.25F, 0.49999997F, 0.5F, 1.0F}, 1, api::decide_of_probabilities);
  EXPECT_EQ(p.ids, (std::vector<std::uint8_t>{0, 0, 0, 1, 1}));
  EXPECT_EQ(p.confidence, (std::vector<float>{1.0F, 0.75F, 1.0F - 0.49999997F, 0.5F, 1.0F}));
  const Decided logits = decided({-2.0F, 0.0F, 2.0F}, 1, api::decide_of_logits);
  EXPECT_EQ(logits.ids, (std::vector<std::uint8_t>{0, 1, 1}));
  EXPECT_NEAR(logits.confidence[0], 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_EQ(logits.confidence[1], 0.5F);
}

// exp of more than 88 is no float: softmax is of the distances to the largest, whichever class that is.
TEST(Rows, LargeLogitsOfAnyClassHaveProbabilities) {
  const float low = std::exp(-1.0F) / (1 + 2 * std::exp(-1.0F)), high = 1 / (1 + 2 * std::exp(-1.0F));
  std::vector<float> values = {0.0F,   200.0F, 199.0F, 199.0F,   // of class 0
                               200.0F, 0.0F,   200.0F, 199.0F,   // of class 1
                               0.0F,   0.0F,   199.0F, 200.0F};  // of class 2
  api::activate({values.data(), 3, 4, 4}, api::Activation::softmax);
  const std::array<float, 12> want = {0, 1, low, low, 1, 0, high, low, 0, 0, low, high};
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(values[i], want[i], 1e-6F) << i;
}

// Channel after channel; the first of equals, as NumPy's argmax.
TEST(Rows, OfSeveralClassesTheFirstOfTheLargest) {
  const std::vector<float> values = {1.0F, 0.2F, 0.3F,   // of class 0
                                     1.0F, 0.2F, 0.5F,   // of class 1
                                     0.0F, 0.6F, 0.2F};  // of class 2
  const Decided p = decided(values, 3, api::decide_of_probabilities);
  EXPECT_EQ(p.ids, (std::vector<std::uint8_t>{0, 2, 1}));
  EXPECT_EQ(p.confidence, (std::vector<float>{1.0F, 0.6F, 0.5F}));
  const Decided logits = decided(values, 3, api::decide_of_logits);
  EXPECT_EQ(logits.ids, p.ids);
  EXPECT_NEAR(logits.confidence[0], std::exp(1.0) / (2 * std::exp(1.0) + 1), 1e-6);
  EXPECT_NEAR(logits.confidence[1], std::exp(0.6) / (2 * std::exp(0.2) + std::exp(0.6)), 1e-6);
}

// Large logits are no numbers' end: e^200 is none in float32. Values between the rows are left alone.
TEST(Rows, AreActivatedInPlace) {
  std::array<float, 6> values = {200.0F, -1.0F, 9.0F, 199.0F, 1.0F, 9.0F};
  api::activate({values.data(), 2, 3, 2}, api::Activation::softmax);
  EXPECT_NEAR(values[0], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(values[3], 1 / (1 + std::exp(1.0)), 1e-6);
  EXPECT_NEAR(values[1], 1 / (1 + std::exp(2.0)), 1e-6);
  EXPECT_NEAR(values[4], 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_EQ(values[2], 9.0F);
  EXPECT_EQ(values[5], 9.0F);
  values = {0.0F, 2.0F, 9.0F, -2.0F, 0.0F, 9.0F};
  api::activate({values.data(), 2, 3, 2}, api::Activation::sigmoid);
  EXPECT_NEAR(values[1], 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_NEAR(values[3], 1 / (1 + std::exp(2.0)), 1e-6);
  EXPECT_EQ(values[0], 0.5F);
  EXPECT_EQ(values[2], 9.0F);
}

}  // namespace
}  // namespace sam2unet
