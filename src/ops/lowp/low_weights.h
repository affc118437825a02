// Weights of the low-precision backend, packed once at load: bfloat16, or int8 with a scale for each output
// channel, in panels as the product wants them. BatchNorm is folded; the five 1x1 convolutions of an RFB are
// one matrix. Immutable afterwards; shared by all sessions.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "model/weight_source.h"
#include "ops/concept.h"
#include "ops/cpu/cpu_weights.h"
#include "ops/lowp/instructions.h"
#include "ops/lowp/kernels.h"

namespace sam2unet::ops::lowp {

/// Aligned memory of a fixed size.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t bytes);
  std::byte* data() const { return memory_.get(); }
  std::int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::int64_t size_ = 0;
};

/// A product's right side. K of each tap is padded to whole units.
struct Matrix {
  int in = 0, out = 0;  // K, N
  Kernel kernel;
  int sources = 1;  // the left side's channels come in so many equal parts
  Storage storage = Storage::bf16;
  Way way = Way::widened;
  Element result = Element::f32;  // what a plain product of it is stored as
  Buffer panels;
  std::vector<float> bias, column_scale, column_sum;  // [N], then slack

  int taps() const { return kernel.h * kernel.w * sources; }
  int tap_channels() const { return in / sources; }
  int units() const { return (tap_channels() + unit_of(way) - 1) / unit_of(way); }
};

class LowWeights {
 public:
  using PatchEmbed = Matrix;
  using Position = CpuWeights::Position;
  struct Norm {
    std::vector<float> weight, bias;  // [C], then slack
  };
  using Linear = Matrix;
  struct ConvBn : Matrix {};
  struct ConvBnFan : Matrix {};

  /// Of int8, layers whose names begin with one of `kept` (model::layer_groups) are bfloat16.
  LowWeights(model::WeightSource& source, const Numerics& numerics, std::vector<std::string> kept = {})
      : source_(source), numerics_(numerics), kept_(std::move(kept)) {}
  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  std::vector<float> read(const std::string& name, const Shape& shape);
  std::vector<float> read_with_slack(const std::string& name, int n);
  /// Of a layer that bears int8, unless it is kept.
  Storage storage(const std::string& name) const;
  model::WeightSource& source_;
  Numerics numerics_;
  std::vector<std::string> kept_;
};

}  // namespace sam2unet::ops::lowp
