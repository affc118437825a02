#include "ops/lowp/low_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "core/tensor.h"
#include "model/folding.h"

namespace sam2unet::ops::lowp {
namespace {

constexpr std::size_t kSlack = 64;  // kernels read whole vectors behind a row's end

// The scale that brings a column's largest weight to 127.
float scale_of(std::span<const float> column) {
  const auto* values = reinterpret_cast<const std::byte*>(column.data());
  const Extremes e = extremes({values, 0, Element::f32}, 1, static_cast<std::int64_t>(column.size()));
  return std::max(-e.low, e.high) / 127.0F;
}

// Units of a tap's channels one below the other, `stride` bytes apart; the last one may be filled in part.
template <std::size_t kBytes>
void scatter(const std::byte* from, std::size_t bytes, std::byte* to, std::int64_t stride) {
  const std::size_t whole = bytes / kBytes;
  for (std::size_t u = 0; u < whole; ++u)
    std::memcpy(to + static_cast<std::int64_t>(u) * stride, from + u * kBytes, kBytes);
  if (bytes % kBytes != 0)
    std::memcpy(to + static_cast<std::int64_t>(whole) * stride, from + whole * kBytes, bytes % kBytes);
}

// Where a matrix is packed, wherever the Matrix itself has moved.
struct Target : MatrixLayout {
  Buffer panels;
  float *column_scale, *column_sum;
};

// Memory for the channels of one column, tap and source.
struct Scratch {
  std::vector<float> values;
  std::vector<std::byte> stored;
};

// `row` is a column's weights as PyTorch stores them, [K, h, w].
void pack_column(const Target& m, std::span<const float> row, int n, Scratch& scratch) {
  const int unit = unit_of(m.way), units = m.units(), each = m.tap_channels(),
            spatial = m.kernel.h * m.kernel.w;
  const int panel = n / kColumns, column = n % kColumns;
  const int width = std::min(kColumns, (m.out - panel * kColumns + kLanes - 1) / kLanes * kLanes);
  const int size = size_of(m.storage), unit_bytes = unit * size;
  std::byte* base = m.panels.data() + std::int64_t{panel} * kColumns * m.taps() * units * unit_bytes;
  const float scale = m.storage == Storage::int8 ? scale_of(row) : 0.0F;
  scratch.values.resize(static_cast<std::size_t>(each));
  scratch.stored.resize(static_cast<std::size_t>(each * size));
  std::int64_t sum = 0;
  for (int tap = 0; tap < spatial; ++tap)
    for (int source = 0; source < m.sources; ++source) {
      std::span<const float> channels = row.subspan(static_cast<std::size_t>(source * each));
      if (spatial == 1) {
        channels = channels.first(static_cast<std::size_t>(each));
      } else {
        for (int k = 0; k < each; ++k)
          scratch.values[static_cast<std::size_t>(k)] =
              row[static_cast<std::size_t>((source * each + k) * spatial + tap)];
        channels = scratch.values;
      }
      sum += store_weights(channels, m.storage, scale, scratch.stored.data());
      std::byte* to = base + (std::int64_t{tap * m.sources + source} * units * width + column) * unit_bytes;
      const auto stride = std::int64_t{width} * unit_bytes;
      const std::size_t bytes = scratch.stored.size();
      if (unit_bytes == 4)
        scatter<4>(scratch.stored.data(), bytes, to, stride);
      else if (unit_bytes == 2)
        scatter<2>(scratch.stored.data(), bytes, to, stride);
      else
        scatter<1>(scratch.stored.data(), bytes, to, stride);
    }
  if (m.storage == Storage::int8) {
    m.column_scale[n] = scale;
    m.column_sum[n] = scale * static_cast<float>(sum);
  }
}

// Rows [N,3 K] of rows [N,K]: high, high, low.
void split_weights(std::span<const float> rows, int in, std::span<float> split) {
  const auto k = static_cast<std::size_t>(in);
  for (std::size_t n = 0; n < rows.size() / k; ++n)
    for (std::size_t i = 0; i < k; ++i) {
      const float w = rows[n * k + i], high = bf16_to_f32(f32_to_bf16(w));
      float* to = split.data() + 3 * n * k + i;
      to[0] = to[k] = high;
      to[2 * k] = w - high;
    }
}

// [N, 7 in, 7 rows] from [N, in, 7 rows, 7 columns].
void columns_first(std::span<const float> weight, int in, std::span<float> rows) {
  const int out = static_cast<int>(weight.size()) / (in * 49);
  for (int n = 0; n < out; ++n)
    for (int c = 0; c < in; ++c)
      for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 7; ++x) {
          rows[static_cast<std::size_t>((n * 7 * in + x * in + c) * 7 + y)] =
              weight[static_cast<std::size_t>(((n * in + c) * 7 + y) * 7 + x)];
        }
}

}  // namespace

std::vector<float> LowWeights::read_with_slack(const std::string& name, int n) {
  auto values = source_.read(name, {n});
  values.resize(values.size() + kSlack);
  return values;
}

Storage LowWeights::storage(const std::string& name) const {
  const bool is_kept = std::any_of(kept_.begin(), kept_.end(),
                                   [&](const std::string& group) { return name.starts_with(group + "."); });
  return numerics_.is_int8() && !is_kept ? Storage::int8 : Storage::bf16;
}

Matrix LowWeights::pack(const MatrixShape& s, Storage storage, int each, Read read) {
  const Way way = storage == Storage::int8   ? numerics_.int8
                  : storage == Storage::bf16 ? numerics_.bf16
                                             : Way::widened;
  const auto n = static_cast<std::size_t>(s.out);
  Matrix m{MatrixLayout{s, storage, way}};
  m.bias.resize(n + kSlack);
  m.panels = Buffer(pages_, panel_bytes(way, storage, std::int64_t{m.taps()} * m.units(), m.out),
                    is_amx(way) ? kAmxSlack : kSlack);
  if (storage == Storage::int8) {
    m.column_scale.resize(n + kSlack);
    m.column_sum.resize(n + kSlack);
  }
  const Target target{m, m.panels, m.column_scale.data(), m.column_sum.data()};
  add_or_do(
      queue_, [target, each, bias = std::span(m.bias).first(n), read = std::move(read)](LoadMemory& memory) {
        const auto row = static_cast<std::size_t>(target.in * target.kernel.h * target.kernel.w);
        Scratch scratch;
        for (int first = 0; first < target.out; first += each) {
          const int count = std::min(each, target.out - first);
          const auto rows = memory.take(static_cast<std::size_t>(count) * row);
          read(first, rows, bias);
          for (int i = 0; i < count; ++i)
            pack_column(target, rows.subspan(static_cast<std::size_t>(i) * row, row), first + i, scratch);
        }
      });
  return m;
}

Matrix LowWeights::pack_linear(int in, int out, Storage storage, const std::string& name,
                               const Shape& shape) {
  constexpr int kValues = 1 << 16;
  return pack({in, out, {}, 1}, storage, std::max(kValues / in, 1),
              [&source = source_, name, shape, in](int first, std::span<float> rows, std::span<float> bias) {
                if (first == 0) source.read(name + ".bias", {static_cast<std::int64_t>(bias.size())}, bias);
                source.read(name + ".weight", shape, std::int64_t{first} * in, rows);
              });
}

// A row of the kernel is one tap: seven pixels of three channels lie side by side. Pixels rounded to bfloat16
// move every map (on 40 Kvasir pictures the MAE by 0.0025). It is 0.6 % of T's operations.
LowWeights::PatchEmbed LowWeights::patch_embed(const std::string& name, int in, int out) {
  return pack({7 * in, out, {7, 1, 1}, 1}, Storage::f32, out,
              [&source = source_, name, in, out](int, std::span<float> rows, std::span<float> bias) {
                source.read(name + ".bias", {out}, bias);
                columns_first(source.read(name + ".weight", {out, in, 7, 7}), in, rows);
              });
}

LowWeights::Position LowWeights::position(const std::string& prefix, int dim, std::array<int, 2> background,
                                          int window) {
  return CpuWeights(source_).position(prefix, dim, background, window);
}

LowWeights::Norm LowWeights::norm(const std::string& name, int dim) {
  return {read_with_slack(name + ".weight", dim), read_with_slack(name + ".bias", dim)};
}

LowWeights::Linear LowWeights::linear(const std::string& name, int in, int out) {
  auto m = pack_linear(in, out, storage(name), name, {out, in});
  // Attention takes its activations rounded; all else goes on to the residual stream.
  if (name.ends_with(".qkv")) m.result = numerics_.activations();
  return m;
}

LowWeights::Linear LowWeights::pointwise(const std::string& name, int in, int out) {
  return pack_linear(in, out, Storage::bf16, name, {out, in, 1, 1});
}

LowWeights::ConvBn LowWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                       Kernel kernel) {
  // What is concatenated before a convolution has as many channels each as the result (Rfb, Up).
  const int sources = in > out && in % out == 0 && in / out <= static_cast<int>(kFan - 1) ? in / out : 1;
  const Shape shape{out, in, kernel.h, kernel.w};
  auto m = pack({in, out, kernel, sources}, storage(conv), out,
                [&source = source_, conv, bn, out, shape](int, std::span<float> rows, std::span<float> bias) {
                  source.read(conv + ".weight", shape, rows);
                  std::ranges::copy(model::fold_batch_norm(source, bn, out, rows), bias.begin());
                });
  m.result = numerics_.activations();
  return {std::move(m)};
}

// It reads the residual stream as it is, in which a few channels are far larger than the others: their
// weights rounded move every map (on 40 Kvasir pictures the MAE by 0.0013 in bf16, by 0.0054 in int8). It is
// 2 % of the operations.
LowWeights::ConvBnFan LowWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  const bool is_split = is_amx(numerics_.bf16);
  const auto read = [&source = source_, names, in, out, is_split](int, std::span<float> rows,
                                                                  std::span<float> bias) {
    const auto fan = model::fold_fan(source, names, in, out);  // [5 N, K], [5 N]
    std::ranges::copy(fan.bias, bias.begin());
    if (is_split)
      split_weights(fan.weight, in, rows);
    else
      std::ranges::copy(fan.weight, rows.begin());
  };
  const int rows = kFan * out;
  auto m = is_split ? pack({3 * in, rows, {}, 3}, Storage::bf16, rows, read)
                    : pack({in, rows, {}, 1}, Storage::f32, rows, read);
  m.is_split = is_split;
  m.result = numerics_.activations();
  return {std::move(m)};
}

}  // namespace sam2unet::ops::lowp
