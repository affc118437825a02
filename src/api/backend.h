// Runs one network on one device. The library has a backend of its own (api/engine.h); others come from the
// plug-in (api/torch_plugin.h).
#pragma once

#include <functional>
#include <span>

#include "ops/concept.h"

namespace sam2unet::api {

/// Receives what is computed on the way: a name ("block", "stage", "rfb", "up", "out") with its number, and
/// [b,h,w,c] values.
using TraceValues = std::function<void(const char*, int, const ops::Extent&, std::span<const float>)>;

class Backend {
 public:
  virtual ~Backend() = default;
  /// One forward pass over `input` [b,h,w,3]. `fill` writes the normalised pictures, `use` reads the logits
  /// [b,h,w,K]; both are memory of the backend's that is valid during the call. May be called from several
  /// threads at once. With `trace` the side outputs are computed too ("out" 1 and 2).
  virtual void run(const ops::Extent& input, const std::function<void(std::span<float>)>& fill,
                   const std::function<void(std::span<const float>)>& use,
                   const TraceValues& trace = nullptr) const = 0;
};

}  // namespace sam2unet::api
