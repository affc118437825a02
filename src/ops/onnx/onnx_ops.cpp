#include "ops/onnx/onnx_ops.h"

#include <cmath>
#include <utility>

#include "sam2unet/errors.h"

namespace sam2unet::ops {

using onnx::Value;
using Index = std::int64_t;

OnnxTensor OnnxOps::keep(const Extent& extent, Forms forms) {
  values_.push_back(std::move(forms));
  return {extent, values_.size() - 1};
}

OnnxTensor OnnxOps::input(const Value& planes, const Extent& extent) {
  return keep_planes(extent, planes);
}

Value OnnxOps::planes(const Tensor& x) {
  if (!values_[x.id].planes) {
    const Value image = graph_.reshape(rows(x), {-1, x.extent.h, x.extent.w, x.extent.c});
    values_[x.id].planes = graph_.transpose(image, {0, 3, 1, 2});
  }
  return *values_[x.id].planes;
}

Value OnnxOps::rows(const Tensor& x) {
  Forms& forms = values_[x.id];
  if (forms.rows) return *forms.rows;
  if (forms.product) {
    const auto& [in, w] = *forms.product;
    forms.rows =
        graph_.node("Gemm", {in, initializers_.matrix(w), initializers_.vector(w.name + ".bias", w.out)},
                    {{"transB", Index{1}}});
  } else {
    forms.rows = graph_.reshape(graph_.transpose(*forms.planes, {0, 2, 3, 1}), {-1, x.extent.c});
  }
  return *forms.rows;
}

Value OnnxOps::convolve(const Tensor& x, const Value& kernel, const Value& bias, const Kernel& k,
                        int stride) {
  using Ints = std::vector<Index>;
  const Index top = k.pad_h(), left = k.pad_w();
  return graph_.node("Conv", {planes(x), kernel, bias},
                     {{"kernel_shape", Ints{k.h, k.w}},
                      {"strides", Ints{stride, stride}},
                      {"dilations", Ints{k.dilation, k.dilation}},
                      {"pads", Ints{top, left, top, left}}});
}

OnnxTensor OnnxOps::patch_embed(const Tensor& image, const Weights::PatchEmbed& w) {
  const Extent e = image.extent;
  const Value bias = initializers_.vector(w.name + ".bias", w.out);
  return keep_planes({1, (e.h - 1) / 4 + 1, (e.w - 1) / 4 + 1, w.out},
                     convolve(image, initializers_.kernel(w), bias, {7, 7, 1}, 4));
}

OnnxTensor OnnxOps::add_position(Tensor x, const Weights::Position& w) {
  const Value table = initializers_.position(w, x.extent.h, x.extent.w);
  return keep_planes(x.extent, graph_.node("Add", {planes(x), table}));
}

OnnxTensor OnnxOps::layer_norm(const Tensor& x, const Weights::Norm& w) {
  const Value weight = initializers_.vector(w.name + ".weight", w.dim),
              bias = initializers_.vector(w.name + ".bias", w.dim);
  return keep_rows(x.extent, graph_.node("LayerNormalization", {rows(x), weight, bias},
                                         {{"axis", Index{-1}}, {"epsilon", 1e-6F}}));
}

OnnxTensor OnnxOps::linear(const Tensor& x, const Weights::Linear& w) {
  const Extent to{1, x.extent.h, x.extent.w, w.out};
  if (!values_[x.id].only_planes()) return keep(to, {{}, {}, Product{rows(x), w}});
  return keep_planes(
      to, convolve(x, initializers_.kernel(w), initializers_.vector(w.name + ".bias", w.out), {1, 1, 1}));
}

// In the order of operations that ONNX Runtime and OpenVINO know as one GELU.
OnnxTensor OnnxOps::gelu(Tensor x) {
  const Value v = rows(x);
  const Value scaled = graph_.node("Div", {v, initializers_.number(std::sqrt(2.0F))});
  const Value raised = graph_.node("Add", {graph_.node("Erf", {scaled}), initializers_.number(1.0F)});
  return keep_rows(x.extent,
                   graph_.node("Mul", {graph_.node("Mul", {v, raised}), initializers_.number(0.5F)}));
}

OnnxTensor OnnxOps::relu(Tensor x) {
  if (values_[x.id].only_planes()) return keep_planes(x.extent, graph_.node("Relu", {planes(x)}));
  return keep_rows(x.extent, graph_.node("Relu", {rows(x)}));
}

OnnxTensor OnnxOps::add(Tensor a, const Tensor& b) {
  if (values_[a.id].only_planes() && values_[b.id].only_planes())
    return keep_planes(a.extent, graph_.node("Add", {planes(a), planes(b)}));
  return keep_rows(a.extent, graph_.node("Add", {rows(a), rows(b)}));
}

// [n, 2, run] -> [n, run] of a value of 2 n run elements
Value OnnxOps::maximum_of_pairs(const Value& x, Index run) {
  return graph_.node("ReduceMax", {graph_.reshape(x, {-1, 2, run})},
                     {{"axes", std::vector<Index>{1}}, {"keepdims", Index{0}}});
}

// [n, w, c] of n even -> [n/2, w/2, c]: neighbours in a row, then the rows.
Value OnnxOps::pool_2x2(const Value& x, Index width, Index channels) {
  return maximum_of_pairs(maximum_of_pairs(x, channels), width / 2 * channels);
}

OnnxTensor OnnxOps::max_pool_2x2(const Tensor& x) {
  const Extent e = x.extent;
  const Value pooled = pool_2x2(rows(x), e.w, e.c);
  return keep_rows({1, e.h / 2, e.w / 2, e.c}, graph_.reshape(pooled, {-1, e.c}));
}

// How a picture of h x w tokens is cut into rows x columns windows of side_h x side_w.
struct OnnxOps::Windows {
  Index h, w, side_h, side_w, rows, columns, heads, head_dim;

  Windows(const Extent& qkv, const AttentionGeometry& g)
      : h(qkv.h),
        w(qkv.w),
        side_h(g.window > 0 ? g.window : qkv.h),
        side_w(g.window > 0 ? g.window : qkv.w),
        rows((h + side_h - 1) / side_h),
        columns((w + side_w - 1) / side_w),
        heads(g.heads),
        head_dim(qkv.c / 3 / g.heads) {}
  Index padded_h() const { return rows * side_h; }
  Index padded_w() const { return columns * side_w; }
  bool pads() const { return padded_h() != h || padded_w() != w; }
};

// [B H W, 3D] -> queries, keys and values, each [B windows, heads, tokens, d]. The reference pads with zero
// tokens after the norm, of which the product makes its bias: so zeros are padded behind the product without
// its bias, which is then added to all.
OnnxOps::Parts OnnxOps::cut(const Tensor& qkv, const Weights::Linear& w, const Windows& c) {
  const Index width = 3 * c.heads * c.head_dim;
  Value all;
  if (c.pads()) {
    const Forms& forms = values_[qkv.id];
    if (!forms.product) throw Error("attention over padded windows needs the product it attends to");
    const Value bare =
        graph_.node("Gemm", {forms.product->x, initializers_.matrix(w)}, {{"transB", Index{1}}});
    const Value image = graph_.reshape(bare, {-1, c.h, c.w, width});
    const Value padded =
        graph_.node("Pad", {image, graph_.ints({0, 0, 0, 0, 0, c.padded_h() - c.h, c.padded_w() - c.w, 0})});
    all = graph_.node("Add", {padded, initializers_.vector(w.name + ".bias", w.out)});
  } else {
    all = rows(qkv);
  }
  const Index dim = c.heads * c.head_dim;
  const Index axis = c.pads() ? 3 : 1;
  const auto parts = graph_.node("Split", {all, graph_.ints({dim, dim, dim})}, {{"axis", axis}}, 3);
  Parts out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Value split = graph_.reshape(parts[i], {-1, c.side_h, c.columns, c.side_w, c.heads, c.head_dim});
    out[i] = graph_.reshape(graph_.transpose(split, {0, 2, 4, 1, 3, 5}),
                            {-1, c.heads, c.side_h * c.side_w, c.head_dim});
  }
  return out;
}

// [B windows, heads, tokens / p^2, d] -> [B H/p W/p, D]
Value OnnxOps::join(const Value& mixed, const Windows& c, int p) {
  const Index dim = c.heads * c.head_dim, side_h = c.side_h / p, side_w = c.side_w / p;
  const Value split = graph_.reshape(mixed, {-1, c.columns, c.heads, side_h, side_w, c.head_dim});
  Value whole = graph_.transpose(split, {0, 3, 1, 4, 2, 5});
  if (c.pads()) {
    whole = graph_.reshape(whole, {-1, c.padded_h() / p, c.padded_w() / p, dim});
    whole = graph_.node("Slice",
                        {whole, graph_.ints({0, 0}), graph_.ints({c.h / p, c.w / p}), graph_.ints({1, 2})});
  }
  return graph_.reshape(whole, {-1, dim});
}

// softmax(q k^T / sqrt d) v of [N, heads, tokens, d] each
Value OnnxOps::attend(const Parts& parts, const Windows& c, int p) {
  Value q = parts[0];
  if (p == 2)
    q = graph_.reshape(pool_2x2(q, c.side_w, c.head_dim), {-1, c.heads, c.side_h * c.side_w / 4, c.head_dim});
  const float scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim));
  q = graph_.node("Mul", {q, initializers_.number(scale)});
  const Value scores = graph_.node("MatMul", {q, graph_.transpose(parts[1], {0, 1, 3, 2})});
  return graph_.node("MatMul", {graph_.node("Softmax", {scores}, {{"axis", Index{-1}}}), parts[2]});
}

OnnxTensor OnnxOps::window_attention(const Tensor& qkv, const Weights::Linear& w,
                                     const AttentionGeometry& g) {
  const Windows c(qkv.extent, g);
  const Value mixed = attend(cut(qkv, w, c), c, g.q_pool);
  return keep_rows({1, c.h / g.q_pool, c.w / g.q_pool, c.heads * c.head_dim}, join(mixed, c, g.q_pool));
}

OnnxTensor OnnxOps::conv_bn(const Tensor& x, const Weights::ConvBn& w) {
  return keep_planes({1, x.extent.h, x.extent.w, w.out},
                     convolve(x, initializers_.kernel(w), initializers_.bias(w), w.kernel));
}

std::array<OnnxTensor, kFan> OnnxOps::conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
  return {conv_bn(x, w[0]), conv_bn(x, w[1]), conv_bn(x, w[2]), conv_bn(x, w[3]), conv_bn(x, w[4])};
}

OnnxTensor OnnxOps::concat_all(const std::vector<Tensor>& parts) {
  Extent e = parts[0].extent;
  e.c = 0;
  std::vector<Value> all;
  for (const Tensor& p : parts) {
    e.c += p.extent.c;
    all.push_back(planes(p));
  }
  return keep_planes(e, graph_.node("Concat", all, {{"axis", Index{1}}}));
}

// By whole factors, since the result's size would have to name the batch.
OnnxTensor OnnxOps::upsample(const Tensor& x, Index height, Index width, Corners corners) {
  const Extent e = x.extent;
  if (height % e.h != 0 || width % e.w != 0)
    throw Error("an upsampling by no whole factor cannot be recorded");
  const Index tall = height / e.h, wide = width / e.w;
  const Value scales = graph_.floats({1.0F, 1.0F, static_cast<float>(tall), static_cast<float>(wide)}, {4});
  return keep_planes(
      {1, height, width, e.c},
      graph_.node("Resize", {planes(x), Value{}, scales},
                  {{"mode", std::string("linear")},
                   {"coordinate_transformation_mode",
                    std::string(corners == Corners::aligned ? "align_corners" : "half_pixel")}}));
}

}  // namespace sam2unet::ops
