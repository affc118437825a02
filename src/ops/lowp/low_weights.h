// Weights of the low-precision backend, packed once at load: bfloat16, or int8 with a scale for each output
// channel, in panels as the product wants them. BatchNorm is folded; the five 1x1 convolutions of an RFB are
// one matrix. Immutable afterwards; shared by all sessions.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/weight_source.h"
#include "ops/concept.h"
#include "ops/cpu/cpu_weights.h"
#include "ops/cpu/large_pages.h"
#include "ops/cpu/pack_queue.h"
#include "ops/lowp/instructions.h"
#include "ops/lowp/kernels.h"

namespace sam2unet::ops::lowp {

/// Memory of a fixed size, cut from large pages.
class Buffer {
 public:
  Buffer() = default;
  /// `slack` bytes may be read behind it.
  Buffer(LargePages& pages, std::int64_t bytes, std::int64_t slack)
      : memory_(pages.take(static_cast<std::size_t>(bytes + slack))), size_(bytes) {}
  std::byte* data() const { return memory_.get(); }
  std::int64_t size() const { return size_; }

 private:
  std::shared_ptr<std::byte> memory_;
  std::int64_t size_ = 0;
};

struct MatrixShape {
  int in = 0, out = 0;  // K, N
  Kernel kernel;
  int sources = 1;  // the left side's channels come in so many equal parts
};

/// How a product's right side is stored. K of each tap is padded to whole units.
struct MatrixLayout : MatrixShape {
  Storage storage = Storage::bf16;
  Way way = Way::widened;

  int taps() const { return kernel.h * kernel.w * sources; }
  int tap_channels() const { return in / sources; }
  int units() const { return (tap_channels() + unit_of(way) - 1) / unit_of(way); }
};

struct Matrix : MatrixLayout {
  /// Nearly float32 by three products of bfloat16: both sides are what bfloat16 holds of them (high) and of
  /// the rest (low), the sources high, low, high and the weights high, high, low.
  bool is_split = false;
  Element result = Element::f32;  // what a plain product of it is stored as
  Buffer panels;
  std::vector<float> bias, column_scale, column_sum;  // [N], then slack
  OnlyMoved only_moved{};
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

  /// Of int8, layers whose names begin with one of `kept` (model::layer_groups) are bfloat16. With a queue,
  /// what the functions return is complete once that has run.
  LowWeights(const model::WeightSource& source, const Numerics& numerics, std::vector<std::string> kept = {},
             PackQueue* queue = nullptr)
      : source_(source), numerics_(numerics), kept_(std::move(kept)), queue_(queue) {}
  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  /// Writes rows of the weights [N, K, h, w] from `first` on, and with the first ones the bias [N].
  using Read = std::function<void(int first, std::span<float> rows, std::span<float> bias)>;
  std::vector<float> read_with_slack(const std::string& name, int n);
  /// Of a layer that bears int8, unless it is kept.
  Storage storage(const std::string& name) const;
  /// `each`: how many rows are read at a time.
  Matrix pack(const MatrixShape& s, Storage storage, int each, Read read);
  /// Read so that the values stay in the second cache.
  Matrix pack_linear(int in, int out, Storage storage, const std::string& name, const Shape& shape);
  const model::WeightSource& source_;
  LargePages pages_;
  Numerics numerics_;
  std::vector<std::string> kept_;
  PackQueue* queue_;
};

}  // namespace sam2unet::ops::lowp
