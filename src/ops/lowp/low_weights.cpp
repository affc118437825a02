#include "ops/lowp/low_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "core/tensor.h"
#include "model/folding.h"
#include "ops/cpu/threads.h"

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

// A thread's memory for the channels of one column, tap and source.
struct Scratch {
  std::vector<float> values;
  std::vector<std::byte> stored;
};

// `row` is a column's weights as PyTorch stores them, [K, h, w].
void pack_column(Matrix& m, std::span<const float> row, int n, Scratch& scratch) {
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
    m.column_scale[static_cast<std::size_t>(n)] = scale;
    m.column_sum[static_cast<std::size_t>(n)] = scale * static_cast<float>(sum);
  }
}

// Rows [N,3 K] of rows [N,K]: high, high, low.
std::vector<float> split_weights(std::span<const float> rows, int in) {
  const auto k = static_cast<std::size_t>(in);
  std::vector<float> split(3 * rows.size());
  for (std::size_t n = 0; n < rows.size() / k; ++n)
    for (std::size_t i = 0; i < k; ++i) {
      const float w = rows[n * k + i], high = bf16_to_f32(f32_to_bf16(w));
      float* to = split.data() + 3 * n * k + i;
      to[0] = to[k] = high;
      to[2 * k] = w - high;
    }
  return split;
}

}  // namespace

std::vector<float> LowWeights::read(const std::string& name, const Shape& shape) {
  const auto values = source_.get(name, shape);
  return {values.begin(), values.end()};
}

std::vector<float> LowWeights::read_with_slack(const std::string& name, int n) {
  auto values = read(name, {n});
  values.resize(values.size() + kSlack);
  return values;
}

Storage LowWeights::storage(const std::string& name) const {
  const bool is_kept = std::any_of(kept_.begin(), kept_.end(),
                                   [&](const std::string& group) { return name.starts_with(group + "."); });
  return numerics_.is_int8() && !is_kept ? Storage::int8 : Storage::bf16;
}

Matrix LowWeights::pack(const MatrixShape& s, Storage storage, std::span<const float> values,
                        std::vector<float> bias) {
  Matrix m{s};
  m.storage = storage;
  m.way = storage == Storage::int8   ? numerics_.int8
          : storage == Storage::bf16 ? numerics_.bf16
                                     : Way::widened;
  bias.resize(static_cast<std::size_t>(s.out) + kSlack);
  m.bias = std::move(bias);
  m.panels = Buffer(pages_, panel_bytes(m.way, storage, std::int64_t{m.taps()} * m.units(), m.out),
                    is_amx(m.way) ? kAmxSlack : kSlack);
  if (storage == Storage::int8) {
    m.column_scale.resize(static_cast<std::size_t>(s.out) + kSlack);
    m.column_sum.resize(static_cast<std::size_t>(s.out) + kSlack);
  }
  const std::size_t row = static_cast<std::size_t>(s.in) * static_cast<std::size_t>(s.kernel.h * s.kernel.w);
  // Loading is a good part of a program that segments one picture.
  parallel_rows(available_threads(0), s.out, [&](std::int64_t first, std::int64_t last) {
    Scratch scratch;
    for (auto n = first; n < last; ++n)
      pack_column(m, values.subspan(static_cast<std::size_t>(n) * row, row), static_cast<int>(n), scratch);
  });
  return m;
}

// A row of the kernel is one tap: seven pixels of three channels lie side by side.
LowWeights::PatchEmbed LowWeights::patch_embed(const std::string& name, int in, int out) {
  auto bias = read(name + ".bias", {out});
  const auto weight = source_.get(name + ".weight", {out, in, 7, 7});
  std::vector<float> rows(weight.size());  // [N, 7 in, 7 rows] from [N, in, 7 rows, 7 columns]
  for (int n = 0; n < out; ++n)
    for (int c = 0; c < in; ++c)
      for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 7; ++x) {
          rows[static_cast<std::size_t>((n * 7 * in + x * in + c) * 7 + y)] =
              weight[static_cast<std::size_t>(((n * in + c) * 7 + y) * 7 + x)];
        }
  // Pixels rounded to bfloat16 move every map (on 40 Kvasir pictures the MAE by 0.0025). It is 0.6 % of T's
  // operations.
  return pack({7 * in, out, {7, 1, 1}, 1}, Storage::f32, rows, std::move(bias));
}

LowWeights::Position LowWeights::position(const std::string& prefix, int dim, std::array<int, 2> background,
                                          int window) {
  return CpuWeights(source_).position(prefix, dim, background, window);
}

LowWeights::Norm LowWeights::norm(const std::string& name, int dim) {
  return {read_with_slack(name + ".weight", dim), read_with_slack(name + ".bias", dim)};
}

LowWeights::Linear LowWeights::linear(const std::string& name, int in, int out) {
  auto bias = read(name + ".bias", {out});
  auto m = pack({in, out, {}, 1}, storage(name), source_.get(name + ".weight", {out, in}), std::move(bias));
  // Attention takes its activations rounded; all else goes on to the residual stream.
  if (name.ends_with(".qkv")) m.result = numerics_.activations();
  return m;
}

LowWeights::Linear LowWeights::pointwise(const std::string& name, int in, int out) {
  auto bias = read(name + ".bias", {out});
  return pack({in, out, {}, 1}, Storage::bf16, source_.get(name + ".weight", {out, in, 1, 1}),
              std::move(bias));
}

LowWeights::ConvBn LowWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                       Kernel kernel) {
  auto weight = read(conv + ".weight", {out, in, kernel.h, kernel.w});
  auto bias = model::fold_batch_norm(source_, bn, out, weight);
  // What is concatenated before a convolution has as many channels each as the result (Rfb, Up).
  const int sources = in > out && in % out == 0 && in / out <= static_cast<int>(kFan - 1) ? in / out : 1;
  auto m = pack({in, out, kernel, sources}, storage(conv), weight, std::move(bias));
  m.result = numerics_.activations();
  return {std::move(m)};
}

LowWeights::ConvBnFan LowWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  auto [rows, bias] = model::fold_fan(source_, names, in, out);  // [5 N, K], [5 N]
  // It reads the residual stream as it is, in which a few channels are far larger than the others: their
  // weights rounded move every map (on 40 Kvasir pictures the MAE by 0.0013 in bf16, by 0.0054 in int8). It
  // is 2 % of the operations.
  Matrix m;
  if (is_amx(numerics_.bf16)) {
    m = pack({3 * in, kFan * out, {}, 3}, Storage::bf16, split_weights(rows, in), std::move(bias));
    m.is_split = true;
  } else {
    m = pack({in, kFan * out, {}, 1}, Storage::f32, rows, std::move(bias));
  }
  m.result = numerics_.activations();
  return {std::move(m)};
}

}  // namespace sam2unet::ops::lowp
