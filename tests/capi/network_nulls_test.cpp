// What the C API of the network says where a pointer is null that must not be, the handles beside it good.
#include <cstdint>
#include <string>
#include <vector>

#include "capi/calls.h"
#include "capi/nulls.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

class CNetworkNulls : public testing::Test {
 protected:
  CNetworkNulls() {
    auto config = test::tiny_config();
    config.out_channels = 3;
    test::write_weights(file, config);
  }
  test::TempDir dir;
  std::string file = (dir / "w.safetensors").string();
};

TEST_F(CNetworkNulls, OfSegmentersAndTheirResults) {
  s2u_segmenter* segmenter = nullptr;
  s2u_segment_options* small = nullptr;
  MUST(s2u_segmenter_new(file.c_str(), nullptr, &segmenter));
  MUST(s2u_segment_options_new(&small));
  MUST(s2u_segment_options_set_size(small, 32, 32));
  const std::vector<std::uint8_t> pixels = gradient(9, 6, 3), ids(9 * 6, 1);
  const std::vector<float> confidence(9 * 6, 1.0F);
  const s2u_plane picture = plane_of(pixels, 9, 6, 3), of_ids = plane_of(ids, 9, 6, 1);
  const s2u_plane *pictures[] = {&picture}, *no_picture[] = {nullptr};
  s2u_segmentation *r = segmented(segmenter, picture, small), *none = nullptr;
  s2u_regions *regions = nullptr, *no_regions = nullptr;
  MUST(s2u_ids_regions(&of_ids, confidence.data(), 3, S2U_REGION_CLASSES, 0.0, &regions));
  ASSERT_EQ(s2u_regions_count(regions), 2u);  // of the classes 1 and 2
  s2u_polygons* polygons = nullptr;
  expect_told({{s2u_segmenter_new(file.c_str(), nullptr, nullptr), "where the segmenter goes"},
               {s2u_segmenter_new_from_bytes("x", 1, "x", nullptr, nullptr), "where the segmenter goes"},
               {s2u_segmenter_get_info(segmenter, nullptr), "the information"},
               {s2u_segmenter_class_color(segmenter, 1, nullptr), "where the colour goes"},
               {s2u_segment_options_set_augmentation(small, nullptr), "the augmentation"},
               {s2u_segment(segmenter, nullptr, 1, small, &none), "the pictures"},
               {s2u_segment(segmenter, pictures, 1, small, nullptr), "where the results go"},
               {s2u_segmentation_get_info(r, nullptr), "the information"},
               {s2u_segmentation_probabilities(r, nullptr, nullptr), "the count"},
               {s2u_segmentation_gray(r, 0, nullptr, nullptr), "the count"},
               {s2u_segmentation_ids(r, nullptr, nullptr), "the count"},
               {s2u_segmentation_logits(r, nullptr, nullptr), "the count"},
               {s2u_segmentation_regions(r, S2U_REGION_CLASSES, 0.0, nullptr), "where the regions go"},
               {s2u_mask_polygons(&of_ids, 0.0, nullptr), "where the polygons go"},
               {s2u_mask_polygons(nullptr, 0.0, &polygons), "the mask"},
               {s2u_ids_regions(nullptr, confidence.data(), 3, 0, 0.0, &no_regions), "the ids"},
               {s2u_ids_regions(&of_ids, nullptr, 3, 0, 0.0, &no_regions), "the confidence"},
               {s2u_ids_regions(&of_ids, confidence.data(), 3, 0, 0.0, nullptr), "where the regions go"},
               {s2u_regions_get(regions, 0, nullptr), "the region"},
               {s2u_polygons_ring(s2u_regions_polygons(regions, 0), 0, 0, nullptr, nullptr), "the count"}});
  REFUSED(s2u_segment(segmenter, no_picture, 1, small, &none), S2U_INVALID_ARGUMENT, " is null");
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(no_regions, nullptr);
  EXPECT_EQ(polygons, nullptr);
  EXPECT_EQ(s2u_polygons_ring_count(nullptr, 0), 0u);
  s2u_regions_free(regions);
  s2u_segmentation_free(r);
  s2u_segment_options_free(small);
  s2u_segmenter_free(segmenter);
}

TEST_F(CNetworkNulls, OfFilesOfWeightsAndPictures) {
  s2u_tensors* tensors = nullptr;
  s2u_tensor_writer* writer = nullptr;
  MUST(s2u_tensors_open(file.c_str(), &tensors));
  MUST(s2u_tensor_writer_new(&writer));
  s2u_tensor first{};
  first.struct_size = sizeof first;
  MUST(s2u_tensors_get(tensors, 0, &first));
  const std::vector<std::uint8_t> pixels = gradient(9, 6, 3);
  const s2u_plane picture = plane_of(pixels, 9, 6, 3);
  const std::string png = (dir / "a.png").string();
  MUST(s2u_png_write(png.c_str(), &picture));
  s2u_image *image = nullptr, *none = nullptr;
  MUST(s2u_image_read(png.c_str(), nullptr, &image));
  const std::int64_t shape[] = {1};
  expect_told({{s2u_tensors_open(file.c_str(), nullptr), "where the tensors go"},
               {s2u_tensors_get(tensors, 0, nullptr), "the tensor"},
               {s2u_tensors_read(tensors, 0, nullptr, first.bytes), "where the elements go"},
               {s2u_tensor_writer_add(writer, "a", S2U_DTYPE_U8, nullptr, 1, "x", 1), "the shape"},
               {s2u_tensor_writer_add(writer, "a", S2U_DTYPE_U8, shape, 1, nullptr, 1), "the tensor's bytes"},
               {s2u_weights_info(file.c_str(), nullptr), "where the text goes"},
               {s2u_default_model(nullptr), "where the path goes"},
               {s2u_image_read(png.c_str(), nullptr, nullptr), "where the picture goes"},
               {s2u_image_decode(nullptr, 1, "a", nullptr, &none), "the picture's bytes"},
               {s2u_image_decode("x", 1, "a", nullptr, nullptr), "where the picture goes"},
               {s2u_image_plane(image, nullptr), "the plane"},
               {s2u_png_write(png.c_str(), nullptr), "the picture"}});
  EXPECT_EQ(none, nullptr);
  s2u_image_free(image);
  s2u_tensor_writer_free(writer);
  s2u_tensors_free(tensors);
}

}  // namespace
}  // namespace sam2unet
