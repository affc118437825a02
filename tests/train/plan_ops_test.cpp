// What the memory model says of single operations against what LibTorch allocates for them: what is kept for
// the backward pass to the byte, and the peak of both passes nearly.
#include "train/plan_ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "ops/torch/torch_ops.h"

namespace sam2unet::train {
namespace {

// Bytes of tensors that are alive, from its beginning on.
class Counter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    live += bytes;
    peak = std::max(peak, live);
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t live = 0, peak = 0;
};

struct Bytes {
  std::int64_t kept = 0, peak = 0;
};

// An operation on inputs of these extents; whether they and its parameters want gradients.
struct Asked {
  std::vector<ops::Extent> inputs;
  at::ScalarType type = at::kFloat;
  bool inputs_want = true, learns = true;
};

template <class Build, class Run>
Bytes of_torch(const Asked& asked, const Build& build, const Run& run) {
  at::set_num_threads(1);
  model::DeterministicWeights source;
  ops::ParameterSet set;
  ops::TorchWeights make(source, set, at::kFloat, at::kCPU);
  const auto w = build(make);
  set.set_trainable([&](const model::TensorSpec&) { return asked.learns; });
  ops::TorchOps o;
  o.training = true;
  std::vector<at::Tensor> leaves;
  for (const auto& e : asked.inputs) {
    leaves.push_back(at::ones({e.b, e.h, e.w, e.c}).to(asked.type));
    leaves.back().requires_grad_(asked.inputs_want);
  }
  Bytes out;
  {  // what others computed, and nobody holds but who needs it
    const auto counter = std::make_shared<Counter>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
    std::vector<at::Tensor> inputs;
    for (const auto& leaf : leaves) inputs.push_back(leaf * 1.0);
    const at::Tensor y = run(o, inputs, w);
    inputs.clear();
    out.kept = counter->live;
  }
  if (!asked.inputs_want && !asked.learns) return out;
  o.forget_casts();
  const auto counter = std::make_shared<Counter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  const at::Tensor y = run(o, leaves, w);
  const at::Tensor gradient = at::ones_like(y);
  y.backward(gradient);
  out.peak = counter->peak;
  return out;
}

template <class Build, class Run>
Bytes of_plan(const Asked& asked, const Build& build, const Run& run) {
  const model::Config config;
  const int element = asked.type == at::kBFloat16 ? 2 : 4;
  Bytes out;
  for (const bool is_peak : {false, true}) {
    PlanWeights weights(!asked.learns, config);
    const auto w = build(weights);
    Meter meter, elsewhere;
    PlanOps o(meter, weights, element, 4);
    std::vector<Planned> inputs;
    for (const auto& e : asked.inputs) {
      const std::int64_t bytes = e.numel() * element;
      inputs.push_back({e, std::make_shared<Block>(is_peak ? elsewhere : meter, bytes),
                        std::make_shared<Variable>(Variable{bytes, asked.inputs_want, nullptr})});
    }
    const Planned y = run(o, inputs, w);
    if (!is_peak) {
      inputs.clear();
      out.kept = meter.live();
      continue;
    }
    y.variable->gradient = std::make_shared<Block>(meter, y.variable->bytes);
    o.backward();
    out.peak = meter.peak();
  }
  return out;
}

// The share of LibTorch's peak that the model must reach in float32: all of it but where convolutions and
// sums over a batch take memory of their own for a moment, which the model leaves out.
struct Named {
  const char* what;
  double least = 0.998;
  /// Whether the inputs and the parameters want gradients.
  std::vector<std::pair<bool, bool>> cases = {{true, true}, {true, false}, {false, true}, {false, false}};
};
const std::vector<std::pair<bool, bool>> kInputsAlone{{true, true}, {false, false}};
struct Nothing {};

template <class Build, class Run>
void compare(const Named& n, const std::vector<ops::Extent>& inputs, const Build& build, const Run& run) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const auto& [want, learns] : n.cases) {
      SCOPED_TRACE(::testing::Message() << n.what << " " << type << " " << want << learns);
      const Asked asked{inputs, type, want, learns};
      const Bytes torch = of_torch(asked, build, run), plan = of_plan(asked, build, run);
      const double kept = static_cast<double>(plan.kept) / static_cast<double>(torch.kept),
                   peak = static_cast<double>(plan.peak) / static_cast<double>(torch.peak);
      // Of bf16 LibTorch keeps a norm's moments in it too.
      EXPECT_NEAR(kept, 1, type == at::kFloat ? 0.003 : 0.06);
      if (!want && !learns) continue;
      EXPECT_LE(peak, 1.035);
      if (type == at::kFloat) {
        EXPECT_GE(peak, n.least);
      }
    }
  }
}

TEST(PlanOperations, KeepWhatLibTorchKeeps) {
  const ops::Extent e{2, 16, 24, 32};
  compare(
      {"linear"}, {e}, [](auto& make) { return make.linear("encoder.x", 32, 48); },
      [](auto& o, const auto& x, const auto& w) { return o.linear(x[0], w); });
  compare(
      {"layer_norm"}, {e}, [](auto& make) { return make.norm("encoder.x", 32); },
      [](auto& o, const auto& x, const auto& w) { return o.layer_norm(x[0], w); });
  compare(
      {"conv_bn", 0, {{true, true}, {true, false}, {false, true}}}, {e},
      [](auto& make) {
        return make.conv_bn("encoder.x", "encoder.y", 32, 16, {3, 3, 1});
      },
      [](auto& o, const auto& x, const auto& w) { return o.conv_bn(x[0], w); });
  // Nobody wants the gradient of a picture.
  compare(
      {"patch_embed", 0, {{false, true}, {false, false}}}, {{2, 32, 32, 3}},
      [](auto& make) { return make.patch_embed("encoder.x", 3, 16); },
      [](auto& o, const auto& x, const auto& w) { return o.patch_embed(x[0], w); });
  compare(
      {"add_position", 0}, {e},
      [](auto& make) {
        return make.position("encoder.x", 32, {7, 7}, 8);
      },
      [](auto& o, const auto& x, const auto& w) { return o.add_position(x[0], w); });
}

TEST(PlanOperations, WithoutParametersToo) {
  const ops::Extent e{2, 16, 24, 32};
  const auto none = [](auto&) { return Nothing(); };
  compare({"gelu", 0.998, kInputsAlone}, {e}, none,
          [](auto& o, const auto& x, const auto&) { return o.gelu(x[0]); });
  compare({"relu", 0.998, kInputsAlone}, {e}, none,
          [](auto& o, const auto& x, const auto&) { return o.relu(x[0]); });
  // Here the sum's gradient becomes that of two leaves, each of which gets a copy; inside a network none
  // does.
  compare({"add", 0.5, kInputsAlone}, {e, e}, none,
          [](auto& o, const auto& x, const auto&) { return o.add(x[0], x[1]); });
  compare({"max_pool", 0.998, kInputsAlone}, {e}, none,
          [](auto& o, const auto& x, const auto&) { return o.max_pool_2x2(x[0]); });
  compare({"concat", 0.998, kInputsAlone}, {e, e}, none,
          [](auto& o, const auto& x, const auto&) { return o.concat(x[0], x[1]); });
  compare({"upsample", 0.998, kInputsAlone}, {e}, none, [](auto& o, const auto& x, const auto&) {
    return o.upsample(x[0], 32, 48, ops::Corners::unaligned);
  });
}

// In windows, and with queries that are pooled. Over all pixels LibTorch keeps the input instead of copies of
// its three parts, which is as much.
TEST(PlanOperations, AttentionKeepsWhatLibTorchKeeps) {
  const ops::Extent qkv{2, 16, 16, 96};
  for (const ops::AttentionGeometry g : {ops::AttentionGeometry{2, 8, 1}, ops::AttentionGeometry{2, 8, 2}}) {
    SCOPED_TRACE(g.q_pool);
    compare(
        {"attention", 0.8, kInputsAlone}, {qkv}, [](auto& make) { return make.linear("encoder.x", 1, 96); },
        [&](auto& o, const auto& x, const auto& w) { return o.window_attention(x[0], w, g); });
  }
}

// Through attention the product before it has a gradient too, and its weights then have theirs.
TEST(PlanOperations, AttentionPassesItsGradientOn) {
  const Bytes plan = of_plan(
      {{{1, 4, 4, 256}}}, [](auto& make) { return make.linear("encoder.x", 256, 768); },
      [](auto& o, const auto& x, const auto& w) {
        return o.window_attention(o.linear(x[0], w), w, ops::AttentionGeometry{2, 4, 1});
      });
  EXPECT_GE(plan.peak, 256 * 768 * 4);
}

}  // namespace
}  // namespace sam2unet::train
