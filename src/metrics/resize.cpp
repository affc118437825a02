#include "metrics/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "sam2unet/errors.h"

namespace sam2unet::metrics {

namespace {

// OpenCV's fixed point: weights have 11 bits.
constexpr int kOne = 2048;

// One output row or column: the two inputs and their weights.
struct Tap {
  int first = 0, second = 0;
  int w0 = kOne, w1 = 0;
};

enum class Axis { columns, rows };

// resize() in modules/imgproc/src/resize.cpp. Columns outside of the picture take the weight 0, rows keep
// theirs and are clamped.
std::vector<Tap> taps(int from, int to, Axis axis) {
  // OpenCV divides twice: by the inverse of the scale.
  const double scale = 1.0 / (static_cast<double>(to) / from);
  std::vector<Tap> out(static_cast<std::size_t>(to));
  for (int i = 0; i < to; ++i) {
    auto f = static_cast<float>((i + 0.5) * scale - 0.5);
    int s = static_cast<int>(std::floor(f));
    f -= static_cast<float>(s);
    if (axis == Axis::columns && (s < 0 || s >= from - 1)) {
      f = 0;
      s = std::clamp(s, 0, from - 1);
    }
    Tap& tap = out[static_cast<std::size_t>(i)];
    tap.first = std::clamp(s, 0, from - 1);
    tap.second = std::clamp(s + 1, 0, from - 1);
    tap.w0 = static_cast<int>(std::nearbyint((1.0F - f) * kOne));
    tap.w1 = static_cast<int>(std::nearbyint(f * kOne));
  }
  return out;
}

// At exactly half the size OpenCV takes the mean of four pixels instead.
void halve(const ImageView& map, Image& out) {
  for (int y = 0; y < out.height; ++y) {
    const std::uint8_t* a = map.row(2 * y);
    const std::uint8_t* b = map.row(2 * y + 1);
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x)
      to[x] = static_cast<std::uint8_t>((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2);
  }
}

}  // namespace

Image resize_linear(const ImageView& map, int width, int height) {
  if (map.channels != 1 || map.width < 1 || map.height < 1 || width < 1 || height < 1) {
    throw UsageError("only a gray map can be resized, to at least 1x1");
  }
  Image out(width, height, 1);
  if (map.width == width && map.height == height) {
    for (int y = 0; y < height; ++y) std::copy_n(map.row(y), width, out.row(y));
    return out;
  }
  if (map.width == 2 * width && map.height == 2 * height) {
    halve(map, out);
    return out;
  }
  const std::vector<Tap> columns = taps(map.width, width, Axis::columns);
  const std::vector<Tap> rows = taps(map.height, height, Axis::rows);
  struct Row {
    int source = -1;
    std::vector<int> values;
  };
  Row kept[2];
  for (Row& row : kept) row.values.resize(static_cast<std::size_t>(width));
  const auto filter = [&](int source, Row& row) {
    if (row.source == source) return;
    row.source = source;
    const std::uint8_t* from = map.row(source);
    for (std::size_t x = 0; x < columns.size(); ++x) {
      const Tap& t = columns[x];
      row.values[x] = from[t.first] * t.w0 + from[t.second] * t.w1;
    }
  };
  for (int y = 0; y < height; ++y) {
    const Tap& t = rows[static_cast<std::size_t>(y)];
    if (kept[1].source == t.first) std::swap(kept[0], kept[1]);
    filter(t.first, kept[0]);
    filter(t.second, kept[1]);
    std::uint8_t* to = out.row(y);
    for (std::size_t x = 0; x < columns.size(); ++x) {
      const int a = (t.w0 * (kept[0].values[x] >> 4)) >> 16;
      const int b = (t.w1 * (kept[1].values[x] >> 4)) >> 16;
      to[x] = static_cast<std::uint8_t>((a + b + 2) >> 2);
    }
  }
  return out;
}

}  // namespace sam2unet::metrics
