// Where a picture lies in a network's input, by numbers.
#include "image/placement.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "support/pictures.h"

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

// Where each pixel goes, upright and turned, in a picture that fills one side or all: one preparer and one
// input for all of them, of which nothing is left over.
TEST(Letterbox, TurnsEveryPixelToItsPlace) {
  Preparer preparer;
  Image out;
  for (const auto& [width, height] : {std::pair{64, 32}, {32, 64}, {64, 64}}) {
    for (const int channels : {1, 3, 4}) {
      const Image picture = test::picture(width, height, channels);
      for (const Turn turn : {Turn::none, Turn::mirror_x, Turn::mirror_y, Turn::quarter}) {
        const bool quarter = turn == Turn::quarter;
        const int w = quarter ? height : width, h = quarter ? width : height;
        const Placement p = place(w, h, InputSize::square(64), Fit::letterbox);
        ASSERT_EQ(p.width, w);
        ASSERT_EQ(p.height, h);
        preparer.prepare(picture, p, PillowVersion::v12, out, turn);
        ASSERT_EQ(out.pixels.size(), 64u * 64u * 3u);
        for (int y = 0; y < 64; ++y) {
          for (int x = 0; x < 64; ++x) {
            const int px = x - (64 - w) / 2, py = y - (64 - h) / 2;
            const bool inside = px >= 0 && px < w && py >= 0 && py < h;
            // Counterclockwise: the upper right corner becomes the upper left one.
            const int from_x = quarter ? width - 1 - py : turn == Turn::mirror_x ? width - 1 - px : px;
            const int from_y = quarter ? px : turn == Turn::mirror_y ? height - 1 - py : py;
            for (int c = 0; c < 3; ++c) {
              const int want = inside ? picture.row(from_y)[from_x * channels + (channels == 1 ? 0 : c)]
                                      : kPadding[static_cast<std::size_t>(c)];
              ASSERT_EQ(out.row(y)[3 * x + c], want) << width << "x" << height << "x" << channels << " at "
                                                     << x << "," << y << ", turn " << static_cast<int>(turn);
            }
          }
        }
      }
    }
  }
}

// Colours count as if there were no alpha, also while they are resized.
TEST(Letterbox, ColoursUnderNoAlphaStay) {
  Image picture(128, 128, 4), out;
  for (std::size_t i = 0; i < picture.pixels.size(); i += 4)
    for (std::size_t c = 0; c < 3; ++c) picture.pixels[i + c] = static_cast<std::uint8_t>(50 + c);
  Preparer preparer;
  preparer.prepare(picture, place(128, 128, InputSize::square(64), Fit::squash), PillowVersion::v12, out);
  ASSERT_EQ(out.channels, 3);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) ASSERT_EQ(out.pixels[i], 50 + i % 3) << i;
}

// One input for pictures of several places: above and below as at the sides.
TEST(Letterbox, PaddingIsPutDownAnew) {
  Image out;
  const std::uint8_t padding = 7;
  for (const auto& [width, height] : {std::pair{64, 10}, {10, 64}, {64, 64}, {64, 31}}) {
    Image placed(width, height, 1);
    for (std::size_t i = 0; i < placed.pixels.size(); ++i)
      placed.pixels[i] = static_cast<std::uint8_t>(i | 128);
    const Placement p = place(width, height, InputSize::square(64), Fit::letterbox);
    pad(placed, p, &padding, out);
    const int left = (64 - width) / 2, top = (64 - height) / 2;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        const bool inside = x >= left && x < left + width && y >= top && y < top + height;
        ASSERT_EQ(out.row(y)[x], inside ? placed.row(y - top)[x - left] : 7) << x << "," << y;
      }
    }
  }
}

}  // namespace
}  // namespace sam2unet::image
