#include "metrics/camouflage.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "metrics/bitmap.h"
#include "metrics/lab.h"
#include "sam2unet/errors.h"

namespace sam2unet::metrics {

namespace {

constexpr int kPatch = 7;
constexpr int kStep = 3;
constexpr int kFeatures = kPatch * kPatch * 3;

struct Patch {
  int y = 0, x = 0;
  std::array<float, 2> place{};  // standardised coordinates times the spatial weight, in float32
  std::array<std::uint8_t, kFeatures> lab{};
};

// Patches on a grid of three pixels that lie in the mask as a whole.
std::vector<Patch> patches_of(const std::vector<std::uint8_t>& lab, const Bitmap& mask) {
  const auto stride = 3 * static_cast<std::ptrdiff_t>(mask.width());
  std::vector<Patch> out;
  for (int y = 0; y + kPatch <= mask.height(); y += kStep) {
    for (int x = 0; x + kPatch <= mask.width(); x += kStep) {
      bool whole = true;
      for (int i = 0; i < kPatch && whole; ++i) {
        for (int j = 0; j < kPatch && whole; ++j) whole = mask.at(x + j, y + i);
      }
      if (!whole) continue;
      Patch p{y, x, {}, {}};
      for (int i = 0; i < kPatch; ++i)
        std::memcpy(p.lab.data() + i * kPatch * 3, lab.data() + (y + i) * stride + 3 * x, kPatch * 3);
      out.push_back(p);
    }
  }
  return out;
}

// scikit-learn's StandardScaler over the corners of all patches: (v - mean) / standard deviation with N.
void standardise(std::vector<Patch>& background, std::vector<Patch>& foreground, double spatial_weight) {
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const auto coordinate = [axis](const Patch& p) { return static_cast<double>(axis == 0 ? p.y : p.x); };
    const auto n = static_cast<double>(background.size() + foreground.size());
    double sum = 0, squares = 0;
    for (const auto* list : {&background, &foreground}) {
      for (const Patch& p : *list) sum += coordinate(p);
    }
    const double mean = sum / n;
    for (const auto* list : {&background, &foreground}) {
      for (const Patch& p : *list) squares += (coordinate(p) - mean) * (coordinate(p) - mean);
    }
    const double deviation = squares == 0 ? 1 : std::sqrt(squares / n);
    for (auto* list : {&background, &foreground}) {
      for (Patch& p : *list)
        p.place[axis] = static_cast<float>(spatial_weight * ((coordinate(p) - mean) / deviation));
    }
  }
}

// The background patch most like `p` in Lab and place; the first of equals.
const Patch& nearest(const Patch& p, const std::vector<Patch>& background) {
  const Patch* best = &background.front();
  double least = std::numeric_limits<double>::infinity();
  for (const Patch& b : background) {
    int colour = 0;
    for (std::size_t i = 0; i < kFeatures; ++i) {
      const int d = p.lab[i] - b.lab[i];
      colour += d * d;
    }
    const double dy = static_cast<double>(p.place[0]) - static_cast<double>(b.place[0]);
    const double dx = static_cast<double>(p.place[1]) - static_cast<double>(b.place[1]);
    const double distance = colour + (dy * dy + dx * dx);
    if (distance < least) {
      least = distance;
      best = &b;
    }
  }
  return *best;
}

// The foreground rebuilt: the mean of the patches laid over each pixel, rounded half to even; black where
// there is none.
Image rebuilt(const ImageView& picture, const std::vector<Patch>& foreground,
              const std::vector<Patch>& background) {
  const int width = picture.width;
  std::vector<std::array<std::int32_t, 4>> sums(static_cast<std::size_t>(width) *
                                                static_cast<std::size_t>(picture.height));
  for (const Patch& p : foreground) {
    const Patch& from = nearest(p, background);
    for (int i = 0; i < kPatch; ++i) {
      const std::uint8_t* source = picture.row(from.y + i) + 3 * from.x;
      auto* target = sums.data() + static_cast<std::ptrdiff_t>(p.y + i) * width + p.x;
      for (int j = 0; j < kPatch; ++j, source += 3, ++target) {
        for (std::size_t c = 0; c < 3; ++c) (*target)[c] += source[c];
        ++(*target)[3];
      }
    }
  }
  Image out(width, picture.height, 3);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < width; ++x) {
      const auto& sum =
          sums[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
      if (sum[3] == 0) continue;
      for (int c = 0; c < 3; ++c) {
        const double mean = static_cast<double>(sum[static_cast<std::size_t>(c)]) / sum[3];
        out.row(y)[3 * x + c] = static_cast<std::uint8_t>(std::nearbyint(mean));
      }
    }
  }
  return out;
}

// scikit-image's rgb2lab: sRGB, illuminant D65, two-degree observer.
void rgb_to_lab(const std::uint8_t* rgb, double (&lab)[3]) {
  static const std::array<double, 256> linear = [] {
    std::array<double, 256> t{};
    for (std::size_t v = 0; v < 256; ++v) {
      const double x = static_cast<double>(v) / 255;
      t[v] = x > 0.04045 ? std::pow((x + 0.055) / 1.055, 2.4) : x / 12.92;
    }
    return t;
  }();
  const double r = linear[rgb[0]], g = linear[rgb[1]], b = linear[rgb[2]];
  double xyz[3] = {(0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047,
                   0.212671 * r + 0.715160 * g + 0.072169 * b,
                   (0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883};
  for (double& v : xyz) v = v > 0.008856 ? std::cbrt(v) : 7.787 * v + 16.0 / 116.0;
  lab[0] = 116.0 * xyz[1] - 16.0;
  lab[1] = 500.0 * (xyz[0] - xyz[1]);
  lab[2] = 200.0 * (xyz[1] - xyz[2]);
}

double chroma(double a, double b) {
  return std::sqrt(a * a + b * b);
}

double hue(double b, double a) {
  const double t = std::atan2(b, a);
  return t < 0 ? t + 2 * std::numbers::pi : t;
}

constexpr double radians(double degrees) {
  return degrees * std::numbers::pi / 180;
}

}  // namespace

// The anchor of the square makes a pixel see 10 pixels up and left and 9 down and right.
Bitmap surroundings(const Bitmap& inner) {
  constexpr int kBefore = 10, kAfter = 9;
  const int width = inner.width(), height = inner.height();
  // Set pixels in the columns that a pixel of the row sees, row by row; then the same over rows.
  std::vector<std::uint8_t> seen(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), 0);
  for (int y = 0; y < height; ++y) {
    std::uint8_t* row = seen.data() + static_cast<std::ptrdiff_t>(y) * width;
    int last = -kBefore - 1;  // the last set column up to the right end of what is seen
    for (int x = -kAfter; x < width; ++x) {
      if (x + kAfter < width && inner.at(x + kAfter, y)) last = x + kAfter;
      if (x >= 0) row[x] = last >= x - kBefore ? 1 : 0;
    }
  }
  Bitmap out(width, height);
  std::vector<int> last(static_cast<std::size_t>(width), -kBefore - 1);
  for (int y = -kAfter; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      int& row = last[static_cast<std::size_t>(x)];
      if (y + kAfter < height && seen[static_cast<std::size_t>(y + kAfter) * static_cast<std::size_t>(width) +
                                      static_cast<std::size_t>(x)] != 0)
        row = y + kAfter;
      if (y >= 0 && row >= y - kBefore && !inner.at(x, y)) out.set(x, y);
    }
  }
  return out;
}

double delta_e2000(const double (&lab1)[3], const double (&lab2)[3]) {
  constexpr double kPi = std::numbers::pi;
  constexpr double k25to7 = 6103515625.0;
  const auto chroma_weight = [](double c) { return std::sqrt(std::pow(c, 7) / (std::pow(c, 7) + k25to7)); };
  const double mean_c = 0.5 * (chroma(lab1[1], lab1[2]) + chroma(lab2[1], lab2[2]));
  const double scale = 1 + 0.5 * (1 - chroma_weight(mean_c));
  const double c1 = chroma(lab1[1] * scale, lab1[2]), h1 = hue(lab1[2], lab1[1] * scale);
  const double c2 = chroma(lab2[1] * scale, lab2[2]), h2 = hue(lab2[2], lab2[1] * scale);

  const double l_bar = 0.5 * (lab1[0] + lab2[0]);
  const double l_square = (l_bar - 50) * (l_bar - 50);
  const double l_term = (lab2[0] - lab1[0]) / (1 + 0.015 * l_square / std::sqrt(20 + l_square));

  const double c_bar = 0.5 * (c1 + c2);
  const double c_term = (c2 - c1) / (1 + 0.045 * c_bar);

  const double difference = h2 - h1;
  const double sum = h1 + h2;
  const bool grey = c1 * c2 == 0;
  double dh = difference;
  if (difference > kPi) dh -= 2 * kPi;
  if (difference < -kPi) dh += 2 * kPi;
  if (grey) dh = 0;
  double h_bar = sum;
  if (!grey && std::abs(difference) > kPi) h_bar += sum < 2 * kPi ? 2 * kPi : -2 * kPi;
  if (grey) h_bar *= 2;
  h_bar *= 0.5;
  const double t = 1 - 0.17 * std::cos(h_bar - radians(30)) + 0.24 * std::cos(2 * h_bar) +
                   0.32 * std::cos(3 * h_bar + radians(6)) - 0.20 * std::cos(4 * h_bar - radians(63));
  const double h_term = 2 * std::sqrt(c1 * c2) * std::sin(dh / 2) / (1 + 0.015 * c_bar * t);

  const double bend = (h_bar * 180 / kPi - 275) / 25;
  const double rotation = radians(30) * std::exp(-(bend * bend));
  const double r_term = -std::sin(2 * rotation) * 2 * chroma_weight(c_bar) * c_term * h_term;
  return std::sqrt(std::max(0.0, l_term * l_term + c_term * c_term + h_term * h_term + r_term));
}

std::vector<double> camouflage_degree(const Sample& s, const ImageView& picture,
                                      const CamouflageOptions& options) {
  if (picture.channels != 3 || picture.width != s.width || picture.height != s.height) {
    throw UsageError(
        "the picture for the camouflage context measure must be RGB and as large as the ground truth");
  }
  const std::vector<std::uint8_t> lab = rgb_to_lab8(picture);
  const Bitmap truth = truth_of(s);
  std::vector<Patch> foreground = patches_of(lab, truth);
  std::vector<Patch> background = patches_of(lab, surroundings(truth));
  if (foreground.empty() || background.empty()) return {};
  standardise(background, foreground, options.spatial_weight);
  const Image recon = rebuilt(picture, foreground, background);

  // cd = (exp(gamma * similarity) - 1) / (exp(gamma) - 1), similarity = 1 - clip(deltaE / 100, 0, 1)
  std::vector<double> out(static_cast<std::size_t>(s.pixels()), 0);
  for (int y = 0; y < s.height; ++y) {
    for (int x = 0; x < s.width; ++x) {
      if (s.truth_row(y)[x] == 0) continue;
      double ours[3], theirs[3];
      rgb_to_lab(recon.row(y) + 3 * x, ours);
      rgb_to_lab(picture.row(y) + 3 * x, theirs);
      const double similarity = 1 - std::min(1.0, delta_e2000(ours, theirs) / 100);
      out[static_cast<std::size_t>(y) * static_cast<std::size_t>(s.width) + static_cast<std::size_t>(x)] =
          (std::exp(options.gamma * similarity) - 1) / (std::exp(options.gamma) - 1);
    }
  }
  return out;
}

}  // namespace sam2unet::metrics
