// The vocabulary the network is written in. A backend is a class with these members; `model/` calls nothing
// else.
//
// Activations are [B,H,W,C] in picture order everywhere; windows exist only inside `window_attention`.
// A fused operation (adapter step, linear + GELU, ...) has its plain composition in ops/compositions.h, so a
// backend overrides only what it can do better. Values are passed by value where the operation may reuse
// their memory.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string>

namespace sam2unet::ops {

/// Size of an activation [b,h,w,c].
struct Extent {
  std::int64_t b = 1, h = 1, w = 1, c = 1;
  std::int64_t pixels() const { return b * h * w; }
  std::int64_t numel() const { return pixels() * c; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

/// How `window_attention` cuts the picture.
struct AttentionGeometry {
  int heads = 1;
  int window = 0;  ///< side of a window; 0: the whole picture is one
  int q_pool = 1;  ///< 2: queries are 2x2 max-pooled inside the window, so the output has half the sides
};

/// Kernel of a stride-1 convolution whose zero padding keeps the size: padding = dilation * (side - 1) / 2.
struct Kernel {
  int h = 1, w = 1, dilation = 1;
  int pad_h() const { return dilation * (h - 1) / 2; }
  int pad_w() const { return dilation * (w - 1) / 2; }
};

/// What a bilinear resize puts upon each other: PyTorch's `align_corners`.
enum class Corners {
  unaligned,  ///< the pictures' edges
  aligned,    ///< the centres of the outermost pixels
};

/// Five 1x1 convolutions over the same input, which a backend may run as one.
inline constexpr int kFan = 5;

/// Three convolutions beside each other that need nothing of one another.
inline constexpr int kBranches = 3;

/// Types of the packed weights of a backend, and how they are made from named tensors of the reference. The
/// network is described once by calls to these (model/*.h `make`), so the same description lists, loads,
/// packs and freezes.
template <class M>
concept WeightMaker = requires(M& m, const std::string& name, const std::array<std::string, kFan>& names) {
  typename M::PatchEmbed;  // 7x7, stride 4, padding 3, with bias
  typename M::Position;    // background + window part
  typename M::Norm;        // LayerNorm
  typename M::Linear;
  typename M::ConvBn;     // convolution without bias, then BatchNorm (eps 1e-5)
  typename M::ConvBnFan;  // kFan 1x1 ConvBn over one input
  { m.patch_embed(name, 3, 64) } -> std::same_as<typename M::PatchEmbed>;
  { m.position(name, 64, std::array<int, 2>{7, 7}, 8) } -> std::same_as<typename M::Position>;
  { m.norm(name, 64) } -> std::same_as<typename M::Norm>;
  { m.linear(name, 64, 32) } -> std::same_as<typename M::Linear>;
  { m.pointwise(name, 64, 1) } -> std::same_as<typename M::Linear>;  // a 1x1 convolution with bias
  { m.conv_bn(name, name, 64, 64, Kernel{3, 3, 1}) } -> std::same_as<typename M::ConvBn>;
  { m.conv_bn_fan(names, 64, 64) } -> std::same_as<typename M::ConvBnFan>;
};

template <class O>
concept Ops = WeightMaker<typename O::Weights> &&
    requires(O& o, const typename O::Tensor& x, typename O::Tensor v,
             const typename O::Weights::PatchEmbed& patch, const typename O::Weights::Position& position,
             const typename O::Weights::Norm& norm, const typename O::Weights::Linear& linear,
             const typename O::Weights::ConvBn& conv, const typename O::Weights::ConvBnFan& fan,
             const std::array<const typename O::Tensor*, kBranches>& branches,
             const std::array<const typename O::Weights::ConvBn*, kBranches>& branch_weights,
             typename O::Tensor (*part)(const typename O::Tensor&)) {
  typename O::Tensor;
  { o.extent(x) } -> std::same_as<Extent>;

  // [B,H,W,3] -> [B,H/4,W/4,C]: 7x7 convolution, stride 4, padding 3, bias
  { o.patch_embed(x, patch) } -> std::same_as<typename O::Tensor>;
  // x + bicubic(background, align_corners false, A = -0.75) + tiled window part, both broadcast over B
  { o.add_position(std::move(v), position) } -> std::same_as<typename O::Tensor>;
  // [..,C]: eps 1e-6
  { o.layer_norm(x, norm) } -> std::same_as<typename O::Tensor>;
  // [..,K] -> [..,N]: x W^T + b
  { o.linear(x, linear) } -> std::same_as<typename O::Tensor>;
  // 0.5 x (1 + erf(x / sqrt 2));  max(x, 0);  a + b of one shape
  { o.gelu(std::move(v)) } -> std::same_as<typename O::Tensor>;
  { o.relu(std::move(v)) } -> std::same_as<typename O::Tensor>;
  { o.add(std::move(v), x) } -> std::same_as<typename O::Tensor>;
  // [B,H,W,3D] -> [B,H/p,W/p,D]: softmax(q k^T / sqrt d) v per head and window. A window that reaches n
  // tokens past the picture has one extra key (bias_k, bias_v of `linear`, score + log n): what n zero-padded
  // tokens would be.
  { o.window_attention(x, linear, AttentionGeometry{}) } -> std::same_as<typename O::Tensor>;
  // [B,H,W,C] -> [B,H/2,W/2,C], maximum of 2x2
  { o.max_pool_2x2(x) } -> std::same_as<typename O::Tensor>;
  // [B,H,W,K] -> [B,H,W,N]
  { o.conv_bn(x, conv) } -> std::same_as<typename O::Tensor>;
  // The same of each of kBranches inputs of one size with its own kernel: in no order, or at once.
  { o.conv_bn_each(branches, branch_weights) } -> std::same_as<std::array<typename O::Tensor, kBranches>>;
  // [B,H,W,K] -> kFan x [B,H,W,N]
  { o.conv_bn_fan(x, fan) } -> std::same_as<std::array<typename O::Tensor, kFan>>;
  // [B,H,W,Ci] -> [B,H,W,sum Ci]
  { o.concat(x, x) } -> std::same_as<typename O::Tensor>;
  { o.concat(x, x, x, x) } -> std::same_as<typename O::Tensor>;
  // [B,h,w,C] -> [B,H,W,C]: bilinear
  { o.upsample(x, std::int64_t{1}, std::int64_t{1}, Corners::aligned) } -> std::same_as<typename O::Tensor>;

  // Fused; ops/compositions.h has each in terms of the above.
  { o.linear_gelu(x, linear) } -> std::same_as<typename O::Tensor>;                    // gelu(linear x)
  { o.linear_add(x, linear, std::move(v)) } -> std::same_as<typename O::Tensor>;       // v + linear x
  { o.linear_gelu_add(x, linear, std::move(v)) } -> std::same_as<typename O::Tensor>;  // v + gelu(linear x)
  { o.conv_bn_relu(x, conv) } -> std::same_as<typename O::Tensor>;                     // relu(conv_bn x)
  { o.conv_bn_add_relu(x, conv, std::move(v)) } -> std::same_as<typename O::Tensor>;   // relu(v + conv_bn x)
  {
    o.upsample_behind(x, x)
    } -> std::same_as<typename O::Tensor>;  // concat(skip, upsample(x to skip, align_corners))
  // v + gelu(up(gelu(down v)));  v + fc2(gelu(fc1(layer_norm v)))
  { o.adapt(std::move(v), linear, linear) } -> std::same_as<typename O::Tensor>;
  { o.feed_forward(std::move(v), norm, linear, linear) } -> std::same_as<typename O::Tensor>;
  // part(x...). A backend that trains may keep only x and call `part` again for the gradients: it must refer
  // to nothing that ends before them.
  { o.recomputable(part, x) } -> std::same_as<typename O::Tensor>;
};

}  // namespace sam2unet::ops
