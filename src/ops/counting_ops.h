// A backend that computes nothing and counts multiply-adds: the floor of the network at a size, without
// padding.
#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "ops/compositions.h"
#include "ops/concept.h"

namespace sam2unet::ops {

struct Counted {
  Extent extent;
};

struct CountingWeights {
  struct Matrix {
    int in = 0, out = 0, taps = 1;
  };
  struct Nothing {};
  using PatchEmbed = Matrix;
  using Position = Nothing;
  using Norm = Nothing;
  using Linear = Matrix;
  struct ConvBn : Matrix {};
  struct ConvBnFan : Matrix {};
  PatchEmbed patch_embed(const std::string&, int in, int out) { return {in, out, 49}; }
  Position position(const std::string&, int, std::array<int, 2>, int) { return {}; }
  Norm norm(const std::string&, int) { return {}; }
  Linear linear(const std::string&, int in, int out) { return {in, out}; }
  Linear pointwise(const std::string&, int in, int out) { return {in, out}; }
  ConvBn conv_bn(const std::string&, const std::string&, int in, int out, Kernel k) {
    return {{in, out, k.h * k.w}};
  }
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>&, int in, int out) { return {{in, out}}; }
};

class CountingOps : public Compositions<CountingOps> {
 public:
  using Tensor = Counted;
  using Weights = CountingWeights;

  double multiply_adds() const { return macs_; }

  static Extent extent(const Tensor& x) { return x.extent; }
  Tensor patch_embed(const Tensor& x, const Weights::Matrix& w) {
    return count({x.extent.b, x.extent.h / 4, x.extent.w / 4, w.out}, 49.0 * w.in);
  }
  Tensor add_position(Tensor x, const Weights::Nothing&) { return x; }
  Tensor layer_norm(const Tensor& x, const Weights::Nothing&) { return x; }
  Tensor linear(const Tensor& x, const Weights::Linear& w) { return same_size(x, w.out, w.in); }
  Tensor gelu(Tensor x) { return x; }
  Tensor relu(Tensor x) { return x; }
  Tensor add(Tensor a, const Tensor&) { return a; }
  Tensor window_attention(const Tensor& qkv, const Weights::Linear&, const AttentionGeometry& g) {
    const Extent e = qkv.extent;
    const std::int64_t wh = g.window > 0 ? g.window : e.h, ww = g.window > 0 ? g.window : e.w, p = g.q_pool;
    const std::int64_t channels = e.c / 3;
    for (std::int64_t y = 0; y < e.h; y += wh)
      for (std::int64_t x = 0; x < e.w; x += ww) {
        const double tokens = static_cast<double>(std::min(wh, e.h - y) * std::min(ww, e.w - x));
        macs_ += static_cast<double>(e.b) * 2 * tokens * tokens / static_cast<double>(p * p) *
                 static_cast<double>(channels);
      }
    return {{e.b, e.h / p, e.w / p, channels}};
  }
  Tensor max_pool_2x2(const Tensor& x) { return {{x.extent.b, x.extent.h / 2, x.extent.w / 2, x.extent.c}}; }
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w) { return same_size(x, w.out, w.in * w.taps); }
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
    std::array<Tensor, kFan> parts;
    for (auto& p : parts) p = same_size(x, w.out, w.in);
    return parts;
  }
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    Tensor out = first;
    ((out.extent.c += more.extent.c), ...);
    return out;
  }
  Tensor upsample(const Tensor& x, std::int64_t h, std::int64_t w, Corners) {
    return {{x.extent.b, h, w, x.extent.c}};
  }

 private:
  Tensor count(const Extent& out, double macs_per_value) {
    macs_ += static_cast<double>(out.numel()) * macs_per_value;
    return {out};
  }
  Tensor same_size(const Tensor& x, int out, int per_value) {
    return count({x.extent.b, x.extent.h, x.extent.w, out}, per_value);
  }
  double macs_ = 0.0;
};
static_assert(Ops<CountingOps>);

}  // namespace sam2unet::ops
