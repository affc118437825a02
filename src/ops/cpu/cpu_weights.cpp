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

}  // namespace

PackedWeights CpuWeights::pack(int in, int out, Kernel kernel, const md& plain, const md& packed, Read read) {
  const auto n = static_cast<std::size_t>(out);
  WeightMemory w;
  w.storage = pages_.take(packed.get_size());
  w.memory = dnnl::memory(packed, cpu_engine(), w.storage.get());
  PackedWeights p{in, out, kernel, w, std::vector<float>(n + Arena::kSlack / sizeof(float))};
  add_or_do(queue_,
            [w, plain, bias = std::span(p.bias).first(n), read = std::move(read)](LoadMemory& memory) {
              const auto weights = memory.take(plain.get_size() / sizeof(float));
              read(weights, bias);
              dnnl::memory to = w.memory;
              copy_to(dnnl::memory(plain, cpu_engine(), weights.data()), to);
            });
  return p;
}

// As PyTorch stores them: [N,K], the transpose of a row-major [K,N].
PackedWeights CpuWeights::pack_linear(int in, int out, Read read) {
  const auto desc = linear_desc(kUsualRows, in, out, Epilogue::none);
  return pack(in, out, {}, md({in, out}, f32, dnnl::memory::format_tag::ba), desc.weights_desc(),
              std::move(read));
}

CpuWeights::Read CpuWeights::reader(const std::string& name, const Shape& shape) const {
  return [&source = source_, name, shape](std::span<float> weights, std::span<float> bias) {
    source.read(name + ".bias", {static_cast<std::int64_t>(bias.size())}, bias);
    source.read(name + ".weight", shape, weights);
  };
}

CpuWeights::PatchEmbed CpuWeights::patch_embed(const std::string& name, int in, int out) {
  const auto desc = patch_desc({1, 352, 352, in}, out);
  return pack(in, out, {7, 7, 1}, md({out, in, 7, 7}, f32, dnnl::memory::format_tag::oihw),
              desc.weights_desc(), reader(name, {out, in, 7, 7}));
}

CpuWeights::Position CpuWeights::position(const std::string& prefix, int dim, std::array<int, 2> background,
                                          int window) {
  return {{dim, background, window,
           source_.read(prefix + ".pos_embed", {1, dim, background[0], background[1]}),
           source_.read(prefix + ".pos_embed_window", {1, dim, window, window})}};
}

CpuWeights::Norm CpuWeights::norm(const std::string& name, int dim) {
  return {source_.read(name + ".weight", {dim}), source_.read(name + ".bias", {dim})};
}

CpuWeights::Linear CpuWeights::linear(const std::string& name, int in, int out) {
  return pack_linear(in, out, reader(name, {out, in}));
}

CpuWeights::Linear CpuWeights::pointwise(const std::string& name, int in, int out) {
  return pack_linear(in, out, reader(name, {out, in, 1, 1}));
}

CpuWeights::ConvBn CpuWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                       Kernel kernel) {
  Extent usual = kUsualPicture;
  usual.c = in;
  const auto desc = conv_desc(usual, out, kernel, Epilogue::none);
  const Shape shape{out, in, kernel.h, kernel.w};
  return {pack(in, out, kernel, md({out, in, kernel.h, kernel.w}, f32, dnnl::memory::format_tag::oihw),
               desc.weights_desc(),
               [&source = source_, conv, bn, out, shape](std::span<float> weights, std::span<float> bias) {
                 source.read(conv + ".weight", shape, weights);
                 std::ranges::copy(model::fold_batch_norm(source, bn, out, weights), bias.begin());
               })};
}

CpuWeights::ConvBnFan CpuWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  return {pack_linear(in, kFan * out,
                      [&source = source_, names, in, out](std::span<float> weights, std::span<float> bias) {
                        const auto fan = model::fold_fan(source, names, in, out);  // [5 N, K], [5 N]
                        std::ranges::copy(fan.weight, weights.begin());
                        std::ranges::copy(fan.bias, bias.begin());
                      })};
}

}  // namespace sam2unet::ops
