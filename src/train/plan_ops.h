// A backend that computes nothing and keeps account of memory: what LibTorch allocates in the forward pass,
// keeps for the backward pass, and allocates there.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/tensor_table.h"
#include "ops/compositions.h"
#include "ops/concept.h"

namespace sam2unet::train {

/// Live bytes and their peak.
class Meter {
 public:
  void add(std::int64_t bytes) { peak_ = std::max(peak_, live_ += bytes); }
  std::int64_t live() const { return live_; }
  std::int64_t peak() const { return peak_; }

 private:
  std::int64_t live_ = 0, peak_ = 0;
};

/// A tensor's memory, as long as somebody holds it.
struct Block {
  Block(Meter& m, std::int64_t n) : meter(m), bytes(n) { meter.add(bytes); }
  ~Block() { meter.add(-bytes); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  Meter& meter;
  std::int64_t bytes;
};
using Memory = std::shared_ptr<Block>;

/// What autograd knows of a value.
struct Variable {
  std::int64_t bytes = 0;
  bool wants_gradient = false;
  Memory gradient;
};

struct Planned {
  ops::Extent extent;
  Memory memory;  // views share it
  std::shared_ptr<Variable> variable;
};

struct PlanWeights {
  struct Parameter {
    std::int64_t numel = 0;
    bool learns = false;
    int index = -1;
  };
  struct Matrix {
    Parameter weight, bias;
    int in = 0, out = 0;
  };
  using PatchEmbed = Matrix;
  using Linear = Matrix;
  struct Position {
    Parameter background, window;
  };
  struct Norm {
    Parameter weight, bias;
  };
  struct ConvBn : Matrix {
    Norm norm;
    ops::Kernel kernel;
  };
  struct ConvBnFan {
    std::array<ConvBn, ops::kFan> parts;
  };

  PlanWeights(bool freezes_trunk, const model::Config& config)
      : config_(config), freezes_trunk_(freezes_trunk) {}
  PatchEmbed patch_embed(const std::string& n, int in, int out) {
    return {take(n, std::int64_t{49} * in * out), take(n, out), in, out};
  }
  Position position(const std::string& n, int dim, std::array<int, 2> size, int window) {
    return {take(n, std::int64_t{dim} * size[0] * size[1]), take(n, std::int64_t{dim} * window * window)};
  }
  Norm norm(const std::string& n, int dim) { return {take(n, dim), take(n, dim)}; }
  Linear linear(const std::string& n, int in, int out) {
    return {take(n, std::int64_t{in} * out), take(n, out), in, out};
  }
  Linear pointwise(const std::string& n, int in, int out) { return linear(n, in, out); }
  ConvBn conv_bn(const std::string& conv, const std::string& bn, int in, int out, ops::Kernel k) {
    ConvBn c;
    c.weight = take(conv, std::int64_t{in} * out * k.h * k.w);
    c.in = in;
    c.out = out;
    c.kernel = k;
    c.norm = norm(bn, out);
    statistics += 2 * std::int64_t{out};
    return c;
  }
  ConvBnFan conv_bn_fan(const std::array<std::string, ops::kFan>& names, int in, int out) {
    ConvBnFan f;
    for (std::size_t i = 0; i < f.parts.size(); ++i) f.parts[i] = conv_bn(names[i], names[i], in, out, {});
    return f;
  }

  std::vector<Parameter> parameters;
  std::int64_t statistics = 0;

 private:
  Parameter take(const std::string& name, std::int64_t numel) {
    const auto part = model::part_of(name + ".weight", config_);
    const bool learns = part != model::Part::unused && !(freezes_trunk_ && part == model::Part::trunk);
    parameters.push_back({numel, learns, static_cast<int>(parameters.size())});
    return parameters.back();
  }
  const model::Config& config_;
  bool freezes_trunk_;
};

class PlanOps : public ops::Compositions<PlanOps> {
 public:
  using Tensor = Planned;
  using Weights = PlanWeights;

  /// Activations of `element` bytes, parameters of `parameter` bytes.
  PlanOps(Meter& meter, const PlanWeights& weights, int element, int parameter);
  /// `recomputable` parts keep their inputs only.
  bool recompute = false;

  /// The batch: is counted elsewhere.
  Tensor input(const ops::Extent& e) const;
  /// The structure loss of a map; then `backward` runs all that was recorded.
  void loss(const Tensor& map);
  void backward();
  /// Frees the gradients of the parameters.
  void zero_grad() { std::fill(gradients_.begin(), gradients_.end(), nullptr); }

  static ops::Extent extent(const Tensor& x) { return x.extent; }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(const Tensor& x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w);
  Tensor gelu(const Tensor& x);
  Tensor relu(const Tensor& x);
  Tensor add(const Tensor& a, const Tensor& b);
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const ops::AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w);
  std::array<Tensor, ops::kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({first, more...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, ops::Corners corners);

  /// With `recompute` only the inputs are kept, and the part runs again before its backward pass.
  template <class F, class... Inputs>
  Tensor recomputable(const F& f, Inputs&&... inputs) {
    if (!recompute || !records_) return f(std::forward<Inputs>(inputs)...);
    const std::vector<Tensor> kept{inputs...};
    records_ = false;
    Tensor out = call(f, kept, std::index_sequence_for<Inputs...>());
    records_ = true;
    record_again(
        [f](const std::vector<Tensor>& v) { return call(f, v, std::index_sequence_for<Inputs...>()); }, kept,
        out);
    return out;
  }

 private:
  using Parameters = std::vector<PlanWeights::Parameter>;
  struct Node {
    std::shared_ptr<Variable> out;
    std::vector<std::shared_ptr<Variable>> in;
    std::vector<Memory> saved;
    Parameters parameters;
    std::int64_t temporary = 0;           // bytes while it runs backward
    std::function<void(Node&)> backward;  // where the usual one does not fit
  };

  template <class F, std::size_t... I>
  static Tensor call(const F& f, const std::vector<Tensor>& v, std::index_sequence<I...>) {
    return f(v[I]...);
  }
  void record_again(std::function<Tensor(const std::vector<Tensor>&)> part, const std::vector<Tensor>& inputs,
                    Tensor& out);
  static Tensor concat_all_shape(const std::vector<Tensor>& parts);
  Tensor concat_all(const std::vector<Tensor>& parts);
  Tensor fresh(const ops::Extent& e, bool wants_gradient) { return fresh(e, wants_gradient, element_); }
  Tensor fresh(const ops::Extent& e, bool wants_gradient, int element);
  Tensor fresh_with_gradient(const ops::Extent& e) { return fresh(e, /*wants_gradient=*/true); }
  Memory block(std::int64_t bytes) { return std::make_shared<Block>(meter_, bytes); }
  Memory cast(const PlanWeights::Parameter& p);
  Node* record(const Tensor& out, const std::vector<Tensor>& in, std::vector<Memory> saved,
               Parameters parameters = {});
  void contribute(Variable& v, Memory gradient);
  void give_gradients(const Parameters& parameters);
  void run_backward(std::vector<Node>& tape);
  Tensor batch_norm(const Tensor& x, const std::vector<PlanWeights::Norm>& norms);

  Meter& meter_;
  const int element_, parameter_;
  bool records_ = true;
  std::vector<Node> tape_;
  std::vector<Memory> gradients_;  // of the parameters
  std::vector<Memory> casts_;      // of those that do not learn, made once
};

}  // namespace sam2unet::train
