// SAM2's Hiera trunk: a block is windowed attention with optional query pooling, then an MLP
// (sam2/modeling/backbones/hieradet.py:81-166).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "model/config.h"
#include "ops/concept.h"

namespace sam2unet::model {

/// A layer whose input is always what `norm` makes. A backend may fold the norm's weights into the layer's;
/// without a way to, it is a layer like any other.
template <class Maker, class Norm>
auto linear_behind(Maker& m, const Norm& norm, const std::string& name, int in, int out) {
  if constexpr (requires { m.linear_behind(norm, name, in, out); }) {
    return m.linear_behind(norm, name, in, out);
  } else {
    return m.linear(name, in, out);
  }
}

template <class W>
struct Block {
  BlockConfig config;
  typename W::Norm norm1, norm2;
  typename W::Linear qkv, out;                 // D -> 3 D', D' -> D'
  std::optional<typename W::Linear> shortcut;  // D -> D', where the width changes
  typename W::Linear fc1, fc2;                 // D' -> 4 D' -> D'

  template <class Maker>
  static Block make(Maker& m, const std::string& name, const BlockConfig& c) {
    auto norm1 = m.norm(name + ".norm1", c.dim_in), norm2 = m.norm(name + ".norm2", c.dim_out);
    auto qkv = linear_behind(m, norm1, name + ".attn.qkv", c.dim_in, 3 * c.dim_out);
    auto out = m.linear(name + ".attn.proj", c.dim_out, c.dim_out);
    auto fc1 = linear_behind(m, norm2, name + ".mlp.layers.0", c.dim_out, 4 * c.dim_out);
    auto fc2 = m.linear(name + ".mlp.layers.1", 4 * c.dim_out, c.dim_out);
    std::optional<typename W::Linear> shortcut;
    if (c.dim_in != c.dim_out) {
      shortcut = linear_behind(m, norm1, name + ".proj", c.dim_in, c.dim_out);
    }
    return {c,
            std::move(norm1),
            std::move(norm2),
            std::move(qkv),
            std::move(out),
            std::move(shortcut),
            std::move(fc1),
            std::move(fc2)};
  }
};

// shortcut + proj(attention(qkv(norm1 x))); the shortcut is pool(proj(norm1 x)) where the width changes.
template <ops::Ops O>
typename O::Tensor attend(O& o, typename O::Tensor x, const Block<typename O::Weights>& w) {  // [B,H,W,D]
  auto normed = o.layer_norm(x, w.norm1);
  if (w.shortcut) {
    x = o.linear(normed, *w.shortcut);                          // [B,H,W,D']
    if (w.config.attention.q_pool == 2) x = o.max_pool_2x2(x);  // [B,H/2,W/2,D']
  }
  auto qkv = o.linear(normed, w.qkv);                               // [B,H,W,3D']
  auto mixed = o.window_attention(qkv, w.qkv, w.config.attention);  // [B,H/p,W/p,D']
  return o.linear_add(mixed, w.out, std::move(x));
}

// x + fc2(gelu(fc1(norm2 x)))
template <ops::Ops O>
typename O::Tensor mlp(O& o, typename O::Tensor x, const Block<typename O::Weights>& w) {  // [B,H,W,D]
  return o.feed_forward(std::move(x), w.norm2, w.fc1, w.fc2);                              // by 4 D
}

}  // namespace sam2unet::model
