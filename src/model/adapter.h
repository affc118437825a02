// The adapter before every block of the frozen trunk (SAM2UNet.py:41-57): the only learned part of the
// encoder.
#pragma once

#include <string>
#include <utility>

#include "ops/concept.h"

namespace sam2unet::model {

template <class W>
struct Adapter {
  typename W::Linear down;  // C -> A (adapter width, 32 in the original)
  typename W::Linear up;    // A -> C

  template <class Maker>
  static Adapter make(Maker& m, const std::string& name, int dim, int width) {
    return {m.linear(name + ".0", dim, width), m.linear(name + ".2", width, dim)};
  }
};

// x + gelu(up(gelu(down x))); added before the block, so the prompt enters the block's shortcut too.
template <ops::Ops O>
typename O::Tensor adapter(O& o, typename O::Tensor x, const Adapter<typename O::Weights>& w) {  // [B,H,W,C]
  return o.adapt(std::move(x), w.down, w.up);                                                    // by A
}

}  // namespace sam2unet::model
