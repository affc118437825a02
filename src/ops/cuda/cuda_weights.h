// Weights on a GPU, packed once at load: 16-bit rows for the matrix units, BatchNorm folded into its
// convolution, a LayerNorm folded into the layers behind it, the adapters' as fragments. Immutable
// afterwards; shared by all sessions.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/position.h"
#include "model/weight_source.h"
#include "ops/concept.h"
#include "ops/cuda/runtime.h"

namespace sam2unet::ops::cuda {

/// Memory of the device's that is filled at load.
class DeviceStore {
 public:
  const void* upload(std::span<const std::byte> bytes);
  std::size_t bytes() const { return bytes_; }

 private:
  std::vector<Memory> slabs_;
  std::size_t used_ = 0, bytes_ = 0;  // of the last slab; of all
};

class CudaWeights {
 public:
  /// Any product: a linear layer, a convolution, several beside each other.
  struct Product {
    int in = 0, out = 0;
    Kernel kernel;
    const void* rows = nullptr;     // [out, taps, in rounded up to 8], the element type; null if only `wide`
    const float* wide = nullptr;    // the same in float32: what has no kernel on matrix units
    const float* bias = nullptr;    // [out]
    const void* padding = nullptr;  // [out] the layer's own bias as elements: a padded token's values
    const void* fragments = nullptr;     // of the adapters
    const float* column_sums = nullptr;  // [out] of the rounded rows, where a norm is folded in
    bool has_float_results = false;      // the heads
    int pitch() const { return (in + 7) / 8 * 8 * kernel.h * kernel.w; }
  };
  using PatchEmbed = Product;
  using Linear = Product;
  struct ConvBn : Product {};
  struct ConvBnFan : Product {};
  struct Norm {
    const float *weight = nullptr, *bias = nullptr;
    std::vector<float> host_weight, host_bias;  // to be folded
  };
  using Position = model::PositionEmbedding;

  CudaWeights(model::WeightSource& source, DeviceStore& store, Element element)
      : source_(source), store_(store), element_(element) {}
  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  /// A layer whose input is what `norm` makes: norm and layer are one product then.
  Linear linear_behind(const Norm& norm, const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  std::vector<float> read(const std::string& name, const Shape& shape);
  /// What a product gives: elements, or float32, in which it is computed then.
  enum class Results { elements, floats };
  /// `rows` [out, in, kh, kw].
  Product pack(std::span<const float> rows, std::span<const float> bias, int in, int out, Kernel kernel = {},
               Results results = Results::elements) const;
  const float* upload(std::span<const float> values) const;
  const void* upload_elements(std::span<const float> values) const;

  model::WeightSource& source_;
  DeviceStore& store_;
  Element element_;
};

/// [N, K] as the adapter kernel reads it: for each 16 columns n and 16 of depth k, 32 lanes of 16 bytes.
std::vector<std::uint16_t> pack_fragments(std::span<const float> rows, int in, int out, Element element);

}  // namespace sam2unet::ops::cuda
