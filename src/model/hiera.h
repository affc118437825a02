// SAM2's Hiera trunk: a block is windowed attention with optional query pooling, then an MLP
// (sam2/modeling/backbones/hieradet.py:81-166).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "model/config.h"
#include "ops/concept.h"

namespace sam2unet::model {

template <class W>
struct Block {
  BlockConfig config;
  typename W::Norm norm1, norm2;
  typename W::Linear qkv, out;                 // D -> 3 D', D' -> D'
  std::optional<typename W::Linear> shortcut;  // D -> D', where the width changes
  typename W::Linear fc1, fc2;                 // D' -> 4 D' -> D'

  template <class Maker>
  static Block make(Maker& m, const std::string& name, const BlockConfig& c) {
    Block b{c,
            m.norm(name + ".norm1", c.dim_in),
            m.norm(name + ".norm2", c.dim_out),
            m.linear(name + ".attn.qkv", c.dim_in, 3 * c.dim_out),
            m.linear(name + ".attn.proj", c.dim_out, c.dim_out),
            std::nullopt,
            m.linear(name + ".mlp.layers.0", c.dim_out, 4 * c.dim_out),
            m.linear(name + ".mlp.layers.1", 4 * c.dim_out, c.dim_out)};
    if (c.dim_in != c.dim_out) b.shortcut = m.linear(name + ".proj", c.dim_in, c.dim_out);
    return b;
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
