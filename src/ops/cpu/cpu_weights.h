// Packs weights for the CPU backend once, at load: oneDNN's layouts, BatchNorm folded into the convolution
// before it, the five 1x1 convolutions of an RFB as one matrix. Immutable afterwards; shared by all sessions.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/position.h"
#include "model/weight_source.h"
#include "ops/concept.h"
#include "ops/cpu/large_pages.h"
#include "ops/cpu/onednn.h"

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

  explicit CpuWeights(model::WeightSource& source) : source_(source) {}
  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  std::vector<float> read(const std::string& name, const Shape& shape);
  std::vector<float> read_bias(const std::string& name, int out);
  WeightMemory pack(std::span<const float> values, const dnnl::memory::desc& plain,
                    const dnnl::memory::desc& packed);
  PackedWeights pack_linear(std::span<const float> rows, std::vector<float> bias, int in, int out);
  model::WeightSource& source_;
  LargePages pages_;
};

}  // namespace sam2unet::ops
