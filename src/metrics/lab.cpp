#include "metrics/lab.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace sam2unet::metrics {

namespace {

// Linear light has 11 bits (255 * 8), XYZ over white as many; the cube root and its linear start have 15.
constexpr int kGammaBits = 3;
constexpr int kXyzBits = 12;
constexpr int kRootBits = 15;
constexpr std::size_t kRoots = 256 * 3 / 2 << kGammaBits;

struct Tables {
  std::array<int, 256> linear{};
  std::array<int, kRoots> root{};
  int xyz[3][3] = {};
};

int rounded(double v) {
  return static_cast<int>(std::nearbyint(v));
}

Tables make_tables() {
  Tables t;
  for (std::size_t i = 0; i < 256; ++i) {
    const double x = static_cast<double>(i) / 255;
    const double light =
        x <= 809.0 / 20000 ? x / (323.0 / 25) : std::pow((x + 11.0 / 200) / (211.0 / 200), 2.4);
    t.linear[i] = rounded(light * (255 << kGammaBits));
  }
  // In float, as OpenCV makes the table.
  for (std::size_t i = 0; i < kRoots; ++i) {
    const float x = 1.0F / (255 << kGammaBits) * static_cast<float>(i);
    const double line =
        static_cast<double>(x) * static_cast<double>(841.0F / 108) + static_cast<double>(16.0F / 116);
    const auto f = static_cast<float>(x < 216.0F / 24389 ? line : std::cbrt(static_cast<double>(x)));
    t.root[i] = rounded(static_cast<double>(f * (1 << kRootBits)));
  }
  // OpenCV's cube root is a rational approximation. It lies on the other side of a half here, and nowhere
  // else.
  t.root[324] = 17745;
  constexpr double kToXyz[3][3] = {
      {0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}};
  constexpr double kWhite[3] = {0.950456, 1, 1.088754};
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 3; ++k) t.xyz[i][k] = rounded(kToXyz[i][k] / kWhite[i] * (1 << kXyzBits));
  }
  return t;
}

// Half is added before the shift, which rounds down for negative numbers too.
int descaled(int v, int bits) {
  return (v + (1 << (bits - 1))) >> bits;
}

}  // namespace

std::vector<std::uint8_t> rgb_to_lab8(const ImageView& picture) {
  static const Tables t = make_tables();
  constexpr int kScaleL = (116 * 255 + 50) / 100;
  constexpr int kShiftL = -((16 * 255 * (1 << kRootBits) + 50) / 100);
  constexpr int kMiddle = 128 << kRootBits;
  std::vector<std::uint8_t> out(3 * static_cast<std::size_t>(picture.width) *
                                static_cast<std::size_t>(picture.height));
  std::uint8_t* to = out.data();
  for (int y = 0; y < picture.height; ++y) {
    const std::uint8_t* rgb = picture.row(y);
    for (int x = 0; x < picture.width; ++x, rgb += 3, to += 3) {
      const int r = t.linear[rgb[0]], g = t.linear[rgb[1]], b = t.linear[rgb[2]];
      int f[3];
      for (int i = 0; i < 3; ++i) {
        const int v = descaled(r * t.xyz[i][0] + g * t.xyz[i][1] + b * t.xyz[i][2], kXyzBits);
        f[i] = t.root[static_cast<std::size_t>(v)];
      }
      const int lab[3] = {kScaleL * f[1] + kShiftL, 500 * (f[0] - f[1]) + kMiddle,
                          200 * (f[1] - f[2]) + kMiddle};
      for (int i = 0; i < 3; ++i)
        to[i] = static_cast<std::uint8_t>(std::clamp(descaled(lab[i], kRootBits), 0, 255));
    }
  }
  return out;
}

}  // namespace sam2unet::metrics
