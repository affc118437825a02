// Between a stage of the encoder and the decoder: the stage's C channels become the decoder's D. The
// reference has a receptive-field block there; some forks have a 1x1 convolution with bias instead.
#pragma once

#include <string>
#include <variant>

#include "model/config.h"
#include "model/rfb.h"
#include "ops/concept.h"

namespace sam2unet::model {

template <class W>
struct Neck {
  std::variant<Rfb<W>, typename W::Linear> layer;

  template <class Maker>
  static Neck make(Maker& m, const std::string& name, int dim, const Config& c) {
    if (c.neck == NeckKind::pointwise) return {m.pointwise(name, dim, c.decoder_width)};
    return {Rfb<W>::make(m, name, dim, c.decoder_width)};
  }
};

template <ops::Ops O>
typename O::Tensor neck(O& o, const typename O::Tensor& x, const Neck<typename O::Weights>& w) {  // [B,H,W,C]
  const auto* block = std::get_if<Rfb<typename O::Weights>>(&w.layer);
  return block != nullptr ? rfb(o, x, *block) : o.linear(x, std::get<1>(w.layer));  // [B,H,W,D]
}

}  // namespace sam2unet::model
