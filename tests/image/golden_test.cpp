// The reference's own pictures and their resized forms, where the development data lies beside the checkout.
#include <gtest/gtest.h>

#include "sam2unet/image.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

// Resizes every picture of `from` and compares with the one of the same stem in `to`; returns how many there
// were.
int compare_folder(const std::filesystem::path& from, const std::filesystem::path& to, ColorMode mode,
                   ResizeFilter filter) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    std::filesystem::path expected = to / entry.path().stem();
    expected += ".png";
    SCOPED_TRACE(entry.path().string());
    const DecodeOptions options{.mode = mode, .apply_exif_orientation = false};
    const Image want = read_image(expected, options);
    const Image got = resize_pillow(read_image(entry.path(), options), want.width, want.height, filter);
    EXPECT_TRUE(got.pixels == want.pixels);
    ++count;
  }
  return count;
}

TEST(GoldenPictures, AreResizedToTheLastBit) {
  const auto shared = test::shared_data();
  if (!shared) GTEST_SKIP() << "needs the development data beside the checkout";
  const auto predict = *shared / "golden" / "predict";
  EXPECT_GT(compare_folder(predict / "image", predict / "resized", ColorMode::rgb, ResizeFilter::bilinear),
            20);
  EXPECT_GT(
      compare_folder(predict / "mask", predict / "mask_resized", ColorMode::gray, ResizeFilter::bicubic), 10);
}

}  // namespace
}  // namespace sam2unet
