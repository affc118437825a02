#include "ops/cpu/cpu_weights.h"

#include <algorithm>
#include <span>

#include "model/folding.h"
#include "ops/cpu/arena.h"

namespace sam2unet::ops {
namespace {

using md = dnnl::memory::desc;
constexpr auto f32 = dnnl::memory::data_type::f32;

// The shapes whose preferred layout the weights are stored in; others nearly always agree (see
// PreparedPrimitive).
constexpr std::int64_t kUsualRows = 484;
constexpr Extent kUsualPicture{1, 44, 44, 0};

void append_slack(std::vector<float>& bias) {
  bias.resize(bias.size() + Arena::kSlack / sizeof(float));
}

}  // namespace

WeightMemory CpuWeights::pack(std::span<const float> values, const md& plain, const md& packed) {
  WeightMemory w;
  w.storage = pages_.take(packed.get_size());
  w.memory = dnnl::memory(packed, cpu_engine(), w.storage.get());
  copy_to(dnnl::memory(plain, cpu_engine(), const_cast<float*>(values.data())), w.memory);
  return w;
}

// `rows` is [N,K] as PyTorch stores it: the transpose of a row-major [K,N].
PackedWeights CpuWeights::pack_linear(std::span<const float> rows, std::vector<float> bias, int in, int out) {
  const auto desc = linear_desc(kUsualRows, in, out, Epilogue::none);
  auto packed = pack(rows, md({in, out}, f32, dnnl::memory::format_tag::ba), desc.weights_desc());
  return {in, out, {}, std::move(packed), std::move(bias)};
}

std::vector<float> CpuWeights::read(const std::string& name, const Shape& shape) {
  const auto values = source_.get(name, shape);
  return {values.begin(), values.end()};
}

std::vector<float> CpuWeights::read_bias(const std::string& name, int out) {
  auto bias = read(name, {out});
  append_slack(bias);
  return bias;
}

CpuWeights::PatchEmbed CpuWeights::patch_embed(const std::string& name, int in, int out) {
  auto bias = read_bias(name + ".bias", out);
  const auto weight = source_.get(name + ".weight", {out, in, 7, 7});
  const auto desc = patch_desc({1, 352, 352, in}, out);
  return {in,
          out,
          {7, 7, 1},
          pack(weight, md({out, in, 7, 7}, f32, dnnl::memory::format_tag::oihw), desc.weights_desc()),
          std::move(bias)};
}

CpuWeights::Position CpuWeights::position(const std::string& prefix, int dim, std::array<int, 2> background,
                                          int window) {
  return {{dim, background, window, read(prefix + ".pos_embed", {1, dim, background[0], background[1]}),
           read(prefix + ".pos_embed_window", {1, dim, window, window})}};
}

CpuWeights::Norm CpuWeights::norm(const std::string& name, int dim) {
  return {read(name + ".weight", {dim}), read(name + ".bias", {dim})};
}

CpuWeights::Linear CpuWeights::linear(const std::string& name, int in, int out) {
  auto bias = read_bias(name + ".bias", out);
  return pack_linear(source_.get(name + ".weight", {out, in}), std::move(bias), in, out);
}

CpuWeights::Linear CpuWeights::pointwise(const std::string& name, int in, int out) {
  auto bias = read_bias(name + ".bias", out);
  return pack_linear(source_.get(name + ".weight", {out, in, 1, 1}), std::move(bias), in, out);
}

CpuWeights::ConvBn CpuWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                       Kernel kernel) {
  auto weight = read(conv + ".weight", {out, in, kernel.h, kernel.w});
  auto bias = model::fold_batch_norm(source_, bn, out, weight);
  append_slack(bias);
  Extent usual = kUsualPicture;
  usual.c = in;
  const auto desc = conv_desc(usual, out, kernel, Epilogue::none);
  auto packed = pack(weight, md({out, in, kernel.h, kernel.w}, f32, dnnl::memory::format_tag::oihw),
                     desc.weights_desc());
  return {{in, out, kernel, std::move(packed), std::move(bias)}};
}

CpuWeights::ConvBnFan CpuWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  auto [rows, bias] = model::fold_fan(source_, names, in, out);  // [5 N, K], [5 N]
  append_slack(bias);
  return {pack_linear(rows, std::move(bias), in, kFan * out)};
}

}  // namespace sam2unet::ops
