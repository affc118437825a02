#include "train/plan_ops.h"

namespace sam2unet::train {
namespace {

bool wants(const std::vector<Planned>& in) {
  return std::any_of(in.begin(), in.end(), [](const Planned& t) { return t.variable->wants_gradient; });
}

}  // namespace

PlanOps::PlanOps(Meter& meter, const PlanWeights& weights, int element, int parameter)
    : meter_(meter),
      element_(element),
      parameter_(parameter),
      gradients_(weights.parameters.size()),
      casts_(weights.parameters.size()) {}

Planned PlanOps::fresh(const ops::Extent& e, bool wants_gradient, int element) {
  const std::int64_t bytes = e.numel() * element;
  return {e, block(bytes), std::make_shared<Variable>(Variable{bytes, wants_gradient, nullptr})};
}

Planned PlanOps::input(const ops::Extent& e) const {
  return {e, nullptr, std::make_shared<Variable>(Variable{e.numel() * element_, false, nullptr})};
}

// A parameter in the activations' type: itself, or a copy of its own.
Memory PlanOps::cast(const PlanWeights::Parameter& p) {
  if (element_ == parameter_) return nullptr;
  if (p.learns) return block(p.numel * element_);
  Memory& once = casts_[static_cast<std::size_t>(p.index)];
  if (once == nullptr) once = block(p.numel * element_);
  return once;
}

PlanOps::Node* PlanOps::record(const Planned& out, const std::vector<Planned>& in, std::vector<Memory> saved,
                               Parameters parameters) {
  if (!records_ || !out.variable->wants_gradient) return nullptr;
  Node n;
  n.out = out.variable;
  for (const Planned& t : in) n.in.push_back(t.variable);
  n.saved = std::move(saved);
  n.parameters = std::move(parameters);
  tape_.push_back(std::move(n));
  return &tape_.back();
}

// LibTorch adds in place where nobody else holds the sum so far.
void PlanOps::contribute(Variable& v, Memory gradient) {
  if (!v.wants_gradient) return;
  if (v.gradient == nullptr) {
    v.gradient = std::move(gradient);
  } else if (v.gradient.use_count() > 1) {
    v.gradient = block(v.bytes);
  }
}

void PlanOps::give_gradients(const Parameters& parameters) {
  for (const auto& p : parameters) {
    if (!p.learns) continue;
    const Memory narrow = cast(p);
    auto& g = gradients_[static_cast<std::size_t>(p.index)];
    const Memory more = block(p.numel * parameter_);
    if (g == nullptr) g = more;
  }
}

void PlanOps::run_backward(std::vector<Node>& tape) {
  for (; !tape.empty(); tape.pop_back()) {
    Node& n = tape.back();
    if (n.out->gradient == nullptr) continue;
    if (n.backward) {
      n.backward(n);
    } else {
      const Block temporary(meter_, n.temporary);
      for (const auto& v : n.in) {
        if (v->wants_gradient) contribute(*v, block(v->bytes));
      }
      give_gradients(n.parameters);
    }
    n.out->gradient.reset();
  }
}

void PlanOps::backward() {
  run_backward(tape_);
}

void PlanOps::record_again(std::function<Planned(const std::vector<Planned>&)> part,
                           const std::vector<Planned>& inputs, Planned& out) {
  out.variable->wants_gradient = true;
  std::vector<Memory> saved;
  saved.reserve(inputs.size());
  for (const Planned& t : inputs) saved.push_back(t.memory);
  Node* n = record(out, inputs, std::move(saved));
  n->backward = [this, part = std::move(part), inputs](Node& node) {
    std::vector<Planned> leaves;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      leaves.push_back(
          {inputs[i].extent, node.saved[i],
           std::make_shared<Variable>(Variable{node.in[i]->bytes, node.in[i]->wants_gradient, nullptr})});
    }
    std::vector<Node> outer;
    outer.swap(tape_);
    Planned y = part(leaves);
    y.variable->gradient = node.out->gradient;
    std::vector<Node> inner;
    inner.swap(tape_);
    tape_.swap(outer);
    y.memory.reset();
    run_backward(inner);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (leaves[i].variable->gradient) contribute(*node.in[i], leaves[i].variable->gradient);
    }
  };
}

Planned PlanOps::patch_embed(const Planned& image, const Weights::PatchEmbed& w) {
  const ops::Extent e = image.extent;
  Planned out = fresh({e.b, e.h / 4, e.w / 4, w.out}, w.weight.learns);
  record(out, {image}, {image.memory, cast(w.weight)}, {w.weight, w.bias});
  return out;
}

Planned PlanOps::add_position(const Planned& x, const Weights::Position& w) {
  const Memory sum = block(x.extent.numel() / x.extent.b * parameter_);
  Planned out = fresh(x.extent, x.variable->wants_gradient || w.window.learns);
  record(out, {x}, {}, {w.background, w.window});
  return out;
}

// Keeps its input, and mean and deviation of each pixel.
Planned PlanOps::layer_norm(const Planned& x, const Weights::Norm& w) {
  Planned out = fresh(x.extent, x.variable->wants_gradient || w.weight.learns);
  record(out, {x},
         {x.memory, block(2 * x.extent.pixels() * std::max(element_, 4)), cast(w.weight), cast(w.bias)},
         {w.weight, w.bias});
  return out;
}

// Keeps its input where the weight learns, and the weight where the input wants a gradient.
Planned PlanOps::linear(const Planned& x, const Weights::Linear& w) {
  const ops::Extent e = x.extent;
  const Memory weight = cast(w.weight);
  Planned out = fresh({e.b, e.h, e.w, w.out}, x.variable->wants_gradient || w.weight.learns);
  record(out, {x}, {w.weight.learns ? x.memory : nullptr, x.variable->wants_gradient ? weight : nullptr},
         {w.weight, w.bias});
  return out;
}

Planned PlanOps::gelu(const Planned& x) {
  Planned out = fresh(x.extent, x.variable->wants_gradient);
  record(out, {x}, {x.memory});
  return out;
}

Planned PlanOps::relu(const Planned& x) {
  Planned out = fresh(x.extent, x.variable->wants_gradient);
  record(out, {x}, {out.memory});
  return out;
}

// The gradient of a sum is that of both terms.
Planned PlanOps::add(const Planned& a, const Planned& b) {
  Planned out = fresh(a.extent, wants({a, b}));
  if (Node* n = record(out, {a, b}, {})) {
    n->backward = [this](Node& node) {
      for (const auto& v : node.in) contribute(*v, node.out->gradient);
    };
  }
  return out;
}

// Queries, keys and values are copied into windows and kept, as is the result; where queries are pooled, so
// are qkv and the places of the maxima.
Planned PlanOps::window_attention(const Planned& qkv, const Weights::Linear& w,
                                  const ops::AttentionGeometry& g) {
  const ops::Extent e = qkv.extent;
  const std::int64_t dim = e.c / 3, p = g.q_pool;
  const std::int64_t whole = e.pixels() * dim * element_, pooled = whole / (p * p);
  Memory places;
  std::vector<Memory> saved;
  Memory queries;
  if (p == 2) {
    places = block(e.pixels() / 4 * dim * 8);
    saved = {places, qkv.memory};
    queries = block(pooled);
  }
  const Memory q = block(pooled), k = block(whole), v = block(whole);
  const Memory mixed = block(pooled), sums = block(e.pixels() / (p * p) * g.heads * std::max(element_, 4));
  queries.reset();
  Planned out = fresh({e.b, e.h / p, e.w / p, dim}, qkv.variable->wants_gradient);
  for (const Memory& m : {q, k, v, mixed, sums}) saved.push_back(m);
  if (Node* n = record(out, {qkv}, std::move(saved))) {
    n->backward = [this, whole, pooled](Node& node) {
      Memory windows = block(pooled);  // the result's gradient in windows
      node.out->gradient.reset();
      Memory gq = block(pooled), gk = block(whole), gv = block(whole);
      if (node.saved.size() == 5) {
        node.saved.clear();
      } else {
        node.saved.resize(2);
      }
      windows.reset();
      // Joined in windows, then laid into the picture.
      const Memory joined = block(pooled + 2 * whole);
      gq.reset();
      gk.reset();
      gv.reset();
      contribute(*node.in[0], block(node.in[0]->bytes));
    };
  }
  (void)w;
  return out;
}

Planned PlanOps::max_pool_2x2(const Planned& x) {
  const ops::Extent e = x.extent;
  Planned out = fresh({e.b, e.h / 2, e.w / 2, e.c}, x.variable->wants_gradient);
  record(out, {x}, {x.memory, block(out.extent.numel() * 8)});
  return out;
}

Planned PlanOps::batch_norm(const Planned& x, const std::vector<PlanWeights::Norm>& norms) {
  Planned out = fresh_with_gradient(x.extent);
  Parameters parameters;
  for (const auto& n : norms) parameters.insert(parameters.end(), {n.weight, n.bias});
  record(out, {x}, {x.memory}, parameters);
  return out;
}

Planned PlanOps::conv_bn(const Planned& x, const Weights::ConvBn& w) {
  const ops::Extent e = x.extent;
  const Planned y = fresh_with_gradient({e.b, e.h, e.w, w.out});
  // In float64 LibTorch has no convolution of its own for the CPU: it writes out the input of every output
  // pixel, of all pictures at once, or of one where the kernel is dilated.
  const ops::Kernel& k = w.kernel;
  const std::int64_t columns = element_ == 8 && k.h * k.w > 1
                                   ? x.extent.numel() * k.h * k.w * element_ / (k.dilation > 1 ? e.b : 1)
                                   : 0;
  { const Block forward(meter_, columns); }
  if (Node* n = record(y, {x}, {x.memory, cast(w.weight)}, {w.weight})) n->temporary = columns;
  return batch_norm(y, {w.norm});
}

std::array<Planned, ops::kFan> PlanOps::conv_bn_fan(const Planned& x, const Weights::ConvBnFan& w) {
  const ops::Extent e = x.extent;
  Planned y = fresh_with_gradient({e.b, e.h, e.w, w.parts[0].out * ops::kFan});
  Parameters weights;
  std::vector<PlanWeights::Norm> norms;
  std::int64_t numel = 0;
  for (const auto& p : w.parts) {
    weights.push_back(p.weight);
    norms.push_back(p.norm);
    numel += p.weight.numel;
  }
  record(y, {x}, {x.memory, block(numel * element_)}, weights);
  const Planned normed = batch_norm(y, norms);
  std::array<Planned, ops::kFan> out;
  for (auto& o : out) o = {{e.b, e.h, e.w, w.parts[0].out}, normed.memory, normed.variable};
  return out;
}

Planned PlanOps::concat_all(const std::vector<Planned>& parts) {
  ops::Extent e = parts[0].extent;
  for (std::size_t i = 1; i < parts.size(); ++i) e.c += parts[i].extent.c;
  Planned out = fresh(e, wants(parts));
  record(out, parts, {});
  return out;
}

Planned PlanOps::upsample(const Planned& x, std::int64_t height, std::int64_t width, ops::Corners) {
  Planned out = fresh({x.extent.b, height, width, x.extent.c}, x.variable->wants_gradient);
  record(out, {x}, {});
  return out;
}

// loss.cpp: float32 at least. Kept are the logits, their sigmoid and the weight of every pixel.
void PlanOps::loss(const Planned& map) {
  const std::int64_t bytes = map.extent.numel() * std::max(element_, 4);
  std::vector<Memory> kept;
  kept.push_back(element_ < 4 ? block(bytes) : map.memory);
  {
    const Memory pooled = block(bytes), difference = block(bytes), scaled = block(bytes);
    kept.push_back(block(bytes));  // the weight
  }
  { const Memory entropy = block(bytes); }
  kept.push_back(block(bytes));  // the sigmoid
  { const Memory product = block(bytes), sum = block(bytes), weighted = block(bytes); }
  Planned out = fresh_with_gradient({1, 1, 1, 1});
  out.variable->gradient = block(4);
  if (Node* n = record(out, {map}, std::move(kept))) {
    n->backward = [this, bytes](Node& node) {
      const Memory first = block(bytes), second = block(bytes), third = block(bytes);
      contribute(*node.in[0], block(bytes));
    };
  }
}

}  // namespace sam2unet::train
