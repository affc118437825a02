// The C API of the network, as it is used and misused. What a C compiler makes of the
// header is seen by examples/segment_c.c (tests/install).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "capi/calls.h"
#include "core/file.h"
#include "sam2unet/class_draw.h"
#include "sam2unet/draw.h"
#include "sam2unet/sam2unet.h"
#include "sam2unet/segmenter.h"
#include "support/changed_weights.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

using testing::HasSubstr;

// The tiny network with so many outputs, in a file, and a segmenter of it.
class CNetwork : public testing::Test {
 protected:
  static constexpr int kWidth = 41, kHeight = 30;

  void open(int channels, int threads = 0) {
    threads_ = threads;
    auto config = test::tiny_config();
    config.out_channels = channels;
    test::write_weights(file, config);
    s2u_segmenter_options* options = nullptr;
    MUST(s2u_segmenter_options_new(&options));
    MUST(s2u_segmenter_options_set_threads(options, threads));
    MUST(s2u_segmenter_options_set_device(options, "cpu"));
    MUST(s2u_segmenter_options_set_precision(options, S2U_PRECISION_F32));
    MUST(s2u_segmenter_new(file.c_str(), options, &segmenter));
    s2u_segmenter_options_free(options);
    MUST(s2u_segment_options_new(&small));
    MUST(s2u_segment_options_set_size(small, 64, 32));
  }

  // One picture.
  s2u_segmentation* segment() { return segmented(segmenter, plane_of(pixels, kWidth, kHeight, 3), small); }

  // On as many threads: oneDNN's AVX2 products add in an order that depends on it.
  Segmentation expected(const SegmentOptions& options = {}) const { return expected_of(threads_, options); }
  Segmentation expected_of(int threads, SegmentOptions options = {}) const {
    options.size = InputSize::of(64, 32);
    return Segmenter(file, {.threads = threads})
        .segment(ImageView(pixels.data(), kWidth, kHeight, 3), options);
  }

  ~CNetwork() override {
    s2u_segmenter_free(segmenter);
    s2u_segment_options_free(small);
  }

  test::TempDir dir;
  std::string file = (dir / "w.safetensors").string();
  std::vector<std::uint8_t> pixels = gradient(kWidth, kHeight, 3);
  s2u_segmenter* segmenter = nullptr;
  s2u_segment_options* small = nullptr;
  int threads_ = 0;
};

template <class T, class Function>
std::vector<T> of_result(Function function, const s2u_segmentation* r) {
  return array_of<T>([&](T* to, std::size_t* count) { return function(r, to, count); });
}

TEST_F(CNetwork, GivesWhatTheCppApiGives) {
  open(1);
  s2u_segmentation* r = segment();
  const Segmentation want = expected();
  s2u_segmentation_info info{};
  info.struct_size = sizeof info;
  MUST(s2u_segmentation_get_info(r, &info));
  EXPECT_EQ(info.width, kWidth);
  EXPECT_EQ(info.height, kHeight);
  EXPECT_EQ(info.channels, 1);
  EXPECT_EQ(info.logits_width, 64);
  EXPECT_EQ(info.logits_height, 32);
  EXPECT_EQ(info.fit, S2U_FIT_SQUASH);
  EXPECT_EQ(info.output, S2U_OUTPUT_PROBABILITIES);
  EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, r), want.probabilities);
  EXPECT_EQ(of_result<float>(s2u_segmentation_logits, r), want.logits);
  EXPECT_EQ(of_result<std::uint8_t>(s2u_segmentation_ids, r), want.to_ids().pixels);
  EXPECT_EQ(array_of<std::uint8_t>([&](auto* to, auto* n) { return s2u_segmentation_gray(r, 0, to, n); }),
            want.to_gray().pixels);
  EXPECT_EQ(
      array_of<std::uint8_t>([&](auto* to, auto* n) { return s2u_segmentation_mask(r, 0, 0.4, to, n); }),
      threshold_map(want.map(), kWidth, kHeight, 0.4).pixels);
  const auto confidence = of_result<float>(s2u_segmentation_confidence, r);
  EXPECT_EQ(confidence, expected({.output = SegmentOutput::ids}).confidence);
  REFUSED(s2u_segmentation_gray(r, 1, nullptr, nullptr), S2U_INVALID_ARGUMENT, "class 1");
  s2u_segmentation_free(r);
}

// On a picture that is not of the input's shape the two differ.
TEST_F(CNetwork, EachFitIsItself) {
  open(1);
  const std::pair<std::int32_t, Fit> both[] = {{S2U_FIT_SQUASH, Fit::squash},
                                               {S2U_FIT_LETTERBOX, Fit::letterbox}};
  for (const auto& [number, fit] : both) {
    MUST(s2u_segment_options_set_fit(small, number));
    s2u_segmentation* r = segment();
    s2u_segmentation_info info{};
    info.struct_size = sizeof info;
    MUST(s2u_segmentation_get_info(r, &info));
    EXPECT_EQ(info.fit, number);
    EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, r), expected({.fit = fit}).probabilities);
    s2u_segmentation_free(r);
  }
  EXPECT_NE(expected({.fit = Fit::squash}).probabilities, expected({.fit = Fit::letterbox}).probabilities);
}

// Of one row the stride says nothing, whatever it is.
TEST_F(CNetwork, APictureOfOneRowNeedsNoStride) {
  open(1);
  const Segmentation want =
      Segmenter(file).segment(ImageView(pixels.data(), kWidth, 1, 3), {.size = InputSize::of(64, 32)});
  for (const std::ptrdiff_t stride : {0, 3 * kWidth, -3 * kWidth, 1}) {
    s2u_plane plane = plane_of(pixels, kWidth, 1, 3);
    plane.stride = stride;
    s2u_segmentation* r = segmented(segmenter, plane, small);
    EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, r), want.probabilities) << stride;
    s2u_segmentation_free(r);
  }
}

TEST_F(CNetwork, TellsWhatItIs) {
  open(3);
  s2u_segmenter_info info{};
  info.struct_size = sizeof info;
  MUST(s2u_segmenter_get_info(segmenter, &info));
  EXPECT_EQ(info.channels, 3);
  EXPECT_EQ(info.width, 352);
  EXPECT_EQ(info.height, 352);
  EXPECT_EQ(info.batch, 1);
  EXPECT_EQ(info.fit, S2U_FIT_SQUASH);
  EXPECT_EQ(info.precision, S2U_PRECISION_F32);
  EXPECT_STREQ(s2u_segmenter_variant(segmenter), "custom");
  EXPECT_STREQ(s2u_segmenter_device(segmenter), "cpu");
  EXPECT_THAT(s2u_segmenter_config(segmenter), HasSubstr("\"embed_dim\":16"));
  ASSERT_EQ(s2u_segmenter_class_count(segmenter), 3u);
  EXPECT_STREQ(s2u_segmenter_class_name(segmenter, 0), "background");
  EXPECT_STREQ(s2u_segmenter_class_name(segmenter, 2), "class 2");
  EXPECT_STREQ(s2u_segmenter_class_name(segmenter, 3), "");
  std::uint8_t rgb[3] = {9, 9, 9};
  MUST(s2u_segmenter_class_color(segmenter, 1, rgb));
  EXPECT_EQ(std::vector<int>(rgb, rgb + 3), (std::vector<int>{128, 0, 0}));
  REFUSED(s2u_segmenter_class_color(segmenter, 3, rgb), S2U_INVALID_ARGUMENT, "no class 3");
  EXPECT_EQ(s2u_segmenter_ignored_id(segmenter), 255);
  EXPECT_EQ(s2u_segmenter_note_count(segmenter), 0u);
  EXPECT_STREQ(s2u_segmenter_note(segmenter, 0), "");
}

TEST_F(CNetwork, ClassesAndRegions) {
  open(3);
  s2u_segmentation* r = segment();
  const Segmentation want = expected();
  EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, r), want.probabilities);
  EXPECT_EQ(of_result<std::uint8_t>(s2u_segmentation_ids, r), want.to_ids().pixels);
  const Segmentation ids = expected({.output = SegmentOutput::ids});
  for (const auto kind : {RegionKind::classes, RegionKind::instances}) {
    const auto regions = class_regions(want.to_ids(), ids.confidence, std::vector<int>{1, 2}, {.kind = kind});
    s2u_regions* got = nullptr;
    MUST(s2u_segmentation_regions(r, kind == RegionKind::classes ? S2U_REGION_CLASSES : S2U_REGION_INSTANCES,
                                  0.0, &got));
    ASSERT_EQ(s2u_regions_count(got), regions.size());
    for (std::size_t i = 0; i < regions.size(); ++i) {
      s2u_region one{};
      one.struct_size = sizeof one;
      MUST(s2u_regions_get(got, i, &one));
      EXPECT_EQ(one.id, regions[i].id);
      EXPECT_EQ(one.area, regions[i].summary.area);
      EXPECT_EQ(one.width, regions[i].summary.box.width);
      EXPECT_NEAR(one.confidence, regions[i].summary.mean_confidence, 1e-6);
      const s2u_polygons* outlines = s2u_regions_polygons(got, i);
      ASSERT_EQ(s2u_polygons_count(outlines), regions[i].polygons.size());
      for (std::size_t p = 0; p < regions[i].polygons.size(); ++p) {
        const auto xy = array_of<std::int32_t>(
            [&](auto* to, auto* n) { return s2u_polygons_ring(outlines, p, 0, to, n); });
        ASSERT_EQ(xy.size(), 2 * regions[i].polygons[p].outer.size());
        EXPECT_EQ(xy[0], regions[i].polygons[p].outer[0].x);
        EXPECT_EQ(xy[1], regions[i].polygons[p].outer[0].y);
      }
      s2u_polygons_free(const_cast<s2u_polygons*>(outlines));  // lent: passed over
      EXPECT_EQ(s2u_polygons_count(outlines), regions[i].polygons.size());
    }
    const s2u_polygons* lent = s2u_regions_polygons(got, 0);
    EXPECT_EQ(s2u_regions_polygons(got, regions.size()), nullptr);
    s2u_regions_free(got);
    EXPECT_EQ(s2u_polygons_count(lent), 0u);  // gone with its owner
  }
  s2u_segmentation_free(r);
}

// Where it decides against the foreground everywhere, the confidence is that of the background.
TEST_F(CNetwork, ConfidenceIsOfWhatWasDecided) {
  open(1);
  test::write_filled(file, dir / "never.safetensors", "head.bias", -9.0F);
  s2u_segmenter* never = nullptr;
  MUST(s2u_segmenter_new((dir / "never.safetensors").c_str(), nullptr, &never));
  s2u_segmentation* r = segmented(never, plane_of(pixels, kWidth, kHeight, 3), small);
  const auto p = of_result<float>(s2u_segmentation_probabilities, r);
  const auto confidence = of_result<float>(s2u_segmentation_confidence, r);
  ASSERT_EQ(confidence.size(), p.size());
  for (std::size_t i = 0; i < p.size(); ++i) {
    ASSERT_LT(p[i], 0.4F);
    ASSERT_EQ(confidence[i], 1.0F - p[i]);
  }
  s2u_segmentation_free(r);
  s2u_segmenter_free(never);
}

TEST_F(CNetwork, IdsInsteadOfProbabilities) {
  open(3);
  MUST(s2u_segment_options_set_output(small, S2U_OUTPUT_IDS));
  s2u_segmentation* r = segment();
  const Segmentation want = expected({.output = SegmentOutput::ids});
  EXPECT_EQ(of_result<std::uint8_t>(s2u_segmentation_ids, r), want.ids);
  EXPECT_EQ(of_result<float>(s2u_segmentation_confidence, r), want.confidence);
  std::size_t count = 7;
  REFUSED(s2u_segmentation_probabilities(r, nullptr, &count), S2U_INVALID_ARGUMENT, "without probabilities");
  REFUSED(s2u_segmentation_mask(r, 0, 0.5, nullptr, &count), S2U_INVALID_ARGUMENT, "without probabilities");
  EXPECT_EQ(count, 7u);  // untouched
  s2u_segmentation_free(r);
}

TEST_F(CNetwork, TilesAndAugmentationAreThoseOfTheLibrary) {
  open(1);
  MUST(s2u_segment_options_set_tiles(small, 32, 0.5, 0.25));
  MUST(s2u_segment_options_set_augmentation(small, "hflip"));
  s2u_segmentation* r = segment();
  SegmentOptions same;
  same.tiles.emplace();
  same.tiles->side = 32;
  same.tiles->overlap = 0.5;
  same.tiles->context = 0.25;
  same.augmentation.mirror_x = true;
  EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, r), expected(same).probabilities);
  s2u_segmentation_info info = {};
  info.struct_size = sizeof info;
  MUST(s2u_segmentation_get_info(r, &info));
  EXPECT_EQ(info.logits_width, 0);
  s2u_segmentation_free(r);
}

TEST_F(CNetwork, BatchesOfDifferentSizesAndAllOrNone) {
  open(1);
  MUST(s2u_segment_options_set_batch(small, 2));
  const auto other = gradient(20, 50, 1);
  const s2u_plane a = plane_of(pixels, kWidth, kHeight, 3), b = plane_of(other, 20, 50, 1);
  const s2u_plane* planes[] = {&a, &b, &a};
  s2u_segmentation* out[3] = {};
  MUST(s2u_segment(segmenter, planes, 3, small, out));
  const auto one = of_result<float>(s2u_segmentation_probabilities, out[0]);
  EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, out[1]).size(), 1000u);
  const auto third = of_result<float>(s2u_segmentation_probabilities, out[2]);
  ASSERT_EQ(third.size(), one.size());
  for (std::size_t i = 0; i < one.size(); ++i) ASSERT_NEAR(third[i], one[i], 1e-5);
  for (auto* r : out) s2u_segmentation_free(r);

  s2u_segmentation* none[2] = {};
  s2u_plane bad = b;
  bad.channels = 2;
  const s2u_plane* with_bad[] = {&a, &bad};
  REFUSED(s2u_segment(segmenter, with_bad, 2, small, none), S2U_INVALID_ARGUMENT, "picture 1");
  const s2u_plane* with_null[] = {&a, nullptr};
  REFUSED(s2u_segment(segmenter, with_null, 2, small, none), S2U_INVALID_ARGUMENT, "picture 1 is null");
  EXPECT_EQ(none[0], nullptr);
  MUST(s2u_segment(segmenter, nullptr, 0, small, nullptr));  // nothing asked, nothing given
}

TEST_F(CNetwork, OptionsAreCheckedWhenTheyAreSet) {
  open(1);
  REFUSED(s2u_segment_options_set_size(small, 65, 32), S2U_INVALID_ARGUMENT, "multiples of 32");
  REFUSED(s2u_segment_options_set_size(small, -32, 32), S2U_INVALID_ARGUMENT, "multiples of 32");
  REFUSED(s2u_segment_options_set_batch(small, 257), S2U_INVALID_ARGUMENT, "256");
  REFUSED(s2u_segment_options_set_fit(small, 3), S2U_INVALID_ARGUMENT, "fit 3");
  REFUSED(s2u_segment_options_set_tiles(small, -1, 0.25, 0), S2U_INVALID_ARGUMENT, "a tile of -1 pixels");
  REFUSED(s2u_segment_options_set_tiles(small, 64, 1.0, 0), S2U_INVALID_ARGUMENT, "0 to 0.9");
  REFUSED(s2u_segment_options_set_tiles(small, 64, 0.25, std::nan("")), S2U_INVALID_ARGUMENT, "0 to 1");
  REFUSED(s2u_segment_options_set_augmentation(small, "hflop"), S2U_INVALID_ARGUMENT, "hflop");
  REFUSED(s2u_segment_options_set_output(small, -1), S2U_INVALID_ARGUMENT, "output -1");
  REFUSED(s2u_segment_options_set_official(small, 2), S2U_INVALID_ARGUMENT, "0 or 1");
  REFUSED(s2u_segment_options_set_pillow(small, 12), S2U_INVALID_ARGUMENT, "Pillow");
  s2u_segmenter_options* o = nullptr;
  MUST(s2u_segmenter_options_new(&o));
  REFUSED(s2u_segmenter_options_set_threads(o, 1025), S2U_INVALID_ARGUMENT, "1024");
  REFUSED(s2u_segmenter_options_set_device(o, nullptr), S2U_INVALID_ARGUMENT, "null");
  MUST(s2u_segmenter_options_set_device(o, "abacus"));
  s2u_segmenter* s = nullptr;
  REFUSED(s2u_segmenter_new(file.c_str(), o, &s), S2U_INVALID_ARGUMENT, "abacus");
  EXPECT_EQ(s, nullptr);
  s2u_segmenter_options_free(o);
  // 2^31 - 32 is a multiple of 32 and no size for a network.
  MUST(s2u_segment_options_set_size(small, 2147483616, 2147483616));
  const s2u_plane plane = plane_of(pixels, kWidth, kHeight, 3);
  const s2u_plane* planes[] = {&plane};
  s2u_segmentation* out = nullptr;
  REFUSED(s2u_segment(segmenter, planes, 1, small, &out), S2U_INVALID_ARGUMENT, "8192");
}

TEST_F(CNetwork, HugeAndHostilePlanes) {
  open(1);
  s2u_segmentation* out = nullptr;
  const auto refused = [&](const s2u_plane& p, const char* word) {
    const s2u_plane* planes[] = {&p};
    REFUSED(s2u_segment(segmenter, planes, 1, small, &out), S2U_INVALID_ARGUMENT, word);
  };
  const s2u_plane good = plane_of(pixels, kWidth, kHeight, 3);
  s2u_plane p = good;
  p.width = 2147483647;
  refused(p, "2^28");
  p = good;
  p.height = 0;
  refused(p, "at least 1x1");
  p = good;
  p.stride = 3;
  refused(p, "stride");
  p = good;
  p.stride = PTRDIFF_MIN;
  p.height = 1;  // of one row no stride counts
  MUST(s2u_segment(segmenter, std::array{static_cast<const s2u_plane*>(&p)}.data(), 1, small, &out));
  s2u_segmentation_free(out);
  out = nullptr;
  p = good;
  p.struct_size = 8;
  refused(p, "struct_size");
  p = good;
  p.data = nullptr;
  refused(p, "null");
  p = good;
  p.type = S2U_F32;
  refused(p, "bytes");
  // From the last row upwards: the same picture turned over.
  p = good;
  p.data = pixels.data() + static_cast<std::size_t>(kWidth) * 3 * (kHeight - 1);
  p.stride = -good.stride;
  const s2u_plane* planes[] = {&p};
  MUST(s2u_segment(segmenter, planes, 1, small, &out));
  EXPECT_NE(of_result<float>(s2u_segmentation_probabilities, out), expected().probabilities);
  s2u_segmentation_free(out);
}

TEST_F(CNetwork, FreedAndForeignHandlesAreTold) {
  open(1);
  s2u_segmentation* r = segment();
  std::size_t count = 0;
  s2u_segmentation_free(r);
  REFUSED(s2u_segmentation_logits(r, nullptr, &count), S2U_INVALID_ARGUMENT, "freed");
  s2u_segmentation_free(r);  // passed over
  s2u_segmentation_free(nullptr);
  REFUSED(s2u_segmentation_logits(reinterpret_cast<s2u_segmentation*>(small), nullptr, &count),
          S2U_INVALID_ARGUMENT, "no handle of its kind");
  s2u_segmentation_free(reinterpret_cast<s2u_segmentation*>(small));  // not freed as one
  MUST(s2u_segment_options_set_batch(small, 1));
  s2u_segmenter_free(segmenter);
  s2u_segmenter_free(segmenter);
  EXPECT_STREQ(s2u_segmenter_variant(segmenter), "");
  EXPECT_EQ(s2u_segmenter_class_count(segmenter), 0u);
  EXPECT_EQ(s2u_segmenter_ignored_id(segmenter), -1);
  segmenter = nullptr;
  int stack = 0;
  s2u_text_free(reinterpret_cast<s2u_text*>(&stack));
  EXPECT_STREQ(s2u_text_data(reinterpret_cast<s2u_text*>(&stack)), "");
}

TEST_F(CNetwork, PrecisionsAreOfTheDevice) {
  open(1);
  s2u_segmenter_options* options = nullptr;
  MUST(s2u_segmenter_options_new(&options));
  MUST(s2u_segmenter_options_set_precision(options, S2U_PRECISION_F16));
  REFUSED(s2u_segmenter_options_set_precision(options, S2U_PRECISION_STANDARD + 1), S2U_INVALID_ARGUMENT,
          "precision 7");
  MUST(s2u_segmenter_options_set_precision(options, S2U_PRECISION_TF32));
  s2u_segmenter* none = nullptr;
  REFUSED(s2u_segmenter_new(file.c_str(), options, &none), S2U_INVALID_ARGUMENT,
          "the device cpu computes in f32, bf16 or int8");
  s2u_segmenter_options_free(options);
}

TEST(CApiNulls, EveryFunctionRefusesNull) {
  std::size_t n = 0;
  const auto is_refused = [](s2u_status* s) { return told(s).code == S2U_INVALID_ARGUMENT; };
  EXPECT_TRUE(is_refused(s2u_decode_options_new(nullptr)));
  EXPECT_TRUE(is_refused(s2u_decode_options_set_color(nullptr, 0)));
  EXPECT_TRUE(is_refused(s2u_decode_options_set_orientation(nullptr, 0)));
  EXPECT_TRUE(is_refused(s2u_decode_options_set_max_pixels(nullptr, 1)));
  EXPECT_TRUE(is_refused(s2u_image_read("x", nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_image_decode(nullptr, 0, nullptr, nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_image_plane(nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_png_write(nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_resize_pillow(nullptr, 1, 1, 0, 0, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_segmenter_options_new(nullptr)));
  EXPECT_TRUE(is_refused(s2u_segmenter_options_set_threads(nullptr, 1)));
  EXPECT_TRUE(is_refused(s2u_segmenter_options_set_precision(nullptr, 1)));
  EXPECT_TRUE(is_refused(s2u_segmenter_new(nullptr, nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_segmenter_new_from_bytes(nullptr, 5, nullptr, nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_default_model(nullptr)));
  EXPECT_TRUE(is_refused(s2u_segmenter_get_info(nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_segmenter_class_color(nullptr, 0, nullptr)));
  EXPECT_TRUE(is_refused(s2u_segment_options_new(nullptr)));
  EXPECT_TRUE(is_refused(s2u_segment(nullptr, nullptr, 1, nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_segmentation_get_info(nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_segmentation_probabilities(nullptr, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_segmentation_gray(nullptr, 0, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_segmentation_mask(nullptr, 0, 0.5, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_segmentation_ids(nullptr, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_segmentation_confidence(nullptr, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_mask_polygons(nullptr, 0.0, nullptr)));
  EXPECT_TRUE(is_refused(s2u_polygons_ring(nullptr, 0, 0, nullptr, &n)));
  EXPECT_TRUE(is_refused(s2u_segmentation_regions(nullptr, 0, 0.0, nullptr)));
  EXPECT_TRUE(is_refused(s2u_ids_regions(nullptr, nullptr, 1, 0, 0.0, nullptr)));
  EXPECT_TRUE(is_refused(s2u_regions_get(nullptr, 0, nullptr)));
  EXPECT_TRUE(is_refused(s2u_weights_info("x", nullptr)));
  EXPECT_TRUE(is_refused(s2u_convert_options_set_trunk(nullptr, "")));
  EXPECT_TRUE(is_refused(s2u_weights_convert(nullptr, nullptr, nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_tensors_open("x", nullptr)));
  EXPECT_TRUE(is_refused(s2u_tensors_get(nullptr, 0, nullptr)));
  EXPECT_TRUE(is_refused(s2u_tensors_read(nullptr, 0, nullptr, 0)));
  EXPECT_TRUE(is_refused(s2u_tensor_writer_add(nullptr, "a", 0, nullptr, 0, nullptr, 0)));
  EXPECT_TRUE(is_refused(s2u_tensor_writer_save(nullptr, "x.pth")));
  EXPECT_TRUE(is_refused(s2u_doctor_options_set_progress(nullptr, nullptr, nullptr)));
  EXPECT_TRUE(is_refused(s2u_doctor("a", "b", nullptr, nullptr)));
  EXPECT_EQ(s2u_polygons_count(nullptr) + s2u_tensors_count(nullptr) + s2u_regions_count(nullptr), 0u);
  EXPECT_EQ(s2u_tensors_metadata_key(nullptr, 0), nullptr);
  s2u_image_free(nullptr);
  s2u_tensors_free(nullptr);
}

TEST_F(CNetwork, OfBytesAndOfFilesThatAreNone) {
  open(1);
  const auto bytes = read_file(file);
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new_from_bytes(bytes.data(), bytes.size(), "these", nullptr, &s));
  s2u_segmenter_free(s);
  s = nullptr;
  REFUSED(s2u_segmenter_new_from_bytes(bytes.data(), bytes.size() / 2, "these", nullptr, &s),
          S2U_FORMAT_ERROR, "these");
  REFUSED(s2u_segmenter_new((dir / "none.pth").c_str(), nullptr, &s), S2U_FILE_ERROR, "none.pth");
  test::write_tiny_weights(dir / "trunk.safetensors", true);
  REFUSED(s2u_segmenter_new((dir / "trunk.safetensors").c_str(), nullptr, &s), S2U_WEIGHTS_ERROR, "adapters");
  s2u_text* json = nullptr;
  REFUSED(s2u_weights_info((dir / "none.pth").c_str(), &json), S2U_FILE_ERROR, "none.pth");
  EXPECT_EQ(s, nullptr);
  EXPECT_EQ(json, nullptr);
}

TEST_F(CNetwork, ByTheNameOfAModel) {
  open(1);
  std::filesystem::create_directories(dir / "models");
  std::filesystem::copy_file(file, dir / "models" / "mine.safetensors");
  ::setenv("SAM2UNET_MODELS", (dir / "models").c_str(), 1);
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new("mine", nullptr, &s));
  s2u_segmenter_free(s);
  s = nullptr;
  s2u_text* json = nullptr;
  MUST(s2u_weights_info("mine", &json));
  s2u_text_free(json);
  s2u_tensors* tensors = nullptr;
  MUST(s2u_tensors_open("mine", &tensors));
  s2u_tensors_free(tensors);
  REFUSED(s2u_segmenter_new("sam2unet-cod", nullptr, &s), S2U_FILE_ERROR, "SAM2-UNet-COD.pth");
  REFUSED(s2u_segmenter_new("mime", nullptr, &s), S2U_FILE_ERROR, "sam2unet-t-duts");
  ::unsetenv("SAM2UNET_MODELS");
  EXPECT_EQ(s, nullptr);
}

TEST_F(CNetwork, SeveralThreadsAtOnce) {
  open(1, 1);
  const auto want = expected().probabilities;
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (int& mine : same) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        s2u_segmentation* r = segment();
        mine += of_result<float>(s2u_segmentation_probabilities, r) == want ? 1 : 0;
        s2u_segmentation_free(r);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(same, std::vector<int>(4, 5));
}

// A worker of a DataLoader: forked when OpenMP's threads exist, which the child has not.
TEST_F(CNetwork, AForkedChildGoesOnWithOneThread) {
  open(1, 2);
  const auto want = expected().probabilities, of_one = expected_of(1).probabilities;
  s2u_segmentation_free(segment());
  const pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    alarm(60);  // a deadlock ends as a failure
    const auto same = [&] {
      s2u_segmentation* r = segment();
      const bool is_same = of_result<float>(s2u_segmentation_probabilities, r) == of_one;
      s2u_segmentation_free(r);
      return is_same;
    };
    bool is_good = same();
    s2u_segmenter* again = nullptr;  // one of its own
    is_good = is_good && s2u_segmenter_new(file.c_str(), nullptr, &again) == nullptr;
    std::swap(segmenter, again);
    is_good = is_good && same();
    _exit(is_good ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  s2u_segmentation* r = segment();  // nor is the parent harmed
  EXPECT_EQ(of_result<float>(s2u_segmentation_probabilities, r), want);
  s2u_segmentation_free(r);
}

}  // namespace
}  // namespace sam2unet
