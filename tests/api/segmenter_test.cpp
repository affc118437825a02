#include "sam2unet/segmenter.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "sam2unet/errors.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

static_assert(!std::is_copy_constructible_v<Segmenter> && std::is_nothrow_move_constructible_v<Segmenter>);

Image gradient(int w, int h, int c) {
  Image image(w, h, c);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 37 / 11);
  return image;
}

Segmenter& shared_segmenter() {
  static Segmenter s(default_model_path());
  return s;
}

TEST(Segmenter, TheMapHasThePicturesSizeAndTheLogitsTheNetworks) {
  SegmentOptions options;
  options.size = InputSize::of(64, 96);
  const auto s = shared_segmenter().segment(gradient(51, 33, 3), options);
  EXPECT_EQ(s.width, 51);
  EXPECT_EQ(s.height, 33);
  EXPECT_EQ(s.map().size(), 51u * 33u);
  EXPECT_EQ(s.logits.size(), 96u * 64u);
  EXPECT_TRUE(std::all_of(s.map().begin(), s.map().end(), [](float p) { return p >= 0 && p <= 1; }));
  EXPECT_EQ(shared_segmenter().variant(), "t");
}

TEST(Segmenter, GrayAndAlphaAreWhatTheirColoursAre) {
  SegmentOptions options;
  options.size = InputSize::of(64, 64);
  const Image gray = gradient(40, 30, 1);
  Image rgb(40, 30, 3), rgba(40, 30, 4);
  for (std::size_t i = 0; i < gray.pixels.size(); ++i) {
    for (std::size_t c = 0; c < 3; ++c) rgb.pixels[3 * i + c] = rgba.pixels[4 * i + c] = gray.pixels[i];
    rgba.pixels[4 * i + 3] = static_cast<std::uint8_t>(i);
  }
  const auto want = shared_segmenter().segment(rgb, options).logits;
  EXPECT_EQ(shared_segmenter().segment(gray, options).logits, want);
  EXPECT_EQ(shared_segmenter().segment(rgba, options).logits, want);
}

// [N,3,H,W] as the reference normalises, picture by picture.
std::vector<float> normalised(const std::vector<Image>& pictures) {
  constexpr double kMean[3] = {0.485, 0.456, 0.406}, kStd[3] = {0.229, 0.224, 0.225};
  std::vector<float> out;
  for (const Image& p : pictures) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t i = c; i < p.pixels.size(); i += 3)
        out.push_back(static_cast<float>((p.pixels[i] / 255.0 - kMean[c]) / kStd[c]));
    }
  }
  return out;
}

TEST(Segmenter, ForwardTakesWhatACallerPrepared) {
  const std::vector<Image> pictures = {gradient(64, 96, 3), Image(64, 96, 3)};
  SegmentOptions options;
  options.size = InputSize::of(64, 96);
  const auto got = shared_segmenter().forward(normalised(pictures), 2, options.size);
  ASSERT_EQ(got.size(), 2U * 96 * 64);
  for (std::size_t n = 0; n < 2; ++n) {
    const auto want = shared_segmenter().segment(pictures[n], options).logits;
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(got[n * want.size() + i], want[i], 1e-3) << n << ' ' << i;
  }
}

TEST(Segmenter, ForwardRefusesWhatDoesNotFit) {
  const InputSize size = InputSize::of(32, 64);
  std::vector<float> values(3 * 32 * 64, 0.0F);
  const Segmenter& s = shared_segmenter();
  EXPECT_EQ(s.forward(values, 1, size).size(), 32U * 64);
  EXPECT_THROW(s.forward(values, 0, size), UsageError);
  EXPECT_THROW(s.forward(values, 2, size), UsageError);
  EXPECT_THROW(s.forward(std::span(values).first(values.size() - 1), 1, size), UsageError);
  EXPECT_THROW(s.forward(values, 1, InputSize::of(33, 64)), UsageError);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(s.forward(values, 1, size), UsageError);
}

TEST(Segmenter, OfficialStretchesEveryPicture) {
  SegmentOptions options;
  options.size = InputSize::of(64, 64);
  options.official = true;
  const auto s = shared_segmenter().segment(gradient(40, 30, 3), options);
  EXPECT_EQ(*std::min_element(s.map().begin(), s.map().end()), 0.0F);
  EXPECT_GT(*std::max_element(s.map().begin(), s.map().end()), 0.999F);
}

TEST(Segmenter, ManyThreadsGetTheSameBits) {
  SegmentOptions options;
  options.size = InputSize::of(96, 64);
  std::vector<std::vector<float>> want;
  for (int i = 0; i < 4; ++i)
    want.push_back(shared_segmenter().segment(gradient(20 + i, 30, 3), options).logits);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 5; ++round) {
        const int i = (t + round) % 4;
        if (shared_segmenter().segment(gradient(20 + i, 30, 3), options).logits !=
            want[static_cast<std::size_t>(i)])
          ++wrong;
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

// oneDNN's primitives compute wrongly with fewer threads than they were made for, and a parallel region
// inside another, or one that may be made smaller, gets fewer.
// Largest difference, of the range.
double difference(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return INFINITY;
  const auto [low, high] = std::minmax_element(want.begin(), want.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < want.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])));
  return worst / static_cast<double>(*high - *low);
}

// Inside a region each caller has one thread left, and with it the bits of one thread. Where oneDNN divides a
// product's sums among threads (AVX2), those of two are others, within float32's rounding.
TEST(Segmenter, TheBitsOfOneThreadInAProgramsOwnParallelRegions) {
  constexpr double kRounding = 1e-5;
  SegmentOptions options;
  options.size = InputSize::of(96, 64);
  const Image picture = gradient(20, 30, 3);
  const auto usual = shared_segmenter().segment(picture, options).logits;
  const auto of_one = Segmenter(default_model_path(), {.threads = 1}).segment(picture, options).logits;
  EXPECT_LT(difference(of_one, usual), kRounding);
  std::atomic<int> wrong{0};
#pragma omp parallel num_threads(2)
  if (shared_segmenter().segment(picture, options).logits != of_one) ++wrong;
  EXPECT_EQ(wrong, 0);
  omp_set_dynamic(1);
  EXPECT_LT(difference(shared_segmenter().segment(picture, options).logits, usual), kRounding);
  omp_set_dynamic(0);
}

// The program's own parallel regions keep their threads.
TEST(Segmenter, TheCallersThreadsAreAsTheyWere) {
  const int before = omp_get_max_threads(), dynamic_before = omp_get_dynamic();
  omp_set_dynamic(1);
  omp_set_num_threads(3);
  for (const int threads : {1, 2}) {
    for (const Precision precision : {Precision::f32, Precision::int8}) {
      const Segmenter network(default_model_path(), {.threads = threads, .precision = precision});
      network.segment(gradient(8, 8, 3), {.size = InputSize::of(32, 32)});
      EXPECT_EQ(omp_get_max_threads(), 3);
      EXPECT_EQ(omp_get_dynamic(), 1);
    }
  }
  omp_set_num_threads(before);
  omp_set_dynamic(dynamic_before);
}

TEST(Segmenter, AMovedOneStillWorks) {
  Segmenter a(default_model_path(), {.threads = 1});
  const Segmenter b = std::move(a);
  SegmentOptions options;
  options.size = InputSize::of(32, 32);
  EXPECT_EQ(b.segment(gradient(1, 1, 3), options).map().size(), 1u);
}

// Streams share the threads, and each gives the bits of so many.
TEST(Segmenter, StreamsShareTheThreads) {
  const auto in_flight = [](int threads, int streams, Precision precision = Precision::f32) {
    SegmenterOptions options;
    options.threads = threads;
    options.streams = streams;
    options.precision = precision;
    return Segmenter(default_model_path(), options).info().in_flight;
  };
  EXPECT_EQ(in_flight(4, 1), 1);
  EXPECT_EQ(in_flight(4, 0), 1);                     // float32 keeps its bits
  if (std::getenv("OMP_THREAD_LIMIT") == nullptr) {  // under which fewer threads are shared
    EXPECT_EQ(in_flight(2, 0, Precision::int8), 2);
    EXPECT_EQ(in_flight(8, 0, Precision::bf16), 4);
    EXPECT_EQ(in_flight(4, 2), 2);
    EXPECT_EQ(in_flight(2, 64), 2);
  }
  const Image image = gradient(40, 30, 3);
  SegmentOptions small;
  small.size = InputSize::of(64, 64);
  for (const Precision precision : {Precision::f32, Precision::int8}) {
    const SegmenterOptions one{1, "cpu", precision, 1}, four{4, "cpu", precision, 4};
    EXPECT_EQ(Segmenter(default_model_path(), one).segment(image, small).logits,
              Segmenter(default_model_path(), four).segment(image, small).logits);
  }
  SegmenterOptions four;
  four.streams = 65;
  EXPECT_THROW(Segmenter(default_model_path(), four), UsageError);
  four.streams = -1;
  EXPECT_THROW(Segmenter(default_model_path(), four), UsageError);
}

// Streams are chosen by the number of pictures, which must not change a map: whatever the threads, the same
// bits, with rows enough for fc1 and fc2 to run one after the other with few threads, and apart with many.
TEST(Segmenter, LowPrecisionsGiveTheSameBitsOnAnyThreads) {
  const Image image = gradient(150, 130, 3);
  SegmentOptions options;
  options.size = InputSize::of(160, 128);
  for (const Precision precision : {Precision::bf16, Precision::int8}) {
    const auto logits = [&](int threads) {
      return Segmenter(default_model_path(), SegmenterOptions{threads, "cpu", precision, 1})
          .segment(image, options)
          .logits;
    };
    const auto one = logits(1);
    for (const int threads : {2, 3, 7}) EXPECT_EQ(one, logits(threads)) << threads;
  }
}

TEST(Segmenter, WrongArgumentsAreNamed) {
  SegmentOptions options;
  options.size = InputSize::of(100, 100);
  const Image image = gradient(8, 8, 3);
  EXPECT_THROW((void)shared_segmenter().segment(image, options), UsageError);
  EXPECT_THROW((void)shared_segmenter().segment(ImageView{}), UsageError);
  EXPECT_THROW((void)shared_segmenter().segment(ImageView{image.pixels.data(), 8, 8, 2, 16}), UsageError);
  EXPECT_THROW(Segmenter(default_model_path(), {.threads = -1}), UsageError);
  const test::TempDir dir;
  EXPECT_THROW(Segmenter(dir / "none.safetensors"), FileError);
  EXPECT_THROW(Segmenter(test::repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors"),
               WeightsError);
}

}  // namespace
}  // namespace sam2unet
