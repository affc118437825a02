// The vocabulary as nodes of an ONNX graph: running the network on it records it, for one size of picture and
// any batch.
//
// A value lies in memory as convolutions want it, "planes" [B,C,H,W], or as products do, "rows" [B H W, C];
// it is brought to the other form when an operation needs that, once. Every shape is a constant of the graph
// but for the batch, which is what a Reshape's -1 stands for.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "onnx/graph.h"
#include "ops/compositions.h"
#include "ops/concept.h"
#include "ops/onnx/onnx_weights.h"

namespace sam2unet::ops {

/// A recorded value; its extent's b is 1, whatever the batch will be.
struct OnnxTensor {
  Extent extent;
  std::size_t id = 0;
};

class OnnxOps : public Compositions<OnnxOps> {
 public:
  using Tensor = OnnxTensor;
  using Weights = OnnxWeights;

  /// Both must live as long as what is recorded is not yet written.
  OnnxOps(onnx::Graph& graph, model::WeightSource& source, OnnxPrecision precision)
      : graph_(graph), initializers_(graph, source, precision) {}

  /// A value of the graph, [B,C,H,W], of the type in which it computes.
  Tensor input(const onnx::Value& planes, const Extent& extent);
  /// [B,C,H,W]
  onnx::Value planes(const Tensor& x);

  static Extent extent(const Tensor& x) { return x.extent; }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(Tensor x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w);
  Tensor gelu(Tensor x);
  Tensor relu(Tensor x);
  Tensor add(Tensor a, const Tensor& b);
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w);
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({first, more...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners);

 private:
  /// A product that is recorded when its result is asked for; attention may want it without the bias.
  struct Product {
    onnx::Value x;  // [B H W, K]
    Weights::Linear w;
  };
  struct Forms {
    std::optional<onnx::Value> rows, planes;
    std::optional<Product> product;
    bool only_planes() const { return !rows && !product; }
  };
  struct Windows;
  using Parts = std::array<onnx::Value, 3>;  // queries, keys, values

  Tensor keep(const Extent& extent, Forms forms);
  Tensor keep_rows(const Extent& extent, onnx::Value v) { return keep(extent, {std::move(v), {}, {}}); }
  Tensor keep_planes(const Extent& extent, onnx::Value v) { return keep(extent, {{}, std::move(v), {}}); }
  onnx::Value rows(const Tensor& x);  // [B H W, C]
  Tensor concat_all(const std::vector<Tensor>& parts);
  onnx::Value convolve(const Tensor& x, const onnx::Value& kernel, const onnx::Value& bias, const Kernel& k,
                       int stride = 1);
  Parts cut(const Tensor& qkv, const Weights::Linear& w, const Windows& cut);
  onnx::Value join(const onnx::Value& mixed, const Windows& cut, int pool);
  onnx::Value attend(const Parts& parts, const Windows& cut, int pool);
  onnx::Value maximum_of_pairs(const onnx::Value& x, std::int64_t run);
  onnx::Value pool_2x2(const onnx::Value& x, std::int64_t width, std::int64_t channels);

  onnx::Graph& graph_;
  OnnxInitializers initializers_;
  std::vector<Forms> values_;  // by id
};
static_assert(Ops<OnnxOps>);

}  // namespace sam2unet::ops
