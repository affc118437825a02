// Packs weights for the CPU backend once, at load: oneDNN's layouts, BatchNorm folded into the convolution
// before it, the five 1x1 convolutions of an RFB as one matrix. Immutable afterwards; shared by all sessions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/position.h"
#include "model/weight_source.h"
#include "ops/concept.h"
#include "ops/cpu/large_pages.h"
#include "ops/cpu/onednn.h"
#include "ops/cpu/pack_queue.h"

namespace sam2unet::ops {

class CpuWeights {
 public:
  using PatchEmbed = PackedWeights;
  struct Position : model::PositionEmbedding {
    std::uint64_t id = new_weights_id();
  };
  struct Norm {
    std::vector<float> weight, bias;
  };
  using Linear = PackedWeights;
  struct ConvBn : PackedWeights {};
  struct ConvBnFan : PackedWeights {};  // one matrix, [K, 5 N]

  /// With a queue, what the functions return is complete once that has run.
  explicit CpuWeights(const model::WeightSource& source, PackQueue* queue = nullptr)
      : source_(source), queue_(queue) {}
  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  /// Writes the weights [N, K, h, w] as PyTorch stores them, and the bias [N].
  using Read = std::function<void(std::span<float> weights, std::span<float> bias)>;
  Read reader(const std::string& name, const Shape& shape) const;
  PackedWeights pack(int in, int out, Kernel kernel, const dnnl::memory::desc& plain,
                     const dnnl::memory::desc& packed, Read read);
  PackedWeights pack_linear(int in, int out, Read read);
  const model::WeightSource& source_;
  PackQueue* queue_;
  LargePages pages_;
};

}  // namespace sam2unet::ops
