// The C API of pictures, weight files and data sets, as it is used and misused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "capi/calls.h"
#include "core/file.h"
#include "formats/tensor_file.h"
#include "sam2unet/image.h"
#include "sam2unet/sam2unet.h"
#include "sam2unet/weights.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

using testing::HasSubstr;

TEST(CPictures, DecodeResizeWriteAndOutline) {
  const test::TempDir dir;
  const std::string path = (dir / "a.png").string();
  const auto pixels = gradient(12, 9, 3);
  const s2u_plane plane = plane_of(pixels, 12, 9, 3);
  MUST(s2u_png_write(path.c_str(), &plane));
  s2u_image* image = nullptr;
  MUST(s2u_image_read(path.c_str(), nullptr, &image));
  s2u_plane view{};
  REFUSED(s2u_image_plane(image, &view), S2U_INVALID_ARGUMENT, "struct_size");
  view.struct_size = sizeof view;
  MUST(s2u_image_plane(image, &view));
  EXPECT_EQ(std::memcmp(view.data, pixels.data(), pixels.size()), 0);
  const auto resized = array_of<std::uint8_t>(
      [&](auto* to, auto* n) { return s2u_resize_pillow(&view, 7, 5, S2U_BICUBIC, S2U_PILLOW_12, to, n); });
  EXPECT_EQ(resized, resize_pillow(ImageView(pixels.data(), 12, 9, 3), 7, 5, ResizeFilter::bicubic).pixels);
  std::size_t n = 0;
  REFUSED(s2u_resize_pillow(&view, 2147483647, 2147483647, 0, 0, nullptr, &n), S2U_INVALID_ARGUMENT, "2^28");
  REFUSED(s2u_resize_pillow(&view, 0, 5, 0, 0, nullptr, &n), S2U_INVALID_ARGUMENT, "0x5");
  s2u_image_free(image);

  s2u_decode_options* o = nullptr;
  MUST(s2u_decode_options_new(&o));
  MUST(s2u_decode_options_set_color(o, S2U_COLOR_GRAY));
  MUST(s2u_decode_options_set_orientation(o, 0));
  const auto bytes = read_file(path);
  MUST(s2u_image_decode(bytes.data(), bytes.size(), nullptr, o, &image));
  MUST(s2u_image_plane(image, &view));
  EXPECT_EQ(view.channels, 1);
  s2u_image_free(image);
  MUST(s2u_decode_options_set_max_pixels(o, 107));
  REFUSED(s2u_image_decode(bytes.data(), bytes.size(), "mine", o, &image), S2U_IMAGE_ERROR, "mine");
  REFUSED(s2u_image_decode(bytes.data(), 20, "mine", nullptr, &image), S2U_IMAGE_ERROR, "mine");
  s2u_decode_options_free(o);

  // A ring of 3x3 with a hole.
  std::vector<std::uint8_t> mask(25, 0);
  for (const int at : {6, 7, 8, 11, 13, 16, 17, 18}) mask[static_cast<std::size_t>(at)] = 255;
  const s2u_plane m = plane_of(mask, 5, 5, 1);
  s2u_polygons* p = nullptr;
  REFUSED(s2u_mask_polygons(&m, std::nan(""), &p), S2U_INVALID_ARGUMENT, "tolerance");
  MUST(s2u_mask_polygons(&m, 0.0, &p));
  ASSERT_EQ(s2u_polygons_count(p), 1u);
  ASSERT_EQ(s2u_polygons_ring_count(p, 0), 2u);
  const auto outer =
      array_of<std::int32_t>([&](auto* to, auto* c) { return s2u_polygons_ring(p, 0, 0, to, c); });
  EXPECT_EQ(outer, (std::vector<std::int32_t>{4, 1, 4, 4, 1, 4, 1, 1}));
  const auto hole =
      array_of<std::int32_t>([&](auto* to, auto* c) { return s2u_polygons_ring(p, 0, 1, to, c); });
  ASSERT_EQ(hole.size(), 8u);
  std::set<std::pair<int, int>> corners;
  for (std::size_t i = 0; i < 4; ++i) corners.insert({hole[2 * i], hole[2 * i + 1]});
  EXPECT_EQ(corners, (std::set<std::pair<int, int>>{{2, 2}, {3, 2}, {2, 3}, {3, 3}}));
  EXPECT_EQ(s2u_polygons_ring_count(p, 1), 0u);
  REFUSED(s2u_polygons_ring(p, 0, 2, nullptr, &n), S2U_INVALID_ARGUMENT, "no ring 2");
  s2u_polygons_free(p);
}

// A staircase is a line for whoever allows two pixels off it.
TEST(CPictures, OutlinesAreAsExactAsAskedFor) {
  constexpr int kSide = 24;
  std::vector<std::uint8_t> stairs(std::size_t{kSide} * kSide, 0);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x <= y; ++x) stairs[static_cast<std::size_t>(y * kSide + x)] = 1;
  std::vector<std::uint8_t> mask = stairs;
  for (std::uint8_t& v : mask) v = v != 0 ? 255 : 0;
  const s2u_plane m = plane_of(mask, kSide, kSide, 1), ids = plane_of(stairs, kSide, kSide, 1);
  const std::vector<float> confidence(stairs.size(), 1.0F);
  const auto corners = [&](double tolerance, bool of_regions) {
    s2u_polygons* own = nullptr;
    s2u_regions* regions = nullptr;
    EXPECT_EQ(told(s2u_mask_polygons(&m, tolerance, &own)).code, S2U_OK);
    EXPECT_EQ(told(s2u_ids_regions(&ids, confidence.data(), 2, S2U_REGION_CLASSES, tolerance, &regions)).code,
              S2U_OK);
    const s2u_polygons* p = of_regions ? s2u_regions_polygons(regions, 0) : own;
    EXPECT_EQ(s2u_polygons_count(p), 1u);
    std::size_t count = 0;
    EXPECT_EQ(told(s2u_polygons_ring(p, 0, 0, nullptr, &count)).code, S2U_OK);
    s2u_polygons_free(own);
    s2u_regions_free(regions);
    return count / 2;
  };
  for (const bool of_regions : {false, true}) {
    EXPECT_EQ(corners(0.0, of_regions),
              2u * kSide + 2);  // two for each stair, and where they begin and end
    EXPECT_LE(corners(2.0, of_regions), 5u);
    EXPECT_GE(corners(2.0, of_regions), 3u);
  }
}

// Two parts, the first of seven by three pixels with two holes: each ring is its own.
TEST(CPictures, EachPartHasItsRings) {
  std::vector<std::uint8_t> mask(10 * 7, 0);
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 7; ++x) mask[static_cast<std::size_t>(10 * y + x)] = 255;
  mask[11] = mask[15] = 0;
  mask[58] = mask[59] = 255;
  const s2u_plane m = plane_of(mask, 10, 7, 1);
  s2u_polygons* p = nullptr;
  MUST(s2u_mask_polygons(&m, 0.0, &p));
  ASSERT_EQ(s2u_polygons_count(p), 2u);
  EXPECT_EQ(s2u_polygons_ring_count(p, 0), 3u);
  EXPECT_EQ(s2u_polygons_ring_count(p, 1), 1u);
  EXPECT_EQ(s2u_polygons_ring_count(p, 2), 0u);
  const auto box = [&](std::size_t polygon, std::size_t ring) {  // left, top, right, bottom
    const auto xy =
        array_of<std::int32_t>([&](auto* to, auto* n) { return s2u_polygons_ring(p, polygon, ring, to, n); });
    std::vector<std::int32_t> out{99, 99, -1, -1};
    for (std::size_t i = 0; i < xy.size(); ++i) {
      out[i % 2] = std::min(out[i % 2], xy[i]);
      out[2 + i % 2] = std::max(out[2 + i % 2], xy[i]);
    }
    return out;
  };
  using Box = std::vector<std::int32_t>;
  EXPECT_EQ(box(0, 0), (Box{0, 0, 7, 3}));
  EXPECT_THAT((std::vector<Box>{box(0, 1), box(0, 2)}),
              testing::UnorderedElementsAre(Box{1, 1, 2, 2}, Box{5, 1, 6, 2}));
  EXPECT_EQ(box(1, 0), (Box{8, 5, 10, 6}));
  std::size_t n = 0;
  REFUSED(s2u_polygons_ring(p, 1, 1, nullptr, &n), S2U_INVALID_ARGUMENT, "there is no ring 1 of a polygon 1");
  REFUSED(s2u_polygons_ring(p, 2, 0, nullptr, &n), S2U_INVALID_ARGUMENT, "there is no ring 0 of a polygon 2");
  s2u_polygons_free(p);
}

// Whatever was in them before.
TEST(CStructs, AreFilledWhole) {
  const test::TempDir dir;
  const std::string png = (dir / "a.png").string(), file = (dir / "t.safetensors").string();
  const auto pixels = gradient(12, 9, 4);
  const s2u_plane plane = plane_of(pixels, 12, 9, 4);
  MUST(s2u_png_write(png.c_str(), &plane));
  s2u_decode_options* o = nullptr;
  MUST(s2u_decode_options_new(&o));
  MUST(s2u_decode_options_set_color(o, S2U_COLOR_RGBA));
  s2u_image* image = nullptr;
  MUST(s2u_image_read(png.c_str(), o, &image));
  s2u_decode_options_free(o);
  s2u_plane view;
  std::memset(&view, 0x11, sizeof view);
  view.struct_size = sizeof view;
  MUST(s2u_image_plane(image, &view));
  EXPECT_EQ(view.type, S2U_U8);
  EXPECT_EQ(view.width, 12);
  EXPECT_EQ(view.height, 9);
  EXPECT_EQ(view.channels, 4);
  EXPECT_EQ(view.stride, 48);
  ASSERT_EQ(std::memcmp(view.data, pixels.data(), pixels.size()), 0);
  s2u_image_free(image);

  const std::int64_t shape[] = {2, 3};
  s2u_tensor_writer* w = nullptr;
  MUST(s2u_tensor_writer_new(&w));
  MUST(s2u_tensor_writer_add(w, "t", S2U_DTYPE_I16, shape, 2, pixels.data(), 12));
  MUST(s2u_tensor_writer_save(w, file.c_str()));
  s2u_tensor_writer_free(w);
  s2u_tensors* t = nullptr;
  MUST(s2u_tensors_open(file.c_str(), &t));
  s2u_tensor one;
  std::memset(&one, 0x11, sizeof one);
  one.struct_size = sizeof one;
  MUST(s2u_tensors_get(t, 0, &one));
  EXPECT_STREQ(one.name, "t");
  EXPECT_EQ(one.dtype, S2U_DTYPE_I16);
  EXPECT_EQ(one.rank, 2);
  EXPECT_EQ(one.bytes, 12u);
  EXPECT_EQ(std::vector<std::int64_t>(std::begin(one.shape), std::end(one.shape)),
            (std::vector<std::int64_t>{2, 3, 0, 0, 0, 0, 0, 0}));
  s2u_tensors_free(t);
}

// What a result tells of itself: ids or probabilities, of tiles no logits.
TEST(CStructs, AResultTellsWhatItIs) {
  const test::TempDir dir;
  const std::string file = (dir / "w.safetensors").string();
  test::write_tiny_weights(file, false, {{"fit", "letterbox"}});
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new(file.c_str(), nullptr, &s));
  s2u_segment_options* o = nullptr;
  MUST(s2u_segment_options_new(&o));
  MUST(s2u_segment_options_set_size(o, 64, 32));
  const auto pixels = gradient(70, 41, 3);
  const auto told_of = [&] {
    s2u_segmentation* r = segmented(s, plane_of(pixels, 70, 41, 3), o);
    s2u_segmentation_info i;
    std::memset(&i, 0x11, sizeof i);
    i.struct_size = sizeof i;
    EXPECT_EQ(told(s2u_segmentation_get_info(r, &i)).code, S2U_OK);
    s2u_segmentation_free(r);
    return std::vector<int>{i.width,         i.height,   i.channels, i.logits_width,
                            i.logits_height, i.official, i.output,   i.fit};
  };
  using Numbers = std::vector<int>;
  EXPECT_EQ(told_of(), (Numbers{70, 41, 1, 64, 32, 0, S2U_OUTPUT_PROBABILITIES, S2U_FIT_LETTERBOX}));
  MUST(s2u_segment_options_set_output(o, S2U_OUTPUT_IDS));
  MUST(s2u_segment_options_set_fit(o, S2U_FIT_SQUASH));
  EXPECT_EQ(told_of(), (Numbers{70, 41, 1, 64, 32, 0, S2U_OUTPUT_IDS, S2U_FIT_SQUASH}));
  MUST(s2u_segment_options_set_tiles(o, 32, 0.25, 0.0));
  EXPECT_EQ(told_of(), (Numbers{70, 41, 1, 0, 0, 0, S2U_OUTPUT_IDS, S2U_FIT_SQUASH}));
  s2u_segment_options_free(o);
  s2u_segmenter_free(s);
}

// A note is a line; a segmenter tells the same of the weights it opened.
TEST(CWeights, NotesAreLines) {
  const test::TempDir dir;
  const std::string in = (dir / "w.safetensors").string();
  test::write_tiny_weights(dir / "plain.safetensors");
  const auto plain = formats::TensorFile::open(dir / "plain.safetensors");
  std::vector<formats::NamedTensor> tensors = plain.tensors();
  tensors.push_back(tensors.front());
  tensors.back().name = "total_ops";
  formats::write_safetensors(in, tensors, plain.metadata());
  s2u_text* notes = nullptr;
  MUST(s2u_weights_convert(in.c_str(), (dir / "out.pth").c_str(), nullptr, &notes));
  std::string want;
  for (const std::string& line : convert_weights(in, dir / "again.pth")) want += line + "\n";
  EXPECT_EQ(std::count(want.begin(), want.end(), '\n'), 2);
  EXPECT_EQ(std::string(s2u_text_data(notes)), want);
  s2u_text_free(notes);
  MUST(s2u_weights_convert(in.c_str(), (dir / "out.safetensors").c_str(), nullptr, nullptr));
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new(in.c_str(), nullptr, &s));
  ASSERT_EQ(s2u_segmenter_note_count(s), 1u);
  EXPECT_THAT(s2u_segmenter_note(s, 0), HasSubstr("total_ops"));
  EXPECT_STREQ(s2u_segmenter_note(s, 1), "");
  s2u_segmenter_free(s);
}

TEST(CWeights, InfoConvertAndTensors) {
  const test::TempDir dir;
  const std::string in = (dir / "w.safetensors").string(), out = (dir / "w.pth").string();
  test::write_tiny_weights(in, false, {{"input_size", "64"}});
  s2u_text* json = nullptr;
  MUST(s2u_weights_info(in.c_str(), &json));
  EXPECT_EQ(std::string(s2u_text_data(json)), to_json(inspect_weights(in)));
  EXPECT_EQ(s2u_text_size(json), to_json(inspect_weights(in)).size());
  s2u_text_free(json);

  s2u_convert_options* o = nullptr;
  MUST(s2u_convert_options_new(&o));
  REFUSED(s2u_convert_options_set_precision(o, 5), S2U_INVALID_ARGUMENT, "precision 5");
  MUST(s2u_convert_options_set_precision(o, S2U_WEIGHTS_F16));
  MUST(s2u_convert_options_set_task_only(o, 0));
  s2u_text* notes = nullptr;
  MUST(s2u_weights_convert(in.c_str(), out.c_str(), o, &notes));
  EXPECT_THAT(s2u_text_data(notes), HasSubstr("cannot carry the configuration"));
  s2u_text_free(notes);
  REFUSED(s2u_weights_convert(in.c_str(), in.c_str(), nullptr, nullptr), S2U_INVALID_ARGUMENT,
          "w.safetensors");
  s2u_convert_options_free(o);

  s2u_tensors* t = nullptr;
  MUST(s2u_tensors_open(in.c_str(), &t));
  EXPECT_EQ(s2u_tensors_metadata_count(t), 2u);
  EXPECT_STREQ(s2u_tensors_metadata_key(t, 1), "input_size");
  EXPECT_STREQ(s2u_tensors_metadata_value(t, 1), "64");
  s2u_tensor_writer* w = nullptr;
  MUST(s2u_tensor_writer_new(&w));
  std::vector<std::vector<std::uint8_t>> data(s2u_tensors_count(t));
  for (std::size_t i = 0; i < data.size(); ++i) {
    s2u_tensor one{};
    one.struct_size = sizeof one;
    MUST(s2u_tensors_get(t, i, &one));
    data[i].resize(one.bytes);
    REFUSED(s2u_tensors_read(t, i, data[i].data(), one.bytes + 1), S2U_INVALID_ARGUMENT, one.name);
    MUST(s2u_tensors_read(t, i, data[i].data(), one.bytes));
    MUST(s2u_tensor_writer_add(w, one.name, one.dtype, one.shape, one.rank, data[i].data(), one.bytes));
  }
  for (std::size_t i = 0; i < s2u_tensors_metadata_count(t); ++i)
    MUST(s2u_tensor_writer_set_metadata(w, s2u_tensors_metadata_key(t, i), s2u_tensors_metadata_value(t, i)));
  const std::string copy = (dir / "copy.safetensors").string();
  MUST(s2u_tensor_writer_save(w, copy.c_str()));
  EXPECT_EQ(read_file(copy), read_file(in));
  REFUSED(s2u_tensor_writer_save(w, (dir / "copy.txt").c_str()), S2U_INVALID_ARGUMENT, ".safetensors");
  REFUSED(s2u_tensors_get(t, data.size(), nullptr), S2U_INVALID_ARGUMENT, "no tensor");
  const std::int64_t huge[] = {INT64_MAX, 8};
  REFUSED(s2u_tensor_writer_add(w, "h", S2U_DTYPE_F32, huge, 2, &huge, 16), S2U_INVALID_ARGUMENT, "'h'");
  REFUSED(s2u_tensor_writer_add(w, "h", S2U_DTYPE_F32, huge, 9, &huge, 16), S2U_INVALID_ARGUMENT, "rank 9");
  const std::int64_t two[] = {2, 2};
  REFUSED(s2u_tensor_writer_add(w, "h", S2U_DTYPE_F32, two, 2, &huge, 15), S2U_INVALID_ARGUMENT,
          "16 bytes, not 15");
  REFUSED(s2u_tensor_writer_add(w, "h", 10, two, 2, &huge, 16), S2U_INVALID_ARGUMENT, "type 10");
  s2u_tensor_writer_free(w);
  s2u_tensors_free(t);
}

// Colours byte by byte, the decisions from the probabilities themselves.
TEST(CClasses, ColoursMapsAndConfidence) {
  const test::TempDir dir;
  auto config = test::tiny_config();
  config.out_channels = 3;
  test::write_weights(dir / "w.safetensors", config,
                      {{"classes", R"({"classes": [{"id": 0, "name": "none", "color": "#000000"},
                          {"id": 1, "name": "road", "color": "#102030"}, {"id": 2, "name": "car", "color": "#405060"}],
                          "ignore": 254})"}});
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new((dir / "w.safetensors").c_str(), nullptr, &s));
  EXPECT_STREQ(s2u_segmenter_class_name(s, 1), "road");
  std::uint8_t rgb[3];
  MUST(s2u_segmenter_class_color(s, 2, rgb));
  EXPECT_EQ(std::vector<int>(rgb, rgb + 3), (std::vector<int>{0x40, 0x50, 0x60}));
  EXPECT_EQ(s2u_segmenter_ignored_id(s), 254);
  s2u_segment_options* o = nullptr;
  MUST(s2u_segment_options_new(&o));
  MUST(s2u_segment_options_set_size(o, 64, 32));
  const auto pixels = gradient(30, 20, 3);
  s2u_segmentation* r = segmented(s, plane_of(pixels, 30, 20, 3), o);
  const auto all =
      array_of<float>([&](auto* to, auto* n) { return s2u_segmentation_probabilities(r, to, n); });
  ASSERT_EQ(all.size(), 3u * 600u);
  const auto confidence =
      array_of<float>([&](auto* to, auto* n) { return s2u_segmentation_confidence(r, to, n); });
  const auto ids = array_of<std::uint8_t>([&](auto* to, auto* n) { return s2u_segmentation_ids(r, to, n); });
  const auto gray =
      array_of<std::uint8_t>([&](auto* to, auto* n) { return s2u_segmentation_gray(r, 2, to, n); });
  const auto mask =
      array_of<std::uint8_t>([&](auto* to, auto* n) { return s2u_segmentation_mask(r, 1, 0.3, to, n); });
  for (std::size_t i = 0; i < 600; ++i) {
    const float most = std::max({all[i], all[600 + i], all[1200 + i]});
    ASSERT_EQ(confidence[i], most);
    ASSERT_EQ(all[600 * ids[i] + i], most);
    ASSERT_NEAR(gray[i], 255.0F * all[1200 + i], 0.5F + 1e-3F);
    ASSERT_EQ(mask[i], all[600 + i] >= 0.3F ? 255 : 0);
  }
  s2u_regions* regions = nullptr;
  MUST(s2u_segmentation_regions(r, S2U_REGION_CLASSES, 0.0, &regions));
  EXPECT_EQ(s2u_regions_count(regions), 2u);
  s2u_region region{};
  region.struct_size = sizeof region;
  REFUSED(s2u_regions_get(regions, 2, &region), S2U_INVALID_ARGUMENT, "there is no region 2");
  s2u_regions_free(regions);
  s2u_segmentation_free(r);
  s2u_segment_options_free(o);
  s2u_segmenter_free(s);
}

// A side of 2^24 and 2^28 pixels, of which nothing is made while only their number is asked for.
TEST(CDecodeOptions, ResizingHasLimits) {
  const auto pixels = gradient(2, 2, 1);
  const s2u_plane plane = plane_of(pixels, 2, 2, 1);
  std::size_t count = 0;
  const auto resize = [&](int width, int height) {
    return s2u_resize_pillow(&plane, width, height, S2U_BILINEAR, S2U_PILLOW_12, nullptr, &count);
  };
  MUST(resize(1 << 24, 16));
  EXPECT_EQ(count, std::size_t{1} << 28);
  MUST(resize(16, 1 << 24));
  REFUSED(resize((1 << 24) + 1, 1), S2U_INVALID_ARGUMENT, "at most 2^28 pixels and 2^24 a side");
  REFUSED(resize(1, (1 << 24) + 1), S2U_INVALID_ARGUMENT, "2^24 a side");
  REFUSED(resize(1 << 24, 17), S2U_INVALID_ARGUMENT, "2^28 pixels");
  REFUSED(resize(5, 0), S2U_INVALID_ARGUMENT, "a size of 5x0: at least 1x1");
  REFUSED(s2u_resize_pillow(&plane, 2, 2, 2, S2U_PILLOW_12, nullptr, &count), S2U_INVALID_ARGUMENT,
          "filter 2 is not known");
  REFUSED(s2u_resize_pillow(&plane, 2, 2, S2U_BILINEAR, 2, nullptr, &count), S2U_INVALID_ARGUMENT,
          "Pillow's version 2 is not known");
}

// Of no and of eight dimensions, and of no elements.
TEST(CTensors, OfAnyRank) {
  const test::TempDir dir;
  const std::string file = (dir / "t.safetensors").string();
  const float value = 2.5F;
  const std::int64_t eight[] = {1, 1, 1, 1, 1, 1, 1, 1}, none[] = {0, 3}, negative[] = {-1, -1};
  s2u_tensor_writer* w = nullptr;
  MUST(s2u_tensor_writer_new(&w));
  MUST(s2u_tensor_writer_add(w, "a", S2U_DTYPE_F32, nullptr, 0, &value, 4));
  MUST(s2u_tensor_writer_add(w, "b", S2U_DTYPE_F32, eight, 8, &value, 4));
  MUST(s2u_tensor_writer_add(w, "c", S2U_DTYPE_F32, none, 2, nullptr, 0));
  REFUSED(s2u_tensor_writer_add(w, "d", S2U_DTYPE_F32, eight, -1, &value, 4), S2U_INVALID_ARGUMENT,
          "a tensor of rank -1: 0 to 8");
  REFUSED(s2u_tensor_writer_add(w, "d", -1, eight, 1, &value, 4), S2U_INVALID_ARGUMENT,
          "element type -1 is not known");
  REFUSED(s2u_tensor_writer_add(w, "d", S2U_DTYPE_F32, negative, 2, &value, 4), S2U_INVALID_ARGUMENT, "'d'");
  REFUSED(s2u_tensor_writer_add(w, "d", S2U_DTYPE_F32, nullptr, 1, &value, 4), S2U_INVALID_ARGUMENT,
          "the shape");
  REFUSED(s2u_tensor_writer_set_metadata(w, nullptr, "x"), S2U_INVALID_ARGUMENT, "the key");
  REFUSED(s2u_tensor_writer_set_metadata(w, "x", nullptr), S2U_INVALID_ARGUMENT, "the value");
  MUST(s2u_tensor_writer_set_metadata(w, "k", "1"));
  MUST(s2u_tensor_writer_set_metadata(w, "k", "2"));  // the last one counts
  MUST(s2u_tensor_writer_save(w, file.c_str()));
  for (const char* name : {"t.pth", "t.pt"}) MUST(s2u_tensor_writer_save(w, (dir / name).c_str()));
  s2u_tensor_writer_free(w);
  for (const std::string& path : {file, (dir / "t.pth").string(), (dir / "t.pt").string()}) {
    s2u_tensors* t = nullptr;
    MUST(s2u_tensors_open(path.c_str(), &t));
    ASSERT_EQ(s2u_tensors_count(t), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      s2u_tensor one{};
      one.struct_size = sizeof one;
      MUST(s2u_tensors_get(t, i, &one));
      const std::string name = one.name;
      EXPECT_EQ(one.rank, name == "a" ? 0 : name == "b" ? 8 : 2);
      EXPECT_EQ(one.bytes, name == "c" ? 0u : 4u);
      EXPECT_EQ(one.shape[0], name == "b" ? 1 : 0);
      EXPECT_EQ(one.shape[1], name == "b" ? 1 : name == "c" ? 3 : 0);
      float back = 0.0F;
      MUST(s2u_tensors_read(t, i, one.bytes == 0 ? nullptr : &back, one.bytes));
      EXPECT_EQ(back, name == "c" ? 0.0F : 2.5F);
    }
    const bool has_metadata = path == file;
    EXPECT_EQ(s2u_tensors_metadata_count(t), has_metadata ? 1u : 0u);
    if (has_metadata) {
      EXPECT_STREQ(s2u_tensors_metadata_value(t, 0), "2");
    }
    EXPECT_EQ(s2u_tensors_metadata_key(t, 1), nullptr);
    EXPECT_EQ(s2u_tensors_metadata_value(t, 1), nullptr);
    s2u_tensors_free(t);
  }
}

TEST(CDoctor, TellsItsFindingsAndItsProgress) {
  const test::TempDir dir;
  std::filesystem::create_directories(dir / "images");
  std::filesystem::create_directories(dir / "masks");
  for (int i = 0; i < 3; ++i) {
    const auto pixels = gradient(40 + i, 30, 3);
    write_png(dir / ("images/" + std::to_string(i) + ".png"), ImageView(pixels.data(), 40 + i, 30, 3));
    std::vector<std::uint8_t> mask(static_cast<std::size_t>((40 + i) * 30), 0);
    mask[100] = 1;
    write_png(dir / ("masks/" + std::to_string(i) + ".png"), ImageView(mask.data(), 40 + i, 30, 1));
  }
  s2u_doctor_options* o = nullptr;
  MUST(s2u_doctor_options_new(&o));
  std::vector<std::pair<std::size_t, std::size_t>> steps;
  MUST(s2u_doctor_options_set_progress(
      o,
      [](std::size_t done, std::size_t total, void* user) {
        static_cast<decltype(steps)*>(user)->emplace_back(done, total);
      },
      &steps));
  MUST(s2u_doctor_options_set_threads(o, 1));
  MUST(s2u_doctor_options_set_recursive(o, 1));
  s2u_text* json = nullptr;
  MUST(s2u_doctor((dir / "images").c_str(), (dir / "masks").c_str(), o, &json));
  EXPECT_THAT(s2u_text_data(json), HasSubstr("zero-one-mask"));
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back().first, steps.back().second);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].second, steps.back().second);
    EXPECT_TRUE(i == 0 || steps[i].first > steps[i - 1].first);
  }
  EXPECT_LT(steps.front().first, steps.front().second);
  s2u_text_free(json);
  const std::size_t before = steps.size();
  MUST(s2u_doctor_options_set_progress(o, nullptr, &steps));  // nobody is told any more
  MUST(s2u_doctor((dir / "images").c_str(), (dir / "masks").c_str(), o, &json));
  s2u_text_free(json);
  EXPECT_EQ(steps.size(), before);
  json = nullptr;
  MUST(s2u_doctor_options_set_mask_affix(o, "", "_mask"));
  REFUSED(s2u_doctor((dir / "images").c_str(), (dir / "nowhere").c_str(), o, &json), S2U_FILE_ERROR,
          "nowhere");
  REFUSED(s2u_doctor_options_set_classes(o, "1000"), S2U_INVALID_ARGUMENT, "255");
  EXPECT_EQ(json, nullptr);
  s2u_doctor_options_free(o);
}

}  // namespace
}  // namespace sam2unet
