#include "ops/lowp/low_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "model/folding.h"

namespace sam2unet::ops::lowp {
namespace {

constexpr std::size_t kSlack = 64;  // kernels read whole vectors behind a row's end

std::uint16_t to_bf16(float v) {
  std::uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

// weight(n, tap, k) of one column and source position.
struct Weights {
  std::span<const float> values;  // [N, K, h, w] as PyTorch stores them
  int in, taps;
  float at(int n, int tap, int k) const {
    return values[(static_cast<std::size_t>(n) * static_cast<std::size_t>(in) + static_cast<std::size_t>(k)) *
                      static_cast<std::size_t>(taps) +
                  static_cast<std::size_t>(tap)];
  }
};

// The scale that brings a column's largest weight to 127.
float scale_of(std::span<const float> column) {
  float most = 0.0F;
  for (const float v : column) most = std::max(most, std::abs(v));
  return most / 127.0F;
}

void pack_column(Matrix& m, const Weights& w, int n) {
  const int unit = unit_of(m.way), units = m.units(), each = m.tap_channels(), spatial = w.taps;
  const int panel = n / kColumns, column = n % kColumns;
  const int width = std::min(kColumns, (m.out - panel * kColumns + kLanes - 1) / kLanes * kLanes);
  const int size = m.storage == Storage::f32 ? 4 : m.storage == Storage::bf16 ? 2 : 1;
  std::byte* base = m.panels.data() + std::int64_t{panel} * kColumns * m.taps() * units * unit * size;
  const std::size_t row = static_cast<std::size_t>(m.in) * static_cast<std::size_t>(spatial);
  const float scale =
      m.storage == Storage::int8 ? scale_of(w.values.subspan(static_cast<std::size_t>(n) * row, row)) : 0.0F;
  std::int64_t sum = 0;
  for (int tap = 0; tap < spatial; ++tap)
    for (int k = 0; k < m.in; ++k) {
      const int place = tap * m.sources + k / each, u = k % each / unit, within = k % each % unit;
      std::byte* to = base + (((std::int64_t{place} * units + u) * width + column) * unit + within) * size;
      const float v = w.at(n, tap, k);
      if (m.storage == Storage::f32) {
        std::memcpy(to, &v, 4);
      } else if (m.storage == Storage::bf16) {
        const std::uint16_t bits = to_bf16(v);
        std::memcpy(to, &bits, 2);
      } else {
        const auto q = static_cast<std::int8_t>(scale > 0.0F ? std::lrintf(v / scale) : 0);
        std::memcpy(to, &q, 1);
        sum += q;
      }
    }
  if (m.storage == Storage::int8) {
    m.column_scale[static_cast<std::size_t>(n)] = scale;
    m.column_sum[static_cast<std::size_t>(n)] = scale * static_cast<float>(sum);
  }
}

struct Shape4 {
  int in = 0, out = 0;
  Kernel kernel;
  int sources = 1;
};

Matrix pack(const Shape4& s, Storage storage, const Numerics& numerics, std::span<const float> values,
            std::vector<float> bias) {
  Matrix m;
  m.in = s.in;
  m.out = s.out;
  m.kernel = s.kernel;
  m.sources = s.sources;
  m.storage = storage;
  m.way = storage == Storage::int8 ? numerics.int8 : storage == Storage::bf16 ? numerics.bf16 : Way::widened;
  bias.resize(static_cast<std::size_t>(s.out) + kSlack);
  m.bias = std::move(bias);
  m.panels = Buffer(panel_bytes(m.way, storage, std::int64_t{m.taps()} * m.units(), m.out));
  std::memset(m.panels.data(), 0, static_cast<std::size_t>(m.panels.size()));
  if (storage == Storage::int8) {
    m.column_scale.resize(static_cast<std::size_t>(s.out) + kSlack);
    m.column_sum.resize(static_cast<std::size_t>(s.out) + kSlack);
  }
  const Weights w{values, s.in, s.kernel.h * s.kernel.w};
  for (int n = 0; n < s.out; ++n) pack_column(m, w, n);
  return m;
}

}  // namespace

Buffer::Buffer(std::int64_t bytes)
    : memory_(static_cast<std::byte*>(
          ::operator new[](static_cast<std::size_t>(bytes) + kSlack, std::align_val_t{64}))),
      size_(bytes) {}

std::vector<float> LowWeights::read(const std::string& name, const Shape& shape) {
  const auto values = source_.get(name, shape);
  return {values.begin(), values.end()};
}

std::vector<float> LowWeights::read_with_slack(const std::string& name, int n) {
  auto values = read(name, {n});
  values.resize(values.size() + kSlack);
  return values;
}

Storage LowWeights::storage() const {
  return numerics_.is_int8 ? Storage::int8 : Storage::bf16;
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
  return pack({7 * in, out, {7, 1, 1}, 1}, Storage::bf16, numerics_, rows, std::move(bias));
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
  auto m =
      pack({in, out, {}, 1}, storage(), numerics_, source_.get(name + ".weight", {out, in}), std::move(bias));
  // Attention takes its activations rounded; all else goes on to the residual stream.
  if (name.ends_with(".qkv")) m.result = numerics_.activations();
  return m;
}

LowWeights::Linear LowWeights::pointwise(const std::string& name, int in, int out) {
  auto bias = read(name + ".bias", {out});
  return pack({in, out, {}, 1}, Storage::bf16, numerics_, source_.get(name + ".weight", {out, in, 1, 1}),
              std::move(bias));
}

LowWeights::ConvBn LowWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                       Kernel kernel) {
  auto weight = read(conv + ".weight", {out, in, kernel.h, kernel.w});
  auto bias = model::fold_batch_norm(source_, bn, out, weight);
  // What is concatenated before a convolution has as many channels each as the result (Rfb, Up).
  const int sources = in > out && in % out == 0 && in / out <= static_cast<int>(kFan - 1) ? in / out : 1;
  auto m = pack({in, out, kernel, sources}, storage(), numerics_, weight, std::move(bias));
  m.result = numerics_.activations();
  return {std::move(m)};
}

LowWeights::ConvBnFan LowWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  auto [rows, bias] = model::fold_fan(source_, names, in, out);  // [5 N, K], [5 N]
  // It reads the residual stream as it is, in which a few channels are far larger than the others: their
  // weights rounded move every map (on 40 Kvasir pictures the MAE by 0.0013 in bf16, by 0.0054 in int8). It
  // is 2 % of the operations.
  auto m = pack({in, kFan * out, {}, 1}, Storage::f32, numerics_, rows, std::move(bias));
  m.result = numerics_.activations();
  return {std::move(m)};
}

}  // namespace sam2unet::ops::lowp
