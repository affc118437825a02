// The resize against Pillow 12.3 and 13.0, to the last bit, on every instruction set this machine has.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/hash.h"
#include "image/resizer.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/instruction_sets.h"
#include "support/pictures.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

struct Case {
  int width = 0, height = 0, channels = 0, to_width = 0, to_height = 0;
  std::vector<std::uint64_t> sums;  // bilinear and bicubic of 12, the same of 13
};

std::vector<Case> cases() {
  std::ifstream in(test::repository_data() / "image" / "resized.txt");
  std::vector<Case> out;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Case c;
    words >> c.width >> c.height >> c.channels >> c.to_width >> c.to_height >> std::hex;
    for (std::uint64_t sum = 0; words >> sum;) c.sums.push_back(sum);
    if (c.sums.size() == 2) c.sums.insert(c.sums.end(), {c.sums[0], c.sums[1]});
    out.push_back(c);
  }
  return out;
}

void compare(const std::vector<Case>& all, std::size_t step) {
  for (std::size_t i = 0; i < all.size(); i += step) {
    const Case& c = all[i];
    const Image image = test::picture(c.width, c.height, c.channels);
    for (std::size_t k = 0; k < 4; ++k) {
      const Image out = resize_pillow(image, c.to_width, c.to_height,
                                      k % 2 == 0 ? ResizeFilter::bilinear : ResizeFilter::bicubic,
                                      k < 2 ? PillowVersion::v12 : PillowVersion::v13);
      ASSERT_EQ(out.width, c.to_width);
      ASSERT_EQ(out.height, c.to_height);
      EXPECT_EQ(fnv1a(std::as_bytes(std::span(out.pixels))), c.sums[k])
          << c.width << "x" << c.height << "x" << c.channels << " to " << c.to_width << "x" << c.to_height
          << ", " << k;
    }
  }
}

TEST(Resize, EqualsPillow12And13) {
  const auto all = cases();
  ASSERT_EQ(all.size(), 500u);
  compare(all, 1);
}

TEST(Resize, IsTheSameOnEveryInstructionSet) {
  const auto all = cases();
  for (const auto target : test::instruction_sets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    const test::InstructionSet scope(target);
    compare(all, 17);
  }
}

TEST(Resize, ReadsViewsWithGapsAndBackwards) {
  const Image whole = test::picture(50, 40, 3);
  const ImageView inside{whole.row(3) + 5 * 3, 31, 20, 3, 50 * 3};
  Image copy(31, 20, 3);
  for (int y = 0; y < 20; ++y) std::copy_n(inside.row(y), 31 * 3, copy.row(y));
  EXPECT_EQ(resize_pillow(inside, 17, 45, ResizeFilter::bicubic).pixels,
            resize_pillow(copy, 17, 45, ResizeFilter::bicubic).pixels);
  const ImageView upside_down{copy.row(19), 31, 20, 3, -31 * 3};
  const Image flipped = apply_orientation(copy, 4);
  EXPECT_EQ(resize_pillow(upside_down, 31, 7, ResizeFilter::bilinear).pixels,
            resize_pillow(flipped, 31, 7, ResizeFilter::bilinear).pixels);
  EXPECT_EQ(resize_pillow(upside_down, 31, 20, ResizeFilter::bilinear).pixels, flipped.pixels);
}

// One Resizer for many sizes, mirrored and not, also where a side keeps its length.
TEST(Resizer, MirrorsAfterResizing) {
  image::Resizer resizer;
  Image got;
  for (const int channels : {1, 3, 4}) {
    const Image in = test::picture(45, 37, channels);
    for (const auto& [width, height] : {std::pair{33, 50}, {45, 50}, {33, 37}, {45, 37}, {100, 16}}) {
      for (const ResizeFilter filter : {ResizeFilter::bilinear, ResizeFilter::bicubic}) {
        const Image plain = resize_pillow(in, width, height, filter);
        for (const int flips : {0, 1, 2, 3}) {
          const bool flip_x = flips % 2 != 0, flip_y = flips >= 2;
          resizer.resize(in, {width, height, filter, PillowVersion::v12, flip_x, flip_y}, got);
          const int orientation = flip_x && flip_y ? 3 : flip_x ? 2 : flip_y ? 4 : 1;
          EXPECT_EQ(got.pixels, apply_orientation(plain, orientation).pixels)
              << width << "x" << height << "x" << channels << ", mirrored " << flips;
        }
      }
    }
  }
}

TEST(Resize, KeepsAFlatPicture) {
  Image image(37, 91, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  for (const ResizeFilter filter : {ResizeFilter::bilinear, ResizeFilter::bicubic}) {
    const Image out = resize_pillow(image, 352, 352, filter);
    EXPECT_EQ(std::count(out.pixels.begin(), out.pixels.end(), 255), 352 * 352);
  }
}

TEST(Resize, RefusesWhatCannotBeMeant) {
  const Image image = test::picture(4, 4, 3);
  EXPECT_THROW(resize_pillow(image, 0, 4, ResizeFilter::bilinear), UsageError);
  EXPECT_THROW(resize_pillow(image, 4, -1, ResizeFilter::bilinear), UsageError);
  EXPECT_THROW(resize_pillow(image, 1 << 20, 1 << 20, ResizeFilter::bilinear), UsageError);
  EXPECT_THROW(resize_pillow(ImageView{}, 4, 4, ResizeFilter::bilinear), UsageError);
  EXPECT_THROW(resize_pillow(ImageView{image.pixels.data(), 4, 4, 2, 8}, 4, 4, ResizeFilter::bilinear),
               UsageError);
}

TEST(Resize, TakesAVeryLongSide) {
  const Image image = test::picture(20000, 3, 3);
  EXPECT_EQ(resize_pillow(image, 352, 352, ResizeFilter::bilinear).pixels.size(), 352u * 352u * 3u);
}

// Without a word of it, the order of passes is 12.3's.
TEST(Resize, IsThatOfPillow12WhereNothingIsSaid) {
  int differ = 0;
  for (const Case& c : cases()) {
    if (c.sums[0] == c.sums[2] || ++differ > 5) continue;
    const Image out = resize_pillow(test::picture(c.width, c.height, c.channels), c.to_width, c.to_height,
                                    ResizeFilter::bilinear);
    EXPECT_EQ(fnv1a(std::as_bytes(std::span(out.pixels))), c.sums[0]) << c.width << "x" << c.height;
  }
  EXPECT_GT(differ, 5);
}

}  // namespace
}  // namespace sam2unet
