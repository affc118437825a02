#include "ops/plain/plain_ops.h"

namespace sam2unet::ops {

PlainWeights::Values PlainWeights::read(const std::string& name, const Shape& shape) {
  const auto values = source_.read(name, shape);
  return {values.begin(), values.end()};
}

PlainWeights::PatchEmbed PlainWeights::patch_embed(const std::string& name, int in, int out) {
  return {in, out, read(name + ".weight", {out, in, 7, 7}), read(name + ".bias", {out})};
}

PlainWeights::Position PlainWeights::position(const std::string& prefix, int dim,
                                              std::array<int, 2> background, int window) {
  return {dim, background, window, read(prefix + ".pos_embed", {1, dim, background[0], background[1]}),
          read(prefix + ".pos_embed_window", {1, dim, window, window})};
}

PlainWeights::Norm PlainWeights::norm(const std::string& name, int dim) {
  return {read(name + ".weight", {dim}), read(name + ".bias", {dim})};
}

PlainWeights::Linear PlainWeights::linear(const std::string& name, int in, int out) {
  return {in, out, read(name + ".weight", {out, in}), read(name + ".bias", {out})};
}

PlainWeights::Linear PlainWeights::pointwise(const std::string& name, int in, int out) {
  return {in, out, read(name + ".weight", {out, in, 1, 1}), read(name + ".bias", {out})};
}

PlainWeights::ConvBn PlainWeights::conv_bn(const std::string& conv, const std::string& bn, int in, int out,
                                           Kernel kernel) {
  return {in,
          out,
          kernel,
          read(conv + ".weight", {out, in, kernel.h, kernel.w}),
          read(bn + ".weight", {out}),
          read(bn + ".bias", {out}),
          read(bn + ".running_mean", {out}),
          read(bn + ".running_var", {out})};
}

PlainWeights::ConvBnFan PlainWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in,
                                                  int out) {
  ConvBnFan fan;
  for (std::size_t i = 0; i < fan.size(); ++i)
    fan[i] = conv_bn(names[i] + ".conv", names[i] + ".bn", in, out, {});
  return fan;
}

}  // namespace sam2unet::ops
