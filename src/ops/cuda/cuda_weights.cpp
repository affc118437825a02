#include "ops/cuda/cuda_weights.h"

#include <algorithm>
#include <cstring>

#include "model/folding.h"

namespace sam2unet::ops::cuda {
namespace {

constexpr std::size_t kSlab = std::size_t{32} << 20;
constexpr std::size_t kAlignment = 256;
constexpr int kFragmentWidth = 32;  // of adapters that have a kernel of their own

std::size_t z(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// [out, in, kh, kw] -> [out, kh kw, in rounded up to 8]
std::vector<float> by_tap(std::span<const float> rows, int in, int out, int taps) {
  const int rounded = (in + 7) / 8 * 8;
  std::vector<float> y(z(std::int64_t{out} * taps * rounded));
  for (int n = 0; n < out; ++n)
    for (int k = 0; k < in; ++k)
      for (int t = 0; t < taps; ++t)
        y[z((std::int64_t{n} * taps + t) * rounded + k)] = rows[z((std::int64_t{n} * in + k) * taps + t)];
  return y;
}

std::vector<std::uint16_t> rounded(std::span<const float> values, Element e) {
  std::vector<std::uint16_t> y(values.size());
  std::transform(values.begin(), values.end(), y.begin(), [e](float v) { return to_bits(v, e); });
  return y;
}

}  // namespace

const void* DeviceStore::upload(std::span<const std::byte> bytes) {
  const std::size_t size = (bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  if (slabs_.empty() || used_ + size > slabs_.back().bytes()) {
    slabs_.emplace_back(std::max(size, kSlab), MemoryKind::device);
    bytes_ += slabs_.back().bytes();
    used_ = 0;
  }
  std::byte* to = slabs_.back().data() + used_;
  used_ += size;
  copy_now(to, bytes.data(), bytes.size());
  return to;
}

std::vector<float> CudaWeights::read(const std::string& name, const Shape& shape) {
  return source_.read(name, shape);
}

const float* CudaWeights::upload(std::span<const float> values) const {
  return static_cast<const float*>(store_.upload(std::as_bytes(values)));
}

const void* CudaWeights::upload_elements(std::span<const float> values) const {
  if (element_ == Element::f32) return upload(values);
  const auto bits = rounded(values, element_);
  return store_.upload(std::as_bytes(std::span(bits)));
}

CudaWeights::Product CudaWeights::pack(std::span<const float> rows, std::span<const float> bias, int in,
                                       int out, Kernel kernel, Results results) const {
  Product p;
  p.in = in;
  p.out = out;
  p.kernel = kernel;
  const auto taps = by_tap(rows, in, out, kernel.h * kernel.w);
  const bool has_matrix_units = results == Results::elements && element_ != Element::f32 && out % 8 == 0;
  if (has_matrix_units) p.rows = upload_elements(taps);
  if (!has_matrix_units || in % 8 != 0) p.wide = upload(taps);
  p.bias = upload(bias);
  p.padding = upload_elements(bias);
  p.has_float_results = results == Results::floats;
  return p;
}

CudaWeights::PatchEmbed CudaWeights::patch_embed(const std::string& name, int in, int out) {
  const auto bias = read(name + ".bias", {out});
  const auto weight = read(name + ".weight", {out, in, 7, 7});
  // The rows of an unfolded picture are taps by channels.
  std::vector<float> rows(weight.size());
  for (int n = 0; n < out; ++n)
    for (int c = 0; c < in; ++c)
      for (int t = 0; t < 49; ++t)
        rows[z((std::int64_t{n} * 49 + t) * in + c)] = weight[z((std::int64_t{n} * in + c) * 49 + t)];
  return pack(rows, bias, 49 * in, out);
}

CudaWeights::Position CudaWeights::position(const std::string& prefix, int dim, std::array<int, 2> background,
                                            int window) {
  return {dim, background, window, read(prefix + ".pos_embed", {1, dim, background[0], background[1]}),
          read(prefix + ".pos_embed_window", {1, dim, window, window})};
}

CudaWeights::Norm CudaWeights::norm(const std::string& name, int dim) {
  Norm n;
  n.host_weight = read(name + ".weight", {dim});
  n.host_bias = read(name + ".bias", {dim});
  n.weight = upload(n.host_weight);
  n.bias = upload(n.host_bias);
  return n;
}

CudaWeights::Linear CudaWeights::linear(const std::string& name, int in, int out) {
  const auto bias = read(name + ".bias", {out});
  const auto rows = read(name + ".weight", {out, in});
  Linear p = pack(rows, bias, in, out);
  const bool is_adapter = in == kFragmentWidth || out == kFragmentWidth;
  if (element_ != Element::f32 && is_adapter && in % 16 == 0 && out % 16 == 0) {
    const auto fragments = pack_fragments(rows, in, out, element_);
    p.fragments = store_.upload(std::as_bytes(std::span(fragments)));
  }
  return p;
}

// W (gamma (x - mean) rstd + beta) + b = rstd (W' x - mean sum_k W') + (b + W beta), W' = W gamma. The sums
// are those of the rounded W', so that a constant row comes out as the bias alone.
CudaWeights::Linear CudaWeights::linear_behind(const Norm& norm, const std::string& name, int in, int out) {
  if (element_ == Element::f32 || out % 8 != 0) return linear(name, in, out);
  const auto bias = read(name + ".bias", {out});
  auto rows = read(name + ".weight", {out, in});
  std::vector<float> folded(bias), sums(z(out));
  for (int n = 0; n < out; ++n) {
    double more = 0, sum = 0;
    for (int k = 0; k < in; ++k) {
      float& w = rows[z(std::int64_t{n} * in + k)];
      more += static_cast<double>(w) * norm.host_bias[z(k)];
      w *= norm.host_weight[z(k)];
      sum += from_bits(to_bits(w, element_), element_);
    }
    folded[z(n)] = static_cast<float>(bias[z(n)] + more);
    sums[z(n)] = static_cast<float>(sum);
  }
  Linear p = pack(rows, folded, in, out);
  p.padding = upload_elements(bias);  // padding comes after the norm
  p.column_sums = upload(sums);
  return p;
}

CudaWeights::Linear CudaWeights::pointwise(const std::string& name, int in, int out) {
  const auto bias = read(name + ".bias", {out});
  return pack(read(name + ".weight", {out, in, 1, 1}), bias, in, out, {}, Results::floats);
}

CudaWeights::ConvBn CudaWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                         Kernel kernel) {
  auto weight = read(conv + ".weight", {out, in, kernel.h, kernel.w});
  const auto bias = model::fold_batch_norm(source_, bn, out, weight);
  return {pack(weight, bias, in, out, kernel)};
}

CudaWeights::ConvBnFan CudaWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  const auto [rows, bias] = model::fold_fan(source_, names, in, out);  // [5 N, K], [5 N]
  return {pack(rows, bias, in, kFan * out)};
}

std::vector<std::uint16_t> pack_fragments(std::span<const float> rows, int in, int out, Element element) {
  std::vector<std::uint16_t> y;
  y.reserve(rows.size());
  for (int n0 = 0; n0 < out; n0 += 16)
    for (int k0 = 0; k0 < in; k0 += 16)
      for (int lane = 0; lane < 32; ++lane)
        for (int half = 0; half < 2; ++half)    // columns n0 .. +7, then the next eight
          for (int deep = 0; deep < 2; ++deep)  // b0: the first eight of depth, b1
            for (int e = 0; e < 2; ++e) {
              const std::int64_t n = n0 + 8 * half + lane / 4, k = k0 + 8 * deep + 2 * (lane % 4) + e;
              y.push_back(to_bits(rows[z(n * in + k)], element));
            }
  return y;
}

}  // namespace sam2unet::ops::cuda
