// The network's tensors as LibTorch parameters and buffers under the reference's names, and the maker of the
// packed types that hold them. Packed types share storage with the ParameterSet, so an optimizer's step is
// seen by the next forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "model/tensor_table.h"
#include "model/weight_source.h"
#include "ops/concept.h"

namespace sam2unet::ops {

inline constexpr double kBatchEps = 1e-5;

/// A state_dict: parameters (leaves of autograd where trainable) and BatchNorm's running statistics.
class ParameterSet {
 public:
  struct Entry {
    model::TensorSpec spec;
    at::Tensor value;
  };

  void add(model::TensorSpec spec, at::Tensor value);
  /// In the order in which they were made.
  const std::vector<Entry>& entries() const { return entries_; }
  /// nullptr if there is none of that name.
  const at::Tensor* find(const std::string& name) const;
  /// Makes the named tensors leaves that want gradients, and the others constants.
  template <class Predicate>
  void set_trainable(Predicate trainable) {
    for (auto& e : entries_)
      if (!e.spec.is_buffer()) e.value.requires_grad_(trainable(e.spec));
  }

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> index_;
};

class TorchWeights {
 public:
  struct PatchEmbed {
    at::Tensor weight, bias;  // [N,3,7,7], [N]
  };
  struct Position {
    at::Tensor background, window;  // [1,C,h,w], [1,C,s,s]
  };
  struct Norm {
    at::Tensor weight, bias;  // [C]
  };
  struct Linear {
    at::Tensor weight, bias;  // [N,K] or [N,K,1,1], [N]
  };
  struct BatchNorm {
    at::Tensor weight, bias, mean, variance, batches;  // [N] each; int64 scalar
  };
  struct ConvBn {
    Kernel kernel;
    at::Tensor weight;  // [N,K,kh,kw]
    BatchNorm norm;
    at::Tensor bias;  // [N] where `norm` is folded into the weight (FoldedTorchWeights), and then not defined
  };
  /// The statistics of all five lie one behind the other, so that one BatchNorm updates them in place.
  struct ConvBnFan {
    std::array<ConvBn, kFan> parts;
    at::Tensor mean, variance;  // [5 N]
    ConvBn folded;              // all five, where they are folded
  };

  /// Parameters are stored as `dtype` (float64 or float32) on `device`, and listed in `set`.
  TorchWeights(model::WeightSource& source, ParameterSet& set, at::ScalarType dtype, at::Device device,
               model::Config config = {})
      : source_(source),
        set_(set),
        config_(std::move(config)),
        options_(at::TensorOptions(dtype).device(device)) {}

  PatchEmbed patch_embed(const std::string& name, int in, int out);
  Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window);
  Norm norm(const std::string& name, int dim);
  Linear linear(const std::string& name, int in, int out);
  Linear pointwise(const std::string& name, int in, int out);
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel);
  ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);

 private:
  at::Tensor take(const std::string& name, const Shape& shape, model::Role role);
  BatchNorm batch_norm(const std::string& name, int out);

  model::WeightSource& source_;
  ParameterSet& set_;
  model::Config config_;  // says which tensors are of use
  at::TensorOptions options_;
};
static_assert(WeightMaker<TorchWeights>);

}  // namespace sam2unet::ops
