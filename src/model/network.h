// SAM2-UNet, on a page. Written once over the operations of ops/concept.h; a backend is a template argument.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "model/adapter.h"
#include "model/config.h"
#include "model/decoder.h"
#include "model/hiera.h"
#include "model/rfb.h"
#include "ops/concept.h"

namespace sam2unet::model {

/// All weights, in a backend's packed types. `make` is the only description of which tensors there are.
template <class W>
struct Network {
  Config config;
  typename W::PatchEmbed patch;
  typename W::Position position;
  struct Layer {
    Adapter<W> adapter;
    Block<W> block;
  };
  std::vector<Layer> layers;
  std::array<Rfb<W>, 4> rfb;
  std::array<Up<W>, 3> up;
  typename W::Linear side1, side2, head;  // 64 -> 1

  template <class Maker>
  static Network make(Maker& m, const Config& c) {
    const auto dims = c.stage_dims();
    const std::string trunk = "encoder";
    auto patch = m.patch_embed(trunk + ".patch_embed.proj", 3, c.embed_dim);
    auto position = m.position(trunk, c.embed_dim, c.window_pos_embed_bkg_spatial_size, c.window_spec[0]);
    std::vector<Layer> layers;
    for (const auto& b : c.blocks()) {
      const std::string name = trunk + ".blocks." + std::to_string(b.index);
      auto block = Block<W>::make(m, name + ".block", b);
      layers.push_back({Adapter<W>::make(m, name + ".prompt_learn", b.dim_in), std::move(block)});
    }
    return {c,
            std::move(patch),
            std::move(position),
            std::move(layers),
            {Rfb<W>::make(m, "rfb1", dims[0]), Rfb<W>::make(m, "rfb2", dims[1]),
             Rfb<W>::make(m, "rfb3", dims[2]), Rfb<W>::make(m, "rfb4", dims[3])},
            {Up<W>::make(m, "up1"), Up<W>::make(m, "up2"), Up<W>::make(m, "up3")},
            m.pointwise("side1", kDecoderWidth, 1),
            m.pointwise("side2", kDecoderWidth, 1),
            m.pointwise("head", kDecoderWidth, 1)};
  }
};

/// Logits at the input's size, [B,H,W,1] each. The side outputs exist only where they were asked for.
template <class Tensor>
struct Maps {
  Tensor out;
  std::optional<Tensor> out1, out2;
};

/// Told of every intermediate result the golden values name; the default listens to nothing.
struct NoTrace {
  template <class Tensor>
  void operator()(const char*, int, const Tensor&) const {}
};

template <ops::Ops O, class Trace = NoTrace>
Maps<typename O::Tensor> sam2unet(O& o, const Network<typename O::Weights>& net,
                                  const typename O::Tensor& image, bool wants_sides = false,
                                  Trace&& trace = {}) {                    // [B,H,W,3], normalised
  auto x = o.add_position(o.patch_embed(image, net.patch), net.position);  // [B,H/4,W/4,C]
  std::array<std::optional<typename O::Tensor>, 4> skip;                   // /4, /8, /16, /32, 64 channels
  for (const auto& layer : net.layers) {
    x = o.recomputable(
        [&o, &layer](auto v) {
          v = adapter(o, std::move(v), layer.adapter);
          v = attend(o, std::move(v), layer.block);
          return mlp(o, std::move(v), layer.block);
        },
        std::move(x));
    trace("block", layer.block.config.index, x);
    if (const auto stage = static_cast<std::size_t>(layer.block.config.stage);
        layer.block.config.ends_stage) {
      trace("stage", static_cast<int>(stage) + 1, x);
      skip[stage] = o.recomputable([&o, &w = net.rfb[stage]](const auto& v) { return rfb(o, v, w); }, x);
      trace("rfb", static_cast<int>(stage) + 1, *skip[stage]);
    }
  }
  const auto join = [&](const auto& deep, const auto& beside, const Up<typename O::Weights>& w) {
    return o.recomputable([&o, &w](const auto& v, const auto& s) { return up(o, v, s, w); }, deep, beside);
  };
  Maps<typename O::Tensor> maps;
  auto d = join(*skip[3], *skip[2], net.up[0]);  // [B,H/16,W/16,64]
  trace("up", 1, d);
  if (wants_sides) maps.out1 = head(o, d, net.side1, 16);
  d = join(d, *skip[1], net.up[1]);  // [B,H/8,W/8,64]
  trace("up", 2, d);
  if (wants_sides) maps.out2 = head(o, d, net.side2, 8);
  d = join(d, *skip[0], net.up[2]);  // [B,H/4,W/4,64]
  trace("up", 3, d);
  maps.out = head(o, d, net.head, 4);  // [B,H,W,1]
  return maps;
}

}  // namespace sam2unet::model
