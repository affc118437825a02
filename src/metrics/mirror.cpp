#include "metrics/mirror.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "metrics/numpy_sum.h"

namespace sam2unet::metrics {

namespace {

double ratio(std::int64_t a, std::int64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

struct Counts {
  std::array<std::int64_t, 256> mirror{};
  std::array<std::int64_t, 256> other{};
  int low = 255;
  int high = 0;
};

Counts count(const ImageView& pred, const ImageView& truth) {
  Counts c;
  // Four counters for each, so that equal neighbours need not wait for each other.
  std::vector<std::array<std::uint32_t, 512>> counters(4);
  for (int y = 0; y < pred.height; ++y) {
    const std::uint8_t* p = pred.row(y);
    const std::uint8_t* g = truth.row(y);
    for (int x = 0; x < pred.width; ++x)
      ++counters[static_cast<std::size_t>(x & 3)][p[x] + (g[x] == 255 ? 256u : 0u)];
  }
  for (const auto& counter : counters) {
    for (std::size_t v = 0; v < 256; ++v) {
      c.other[v] += counter[v];
      c.mirror[v] += counter[v + 256];
    }
  }
  for (int v = 0; v < 256; ++v) {
    const auto i = static_cast<std::size_t>(v);
    if (c.mirror[i] + c.other[i] == 0) continue;
    c.low = std::min(c.low, v);
    c.high = std::max(c.high, v);
  }
  return c;
}

// mask = (mask - min) / (max - min) in float32 where the maximum is above 0. A constant map would become NaN;
// it stays as it is, over 255.
std::array<float, 256> normalised(const Counts& c) {
  std::array<float, 256> value{};
  for (int v = c.low; v <= c.high; ++v) {
    value[static_cast<std::size_t>(v)] =
        c.high > c.low ? static_cast<float>(v - c.low) / static_cast<float>(c.high - c.low)
                       : static_cast<float>(v) / 255.0F;
  }
  return value;
}

}  // namespace

MirrorScores mirror_scores(const ImageView& pred, const ImageView& truth) {
  const Counts c = count(pred, truth);
  std::int64_t tp = 0, fp = 0, fn = 0, tn = 0;
  for (std::size_t v = 0; v < 256; ++v) {
    (v >= 128 ? tp : fn) += c.mirror[v];
    (v >= 128 ? fp : tn) += c.other[v];
  }
  MirrorScores out;
  out.iou = ratio(tp, tp + fp + fn);
  out.accuracy = ratio(tp, tp + fn);
  out.ber = 1 - 0.5 * (ratio(tp, tp + fn) + ratio(tn, tn + fp));

  // np.mean(abs(pred - gt)) of float32 arrays: numpy's own float32 sum.
  const std::array<float, 256> value = normalised(c);
  const int low = c.high > c.low ? c.low : 0;
  const auto range = static_cast<float>(c.high > c.low ? c.high - c.low : 255);
  const auto width = static_cast<std::size_t>(pred.width);
  std::vector<float> errors(width * static_cast<std::size_t>(pred.height));
  for (int y = 0; y < pred.height; ++y) {
    float* row = errors.data() + static_cast<std::size_t>(y) * width;
    const std::uint8_t* p = pred.row(y);
    const std::uint8_t* g = truth.row(y);
    // (v - low) / range again instead of value[v]: the compiler turns this into vector code.
    for (std::size_t x = 0; x < width; ++x) {
      const float v = static_cast<float>(p[x] - low) / range;
      row[x] = std::abs(v - (g[x] == 255 ? 1.0F : 0.0F));
    }
  }
  const auto pixels = static_cast<std::int64_t>(errors.size());
  const float sum =
      numpy_sum<float>([&](std::int64_t i) { return errors[static_cast<std::size_t>(i)]; }, pixels);
  out.mae = static_cast<double>(sum / static_cast<float>(pixels));

  // level = (255 * pred).astype(uint8), also in float32
  for (int v = c.low; v <= c.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const auto level = static_cast<std::size_t>(255.0F * value[i]);
    out.counts.foreground[level] += static_cast<std::uint32_t>(c.mirror[i]);
    out.counts.background[level] += static_cast<std::uint32_t>(c.other[i]);
  }
  return out;
}

void mirror_curves(const LevelCounts& counts, Curve& precision, Curve& recall) {
  constexpr double kSmall = 1e-4;
  std::int64_t total = 0;
  for (const std::uint32_t n : counts.foreground) total += n;
  std::int64_t hits = 0, found = 0;
  for (std::size_t t = 256; t-- > 0;) {
    if (t < 255) {
      hits += counts.foreground[t + 1];
      found += counts.foreground[t + 1] + counts.background[t + 1];
    }
    precision[t] = (static_cast<double>(hits) + kSmall) / (static_cast<double>(found) + kSmall);
    recall[t] = (static_cast<double>(hits) + kSmall) / (static_cast<double>(total) + kSmall);
  }
}

double mirror_f(const Curve& precision, const Curve& recall) {
  double best = 0;
  for (std::size_t t = 0; t < 256; ++t) {
    best = std::max(best, (1 + 0.3) * precision[t] * recall[t] / (0.3 * precision[t] + recall[t]));
  }
  return best;
}

}  // namespace sam2unet::metrics
