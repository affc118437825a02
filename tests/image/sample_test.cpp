// From pixels to the network's input, on every instruction set this machine has.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "image/imagenet.h"
#include "image/sample_kernels.h"
#include "support/instruction_sets.h"
#include "support/pictures.h"

namespace sam2unet::image {
namespace {

void on_every_target(const std::function<void()>& check) {
  for (const auto target : test::instruction_sets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    const test::InstructionSet scope(target);
    check();
  }
}

// All levels of all channels, to the last bit, for lengths that leave every kind of rest.
TEST(Normalise, IsTheTable) {
  on_every_target([] {
    for (const std::size_t pixels : {std::size_t{256}, std::size_t{255}, std::size_t{17}, std::size_t{1}}) {
      std::vector<std::uint8_t> rgb(3 * pixels), gray(pixels);
      for (std::size_t i = 0; i < pixels; ++i) {
        gray[i] = rgb[3 * i] = static_cast<std::uint8_t>(i);
        rgb[3 * i + 1] = static_cast<std::uint8_t>(i + 85);
        rgb[3 * i + 2] = static_cast<std::uint8_t>(255 - i);
      }
      std::vector<float> out(3 * pixels), share(pixels);
      normalise_rgb(rgb.data(), pixels, out.data());
      normalise_gray(gray.data(), pixels, share.data());
      for (std::size_t i = 0; i < pixels; ++i) {
        for (std::size_t c = 0; c < 3; ++c)
          ASSERT_EQ(out[3 * i + c], imagenet_levels()[c][rgb[3 * i + c]]) << i << " " << c;
        ASSERT_EQ(share[i], static_cast<float>(gray[i]) / 255.0F) << i;
      }
    }
  });
}

// Against bilinear interpolation in double precision; all instruction sets alike.
TEST(Slanted, InterpolatesAndMapsColours) {
  constexpr int kSide = 64;
  const Image picture = test::picture(kSide, kSide, 4);
  std::vector<std::uint32_t> pixels;
  for (std::size_t i = 0; i < picture.pixels.size(); i += 4) {
    const std::uint8_t* p = picture.pixels.data() + i;
    pixels.push_back(static_cast<std::uint32_t>(p[0] | p[1] << 8 | p[2] << 16) |
                     static_cast<std::uint32_t>(p[3]) << 24);
  }
  ColourMap colour;
  colour.factors = {{{60000, 3000, -2000}, {1000, 70000, 500}, {0, -4000, 50000}}};
  colour.constant = 5 * 65536;
  const SlantedRow row{pixels.data(), kSide, 3 * 65536 + 1234, 9 * 65536 + 777, 63000, 15000, 50};
  std::vector<float> first;
  on_every_target([&] {
    std::vector<float> image(150), mask(50);
    sample_slanted(row, colour, image.data(), mask.data());
    for (std::size_t i = 0; i < 50; ++i) {
      const double x = (row.x + static_cast<double>(i) * row.step_x) / 65536,
                   y = (row.y + static_cast<double>(i) * row.step_y) / 65536;
      const auto at = [&](int c) {
        const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
        const auto p = [&](int dx, int dy) {
          return static_cast<double>(picture.row(y0 + dy)[4 * (x0 + dx) + c]);
        };
        const double fx = x - x0, fy = y - y0;
        return (1 - fy) * ((1 - fx) * p(0, 0) + fx * p(1, 0)) + fy * ((1 - fx) * p(0, 1) + fx * p(1, 1));
      };
      for (std::size_t c = 0; c < 3; ++c) {
        const auto& m = colour.factors[c];
        const double v = (m[0] * at(0) + m[1] * at(1) + m[2] * at(2) + colour.constant) / 65536;
        const double level = std::clamp(v, 0.0, 255.0);
        EXPECT_NEAR(image[3 * i + c] * kImagenetDeviation[c] + kImagenetMean[c], level / 255, 3.0 / 255) << i;
      }
      EXPECT_NEAR(mask[i], at(3) / 255, 2.0 / 255) << i;
    }
    image.insert(image.end(), mask.begin(), mask.end());
    if (first.empty()) first = image;
    EXPECT_EQ(image, first);
  });
}

}  // namespace
}  // namespace sam2unet::image
