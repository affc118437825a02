// Pictures of several threads as batches of the network: whatever goes with them, each gets its own result.
#include "cli/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sam2unet/errors.h"
#include "support/pictures.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::cli {
namespace {

class BatcherTest : public testing::Test {
 protected:
  BatcherTest() { options.size = InputSize::of(64, 32); }
  static test::TempDir& folder() {
    static test::TempDir dir;
    return dir;
  }
  static const Segmenter& segmenter() {
    static const Segmenter one = [] {
      test::write_tiny_weights(folder() / "tiny.safetensors");
      return Segmenter(folder() / "tiny.safetensors", {.threads = 1});
    }();
    return one;
  }
  static float difference(const Segmentation& a, const Segmentation& b) {
    if (a.probabilities.size() != b.probabilities.size()) return 1.0F;
    float worst = 0.0F;
    for (std::size_t i = 0; i < a.probabilities.size(); ++i)
      worst = std::max(worst, std::abs(a.probabilities[i] - b.probabilities[i]));
    return worst;
  }
  SegmentOptions options;
};

// One of them cannot be segmented: it alone fails, with what is wrong with it.
TEST_F(BatcherTest, APictureThatFailsFailsAlone) {
  const std::vector<Image> good{test::picture(20, 31, 3), test::picture(50, 9, 3)};
  ImageView bad = good[0];
  bad.channels = 2;
  Batcher batcher(segmenter(), options, 3);
  batcher.expect(3);
  std::vector<Segmentation> results(2);
  std::vector<double> seconds(3, 1000.0);  // what was spent is added to
  std::string refused;
  {
    std::vector<std::jthread> callers;
    for (std::size_t i = 0; i < 2; ++i)
      callers.emplace_back([&, i] { results[i] = batcher.segment(good[i], &seconds[i]); });
    callers.emplace_back([&] {
      try {
        batcher.segment(bad, &seconds[2]);
      } catch (const UsageError& e) {
        refused = e.what();
      }
    });
  }
  EXPECT_THAT(refused, testing::HasSubstr("with 2 channels"));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(results[i].width, good[i].width);
    EXPECT_LT(difference(results[i], segmenter().segment(good[i], options)), 1e-5F);
    EXPECT_GT(seconds[i], 1000.0);
  }
  EXPECT_EQ(seconds[2], 1000.0);
  // All three were one batch, and what it took is shared.
  EXPECT_EQ(batcher.pictures(), 3U);
  EXPECT_GT(batcher.seconds(), 0.0);
  EXPECT_NEAR(seconds[0], seconds[1], 1e-9);
  EXPECT_NEAR(3 * (seconds[0] - 1000.0), batcher.seconds(), 1e-6);
}

// Other work runs where the network runs, in turn, and throws what it throws.
TEST_F(BatcherTest, WorkOfOthersRunsThereToo) {
  Batcher batcher(segmenter(), options, 1);
  const auto here = std::this_thread::get_id();
  std::thread::id there;
  double seconds = 7.0;
  batcher.run([&] { there = std::this_thread::get_id(); }, &seconds);
  EXPECT_NE(there, std::thread::id());
  EXPECT_NE(there, here);
  EXPECT_GT(seconds, 7.0);
  EXPECT_LT(seconds, 1000.0);
  EXPECT_THROW(batcher.run([] { throw std::runtime_error("odd"); }), std::runtime_error);
  const Image picture = test::picture(20, 31, 3);
  EXPECT_EQ(batcher.segment(picture).probabilities, segmenter().segment(picture, options).probabilities);
  EXPECT_EQ(batcher.pictures(), 3U);
}

// Beside the batch that is computed as much as the next one holds; none is of nothing.
TEST_F(BatcherTest, WaitersAreThoseOfTwoBatches) {
  EXPECT_EQ(Batcher(segmenter(), options, 5).waiting_for_full(), 10U);
  EXPECT_EQ(Batcher(segmenter(), options, 0).waiting_for_full(), 2U);
  // The network is told how many they are, and refuses more than it takes.
  EXPECT_THROW(Batcher(segmenter(), options, 257).segment(test::picture(20, 31, 3)), UsageError);
}

// Fewer come than a batch holds: when all that may still come wait, it is full.
TEST_F(BatcherTest, ABatchIsFullWhenNobodyElseMayCome) {
  const Image picture = test::picture(20, 31, 3);
  Batcher batcher(segmenter(), options, 4);
  batcher.expect(2);  // the three in two steps
  batcher.expect(1);
  std::vector<double> seconds(2, 0.0);
  {
    std::vector<std::jthread> callers;
    for (std::size_t i = 0; i < 2; ++i)
      callers.emplace_back([&, i] { batcher.segment(picture, &seconds[i]); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(batcher.pictures(), 0U);  // the third may still come
    batcher.expect(-1);
  }
  EXPECT_EQ(batcher.pictures(), 2U);
  EXPECT_NEAR(seconds[0], seconds[1], 1e-12);  // one batch
  // So it is again when those have come back.
  {
    std::jthread first([&] { batcher.segment(picture, &seconds[0]); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(batcher.pictures(), 2U);
    std::jthread second([&] { batcher.segment(picture, &seconds[1]); });
  }
  EXPECT_EQ(batcher.pictures(), 4U);
  EXPECT_NEAR(seconds[0], seconds[1], 1e-12);
}

}  // namespace
}  // namespace sam2unet::cli
