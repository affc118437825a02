// Drawing at a picture's edges, of views with gaps between their rows, and of every channel alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"
#include "support/pictures.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

// A part of a larger picture, and the same without gaps.
struct Part {
  Image whole, copy;
  ImageView view;
};
Part part_of(Image whole) {
  Part out;
  out.whole = std::move(whole);
  const int c = out.whole.channels;
  const int width = out.whole.width - 7, height = out.whole.height - 5;
  out.view = ImageView(out.whole.row(2) + std::ptrdiff_t{3} * c, width, height, c,
                       static_cast<std::ptrdiff_t>(out.whole.width) * c);
  out.copy = Image(width, height, c);
  for (int y = 0; y < height; ++y) std::copy_n(out.view.row(y), width * c, out.copy.row(y));
  return out;
}
// Of which about half is inside.
Part mask_part(int width, int height) {
  return part_of(test::picture(width, height, 1));
}

TEST(Views, WithGapsAreDrawnAsTheirCopies) {
  const Part mask = mask_part(37, 25);
  for (const int channels : {1, 3, 4}) {
    const Part picture = part_of(test::picture(37, 25, channels));
    EXPECT_EQ(draw_overlay(picture.view, mask.view).pixels, draw_overlay(picture.copy, mask.copy).pixels);
    EXPECT_EQ(encode_overlay_png(picture.view, mask.view), encode_overlay_png(picture.copy, mask.copy));
    for (const bool clean : {false, true}) {
      const CutoutOptions how{.clean_edges = clean};
      EXPECT_EQ(cut_out(picture.view, mask.view, how).pixels, cut_out(picture.copy, mask.copy, how).pixels);
    }
  }
  EXPECT_EQ(encode_mask_png(mask.view), encode_mask_png(mask.copy));
  const auto got = mask_polygons(mask.view), want = mask_polygons(mask.copy);
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].outer, want[i].outer);
  Image rgba(mask.copy.width, mask.copy.height, 4);
  std::fill(rgba.pixels.begin(), rgba.pixels.end(), std::uint8_t{255});
  multiply_alpha(rgba, 0, mask.view);
  for (std::size_t i = 0; i < mask.copy.pixels.size(); ++i)
    ASSERT_EQ(rgba.pixels[4 * i + 3], mask.copy.pixels[i]) << i;
}

// A line of five pixels reaches two to the left and above, and two to the right and below, as far as there is
// a picture.
TEST(Overlay, ThickLinesEndAtThePicture) {
  constexpr int kWidth = 9, kHeight = 7;
  const Image black(kWidth, kHeight, 3);
  for (const auto& [px, py] : {std::pair{0, 0},
                               {kWidth - 1, 0},
                               {0, kHeight - 1},
                               {kWidth - 1, kHeight - 1},
                               {1, 3},
                               {7, 3},
                               {4, 1},
                               {4, 5}}) {
    Image mask(kWidth, kHeight, 1);
    mask.row(py)[px] = 255;
    const Image out = draw_overlay(black, mask, {.color = {7, 8, 9}, .opacity = 0.0, .outline = 5});
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const bool painted = std::abs(x - px) <= 2 && std::abs(y - py) <= 2;
        const std::uint8_t* p = out.row(y) + std::ptrdiff_t{3} * x;
        EXPECT_THAT((std::array<int, 3>{p[0], p[1], p[2]}),
                    painted ? ElementsAre(7, 8, 9) : ElementsAre(0, 0, 0))
            << px << "," << py << " at " << x << "," << y;
      }
    }
  }
}

// A pixel is on the line where one of its four neighbours is outside, whichever.
TEST(Overlay, EveryNeighbourDecides) {
  const Image black(5, 5, 3);
  for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
    Image mask(5, 5, 1);
    std::fill(mask.pixels.begin(), mask.pixels.end(), std::uint8_t{255});
    mask.row(2 + dy)[2 + dx] = 0;
    const Image out = draw_overlay(black, mask, {.color = {50, 0, 0}, .opacity = 0.0, .outline = 1});
    EXPECT_EQ(out.row(2)[6], 50) << dx << "," << dy;
    EXPECT_EQ(out.row(2 + dy)[3 * (2 + dx)], 0) << dx << "," << dy;
  }
}

// Inside is from 128 on.
TEST(Overlay, TheBorderIsBetween127And128) {
  Image mask(4, 1, 1);
  mask.pixels = {127, 128, 128, 255};
  const Image out = draw_overlay(Image(4, 1, 3), mask, {.color = {50, 0, 0}, .opacity = 0.0, .outline = 1});
  EXPECT_THAT(out.pixels, testing::ElementsAre(0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0));
}

// Each colour is estimated by itself: of channels in another order they come out in that order.
TEST(CutOut, CleansEveryColourAlike) {
  const Image picture = test::picture(40, 30, 3);
  Image alpha(40, 30, 1);
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x)
      alpha.row(y)[x] = static_cast<std::uint8_t>(std::clamp(12 * x - 100, 0, 255));
  const Image clean = cut_out(picture, alpha);
  Image turned = picture;
  for (std::size_t i = 0; i < turned.pixels.size(); i += 3) {
    turned.pixels[i] = picture.pixels[i + 1];
    turned.pixels[i + 1] = picture.pixels[i + 2];
    turned.pixels[i + 2] = picture.pixels[i];
  }
  const Image other = cut_out(turned, alpha);
  for (std::size_t i = 0; i < clean.pixels.size(); i += 4) {
    ASSERT_EQ(other.pixels[i], clean.pixels[i + 1]) << i;
    ASSERT_EQ(other.pixels[i + 1], clean.pixels[i + 2]) << i;
    ASSERT_EQ(other.pixels[i + 2], clean.pixels[i]) << i;
    ASSERT_EQ(other.pixels[i + 3], clean.pixels[i + 3]) << i;
  }
}

TEST(IndexedPng, HoldsItsColoursAndIndices) {
  const std::vector<Color> palette{{1, 2, 3}, {40, 50, 60}, {7, 8, 9}};
  Image ids(2, 2, 1);
  ids.pixels = {2, 0, 1, 2};
  const std::vector<std::byte> png = encode_indexed_png(ids, palette);
  ImageInfo info;
  EXPECT_THAT(decode_image(png, {}, "x", &info).pixels, ElementsAre(7, 8, 9, 1, 2, 3, 40, 50, 60, 7, 8, 9));
  EXPECT_TRUE(info.palette);
  EXPECT_FALSE(info.gray);
  EXPECT_FALSE(info.alpha);
  EXPECT_THAT(decode_image(png, {.mode = ColorMode::ids}).pixels, ElementsAreArray(ids.pixels));
}

// An index without a colour is found in whatever row it stands, and nothing of its rows is taken.
TEST(IndexedPng, EveryRowsIndicesAreLookedAt) {
  const std::vector<Color> palette{{1, 2, 3}, {40, 50, 60}};
  for (int bad = 0; bad < 6; ++bad) {
    Image ids(2, 3, 1);
    ids.pixels[static_cast<std::size_t>(bad)] = 2;
    EXPECT_THROW(encode_indexed_png(ids, palette), UsageError) << bad;
    PngStream stream(2, 3, 1, {.palette = palette});
    EXPECT_THROW(stream.add(ids), UsageError) << bad;
    ids.pixels[static_cast<std::size_t>(bad)] = 1;
    stream.add(ids);
    EXPECT_EQ(stream.finish(), encode_indexed_png(ids, palette)) << bad;
  }
}

}  // namespace
}  // namespace sam2unet
