// The CPU backend's session: implements the vocabulary on oneDNN (products, convolutions) and our own kernels
// (attention, norms, resizing). Owns an arena and the primitives per shape; one session serves one picture at
// a time, so concurrent callers each take their own.
#pragma once

#include <array>
#include <initializer_list>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "ops/compositions.h"
#include "ops/concept.h"
#include "ops/cpu/cpu_tensor.h"
#include "ops/cpu/cpu_weights.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/onednn.h"

namespace sam2unet::ops {

class CpuOps : public Compositions<CpuOps> {
 public:
  using Tensor = CpuTensor;
  using Weights = CpuWeights;

  /// 0 threads means all cores. It has the `available_threads` of where it is made, and is to be used where
  /// as many are available.
  explicit CpuOps(int threads = 0);

  int threads() const { return threads_; }
  std::size_t arena_bytes() const { return arena_.bytes(); }
  /// An uninitialised activation of this session.
  Tensor make(const Extent& extent) { return {arena_, extent}; }
  /// Forgets plans and memory of earlier picture sizes. Only while no tensor of this session lives.
  void forget();

  static Extent extent(const Tensor& x) { return x.extent(); }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(Tensor x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w) { return product(x, w, Epilogue::none); }
  Tensor gelu(Tensor x) { return eltwise(std::move(x), dnnl::algorithm::eltwise_gelu_erf); }
  Tensor relu(Tensor x) { return eltwise(std::move(x), dnnl::algorithm::eltwise_relu); }
  Tensor add(Tensor a, const Tensor& b);
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w) { return convolve(x, w, Epilogue::none, {}); }
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({&first, &more...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners);

  // Done better than composed: the epilogue works on registers.
  Tensor linear_gelu(const Tensor& x, const Weights::Linear& w) { return product(x, w, Epilogue::gelu); }
  Tensor linear_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return product(x, w, Epilogue::add, std::move(residual));
  }
  Tensor linear_gelu_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    if (!has_product(Epilogue::gelu_add)) return add(std::move(residual), linear_gelu(x, w));
    return product(x, w, Epilogue::gelu_add, std::move(residual));
  }
  Tensor conv_bn_relu(const Tensor& x, const Weights::ConvBn& w) {
    return convolve(x, w, Epilogue::relu, {});
  }
  Tensor conv_bn_add_relu(const Tensor& x, const Weights::ConvBn& w, Tensor residual) {
    return convolve(x, w, Epilogue::add_relu, std::move(residual));
  }
  Tensor upsample_behind(const Tensor& skip, const Tensor& x);

 private:
  struct Key {
    std::uint64_t weights;  // their id
    Extent in;
    Epilogue epilogue;
    auto operator<=>(const Key& o) const {
      return std::tie(weights, in.b, in.h, in.w, epilogue) <=>
             std::tie(o.weights, o.in.b, o.in.h, o.in.w, o.epilogue);
    }
    bool operator==(const Key& o) const { return std::is_eq(*this <=> o); }
  };
  using TapsKey = std::array<std::int64_t, 3>;  // in, out, align_corners

  template <class MakeDesc>
  const PreparedPrimitive& prepared(const Key& key, const PackedWeights& w, MakeDesc&& make_desc);
  void run(const PreparedPrimitive& primitive, const float* src, float* dst);
  Tensor product(const Tensor& x, const PackedWeights& w, Epilogue epilogue, Tensor out = {});
  Tensor convolve(const Tensor& x, const Weights::ConvBn& w, Epilogue epilogue, Tensor out);
  Tensor eltwise(Tensor x, dnnl::algorithm algorithm);
  Tensor concat_all(std::initializer_list<const Tensor*> parts);
  const std::vector<kernels::BilinearTap>& taps(std::int64_t in, std::int64_t out, Corners corners);
  void upsample_into(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners, float* out,
                     std::int64_t stride);
  const std::vector<float>& position_table(const Weights::Position& w, std::int64_t height,
                                           std::int64_t width);

  int threads_;
  dnnl::stream stream_;
  Arena arena_;
  std::map<Key, std::unique_ptr<PreparedPrimitive>> primitives_;
  std::map<std::pair<int, std::int64_t>, dnnl::eltwise_forward> eltwise_;
  std::map<TapsKey, std::vector<kernels::BilinearTap>> taps_;
  std::map<std::array<std::int64_t, 3>, std::vector<float>> positions_;
  std::vector<std::vector<const float*>> pointers_;  // per thread: rows of the window at hand
};
static_assert(Ops<CpuOps>);

}  // namespace sam2unet::ops
