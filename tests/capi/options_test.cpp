// The C API's options one by one: each does what the C++ API's does, and something else than its default.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "capi/calls.h"
#include "core/file.h"
#include "sam2unet/draw.h"
#include "sam2unet/image.h"
#include "sam2unet/sam2unet.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/weights.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

using testing::HasSubstr;

// The tiny network, trained at 64 wide and 32 high on letterboxed pictures.
class COptions : public testing::Test {
 protected:
  static constexpr int kWidth = 20, kHeight = 300;

  COptions() {
    test::write_tiny_weights(file, false, {{"input_size", "32x64"}, {"fit", "letterbox"}});
    EXPECT_EQ(told(s2u_segment_options_new(&options)).code, S2U_OK);
    segmenter = open(S2U_PRECISION_F32);
  }
  ~COptions() override {
    s2u_segment_options_free(options);
    s2u_segmenter_free(segmenter);
  }
  s2u_segmenter* open(std::int32_t precision) {
    s2u_segmenter_options* o = nullptr;
    EXPECT_EQ(told(s2u_segmenter_options_new(&o)).code, S2U_OK);
    EXPECT_EQ(told(s2u_segmenter_options_set_threads(o, 1)).code, S2U_OK);
    EXPECT_EQ(told(s2u_segmenter_options_set_precision(o, precision)).code, S2U_OK);
    s2u_segmenter* out = nullptr;
    const Told t = told(s2u_segmenter_new(file.c_str(), o, &out));
    EXPECT_EQ(t.code, S2U_OK) << t.text;
    s2u_segmenter_options_free(o);
    return out;
  }
  s2u_segmentation* segment() { return segmented(segmenter, plane_of(pixels, kWidth, kHeight, 3), options); }
  std::vector<float> probabilities() {
    s2u_segmentation* r = segment();
    auto out = array_of<float>([&](auto* to, auto* n) { return s2u_segmentation_probabilities(r, to, n); });
    s2u_segmentation_free(r);
    return out;
  }
  std::vector<float> expected(const SegmentOptions& o) const {
    return Segmenter(file, {.threads = 1})
        .segment(ImageView(pixels.data(), kWidth, kHeight, 3), o)
        .probabilities;
  }

  test::TempDir dir;
  std::string file = (dir / "w.safetensors").string();
  std::vector<std::uint8_t> pixels = gradient(kWidth, kHeight, 3);
  s2u_segmenter* segmenter = nullptr;
  s2u_segment_options* options = nullptr;
};

TEST_F(COptions, WhatTheWeightsSayIsTold) {
  s2u_segmenter_info info{};
  info.struct_size = sizeof info;
  MUST(s2u_segmenter_get_info(segmenter, &info));
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.height, 32);
  EXPECT_EQ(info.fit, S2U_FIT_LETTERBOX);
}

TEST_F(COptions, Size) {
  EXPECT_EQ(probabilities(), expected({}));
  MUST(s2u_segment_options_set_size(options, 96, 32));
  EXPECT_EQ(probabilities(), expected({.size = InputSize::of(96, 32)}));
  EXPECT_NE(probabilities(), expected({}));
  MUST(s2u_segment_options_set_size(options, 0, 64));  // a side of 0 is the trained one
  EXPECT_EQ(probabilities(), expected({.size = InputSize::of(64, 64)}));
}

TEST_F(COptions, FitAndPillow) {
  MUST(s2u_segment_options_set_fit(options, S2U_FIT_SQUASH));
  SegmentOptions same;
  same.fit = Fit::squash;
  const auto squashed = probabilities();
  EXPECT_EQ(squashed, expected(same));
  EXPECT_NE(squashed, expected({}));
  MUST(s2u_segment_options_set_pillow(options, S2U_PILLOW_13));
  same.pillow = PillowVersion::v13;
  EXPECT_EQ(probabilities(), expected(same));
  EXPECT_NE(probabilities(), squashed);  // higher than wide: 13 begins with the height
  MUST(s2u_segment_options_set_pillow(options, S2U_PILLOW_12));
  EXPECT_EQ(probabilities(), squashed);
  MUST(s2u_segment_options_set_fit(options, S2U_FIT_LETTERBOX));
  EXPECT_EQ(probabilities(), expected({}));
  s2u_segmentation* r = segment();
  s2u_segmentation_info info{};
  info.struct_size = sizeof info;
  MUST(s2u_segmentation_get_info(r, &info));
  EXPECT_EQ(info.fit, S2U_FIT_LETTERBOX);
  EXPECT_EQ(info.official, 0);
  s2u_segmentation_free(r);
}

TEST_F(COptions, Official) {
  MUST(s2u_segment_options_set_official(options, 1));
  EXPECT_EQ(probabilities(), expected({.official = true}));
  EXPECT_NE(probabilities(), expected({}));
  s2u_segmentation* r = segment();
  s2u_segmentation_info info{};
  info.struct_size = sizeof info;
  MUST(s2u_segmentation_get_info(r, &info));
  EXPECT_EQ(info.official, 1);
  s2u_segmentation_free(r);
  MUST(s2u_segment_options_set_tiles(options, 32, 0.25, 0.0));
  const s2u_plane plane = plane_of(pixels, kWidth, kHeight, 3);
  const s2u_plane* planes[] = {&plane};
  REFUSED(s2u_segment(segmenter, planes, 1, options, &r), S2U_INVALID_ARGUMENT, "neither tiles");
  MUST(s2u_segment_options_set_official(options, 0));
  SegmentOptions tiled;
  tiled.tiles = TileOptions{.side = 32};
  EXPECT_EQ(probabilities(), expected(tiled));
}

TEST_F(COptions, PrecisionIsWhatIsComputedIn) {
  for (const auto& [wanted, got] : {std::pair{S2U_PRECISION_BF16, S2U_PRECISION_BF16},
                                    {S2U_PRECISION_INT8, S2U_PRECISION_INT8},
                                    {S2U_PRECISION_STANDARD, S2U_PRECISION_F32},
                                    {S2U_PRECISION_AUTOMATIC, S2U_PRECISION_F32}}) {
    s2u_segmenter* s = open(wanted);
    s2u_segmenter_info info{};
    info.struct_size = sizeof info;
    MUST(s2u_segmenter_get_info(s, &info));
    EXPECT_EQ(info.precision, got);
    s2u_segmenter_free(s);
  }
}

// From the last row upwards: the same picture turned over. Truths may be bool.
TEST_F(COptions, PlanesMayGoUpwards) {
  Image turned = apply_orientation(
      [&] {
        Image i(kWidth, kHeight, 3);
        i.pixels = pixels;
        return i;
      }(),
      4);
  s2u_plane p = plane_of(turned.pixels, kWidth, kHeight, 3);
  p.data = turned.pixels.data() + std::size_t{3} * kWidth * (kHeight - 1);
  p.stride = -p.stride;
  p.type = S2U_BOOL;
  const s2u_plane* planes[] = {&p};
  s2u_segmentation* r = nullptr;
  MUST(s2u_segment(segmenter, planes, 1, options, &r));
  EXPECT_EQ(array_of<float>([&](auto* to, auto* n) { return s2u_segmentation_probabilities(r, to, n); }),
            expected({}));
  s2u_segmentation_free(r);
}

TEST(CDecodeOptions, ColoursAndTurning) {
  const auto photo = (test::repository_data() / "image" / "files" / "exif6.jpg").string();
  const auto indexed = (test::repository_data() / "image" / "files" / "color3_8bit.png").string();
  s2u_decode_options* o = nullptr;
  MUST(s2u_decode_options_new(&o));
  const auto plane = [&](const std::string& path, s2u_image** image) {
    EXPECT_EQ(told(s2u_image_read(path.c_str(), o, image)).code, S2U_OK);
    s2u_plane p{};
    p.struct_size = sizeof p;
    EXPECT_EQ(told(s2u_image_plane(*image, &p)).code, S2U_OK);
    return p;
  };
  for (const auto& [color, mode] : {std::pair{S2U_COLOR_GRAY, ColorMode::gray},
                                    {S2U_COLOR_IDS, ColorMode::ids},
                                    {S2U_COLOR_RGBA, ColorMode::rgba},
                                    {S2U_COLOR_RGB, ColorMode::rgb}}) {
    MUST(s2u_decode_options_set_color(o, color));
    const Image want = read_image(indexed, {.mode = mode});
    s2u_image* image = nullptr;
    const s2u_plane p = plane(indexed, &image);
    EXPECT_EQ(p.channels, want.channels);
    const auto* bytes = static_cast<const std::uint8_t*>(p.data);
    EXPECT_EQ(std::vector<std::uint8_t>(bytes, bytes + want.pixels.size()), want.pixels);
    s2u_image_free(image);
  }
  for (const int turns : {0, 1}) {
    MUST(s2u_decode_options_set_orientation(o, turns));
    s2u_image* image = nullptr;
    EXPECT_EQ(plane(photo, &image).width, turns == 1 ? 6 : 11);
    s2u_image_free(image);
  }
  s2u_image* image = nullptr;
  MUST(s2u_decode_options_set_max_pixels(o, 66));  // 6 x 11: as many as are allowed
  MUST(s2u_image_read(photo.c_str(), o, &image));
  s2u_image_free(image);
  MUST(s2u_decode_options_set_max_pixels(o, 65));
  REFUSED(s2u_image_read(photo.c_str(), o, &image), S2U_IMAGE_ERROR, "65 allowed");
  REFUSED(s2u_decode_options_set_max_pixels(o, 0), S2U_INVALID_ARGUMENT, "1 or more");
  s2u_decode_options_free(o);
}

TEST(CDecodeOptions, ResizingIsOfTheFilterAndTheVersion) {
  const auto pixels = gradient(20, 300, 3);
  const s2u_plane plane = plane_of(pixels, 20, 300, 3);
  const ImageView view(pixels.data(), 20, 300, 3);
  for (const auto filter : {ResizeFilter::bilinear, ResizeFilter::bicubic})
    for (const auto version : {PillowVersion::v12, PillowVersion::v13}) {
      EXPECT_EQ(array_of<std::uint8_t>([&](auto* to, auto* n) {
                  return s2u_resize_pillow(
                      &plane, 31, 40, filter == ResizeFilter::bilinear ? S2U_BILINEAR : S2U_BICUBIC,
                      version == PillowVersion::v12 ? S2U_PILLOW_12 : S2U_PILLOW_13, to, n);
                }),
                resize_pillow(view, 31, 40, filter, version).pixels);
    }
  EXPECT_NE(resize_pillow(view, 31, 40, ResizeFilter::bilinear, PillowVersion::v12).pixels,
            resize_pillow(view, 31, 40, ResizeFilter::bilinear, PillowVersion::v13).pixels);
}

TEST(CConvertOptions, PrecisionTaskAndTrunk) {
  const test::TempDir dir;
  const std::string in = (dir / "w.safetensors").string(), out = (dir / "out.safetensors").string();
  test::write_tiny_weights(in);
  s2u_convert_options* o = nullptr;
  MUST(s2u_convert_options_new(&o));
  for (const auto& [precision, type] : {std::pair{S2U_WEIGHTS_F32, "f32"},
                                        {S2U_WEIGHTS_F16, "f16"},
                                        {S2U_WEIGHTS_BF16, "bf16"},
                                        {S2U_WEIGHTS_INT8, "i8"}}) {
    MUST(s2u_convert_options_set_precision(o, precision));
    MUST(s2u_weights_convert(in.c_str(), out.c_str(), o, nullptr));
    std::string of_head;
    for (const auto& t : inspect_weights(out).tensors)
      if (t.name == "head.weight") of_head = t.dtype;
    EXPECT_THAT(of_head, testing::AnyOf(type, HasSubstr(std::string(type) == "i8" ? "int8" : type)));
  }
  MUST(s2u_convert_options_set_precision(o, S2U_WEIGHTS_KEEP));
  MUST(s2u_convert_options_set_task_only(o, 1));
  const std::string task = (dir / "task.safetensors").string();
  MUST(s2u_weights_convert(in.c_str(), task.c_str(), o, nullptr));
  EXPECT_EQ(inspect_weights(task).contents, "task-only SAM2-UNet");
  MUST(s2u_convert_options_set_task_only(o, 0));
  MUST(s2u_convert_options_set_trunk(o, in.c_str()));
  MUST(s2u_weights_convert(task.c_str(), out.c_str(), o, nullptr));
  EXPECT_EQ(inspect_weights(out).contents, "full SAM2-UNet");
  s2u_convert_options_free(o);
}

// Every type of element, as files call it, and its bytes.
TEST(CTensors, OfEveryElementType) {
  const test::TempDir dir;
  const std::string file = (dir / "t.safetensors").string();
  const std::array<std::pair<const char*, std::size_t>, 10> types{{{"F64", 8},
                                                                   {"F32", 4},
                                                                   {"F16", 2},
                                                                   {"BF16", 2},
                                                                   {"I64", 8},
                                                                   {"I32", 4},
                                                                   {"I16", 2},
                                                                   {"I8", 1},
                                                                   {"U8", 1},
                                                                   {"BOOL", 1}}};
  const std::vector<std::uint8_t> bytes = {1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1,
                                           0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1,
                                           0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1};
  const std::int64_t shape[] = {3, 2};
  s2u_tensor_writer* w = nullptr;
  MUST(s2u_tensor_writer_new(&w));
  for (std::size_t i = 0; i < types.size(); ++i)
    MUST(s2u_tensor_writer_add(w, types[i].first, static_cast<std::int32_t>(i), shape, 2, bytes.data(),
                               6 * types[i].second));
  MUST(s2u_tensor_writer_save(w, file.c_str()));
  s2u_tensor_writer_free(w);
  const auto written = read_file(file);
  const std::string text(reinterpret_cast<const char*>(written.data()), written.size());
  s2u_tensors* t = nullptr;
  MUST(s2u_tensors_open(file.c_str(), &t));
  ASSERT_EQ(s2u_tensors_count(t), types.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    s2u_tensor one{};
    one.struct_size = sizeof one;
    MUST(s2u_tensors_get(t, i, &one));
    std::size_t of = 0;
    while (of < types.size() && std::string(types.at(of).first) != one.name) ++of;
    ASSERT_LT(of, types.size());
    EXPECT_EQ(one.dtype, static_cast<std::int32_t>(of));
    EXPECT_EQ(one.bytes, 6 * types.at(of).second);
    EXPECT_EQ(one.rank, 2);
    EXPECT_EQ(one.shape[0], 3);
    EXPECT_EQ(one.shape[1], 2);
    EXPECT_EQ(one.shape[2], 0);
    EXPECT_THAT(text, HasSubstr("\"" + std::string(one.name) + "\":{\"dtype\":\"" + one.name + "\""));
    std::vector<std::uint8_t> back(one.bytes);
    MUST(s2u_tensors_read(t, i, back.data(), back.size()));
    EXPECT_TRUE(std::equal(back.begin(), back.end(), bytes.begin())) << one.name;
  }
  s2u_tensors_free(t);
}

// The last that is allowed, and the first that is not.
TEST_F(COptions, NumbersHaveLimits) {
  s2u_segmenter_options* o = nullptr;
  MUST(s2u_segmenter_options_new(&o));
  MUST(s2u_segmenter_options_set_threads(o, 0));
  MUST(s2u_segmenter_options_set_threads(o, 1024));
  REFUSED(s2u_segmenter_options_set_threads(o, -1), S2U_INVALID_ARGUMENT,
          "-1 threads: must be 0 (all cores) to 1024");
  REFUSED(s2u_segmenter_options_set_threads(o, 1025), S2U_INVALID_ARGUMENT, "1025 threads");
  REFUSED(s2u_segmenter_options_set_precision(o, -1), S2U_INVALID_ARGUMENT, "precision -1 is not known");
  s2u_segmenter_options_free(o);
  MUST(s2u_segment_options_set_batch(options, 0));
  MUST(s2u_segment_options_set_batch(options, 256));
  REFUSED(s2u_segment_options_set_batch(options, -1), S2U_INVALID_ARGUMENT, "a batch of -1: must be 0");
  REFUSED(s2u_segment_options_set_size(options, 64, 33), S2U_INVALID_ARGUMENT, "a size of 64x33: both sides");
  REFUSED(s2u_segment_options_set_size(options, 64, -32), S2U_INVALID_ARGUMENT, "multiples of 32");
  REFUSED(s2u_segment_options_set_tiles(options, 64, -0.1, 0), S2U_INVALID_ARGUMENT, "0 to 0.9");
  REFUSED(s2u_segment_options_set_tiles(options, 64, 0.25, 1.1), S2U_INVALID_ARGUMENT, "0 to 1");
  s2u_doctor_options* d = nullptr;
  MUST(s2u_doctor_options_new(&d));
  MUST(s2u_doctor_options_set_threads(d, 1024));
  MUST(s2u_doctor_options_set_threads(d, 0));
  REFUSED(s2u_doctor_options_set_threads(d, 1025), S2U_INVALID_ARGUMENT,
          "1025 threads: must be 0 (all cores) to 1024");
  REFUSED(s2u_doctor_options_set_threads(d, -1), S2U_INVALID_ARGUMENT, "-1 threads");
  REFUSED(s2u_doctor_options_set_recursive(d, 2), S2U_INVALID_ARGUMENT, "recursive is 2: must be 0 or 1");
  s2u_doctor_options_free(d);
}

// A newer caller's struct is longer, an older one's too short.
TEST_F(COptions, StructsAreAsLongAsTheySay) {
  s2u_segmenter_info info{};
  info.struct_size = sizeof info + 8;
  MUST(s2u_segmenter_get_info(segmenter, &info));
  info.struct_size = sizeof info - 1;
  REFUSED(s2u_segmenter_get_info(segmenter, &info), S2U_INVALID_ARGUMENT,
          "struct_size is " + std::to_string(sizeof info - 1) + " and must be its sizeof, " +
              std::to_string(sizeof info));
  s2u_segmentation* r = segment();
  s2u_segmentation_info of_result{};
  of_result.struct_size = sizeof of_result - 1;
  REFUSED(s2u_segmentation_get_info(r, &of_result), S2U_INVALID_ARGUMENT, "struct_size");
  s2u_segmentation_free(r);
}

TEST_F(COptions, ThresholdsAreFrom0To1) {
  s2u_segmentation* r = segment();
  std::size_t count = 0;
  for (const double wrong : {-0.01, 1.01, std::nan("")})
    REFUSED(s2u_segmentation_mask(r, 0, wrong, nullptr, &count), S2U_INVALID_ARGUMENT,
            "the threshold must be 0 to 1");
  EXPECT_EQ(count, 0u);
  const auto foreground = [&](double threshold) {
    const auto mask = array_of<std::uint8_t>(
        [&](auto* to, auto* n) { return s2u_segmentation_mask(r, 0, threshold, to, n); });
    return std::count(mask.begin(), mask.end(), std::uint8_t{255});
  };
  EXPECT_EQ(foreground(0.0), kWidth * kHeight);
  EXPECT_EQ(foreground(1.0), 0);
  s2u_segmentation_free(r);
}

// One foreground has no classes to tell of.
TEST_F(COptions, OneForegroundHasNoClasses) {
  EXPECT_EQ(s2u_segmenter_class_count(segmenter), 0u);
  EXPECT_STREQ(s2u_segmenter_class_name(segmenter, 0), "");
  EXPECT_EQ(s2u_segmenter_ignored_id(segmenter), -1);
  std::uint8_t rgb[3];
  REFUSED(s2u_segmenter_class_color(segmenter, 0, rgb), S2U_INVALID_ARGUMENT, "there is no class 0");
}

TEST_F(COptions, TheModelThatComesWithTheLibrary) {
  s2u_text* path = nullptr;
  MUST(s2u_default_model(&path));
  EXPECT_EQ(std::string(s2u_text_data(path)), default_model_path().string());
  EXPECT_EQ(s2u_text_size(path), default_model_path().string().size());
  s2u_text_free(path);
  const std::string junk(100, 'x');
  s2u_segmenter* s = nullptr;
  REFUSED(s2u_segmenter_new_from_bytes(junk.data(), junk.size(), nullptr, nullptr, &s), S2U_FORMAT_ERROR,
          "weights: ");
  s2u_image* image = nullptr;
  REFUSED(s2u_image_decode(junk.data(), junk.size(), nullptr, nullptr, &image), S2U_IMAGE_ERROR, "picture: ");
}

// Where a region lies, of every class or of each part of it.
TEST(CRegions, OfIds) {
  // 1 1 0 0 0
  // 0 0 0 2 0
  // 0 0 1 2 2
  const std::vector<std::uint8_t> ids{1, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 2};
  std::vector<float> confidence(15, 0.5F);
  confidence[13] = 0.875F;
  const s2u_plane plane = plane_of(ids, 5, 3, 1);
  const auto regions_of = [&](int classes, int kind) {
    s2u_regions* r = nullptr;
    EXPECT_EQ(told(s2u_ids_regions(&plane, confidence.data(), classes, kind, 0.0, &r)).code, S2U_OK);
    std::vector<std::array<double, 7>> out;
    for (std::size_t i = 0; i < s2u_regions_count(r); ++i) {
      s2u_region one{};
      one.struct_size = sizeof one;
      EXPECT_EQ(told(s2u_regions_get(r, i, &one)).code, S2U_OK);
      out.push_back({static_cast<double>(one.id), static_cast<double>(one.x), static_cast<double>(one.y),
                     static_cast<double>(one.width), static_cast<double>(one.height),
                     static_cast<double>(one.area), one.confidence});
    }
    s2u_regions_free(r);
    return out;
  };
  using Rows = std::vector<std::array<double, 7>>;
  EXPECT_EQ(regions_of(4, S2U_REGION_CLASSES),
            (Rows{{1, 0, 0, 3, 3, 3, 0.5}, {2, 3, 1, 2, 2, 3, 0.625}, {3, 0, 0, 0, 0, 0, 0}}));
  EXPECT_EQ(regions_of(3, S2U_REGION_INSTANCES),
            (Rows{{1, 0, 0, 2, 1, 2, 0.5}, {2, 3, 1, 2, 2, 3, 0.625}, {1, 2, 2, 1, 1, 1, 0.5}}));
  EXPECT_EQ(regions_of(1, S2U_REGION_CLASSES), (Rows{{1, 0, 0, 3, 3, 3, 0.5}}));  // one foreground
  s2u_regions* r = nullptr;
  for (const int classes : {0, 256})
    REFUSED(s2u_ids_regions(&plane, confidence.data(), classes, 0, 0.0, &r), S2U_INVALID_ARGUMENT,
            std::to_string(classes));
  MUST(s2u_ids_regions(&plane, confidence.data(), 255, 0, 0.0, &r));
  EXPECT_EQ(s2u_regions_count(r), 254u);
  s2u_regions_free(r);
  REFUSED(s2u_ids_regions(&plane, confidence.data(), 3, 2, 0.0, &r), S2U_INVALID_ARGUMENT,
          "kind of regions 2");
  REFUSED(s2u_ids_regions(&plane, confidence.data(), 3, 0, -1.0, &r), S2U_INVALID_ARGUMENT, "tolerance");
}

// Names of pictures and masks that differ by what stands before and behind.
TEST(CDoctorOptions, AffixesFoldersAndClasses) {
  const test::TempDir dir;
  for (const char* folder : {"images/deep", "masks/deep", "test"})
    std::filesystem::create_directories(dir / folder);
  const auto pixels = gradient(40, 30, 3);
  std::vector<std::uint8_t> mask(40 * 30, 0);
  for (std::size_t i = 100; i < 400; ++i) mask[i] = 3;
  write_png(dir / "images/deep/im_7.png", ImageView(pixels.data(), 40, 30, 3));
  write_png(dir / "test/copy.png", ImageView(pixels.data(), 40, 30, 3));
  write_png(dir / "masks/deep/7_gt.png", ImageView(mask.data(), 40, 30, 1));
  s2u_doctor_options* o = nullptr;
  MUST(s2u_doctor_options_new(&o));
  const auto report = [&] {
    s2u_text* json = nullptr;
    const Told t = told(s2u_doctor((dir / "images").c_str(), (dir / "masks").c_str(), o, &json));
    std::string out = t.code == S2U_OK ? s2u_text_data(json) : t.text;
    s2u_text_free(json);
    return out;
  };
  const std::string flat = report();
  MUST(s2u_doctor_options_set_recursive(o, 1));
  const std::string deep = report();
  EXPECT_NE(deep, flat);
  MUST(s2u_doctor_options_set_image_affix(o, "im_", ""));
  MUST(s2u_doctor_options_set_mask_affix(o, "", "_gt"));
  const std::string paired = report();
  EXPECT_NE(paired, deep);
  EXPECT_THAT(paired, HasSubstr("\"pairs\": 1"));
  EXPECT_THAT(deep, testing::Not(HasSubstr("\"pairs\": 1")));
  MUST(s2u_doctor_options_set_test_images(o, (dir / "test").c_str()));
  EXPECT_THAT(report(), HasSubstr("copy.png"));
  MUST(s2u_doctor_options_set_classes(o, "3"));
  EXPECT_THAT(report(), HasSubstr("unknown-"));
  MUST(s2u_doctor_options_set_classes(o, "4"));
  EXPECT_THAT(report(), testing::Not(HasSubstr("unknown-")));
  s2u_doctor_options_free(o);
}

}  // namespace
}  // namespace sam2unet
