// What the library's options may be, to the last one allowed, what is said of others, and what stands where
// nothing is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model/metadata.h"
#include "sam2unet/bench.h"
#include "sam2unet/devices.h"
#include "sam2unet/errors.h"
#include "sam2unet/onnx.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/verify.h"
#include "sam2unet/weights.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Limits : public testing::Test {
 protected:
  Limits() {
    test::write_tiny_weights(one_);
    auto config = test::tiny_config();
    config.out_channels = 3;
    test::write_weights(three_, config);
  }
  static std::string says(const Segmenter& segmenter, const SegmentOptions& options) {
    const Image picture = test::picture(20, 20, 3);
    return test::message_of<UsageError>([&] { (void)segmenter.segment(picture, options); });
  }
  static SegmentOptions small() {
    SegmentOptions o;
    o.size = InputSize::of(64, 32);
    return o;
  }
  test::TempDir dir_;
  const std::filesystem::path one_ = dir_ / "one.safetensors", three_ = dir_ / "three.safetensors";
};

TEST_F(Limits, OfASegmenter) {
  const auto says = [&](const SegmenterOptions& o) {
    return test::message_of<UsageError>([&] { Segmenter s(one_, o); });
  };
  EXPECT_EQ(says({.threads = -1}), "-1 threads: must be 0 (all cores) to 1024");
  EXPECT_EQ(says({.threads = 1025}), "1025 threads: must be 0 (all cores) to 1024");
  EXPECT_EQ(says({.streams = -1}), "-1 streams: must be 0 (as is best) to 64");
  EXPECT_EQ(says({.streams = 65}), "65 streams: must be 0 (as is best) to 64");
  EXPECT_EQ(says({.threads = 1, .streams = 64}), "");
}

TEST_F(Limits, OfBatches) {
  const Segmenter s(one_, {.threads = 1});
  SegmentOptions options = small();
  for (const auto& [batch, why] : {std::pair{-1, "a batch of -1: must be 0 (as is fastest) to 256"},
                                   {0, ""},
                                   {256, ""},
                                   {257, "a batch of 257: must be 0 (as is fastest) to 256"}}) {
    options.batch = batch;
    EXPECT_EQ(says(s, options), why);
  }
}

TEST_F(Limits, OfTiles) {
  const Segmenter s(one_, {.threads = 1});
  SegmentOptions options = small();
  const auto with = [&](int side, double overlap, double context) {
    options.tiles = TileOptions{.side = side, .overlap = overlap, .context = context};
    return says(s, options);
  };
  EXPECT_EQ(with(32, 0.9, 1.0), "");
  EXPECT_EQ(with(0, 0.0, 0.0), "");
  EXPECT_EQ(with(1 << 24, 0.25, 0.0), "");
  EXPECT_EQ(with(31, 0.25, 0.0), "a tile of 31 pixels: must be 0 (automatic) or at least 32");
  EXPECT_EQ(with((1 << 24) + 1, 0.25, 0.0),
            "a tile of 16777217 pixels: must be 0 (automatic) or at least 32");
  EXPECT_EQ(with(0, 0.91, 0.0), "an overlap of 0.91: must be 0 to 0.9");
  EXPECT_EQ(with(0, -0.01, 0.0), "an overlap of -0.01: must be 0 to 0.9");
  EXPECT_EQ(with(0, 0.25, 1.01), "a context's weight of 1.01: must be 0 to 1");
  EXPECT_EQ(with(0, 0.25, -0.01), "a context's weight of -0.01: must be 0 to 1");
}

TEST_F(Limits, OfScales) {
  const auto says = [](const char* text) {
    return test::message_of<UsageError>([&] { parse_augmentation(text); });
  };
  EXPECT_EQ(says("scale=0.25:4"), "");
  EXPECT_EQ(says("scale=0.24"), "a scale of 0.24: must be 0.25 to 4");
  EXPECT_EQ(says("scale=4.01"), "a scale of 4.01: must be 0.25 to 4");
  EXPECT_EQ(says("scale=1"), "a scale of 1 is the picture as it is, which is always there");
  EXPECT_EQ(says("scale=2:0.5:2"), "the scale 2 is named twice");
  EXPECT_EQ(says("scale=2,scale=3"), "'scale' is named twice; write scale=0.75:1.25");
  EXPECT_EQ(says("vflip,vflip"), "'vflip' is named twice");
  EXPECT_EQ(says("scale=x"), "scale 'x' is not a number; write scale=0.75:1.25");
  EXPECT_EQ(says("scale=2:3:4:0.5:0.6:0.7:0.8:0.9:1.1"), "9 scales: at most 8 are taken");
  EXPECT_EQ(says("flip"), "unknown augmentation 'flip'; use hflip, vflip, rot90, scale=A:B");
  // Of a scaled input too.
  SegmentOptions options;
  options.size = InputSize::square(4096);
  options.augmentation.scales = {2.5};
  EXPECT_THAT(Limits::says(Segmenter(one_, {.threads = 1}), options), HasSubstr("input size 10240x10240"));
}

TEST_F(Limits, OfPictures) {
  const Segmenter s(one_, {.threads = 1});
  const std::vector<std::uint8_t> bytes(64, 7);
  const auto says = [&](const ImageView& v) {
    return test::message_of<UsageError>([&] { (void)s.segment(v, small()); });
  };
  const char* needs = ": needs at least one pixel, 1, 3 or 4 channels, and a stride of whole rows";
  EXPECT_EQ(says({bytes.data(), 2, 2, 3, 6}), "");
  EXPECT_EQ(says({bytes.data(), 2, 2, 3, 5}),
            std::string("picture of 2x2 with 3 channels and stride 5") + needs);
  EXPECT_EQ(says({bytes.data(), 2, 2, 2, 4}),
            std::string("picture of 2x2 with 2 channels and stride 4") + needs);
  EXPECT_THAT(says({bytes.data(), 2, 2, 5, 10}), HasSubstr(needs));
  EXPECT_THAT(says({bytes.data(), 0, 2, 3, 6}), HasSubstr("picture of 0x2"));
  EXPECT_THAT(says({bytes.data(), 2, 0, 3, 6}), HasSubstr("picture of 2x0"));
  EXPECT_THAT(says({nullptr, 2, 2, 3, 6}), HasSubstr(needs));
  EXPECT_EQ(says({bytes.data(), 1, 1, 1, 1}), "");
  EXPECT_EQ(says({bytes.data(), 1, 1, 4, 4}), "");
}

TEST_F(Limits, OfWhatIsAskedOfAResult) {
  const Segmenter s(three_, {.threads = 1});
  SegmentOptions options = small();
  const Image picture = test::picture(20, 20, 3);
  const Segmentation r = s.segment(picture, options);
  EXPECT_EQ(r.map(2).data(), r.probabilities.data() + 800);
  EXPECT_EQ(test::message_of<UsageError>([&] { (void)r.map(3); }), "class 3 of a result with 3");
  EXPECT_EQ(test::message_of<UsageError>([&] { (void)r.map(-1); }), "class -1 of a result with 3");
  options.output = SegmentOutput::ids;
  EXPECT_EQ(test::message_of<UsageError>([&] { (void)s.segment(picture, options).map(); }),
            "this result was made without probabilities");
  EXPECT_EQ(test::message_of<UsageError>([&] { s.segment_in_bands(picture, options, {}); }),
            "nobody takes the bands");
  options.official = true;
  EXPECT_EQ(says(s, options),
            "the reference's test.py is defined for one foreground; this network has 3 classes");
  options.tiles = TileOptions{};
  EXPECT_EQ(says(s, options), "the reference's test.py has neither tiles nor augmentation");
}

TEST_F(Limits, OfTensorsThatAreGivenReady) {
  const Segmenter s(one_, {.threads = 1});
  std::vector<float> values(std::size_t{3} * 32 * 64, 0.0F);
  const auto says = [&](int count, std::size_t n) {
    return test::message_of<UsageError>(
        [&] { (void)s.forward(std::span(values).first(n), count, InputSize::of(64, 32)); });
  };
  EXPECT_EQ(says(1, 6144), "");
  EXPECT_EQ(says(0, 6144), "0 pictures: must be 1 or more");
  EXPECT_EQ(says(2, 6144), "6144 values for 2 pictures of 3 x 32 x 64");
  EXPECT_EQ(says(1, 6143), "6143 values for 1 pictures of 3 x 32 x 64");
  values[0] = INFINITY;
  EXPECT_EQ(says(1, 6144), "the network's input holds NaN or infinity");
}

TEST_F(Limits, OfTimings) {
  const auto says = [&](const auto& change) {
    BenchOptions o;
    o.weights = one_;
    o.size = InputSize::square(32);
    o.rounds = 1;
    o.warm_up = 0;
    o.run.threads = 1;
    change(o);
    return test::message_of<UsageError>([&] { (void)bench(o); });
  };
  EXPECT_EQ(says([](auto&) {}), "");
  EXPECT_EQ(says([](auto& o) { o.variant = "t"; }), "either a variant or a file of weights is timed");
  EXPECT_EQ(says([](auto& o) { o.weights.clear(); }), "either a variant or a file of weights is timed");
  EXPECT_EQ(says([](auto& o) { o.batch = 0; }), "a batch of 0: must be 1 to 256");
  EXPECT_EQ(says([](auto& o) { o.batch = 257; }), "a batch of 257: must be 1 to 256");
  EXPECT_EQ(says([](auto& o) { o.rounds = 0; }), "0 rounds: must be 1 to 100000");
  EXPECT_EQ(says([](auto& o) { o.rounds = 100'001; }), "100001 rounds: must be 1 to 100000");
  EXPECT_EQ(says([](auto& o) { o.warm_up = -1; }), "-1 rounds to warm up: must be 0 to 1000");
  EXPECT_EQ(says([](auto& o) { o.warm_up = 1001; }), "1001 rounds to warm up: must be 0 to 1000");
  EXPECT_EQ(says([](auto& o) { o.run.threads = 1025; }), "1025 threads: must be 0 (all cores) to 1024");
  EXPECT_EQ(says([](auto& o) { o.streams = 0; }), "0 streams: must be 1 to 1, the threads there are");
  EXPECT_EQ(says([](auto& o) { o.streams = 2; }), "2 streams: must be 1 to 1, the threads there are");
  EXPECT_EQ(says([](auto& o) {
              o.run.device = "cuda";
              o.streams = 65;
            }),
            "65 streams: must be 1 to 64");
}

TEST_F(Limits, ATimingTellsWhatItTimed) {
  BenchOptions o;
  o.weights = one_;
  o.size = InputSize::of(96, 64);
  o.batch = 2;
  o.rounds = 3;
  o.warm_up = 1;
  o.run.threads = 1;
  const BenchResult r = bench(o);
  EXPECT_EQ(r.variant, "custom");
  EXPECT_EQ(r.device, "cpu");
  EXPECT_EQ(r.arithmetic, "f32");
  EXPECT_EQ(r.precision, Precision::f32);
  EXPECT_EQ(r.size, InputSize::of(96, 64));
  EXPECT_EQ(r.batch, 2);
  EXPECT_EQ(r.threads, 1);
  EXPECT_EQ(r.streams, 1);
  ASSERT_EQ(r.ms.size(), 3u);  // those to warm up do not count
  EXPECT_LE(r.ms[0], r.ms[1]);
  EXPECT_LE(r.ms[1], r.ms[2]);
  EXPECT_DOUBLE_EQ(r.floor_ms, r.gflop / r.peak_gflops * 1e3);
  EXPECT_GT(r.peak_rss_mb, 1.0);
  EXPECT_LT(r.peak_rss_mb, 100'000.0);
  double kinds = 0.0, events = 0.0, stages = 0.0;
  for (const BenchStage& s : r.stages) {
    stages += s.ms;
    for (std::size_t i = 0; i < s.kinds.size(); ++i) {
      kinds += s.kinds[i].ms;
      EXPECT_TRUE(i == 0 || s.kinds[i - 1].ms >= s.kinds[i].ms);  // the longest first
    }
  }
  for (const BenchEvent& e : r.events) events += e.us;
  EXPECT_NEAR(kinds, events / 1e3, 1e-6);
  EXPECT_NEAR(stages, r.ms[0], 1e-6);  // of the fastest round
  EXPECT_EQ(r.events.front().stage, "stage 1");
  EXPECT_EQ(r.events.back().stage, "head");
}

// Streams begin together and end one after the other: the whole takes as long as the slowest of them.
TEST_F(Limits, SeveralStreamsEndWithTheLast) {
  BenchOptions o;
  o.weights = one_;
  o.size = InputSize::of(96, 64);
  o.rounds = 1;
  o.warm_up = 1;
  o.run.threads = 4;
  o.streams = 4;
  for (int turn = 0; turn < 8; ++turn) {
    const BenchResult r = bench(o);
    ASSERT_EQ(r.ms.size(), 4u);
    EXPECT_GE(r.total_s * 1e3, r.ms.back());
  }
}

// Of passes at a time: the threads of each, and every round of every stream.
TEST_F(Limits, ATimingOfStreamsTellsTheirShare) {
  BenchOptions o;
  o.weights = one_;
  o.size = InputSize::of(64, 32);
  o.batch = 2;
  o.rounds = 3;
  o.warm_up = 0;
  o.run.threads = 4;
  o.streams = 2;
  const BenchResult r = bench(o);
  EXPECT_EQ(r.threads, 2);
  EXPECT_EQ(r.streams, 2);
  EXPECT_EQ(r.batch, 2);
  EXPECT_EQ(r.size, InputSize::of(64, 32));
  EXPECT_EQ(r.device, "cpu");
  EXPECT_EQ(r.arithmetic, "f32");
  EXPECT_EQ(r.precision, Precision::f32);
  ASSERT_EQ(r.ms.size(), 6u);
  EXPECT_TRUE(std::is_sorted(r.ms.begin(), r.ms.end()));
  EXPECT_GT(r.gflop, 0.0);
  EXPECT_EQ(r.peak_gflops, 0.0);  // was not measured beside them
  EXPECT_EQ(r.floor_ms, 0.0);
  EXPECT_TRUE(r.stages.empty());
  EXPECT_TRUE(r.events.empty());
}

// Between the two nearest, as numpy.percentile does it.
TEST(Timings, PercentilesAndRates) {
  BenchResult r;
  r.ms = {1, 2, 4, 8, 16};
  EXPECT_DOUBLE_EQ(r.percentile(0.0), 1);
  EXPECT_DOUBLE_EQ(r.percentile(0.5), 4);
  EXPECT_DOUBLE_EQ(r.percentile(0.9), 12.8);
  EXPECT_DOUBLE_EQ(r.percentile(1.0), 16);
  r.batch = 2;
  EXPECT_DOUBLE_EQ(r.images_per_s(), 500);
  r.gflop = 3;
  EXPECT_DOUBLE_EQ(r.achieved_gflops(), 3000);
  EXPECT_DOUBLE_EQ(r.ratio_to_floor(), 0);
  r.floor_ms = 0.5;
  EXPECT_DOUBLE_EQ(r.ratio_to_floor(), 2);
  r.streams = 2;
  r.total_s = 0.1;
  EXPECT_DOUBLE_EQ(r.images_per_s(), 100);
}

TEST_F(Limits, DefaultsAreThoseTheDocumentationNames) {
  EXPECT_EQ(InputSize(), InputSize::of(352, 352));
  const SegmenterOptions run;
  EXPECT_EQ(std::tuple(run.threads, run.device, run.precision, run.streams),
            std::tuple(0, std::string("cpu"), Precision::standard, 1));
  const SegmentOptions o;
  EXPECT_EQ(std::tuple(o.size, o.official, o.pillow, o.fit, o.batch, o.output),
            std::tuple(InputSize::square(0), false, PillowVersion::v12, std::optional<Fit>(), 0,
                       SegmentOutput::probabilities));
  EXPECT_FALSE(o.tiles);
  EXPECT_TRUE(o.augmentation.empty());
  EXPECT_EQ(std::tuple(TileOptions().side, TileOptions().overlap, TileOptions().context),
            std::tuple(0, 0.25, 0.0));
  const BenchOptions b;
  EXPECT_EQ(std::tuple(b.size, b.batch, b.rounds, b.warm_up, b.streams),
            std::tuple(InputSize::square(0), 1, 20, 2, 1));
  const OnnxOptions x;
  EXPECT_EQ(std::tuple(x.graph, x.size, x.precision),
            std::tuple(OnnxGraph::core, InputSize::square(0), OnnxPrecision::f32));
  EXPECT_EQ(std::tuple(ConvertOptions().precision, ConvertOptions().task_only),
            std::tuple(WeightsPrecision::keep, false));
  EXPECT_EQ(std::tuple(VerifyOptions().threads, VerifyOptions().device, VerifyOptions().precision),
            std::tuple(0, std::string("cpu"), Precision::standard));
}

TEST_F(Limits, ASegmenterTellsWhatItIs) {
  const Segmenter plain(three_, {.threads = 1});
  const SegmenterInfo& i = plain.info();
  EXPECT_EQ(i.variant, "custom");
  EXPECT_EQ(i.device, "cpu");
  EXPECT_EQ(i.precision, Precision::f32);
  EXPECT_EQ(i.channels, 3);
  EXPECT_EQ(i.size, InputSize::square(352));
  EXPECT_EQ(i.fit, Fit::squash);
  EXPECT_EQ(i.batch, 1);
  EXPECT_EQ(i.arithmetic, "f32");
  EXPECT_EQ(i.in_flight, 1);
  EXPECT_EQ(i.choice, "");
  EXPECT_THAT(i.config, HasSubstr("\"out_channels\":3"));
  test::write_tiny_weights(dir_ / "trained.safetensors", false,
                           {{"input_size", "64x96"}, {model::kFitKey, "letterbox"}});
  const Segmenter trained(dir_ / "trained.safetensors", {.threads = 1});
  EXPECT_EQ(trained.info().size, InputSize::of(96, 64));
  EXPECT_EQ(trained.input_size(), InputSize::of(96, 64));
  EXPECT_EQ(trained.info().fit, Fit::letterbox);
  // One side may be said alone; the other is the weights'.
  SegmentOptions options;
  options.size = InputSize::of(32, 0);
  EXPECT_EQ(trained.segment(test::picture(9, 9, 3), options).logits_size, InputSize::of(32, 64));
  options.size = InputSize::of(0, 32);
  const Segmentation s = trained.segment(test::picture(9, 9, 3), options);
  EXPECT_EQ(s.logits_size, InputSize::of(96, 32));
  EXPECT_EQ(s.fit, Fit::letterbox);
  EXPECT_EQ(s.precision, Precision::f32);
  EXPECT_EQ(s.channels, 1);
  EXPECT_EQ(s.classes, nullptr);
  EXPECT_FALSE(s.official);
}

TEST(Devices, AreDescribed) {
  const auto all = devices();
  ASSERT_EQ(all.size(), 4u);
  const std::vector<std::pair<std::string, std::string>> want{
      {"cpu", "this processor, by the library's own kernels"},
      {"cuda", "an NVIDIA GPU, by kernels of our own"},
      {"cuda-torch", "an NVIDIA GPU, by LibTorch"},
      {"torch-cpu", "this processor, by LibTorch"}};
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(all[i].name, want[i].first);
    EXPECT_EQ(all[i].description, want[i].second);
    EXPECT_EQ(all[i].arithmetic, "");  // nothing was tried
  }
  EXPECT_THAT(all[0].precisions, ElementsAre(Precision::f32, Precision::bf16, Precision::int8));
  EXPECT_THAT(all[1].precisions, ElementsAre(Precision::bf16, Precision::f32, Precision::f16));
  EXPECT_THAT(all[2].precisions, ElementsAre(Precision::bf16, Precision::f32, Precision::tf32));
  EXPECT_THAT(all[3].precisions, ElementsAre(Precision::f32, Precision::bf16));
}

TEST(Names, OfChoices) {
  const std::pair<Precision, const char*> precisions[] = {
      {Precision::automatic, "automatic"}, {Precision::f32, "f32"},   {Precision::bf16, "bf16"},
      {Precision::int8, "int8"},           {Precision::tf32, "tf32"}, {Precision::f16, "f16"},
      {Precision::standard, "standard"}};
  for (const auto& [precision, name] : precisions) EXPECT_EQ(name_of(precision), name);
  EXPECT_EQ(name_of(Fit::squash), "squash");
  EXPECT_EQ(name_of(Fit::letterbox), "letterbox");
  EXPECT_EQ(parse_fit("letterbox"), Fit::letterbox);
  EXPECT_EQ(parse_fit("squash"), Fit::squash);
  EXPECT_EQ(test::message_of<UsageError>([] { (void)parse_fit("stretch"); }),
            "unknown fit 'stretch'; use squash or letterbox");
  EXPECT_EQ(name_of(OnnxGraph::core), "core");
  EXPECT_EQ(name_of(OnnxGraph::full), "full");
  EXPECT_EQ(name_of(OnnxPrecision::f32), "f32");
  EXPECT_EQ(name_of(OnnxPrecision::f16), "f16");
  EXPECT_EQ(name_of(OnnxPrecision::int8), "int8");
}

}  // namespace
}  // namespace sam2unet
