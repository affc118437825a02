// What is read once and written once: unfolding pictures, norms, resizing, pooling, sums. A thread makes one
// number or eight; grids are one-dimensional and cover `count` items.
#pragma once

#include "ops/cuda/device.h"
#include "ops/cuda/kernels_math.h"
#include "ops/cuda/tasks.h"

namespace sam2unet::ops::cuda {

inline constexpr int kRowThreads = 256;

S2U_DEVICE long long item_index() {
  return static_cast<long long>(device::block_x()) * kRowThreads + device::thread_index();
}

/// (x / 255 - mean) / deviation of ImageNet's channel, as float32 computes it (dataset.py:44, test.py:31).
S2U_DEVICE float normalised(std::uint8_t byte, int channel) {
  const float mean = channel == 0 ? 0.485F : channel == 1 ? 0.456F : 0.406F;
  const float deviation = channel == 0 ? 0.229F : channel == 1 ? 0.224F : 0.225F;
  return device::divide_exactly(device::divide_exactly(static_cast<float>(byte), 255.0F) - mean, deviation);
}

/// Column (ky 7 + kx) 3 + c of row (b, y, x) is the picture at (4 y + ky - 3, 4 x + kx - 3), 0 outside. A
/// thread makes eight columns.
template <Element E>
S2U_DEVICE void unfold_block(const UnfoldTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const unsigned rows = t.height / 4, columns = t.width / 4, pieces = t.pitch / 8;
  const auto i = static_cast<unsigned>(item_index());
  if (i >= t.batch * rows * columns * pieces) return;
  const unsigned row = i / pieces, k0 = (i - row * pieces) * 8;
  const int x0 = static_cast<int>(row % columns), y0 = static_cast<int>(row / columns % rows);
  const long long picture = row / columns / rows;
  S2U_UNROLL
  for (unsigned e = 0; e < 8; ++e) {
    const int k = static_cast<int>(k0 + e), tap = k / 3, c = k - tap * 3;
    const int y = 4 * y0 + tap / 7 - 3, x = 4 * x0 + tap % 7 - 3;
    float v = 0;
    if (k < 147 && y >= 0 && y < t.height && x >= 0 && x < t.width) {
      const long long at = ((picture * t.height + y) * t.width + x) * 3 + c;
      v = t.bytes != nullptr ? normalised(t.bytes[at], c) : t.values[at];
    }
    write<E>(t.out, static_cast<long long>(i) * 8 + e, v);
  }
}

/// A warp to a row: (sum, squared deviations), or the whole LayerNorm where `out` is given.
template <Element E>
S2U_DEVICE void norm_block(const RowsTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const int lane = device::thread_index() % 32;
  const long long row = item_index() / 32;
  if (row >= t.rows) return;
  const long long at = row * t.pitch;
  float sum = 0;
  for (int c = lane; c < t.width; c += 32) sum += read<E>(t.x, at + c);
  sum = warp_sum(sum);
  const float mean = sum / static_cast<float>(t.width);
  float squares = 0;
  for (int c = lane; c < t.width; c += 32) {
    const float away = read<E>(t.x, at + c) - mean;
    squares += away * away;
  }
  squares = warp_sum(squares);
  if (t.shares != nullptr && lane == 0) t.shares[row] = {sum, squares};
  if (t.out == nullptr) return;
  const float rstd = device::reciprocal_root(squares / static_cast<float>(t.width) + kNormEps);
  for (int c = lane; c < t.width; c += 32) {
    write<E>(t.out, row * t.out_pitch + c, (read<E>(t.x, at + c) - mean) * rstd * t.weight[c] + t.bias[c]);
  }
}

struct BilinearTap {
  int first, second;
  float weight;  // of the second
};

/// torch.nn.functional.interpolate(mode="bilinear"): where output position `i` comes from.
S2U_DEVICE BilinearTap bilinear_tap(int i, int in, int out, bool align_corners) {
  float source = 0;
  if (align_corners) {
    if (out > 1) source = static_cast<float>(i) * (static_cast<float>(in - 1) / static_cast<float>(out - 1));
  } else {
    source = (static_cast<float>(i) + 0.5F) * (static_cast<float>(in) / static_cast<float>(out)) - 0.5F;
    source = device::larger(source, 0.0F);
  }
  int first = static_cast<int>(source);
  if (first > in - 1) first = in - 1;
  return {first, first + 1 < in ? first + 1 : in - 1, source - static_cast<float>(first)};
}

/// A thread makes `kEach` channels of a pixel; `kEach` divides them.
template <Element E, int kEach>
S2U_DEVICE void resize_block(const ResizeTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const unsigned groups = t.channels / kEach;
  const auto i = static_cast<unsigned>(item_index());
  if (i >= static_cast<unsigned>(t.batch) * t.out_height * t.out_width * groups) return;
  const unsigned pixel = i / groups, c = (i - pixel * groups) * kEach;
  const int x = static_cast<int>(pixel % t.out_width),
            y = static_cast<int>(pixel / t.out_width % t.out_height);
  const long long picture = pixel / t.out_width / t.out_height;
  const BilinearTap v = bilinear_tap(y, t.height, t.out_height, t.align_corners != 0);
  const BilinearTap h = bilinear_tap(x, t.width, t.out_width, t.align_corners != 0);
  const auto place = [&](int yy, int xx) { return ((picture * t.height + yy) * t.width + xx) * t.pitch + c; };
  const long long a00 = place(v.first, h.first), a01 = place(v.first, h.second);
  const long long a10 = place(v.second, h.first), a11 = place(v.second, h.second);
  S2U_UNROLL
  for (int e = 0; e < kEach; ++e) {
    const float upper = read<E>(t.x, a00 + e) * (1 - h.weight) + read<E>(t.x, a01 + e) * h.weight;
    const float lower = read<E>(t.x, a10 + e) * (1 - h.weight) + read<E>(t.x, a11 + e) * h.weight;
    write<E>(t.out, static_cast<long long>(pixel) * t.channels + c + e,
             upper * (1 - v.weight) + lower * v.weight);
  }
}

template <Element E>
S2U_DEVICE void pool_block(const PoolTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const unsigned rows = t.height / 2, columns = t.width / 2;
  const auto i = static_cast<unsigned>(item_index());
  if (i >= t.batch * rows * columns * t.channels) return;
  const unsigned pixel = i / t.channels, c = i - pixel * t.channels;
  const long long x = pixel % columns, y = pixel / columns % rows, picture = pixel / columns / rows;
  const auto value = [&](int dy, int dx) {
    return read<E>(t.x, ((picture * t.height + 2 * y + dy) * t.width + 2 * x + dx) * t.pitch + c);
  };
  write<E>(
      t.out, i,
      device::larger(device::larger(value(0, 0), value(0, 1)), device::larger(value(1, 0), value(1, 1))));
}

/// [rows, width] with pitches; `In` and `Out` may differ, which converts.
template <Element In, Element Out>
S2U_DEVICE void elementwise_block(const ElementwiseTask& t, Elementwise what) {
  device::wait_for_previous();
  device::let_next_start();
  const auto i = static_cast<unsigned>(item_index());
  if (i >= static_cast<unsigned>(t.rows) * t.width) return;
  const long long row = i / t.width, c = i - row * t.width;
  float v = read<In>(t.a, row * t.a_pitch + c);
  if (what == Elementwise::gelu) v = In == Element::f32 ? exact_gelu_of(v) : gelu_of<In>(v);
  if (what == Elementwise::relu) v = device::larger(v, 0.0F);
  if (what == Elementwise::add) v += read<In>(t.b, row * t.b_pitch + c);
  write<Out>(t.out, row * t.out_pitch + c, v);
}

/// a + b of 16-bit rows whose width and pitches are multiples of 8; a thread makes eight numbers.
template <Element E>
S2U_DEVICE void add_rows_block(const ElementwiseTask& t) {
  device::wait_for_previous();
  device::let_next_start();
  const unsigned pieces = t.width / 8;
  const auto i = static_cast<unsigned>(item_index());
  if (i >= t.rows * pieces) return;
  const long long row = i / pieces, c = (i - row * pieces) * 8;
  const device::Bytes16 a = device::load_16(static_cast<const std::uint16_t*>(t.a) + row * t.a_pitch + c);
  const device::Bytes16 b = device::load_16(static_cast<const std::uint16_t*>(t.b) + row * t.b_pitch + c);
  device::Bytes16 sum;
  S2U_UNROLL
  for (int e = 0; e < 4; ++e) {
    sum.v[e] = device::pack2<E>(device::low_of<E>(a.v[e]) + device::low_of<E>(b.v[e]),
                                device::high_of<E>(a.v[e]) + device::high_of<E>(b.v[e]));
  }
  device::store_16(static_cast<std::uint16_t*>(t.out) + row * t.out_pitch + c, sum);
}

}  // namespace sam2unet::ops::cuda
