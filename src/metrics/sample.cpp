#include "metrics/sample.h"

#include <cstring>
#include <string>

#include "metrics/numpy_sum.h"
#include "sam2unet/errors.h"

namespace sam2unet::metrics {

namespace {

std::string size_text(const ImageView& image) {
  return std::to_string(image.width) + "x" + std::to_string(image.height);
}

void check(const ImageView& pred, const ImageView& gt) {
  if (pred.channels != 1 || gt.channels != 1) {
    throw UsageError("prediction and ground truth must have one channel: decode them as gray");
  }
  if (pred.width <= 0 || pred.height <= 0) throw UsageError("the prediction has no pixels");
  if (pred.width != gt.width || pred.height != gt.height) {
    throw UsageError("prediction (" + size_text(pred) + ") and ground truth (" + size_text(gt) +
                     ") differ in size: resize the prediction first");
  }
}

// Four histograms side by side, since equal neighbours would wait for each other's store; a run of eight
// equal pixels is counted at once, as saliency maps are mostly flat.
struct HistogramCounter {
  std::uint32_t counts[4][512] = {};

  void row(const std::uint8_t* pred, const std::uint8_t* truth, int width) {
    int x = 0;
    for (; x + 8 <= width; x += 8) {
      std::uint64_t p, t;
      std::memcpy(&p, pred + x, 8);
      std::memcpy(&t, truth + x, 8);
      const std::uint64_t flat = (p & 0xFF) * 0x0101010101010101u;
      if (p == flat && (t == 0 || t == ~std::uint64_t{0})) {
        counts[0][(p & 0xFF) | (t & 0x100)] += 8;
        continue;
      }
      t &= 0x0101010101010101u;  // one bit per pixel, moved to bit 8 of the index
      for (int k = 0; k < 8; ++k) {
        ++counts[k & 3][((p >> (8 * k)) & 0xFF) | (((t >> (8 * k)) & 1) << 8)];
      }
    }
    for (; x < width; ++x) ++counts[0][pred[x] | ((truth[x] & 1u) << 8)];
  }
};

}  // namespace

int Levels::cut_for(int threshold) const {
  int v = low;
  while (v <= high && quantized[static_cast<std::size_t>(v)] < threshold) ++v;
  return v <= high ? v : 256;
}

Levels make_levels(const std::array<std::uint32_t, 256>& counts) {
  Levels levels;
  while (levels.low < 255 && counts[static_cast<std::size_t>(levels.low)] == 0) ++levels.low;
  levels.high = 255;
  while (levels.high > levels.low && counts[static_cast<std::size_t>(levels.high)] == 0) --levels.high;
  const double smallest = levels.low / 255.0;
  const double largest = levels.high / 255.0;
  const bool constant = levels.low == levels.high;
  if (!constant) {
    levels.offset = levels.low;
    levels.range = levels.high - levels.low;
  }
  for (int v = levels.low; v <= levels.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const double p = v / 255.0;
    levels.value[i] = constant ? p : (p - smallest) / (largest - smallest);
    levels.quantized[i] = static_cast<std::uint8_t>(levels.value[i] * 255);
    if (levels.binary_cut == 256 && levels.value[i] > 0.5) levels.binary_cut = v;
  }
  return levels;
}

void Sample::assign(const ImageView& pred, const ImageView& gt) {
  check(pred, gt);
  width = pred.width;
  height = pred.height;
  stride = (static_cast<std::ptrdiff_t>(width) + 63) / 64 * 64;
  const auto bytes = static_cast<std::size_t>(stride) * static_cast<std::size_t>(height);
  prediction.resize(bytes);
  truth.resize(bytes);
  HistogramCounter counter;
  for (int y = 0; y < height; ++y) {
    std::uint8_t* p = prediction.data() + y * stride;
    std::uint8_t* t = truth.data() + y * stride;
    std::memcpy(p, pred.row(y), static_cast<std::size_t>(width));
    const std::uint8_t* g = gt.row(y);
    for (int x = 0; x < width; ++x) t[x] = g[x] > 128 ? 255 : 0;
    std::memset(p + width, 0, static_cast<std::size_t>(stride - width));
    std::memset(t + width, 0, static_cast<std::size_t>(stride - width));
    counter.row(p, t, width);
  }
  std::array<std::uint32_t, 256> all{};
  foreground = 0;
  for (std::size_t v = 0; v < 256; ++v) {
    const auto& c = counter.counts;
    histogram.background[v] = c[0][v] + c[1][v] + c[2][v] + c[3][v];
    histogram.foreground[v] = c[0][v + 256] + c[1][v + 256] + c[2][v + 256] + c[3][v + 256];
    all[v] = histogram.background[v] + histogram.foreground[v];
    foreground += histogram.foreground[v];
  }
  levels = make_levels(all);
  levels.adaptive_cut = adaptive_cut(levels, all, pixels(), [&] {
    return numpy_sum<double>(
        [&](std::int64_t i) { return levels.value[prediction_row(static_cast<int>(i / width))[i % width]]; },
        pixels());
  });
}

}  // namespace sam2unet::metrics
