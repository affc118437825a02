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
#include "model/neck.h"
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
  std::array<Neck<W>, 4> neck;
  std::array<Up<W>, 3> up;
  std::optional<Up<W>> up4;               // where the configuration calls it
  typename W::Linear side1, side2, head;  // D -> K

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
      layers.push_back(
          {Adapter<W>::make(m, name + ".prompt_learn", b.dim_in, c.adapter_width), std::move(block)});
    }
    const int d = c.decoder_width, k = c.out_channels;
    Network n{c,
              std::move(patch),
              std::move(position),
              std::move(layers),
              {Neck<W>::make(m, "rfb1", dims[0], c), Neck<W>::make(m, "rfb2", dims[1], c),
               Neck<W>::make(m, "rfb3", dims[2], c), Neck<W>::make(m, "rfb4", dims[3], c)},
              {Up<W>::make(m, "up1", d), Up<W>::make(m, "up2", d), Up<W>::make(m, "up3", d)},
              std::nullopt,
              m.pointwise("side1", d, k),
              m.pointwise("side2", d, k),
              m.pointwise("head", d, k)};
    if (c.calls_up4) n.up4 = Up<W>::make(m, "up4", d);
    return n;
  }

  /// The tensors of a checkpoint that no map depends on: `up4`, which the reference creates, saves and never
  /// calls.
  template <class Maker>
  static void make_unused(Maker& m, const Config& c) {
    if (!c.calls_up4) Up<W>::make(m, "up4", c.decoder_width);
  }
};

/// Logits at the input's size, [B,H,W,K] each. The side outputs exist only where they were asked for.
template <class Tensor>
struct Maps {
  Tensor out;
  std::optional<Tensor> out1, out2;
};

/// Whether the side outputs are made, which training and the golden values look at.
enum class Sides { none, wanted };

/// Told of every intermediate result the golden values name; the default listens to nothing.
struct NoTrace {
  template <class Tensor>
  void operator()(const char*, int, const Tensor&) const {}
};

template <ops::Ops O, class Trace = NoTrace>
Maps<typename O::Tensor> sam2unet(O& o, const Network<typename O::Weights>& net,
                                  const typename O::Tensor& image, Sides sides = Sides::none,
                                  Trace&& trace = {}) {                    // [B,H,W,3], normalised
  auto x = o.add_position(o.patch_embed(image, net.patch), net.position);  // [B,H/4,W/4,C]
  std::array<std::optional<typename O::Tensor>, 4> skip;                   // /4, /8, /16, /32, D channels
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
      skip[stage] = o.recomputable([&o, &w = net.neck[stage]](const auto& v) { return neck(o, v, w); }, x);
      trace("rfb", static_cast<int>(stage) + 1, *skip[stage]);
    }
  }
  const auto join = [&](const auto& deep, const auto& beside, const Up<typename O::Weights>& w) {
    return o.recomputable([&o, &w](const auto& v, const auto& s) { return up(o, v, s, w); }, deep, beside);
  };
  Maps<typename O::Tensor> maps;
  auto d = join(*skip[3], *skip[2], net.up[0]);  // [B,H/16,W/16,D]
  trace("up", 1, d);
  if (sides == Sides::wanted) maps.out1 = head(o, d, net.side1, 16);
  d = join(d, *skip[1], net.up[1]);  // [B,H/8,W/8,D]
  trace("up", 2, d);
  if (sides == Sides::wanted) maps.out2 = head(o, d, net.side2, 8);
  d = join(d, *skip[0], net.up[2]);  // [B,H/4,W/4,D]
  trace("up", 3, d);
  int scale = 4;
  if (net.up4) {
    // No stage is as large as what `up4` makes, so the first one's skip is upsampled for it.
    const ops::Extent e = o.extent(*skip[0]);
    d = join(d, o.upsample(*skip[0], 2 * e.h, 2 * e.w, ops::Corners::aligned), *net.up4);  // [B,H/2,W/2,D]
    trace("up", 4, d);
    scale = 2;
  }
  maps.out = head(o, d, net.head, scale);  // [B,H,W,K]
  return maps;
}

}  // namespace sam2unet::model
