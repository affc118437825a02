// Where a picture lies in a network's input, by numbers.
#include "image/placement.h"

#include <gtest/gtest.h>

#include <array>

namespace sam2unet::image {
namespace {

std::array<int, 4> box(int width, int height, const InputSize& input, Fit fit) {
  const Placement p = place(width, height, input, fit);
  EXPECT_EQ(p.picture_width, width);
  EXPECT_EQ(p.picture_height, height);
  return {p.x, p.y, p.width, p.height};
}
using Box = std::array<int, 4>;

TEST(Letterbox, LiesInTheMiddleOfTheInput) {
  const InputSize square = InputSize::square(64);
  EXPECT_EQ(box(120, 60, square, Fit::letterbox), (Box{0, 16, 64, 32}));
  EXPECT_EQ(box(60, 120, square, Fit::letterbox), (Box{16, 0, 32, 64}));
  EXPECT_EQ(box(50, 50, square, Fit::letterbox), (Box{0, 0, 64, 64}));
  EXPECT_EQ(box(100, 99, square, Fit::letterbox), (Box{0, 0, 64, 63}));   // 63.36
  EXPECT_EQ(box(100, 34, square, Fit::letterbox), (Box{0, 21, 64, 22}));  // 21.76
  EXPECT_EQ(box(43, 128, square, Fit::letterbox), (Box{21, 0, 22, 64}));  // 21.5
  EXPECT_EQ(box(1000, 1, square, Fit::letterbox), (Box{0, 31, 64, 1}));   // never nothing
  const InputSize wide = InputSize::of(96, 32);
  EXPECT_EQ(box(50, 50, wide, Fit::letterbox), (Box{32, 0, 32, 32}));
  EXPECT_EQ(box(90, 30, wide, Fit::letterbox), (Box{0, 0, 96, 32}));
  for (const int width : {1, 50, 1000}) EXPECT_EQ(box(width, 50, wide, Fit::squash), (Box{0, 0, 96, 32}));
}

// What lies beside the picture is the mean colour, on both sides alike.
TEST(Letterbox, IsSurroundedByTheMeanColour) {
  Image picture(20, 40, 3), out;
  for (auto& v : picture.pixels) v = 9;
  Preparer preparer;
  preparer.prepare(picture, place(20, 40, InputSize::square(64), Fit::letterbox), PillowVersion::v12, out);
  ASSERT_EQ(out.width, 64);
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int mean = c == 0 ? 124 : c == 1 ? 116 : 104;  // 255 (.485, .456, .406)
        EXPECT_EQ(out.row(y)[3 * x + c], x >= 16 && x < 48 ? 9 : mean) << x << "," << y;
      }
    }
  }
}

// Upright and turned, gray in every colour and RGBA as its colours, with the padding beside them.
TEST(Letterbox, EveryKindOfPictureIsItsColours) {
  const std::array<std::uint8_t, 4> pixel{10, 20, 30, 99};
  for (const int channels : {1, 3, 4}) {
    for (const Turn turn : {Turn::none, Turn::mirror_x, Turn::mirror_y, Turn::quarter}) {
      Image picture(32, 64, channels), out;  // of one colour
      for (std::size_t i = 0; i < picture.pixels.size(); ++i)
        picture.pixels[i] = pixel[i % static_cast<std::size_t>(channels)];
      const bool is_turned = turn == Turn::quarter;
      const Placement p =
          place(is_turned ? 64 : 32, is_turned ? 32 : 64, InputSize::square(64), Fit::letterbox);
      Preparer preparer;
      preparer.prepare(picture, p, PillowVersion::v12, out, turn);
      ASSERT_EQ(out.channels, 3);
      const std::uint8_t* inside = out.row(32) + std::ptrdiff_t{3} * 32;
      const std::uint8_t* outside = is_turned ? out.row(15) : out.row(32) + std::ptrdiff_t{3} * 15;
      for (std::size_t c = 0; c < 3; ++c) {
        EXPECT_EQ(inside[c], pixel[channels == 1 ? 0 : c]) << channels << " " << c;
        EXPECT_EQ(outside[c], kPadding[c]) << channels << " " << c;
      }
    }
  }
}

// What lies in its place already, of any number of channels.
TEST(Letterbox, PlacedPicturesArePadded) {
  for (const int channels : {1, 3}) {
    Image placed(22, 64, channels), out;
    for (int y = 0; y < 64; ++y)
      for (int i = 0; i < 22 * channels; ++i) placed.row(y)[i] = static_cast<std::uint8_t>(1 + i / channels);
    const std::array<std::uint8_t, 3> padding{200, 201, 202};
    pad(placed, place(43, 128, InputSize::square(64), Fit::letterbox), padding.data(), out);
    ASSERT_EQ(out.channels, channels);
    for (const int y : {0, 63}) {
      for (int x = 0; x < 64; ++x) {
        for (int c = 0; c < channels; ++c)
          EXPECT_EQ(out.row(y)[x * channels + c], x >= 21 && x < 43 ? x - 20 : 200 + c) << x << " " << c;
      }
    }
  }
}

}  // namespace
}  // namespace sam2unet::image
