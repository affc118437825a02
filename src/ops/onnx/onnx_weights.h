// The weights of a network that is recorded: what each is called, and how it becomes an initializer once the
// graph needs it, whose elements are read when the file is written.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/weight_source.h"
#include "onnx/graph.h"
#include "ops/concept.h"
#include "sam2unet/onnx.h"

namespace sam2unet::ops {

/// Notes names and sizes; reads nothing.
class OnnxWeights {
 public:
  struct PatchEmbed {
    std::string name;
    int in = 0, out = 0;
  };
  struct Position {
    std::string prefix;
    int dim = 0;
    std::array<int, 2> background{};
    int window = 0;
  };
  struct Norm {
    std::string name;
    int dim = 0;
  };
  struct Linear {
    std::string name;
    int in = 0, out = 0;
    Shape stored;  // of the weight in a checkpoint: [N,K], or [N,K,1,1] of a convolution
  };
  struct ConvBn {
    std::string conv, bn;
    int in = 0, out = 0;
    Kernel kernel;
  };
  using ConvBnFan = std::array<ConvBn, kFan>;

  static PatchEmbed patch_embed(const std::string& name, int in, int out) { return {name, in, out}; }
  static Position position(const std::string& prefix, int dim, std::array<int, 2> background, int window) {
    return {prefix, dim, background, window};
  }
  static Norm norm(const std::string& name, int dim) { return {name, dim}; }
  static Linear linear(const std::string& name, int in, int out) { return {name, in, out, {out, in}}; }
  static Linear pointwise(const std::string& name, int in, int out) {
    return {name, in, out, {out, in, 1, 1}};
  }
  static ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, Kernel kernel) {
    return {conv, bn, in, out, kernel};
  }
  static ConvBnFan conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out);
};

/// Initializers of a graph, each made once. The source is read when the graph is written, and must live until
/// then.
class OnnxInitializers {
 public:
  OnnxInitializers(onnx::Graph& graph, model::WeightSource& source, OnnxPrecision precision)
      : graph_(graph), source_(source), precision_(precision) {}

  /// [N,K]
  onnx::Value matrix(const OnnxWeights::Linear& w);
  /// The same as a kernel, [N,K,1,1].
  onnx::Value kernel(const OnnxWeights::Linear& w);
  onnx::Value kernel(const OnnxWeights::PatchEmbed& w);
  /// BatchNorm folded into the convolution.
  onnx::Value kernel(const OnnxWeights::ConvBn& w);
  onnx::Value bias(const OnnxWeights::ConvBn& w);
  /// A vector [n] of that name.
  onnx::Value vector(const std::string& name, int n);
  /// [1,C,H,W]: what add_position adds.
  onnx::Value position(const OnnxWeights::Position& w, std::int64_t height, std::int64_t width);
  /// A single number of the type in which the graph computes.
  onnx::Value number(float value);

 private:
  using Make = std::function<std::vector<float>()>;
  using Shape = std::vector<std::int64_t>;
  /// What may be stored as int8: [N, ...].
  onnx::Value weight(const std::string& name, const Shape& shape, const Make& make);
  onnx::Value stored(const std::string& name, const Shape& shape, const Make& make);
  onnx::Value quantised(const std::string& name, const Shape& shape, const Make& make);
  Make reading(const std::string& name, const sam2unet::Shape& shape);

  onnx::Graph& graph_;
  model::WeightSource& source_;
  OnnxPrecision precision_;
  std::map<std::string, onnx::Value> made_;  // by name and shape
};

}  // namespace sam2unet::ops
