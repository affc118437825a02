// The vocabulary as naive loops in double precision: the meaning of every operation, against which the
// backends are checked. It computes padded windows the long way, with the zero tokens the reference attends
// to.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "model/weight_source.h"
#include "ops/compositions.h"
#include "ops/concept.h"

namespace sam2unet::ops {

struct PlainTensor {
  Extent extent;
  std::vector<double> data;  // [B,H,W,C]

  PlainTensor() = default;
  explicit PlainTensor(const Extent& e) : extent(e), data(static_cast<std::size_t>(e.numel())) {}
  double& at(std::int64_t b, std::int64_t y, std::int64_t x, std::int64_t c) {
    return data[index(b, y, x, c)];
  }
  double at(std::int64_t b, std::int64_t y, std::int64_t x, std::int64_t c) const {
    return data[index(b, y, x, c)];
  }

 private:
  std::size_t index(std::int64_t b, std::int64_t y, std::int64_t x, std::int64_t c) const {
    return static_cast<std::size_t>(((b * extent.h + y) * extent.w + x) * extent.c + c);
  }
};

/// Unpacked weights, and the maker that reads them.
class PlainWeights {
 public:
  using Values = std::vector<double>;
  struct PatchEmbed {
    int in = 0, out = 0;
    Values weight, bias;
  };  // [N,3,7,7], [N]
  struct Position {
    int dim = 0;
    std::array<int, 2> size{};
    int window = 0;
    Values background, window_part;  // [C,h,w], [C,window,window]
  };
  struct Norm {
    Values weight, bias;
  };
  struct Linear {
    int in = 0, out = 0;
    Values weight, bias;
  };  // [N,K], [N]
  struct ConvBn {
    int in = 0, out = 0;
    Kernel kernel;
    Values weight, gamma, beta, mean, variance;  // [N,K,kh,kw], [N] each
  };
  using ConvBnFan = std::array<ConvBn, kFan>;

  explicit PlainWeights(model::WeightSource& source) : source_(source) {}
  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  Values read(const std::string& name, const Shape& shape);
  model::WeightSource& source_;
};

class PlainOps : public Compositions<PlainOps> {
 public:
  using Tensor = PlainTensor;
  using Weights = PlainWeights;

  static Extent extent(const Tensor& x) { return x.extent; }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(Tensor x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w);
  Tensor gelu(Tensor x);
  Tensor relu(Tensor x);
  Tensor add(Tensor a, const Tensor& b);
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w);
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({&first, &more...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners);

 private:
  static Tensor concat_all(const std::vector<const Tensor*>& parts);
};
static_assert(Ops<PlainOps>);

}  // namespace sam2unet::ops
