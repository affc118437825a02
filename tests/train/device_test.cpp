// That nothing is left on the host when a network lies on another device: what would fail, or wait, or could
// not be recorded as a graph on a GPU. The meta device computes shapes only, so any machine can show it.
#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "model/network.h"
#include "model/weight_source.h"
#include "ops/torch/folded_weights.h"
#include "support/tiny_weights.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/state.h"
#include "train/trainable_network.h"

namespace sam2unet::train {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

// Names the operations that are given tensors of the host and of the device together, as copies are too, as
// long as it lives. Single numbers do not count: PyTorch passes them to kernels by value.
class Mixed {
 public:
  Mixed() {
    names().clear();
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(&on_operation).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  }
  ~Mixed() { at::removeCallback(handle_); }
  Mixed(const Mixed&) = delete;
  Mixed& operator=(const Mixed&) = delete;

  /// Without repetitions.
  static std::vector<std::string> seen() {
    const std::lock_guard lock(mutex());
    auto out = names();
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

 private:
  static std::vector<std::string>& names() {
    static std::vector<std::string> all;
    return all;
  }
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static std::unique_ptr<at::ObserverContext> on_operation(const at::RecordFunction& f) {
    bool host = false, device = false;
    const auto look = [&](const at::Tensor& t) {
      if (t.defined() && t.dim() > 0) (t.is_cpu() ? host : device) = true;
    };
    for (const c10::IValue& v : f.inputs()) {
      if (v.isTensor()) look(v.toTensor());
      if (v.isTensorList()) std::ranges::for_each(v.toTensorVector(), look);
    }
    if (host && device) {
      const std::lock_guard lock(mutex());
      names().emplace_back(f.name());
    }
    return nullptr;
  }

  at::CallbackHandle handle_{};
};

// LibTorch lacks some operations on the meta device, where Python's are written in Python. The sizes alone:
at::Tensor convolution_shape(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>&,
                             c10::SymIntArrayRef stride, c10::SymIntArrayRef padding,
                             c10::SymIntArrayRef dilation, bool, c10::SymIntArrayRef, c10::SymInt) {
  std::vector<std::int64_t> out{x.size(0), weight.size(0)};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto side = static_cast<std::int64_t>(i) + 2;
    const std::int64_t reach = dilation[i].expect_int() * (weight.size(side) - 1) + 1;
    out.push_back((x.size(side) + 2 * padding[i].expect_int() - reach) / stride[i].expect_int() + 1);
  }
  return at::empty(out, x.options(), x.suggest_memory_format());
}

// What else is missing: operations whose results are each like one of the arguments; at -1 one value
// per channel of the first.
struct ResultsLike {
  std::string operation;
  std::vector<int> arguments;
};
const std::vector<ResultsLike> kResults{
    {"aten::_safe_softmax", {0}},           {"aten::relu", {0}},
    {"aten::log_sigmoid_forward", {0, 0}},  {"aten::abs", {0}},
    {"aten::_fused_adamw_.tensor_lr", {}},  {"aten::convolution_backward_overrideable", {1, 2, -1}},
    {"aten::native_batch_norm", {0, 1, 1}}, {"aten::native_batch_norm_backward", {1, 2, 2}},
    {"aten::native_layer_norm", {0, 2, 2}}, {"aten::native_layer_norm_backward", {1, 5, 6}}};

void results_like_arguments(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  const auto rule = std::find_if(kResults.begin(), kResults.end(), [&](const ResultsLike& r) {
    return r.operation.substr(0, r.operation.find('.')) == operation.schema().name();
  });
  const auto arguments = torch::jit::pop(*stack, operation.schema().arguments().size());
  for (const int i : rule->arguments) {
    const at::Tensor& like = arguments[static_cast<std::size_t>(std::max(i, 0))].toTensor();
    torch::jit::push(*stack, i < 0 ? at::empty({like.size(1)}, like.options()) : at::empty_like(like));
  }
}

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("convolution_overrideable", convolution_shape);
  for (const auto& r : kResults) {
    library.impl(r.operation.c_str(), torch::CppFunction::makeFromBoxedFunction<&results_like_arguments>());
  }
}

at::Tensor there(at::IntArrayRef sizes, at::ScalarType type = at::kFloat) {
  return at::empty(sizes, at::TensorOptions(type).device(at::kMeta));
}

TEST(Mixed, CopiesAndOperationsAreFound) {
  const at::Tensor host = at::ones({3, 3}), far = there({3, 3});
  const Mixed found;
  at::add(far, 2.0);
  EXPECT_THAT(Mixed::seen(), IsEmpty());
  at::matmul(far, host);
  EXPECT_THAT(Mixed::seen(), Contains("aten::matmul"));
  EXPECT_THAT(Mixed::seen(), Not(Contains("aten::copy_")));
  host.to(at::kMeta);
  EXPECT_THAT(Mixed::seen(), Contains("aten::copy_"));
}

TEST(Device, InferenceTouchesNothingOnTheHost) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const c10::InferenceMode no_autograd;
    model::DeterministicWeights source;
    ops::FoldedTorchWeights weights(source, type, at::kMeta);
    const auto net = model::Network<ops::TorchWeights>::make(weights, test::nano_config());
    ops::TorchOps o;
    for (const bool deterministic : {false, true}) {
      o.deterministic = deterministic;
      const at::Tensor image = there({2, 96, 160, 3}, type);
      const Mixed found;
      const auto maps = model::sam2unet(o, net, image, model::Sides::wanted);
      EXPECT_EQ(maps.out.device().type(), at::kMeta);
      EXPECT_EQ(maps.out.sizes(), at::IntArrayRef({2, 96, 160, 1}));
      EXPECT_THAT(Mixed::seen(), IsEmpty());
    }
  }
}

TEST(Device, AStepOfTrainingTouchesNothingOnTheHost) {
  for (const auto freeze : {Freeze::trunk, Freeze::none}) {
    for (const bool recompute : {false, true}) {
      model::DeterministicWeights source;
      TrainableNetwork net(test::nano_config(), source, freeze, at::kFloat, at::kMeta);
      net.ops().recompute = recompute;
      net.ops().deterministic = recompute;
      AdamW optimizer(net.trainable(), {});
      Ema ema(optimizer, 0.99);
      const at::Tensor image = there({2, 96, 64, 3}), mask = there({2, 96, 64, 1});
      const Mixed found;
      for (const LossOptions loss : {LossOptions{}, LossOptions{LossKind::structure, Bce::weighted},
                                     LossOptions{LossKind::structure_empty}, LossOptions{LossKind::dice_bce},
                                     LossOptions{LossKind::focal}}) {
        map_losses(net.forward_training(image), mask, loss).total.backward();
        optimizer.step(1e-3);
        ema.begin_step(optimizer);
        ema.update(optimizer, there({}, at::kBool));
        optimizer.zero_grad();
      }
      ema.swap(optimizer);
      EXPECT_EQ(net.forward_inference(image).device().type(), at::kMeta);
      EXPECT_THAT(Mixed::seen(), IsEmpty());
    }
  }
}

}  // namespace
}  // namespace sam2unet::train
