// The size that weights were trained at travels in their file.
#include <gtest/gtest.h>

#include "sam2unet/segmenter.h"
#include "sam2unet/weights.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet {
namespace {

// What the weights were trained at is the size where none is asked for, else the reference's 352.
TEST(TrainedSize, IsTheDefaultOfSegment) {
  const test::TempDir dir;
  const auto size_of = [&](const std::map<std::string, std::string>& metadata) {
    test::write_tiny_weights(dir / "w.safetensors", /*only_trunk=*/false, metadata);
    const Segmenter s(dir / "w.safetensors");
    const InputSize used = s.segment(Image(51, 33, 3)).logits_size;
    EXPECT_EQ(used.height, s.input_size().height);
    EXPECT_EQ(used.width, s.input_size().width);
    SegmentOptions options;
    options.size.height = 64;
    EXPECT_EQ(s.segment(Image(51, 33, 3), options).logits_size.height, 64);
    EXPECT_EQ(s.segment(Image(51, 33, 3), options).logits_size.width, used.width);
    return std::pair{used.height, used.width};
  };
  EXPECT_EQ(size_of({{"input_size", "96"}}), (std::pair{96, 96}));
  EXPECT_EQ(size_of({{"input_size", "64x128"}}), (std::pair{64, 128}));
  EXPECT_EQ(size_of({}), (std::pair{352, 352}));
  for (const char* nonsense : {"", "100", "0", "-32", "32x", "x32", "99999999999", "9000", "352 ", "a"})
    EXPECT_EQ(size_of({{"input_size", nonsense}}), (std::pair{352, 352})) << nonsense;
}

TEST(TrainedSize, SurvivesConversion) {
  const test::TempDir dir;
  test::write_tiny_weights(dir / "w.safetensors", /*only_trunk=*/false, {{"input_size", "96"}});
  for (const auto precision : {WeightsPrecision::f16, WeightsPrecision::int8}) {
    ConvertOptions options;
    options.precision = precision;
    convert_weights(dir / "w.safetensors", dir / "small.safetensors", options);
    EXPECT_EQ(Segmenter(dir / "small.safetensors").input_size().height, 96);
  }
}

}  // namespace
}  // namespace sam2unet
