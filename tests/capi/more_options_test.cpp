// Options of the C API that are taken back, and those of calls that have several ways in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "capi/calls.h"
#include "core/file.h"
#include "sam2unet/image.h"
#include "sam2unet/sam2unet.h"
#include "sam2unet/weights.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

using testing::HasSubstr;
using testing::Not;

class CMoreOptions : public testing::Test {
 protected:
  CMoreOptions() { test::write_tiny_weights(file, false, {{"input_size", "32x64"}, {"fit", "letterbox"}}); }
  test::TempDir dir;
  std::string file = (dir / "w.safetensors").string();
};

// The weights' bytes are opened by the same options as their file.
TEST_F(CMoreOptions, AreThoseOfBytesToo) {
  const auto bytes = read_file(file);
  s2u_segmenter_options* o = nullptr;
  MUST(s2u_segmenter_options_new(&o));
  MUST(s2u_segmenter_options_set_threads(o, 1));
  MUST(s2u_segmenter_options_set_precision(o, S2U_PRECISION_BF16));
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new_from_bytes(bytes.data(), bytes.size(), "these", o, &s));
  s2u_segmenter_info info{};
  info.struct_size = sizeof info;
  MUST(s2u_segmenter_get_info(s, &info));
  EXPECT_EQ(info.precision, S2U_PRECISION_BF16);
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.height, 32);
  EXPECT_EQ(info.fit, S2U_FIT_LETTERBOX);
  s2u_segmenter_free(s);
  s = nullptr;
  MUST(s2u_segmenter_options_set_device(o, "abacus"));
  REFUSED(s2u_segmenter_new_from_bytes(bytes.data(), bytes.size(), "these", o, &s), S2U_INVALID_ARGUMENT,
          "abacus");
  EXPECT_EQ(s, nullptr);
  s2u_segmenter_options_free(o);
}

TEST_F(CMoreOptions, ThatWereFreedOrAreOthersAreRefused) {
  s2u_segmenter_options* o = nullptr;
  MUST(s2u_segmenter_options_new(&o));
  s2u_segmenter_options_free(o);
  s2u_segmenter* s = nullptr;
  REFUSED(s2u_segmenter_new(file.c_str(), o, &s), S2U_INVALID_ARGUMENT, "freed");
  s2u_segment_options* of_segmenting = nullptr;
  MUST(s2u_segment_options_new(&of_segmenting));
  REFUSED(s2u_segmenter_new(file.c_str(), reinterpret_cast<s2u_segmenter_options*>(of_segmenting), &s),
          S2U_INVALID_ARGUMENT, "no handle of its kind");
  EXPECT_EQ(s, nullptr);
  s2u_segment_options_free(of_segmenting);
}

TEST_F(CMoreOptions, OfSegmentingMayBeTakenBack) {
  s2u_segmenter* s = nullptr;
  MUST(s2u_segmenter_new(file.c_str(), nullptr, &s));
  s2u_segment_options* o = nullptr;
  MUST(s2u_segment_options_new(&o));
  const auto pixels = gradient(20, 50, 3);
  const auto map = [&] {
    s2u_segmentation* r = segmented(s, plane_of(pixels, 20, 50, 3), o);
    auto out = array_of<float>([&](auto* to, auto* n) { return s2u_segmentation_probabilities(r, to, n); });
    s2u_segmentation_free(r);
    return out;
  };
  const auto usual = map();
  const auto is_usual = [&] { return map() == usual; };
  MUST(s2u_segment_options_set_augmentation(o, "vflip"));
  EXPECT_FALSE(is_usual());
  MUST(s2u_segment_options_set_augmentation(o, ""));
  EXPECT_TRUE(is_usual());
  MUST(s2u_segment_options_set_fit(o, S2U_FIT_SQUASH));
  EXPECT_FALSE(is_usual());
  MUST(s2u_segment_options_set_fit(o, S2U_FIT_AS_TRAINED));
  EXPECT_TRUE(is_usual());
  MUST(s2u_segment_options_set_size(o, 32, 32));
  EXPECT_FALSE(is_usual());
  MUST(s2u_segment_options_set_size(o, 0, 0));
  EXPECT_TRUE(is_usual());
  // What is refused leaves what was there.
  REFUSED(s2u_segment_options_set_size(o, 32, 31), S2U_INVALID_ARGUMENT, "32x31");
  REFUSED(s2u_segment_options_set_augmentation(o, "vflip,turn"), S2U_INVALID_ARGUMENT, "turn");
  REFUSED(s2u_segment_options_set_tiles(o, 31, 0.25, 0.0), S2U_INVALID_ARGUMENT, "31");
  EXPECT_TRUE(is_usual());
  s2u_segment_options_free(o);
  s2u_segmenter_free(s);
}

TEST_F(CMoreOptions, OfConvertingMayBeTakenBack) {
  const std::string out = (dir / "out.safetensors").string();
  s2u_convert_options* o = nullptr;
  MUST(s2u_convert_options_new(&o));
  MUST(s2u_convert_options_set_trunk(o, "/no/such/trunk.pt"));
  REFUSED(s2u_weights_convert(file.c_str(), out.c_str(), o, nullptr), S2U_FILE_ERROR, "trunk.pt");
  MUST(s2u_convert_options_set_trunk(o, ""));
  REFUSED(s2u_convert_options_set_task_only(o, 2), S2U_INVALID_ARGUMENT, "task only is 2: must be 0 or 1");
  MUST(s2u_weights_convert(file.c_str(), out.c_str(), o, nullptr));
  EXPECT_EQ(inspect_weights(out).contents, "full SAM2-UNet");
  s2u_convert_options_free(o);
}

// Masks of the classes 0 and 3: of three classes 3 is none of them, and of no classes it is foreground.
TEST_F(CMoreOptions, OfTheDoctorMayBeTakenBack) {
  for (const char* folder : {"images", "masks"}) std::filesystem::create_directories(dir / folder);
  const auto pixels = gradient(40, 30, 3);
  std::vector<std::uint8_t> mask(40 * 30, 0);
  for (std::size_t i = 100; i < 400; ++i) mask[i] = 3;
  write_png(dir / "images/a.png", ImageView(pixels.data(), 40, 30, 3));
  write_png(dir / "masks/a.png", ImageView(mask.data(), 40, 30, 1));
  s2u_doctor_options* o = nullptr;
  MUST(s2u_doctor_options_new(&o));
  const auto report = [&] {
    s2u_text* json = nullptr;
    const Told t = told(s2u_doctor((dir / "images").c_str(), (dir / "masks").c_str(), o, &json));
    std::string out = t.code == S2U_OK ? s2u_text_data(json) : t.text;
    s2u_text_free(json);
    return out;
  };
  const std::string usual = report();
  MUST(s2u_doctor_options_set_classes(o, "3"));
  EXPECT_THAT(report(), HasSubstr("unknown-"));
  REFUSED(s2u_doctor_options_set_classes(o, "1"), S2U_INVALID_ARGUMENT, "one class is given");
  EXPECT_THAT(report(), HasSubstr("unknown-"));
  MUST(s2u_doctor_options_set_classes(o, ""));
  EXPECT_EQ(report(), usual);
  EXPECT_THAT(usual, Not(HasSubstr("unknown-")));
  s2u_doctor_options_free(o);
}

}  // namespace
}  // namespace sam2unet
