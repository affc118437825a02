// The vocabulary on LibTorch tensors with autograd: what training computes with. Activations are [B,H,W,C]
// in one compute type (float64, float32 or bf16); parameters keep their own and are cast where they are used.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <vector>

#include "ops/compositions.h"
#include "ops/torch/recompute.h"
#include "ops/torch/sync_batch_norm.h"
#include "ops/torch/torch_weights.h"

namespace sam2unet::ops {

class TorchOps : public Compositions<TorchOps> {
 public:
  using Tensor = at::Tensor;
  using Weights = TorchWeights;

  /// BatchNorm by the batch's statistics, which also move the running ones (momentum 0.1); else by those.
  bool training = false;
  /// Where set, the batch is that of all processes.
  GatherRows gather;
  /// `recomputable` parts keep their inputs only.
  bool recompute = false;
  /// Resizes whose gradients have one order of summation on a GPU too.
  bool deterministic = false;

  /// The casts of parameters that do not learn, which are made once.
  void forget_casts() { casts_.clear(); }

  static Extent extent(const Tensor& x) { return {x.size(0), x.size(1), x.size(2), x.size(3)}; }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(const Tensor& x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w);
  Tensor gelu(const Tensor& x);
  Tensor relu(const Tensor& x);
  Tensor add(const Tensor& a, const Tensor& b);
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w);
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({first, more...});
  }
  template <class F, class... Inputs>
  Tensor recomputable(const F& f, Inputs&&... inputs) {
    if (!recompute || !gradients_wanted()) return f(std::forward<Inputs>(inputs)...);
    const auto part = [f](const std::vector<Tensor>& v) {
      return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return f(v[I]...);
      }
      (std::index_sequence_for<Inputs...>());
    };
    const auto again = [this, part](const std::vector<Tensor>& v) {
      const SetFor setting(is_again_);
      return part(v);
    };
    return recomputed(part, again, {inputs...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners);

 private:
  // True as long as it lives.
  struct SetFor {
    explicit SetFor(bool& f) : flag(f) { flag = true; }
    ~SetFor() { flag = false; }
    SetFor(const SetFor&) = delete;
    SetFor& operator=(const SetFor&) = delete;
    bool& flag;
  };
  static bool gradients_wanted();
  static Tensor concat_all(const std::vector<Tensor>& parts);
  Tensor as(const Tensor& parameter, const Tensor& x);
  Tensor batch_norm(const Tensor& planes, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                    const Tensor& variance);

  // By parameter: the cast, and the parameter's version that it was made from.
  struct Cast {
    Tensor value;
    std::int64_t version = 0;
  };
  std::map<const void*, Cast> casts_;
  bool is_again_ = false;  // computing for the gradients what was computed before: the statistics have moved
};
static_assert(Ops<TorchOps>);

}  // namespace sam2unet::ops
