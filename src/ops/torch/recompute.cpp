#include "ops/torch/recompute.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace sam2unet::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::vector<at::Tensor> defined(const at::Tensor& first, const at::Tensor& second) {
  return second.defined() ? std::vector<at::Tensor>{first, second} : std::vector<at::Tensor>{first};
}

struct Recompute : torch::autograd::Function<Recompute> {
  struct Holder : torch::CustomClassHolder {
    explicit Holder(Part p) : part(std::move(p)) {}
    Part part;
  };

  // Runs without gradients, as all of a Function's forward does. The anchor is what makes the result want
  // gradients where the inputs do not: before the first parameter that learns.
  static at::Tensor forward(AutogradContext* context, const at::Tensor&, const at::Tensor& first,
                            const at::Tensor& second, const Part& part, const Part& again) {
    context->save_for_backward({first, second});
    context->saved_data["again"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(again));
    return part(defined(first, second));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto holder = context->saved_data["again"].toCapsule();
    const c10::AutoGradMode with_gradients(true);
    variable_list leaves(2);
    for (std::size_t i = 0; i < 2; ++i) {
      if (saved[i].defined()) leaves[i] = saved[i].detach().requires_grad_(saved[i].requires_grad());
    }
    const at::Tensor y = static_cast<Holder*>(holder.get())->part(defined(leaves[0], leaves[1]));
    torch::autograd::backward({y}, {gradients[0]});  // adds to the parameters' gradients itself
    const auto of = [](const at::Tensor& leaf) { return leaf.defined() ? leaf.grad() : at::Tensor(); };
    return {{}, of(leaves[0]), of(leaves[1]), {}, {}};
  }
};

}  // namespace

at::Tensor recomputed(const Part& part, const Part& again, const std::vector<at::Tensor>& inputs) {
  const at::Tensor anchor = at::empty({0}, inputs[0].options().requires_grad(false)).requires_grad_(true);
  return Recompute::apply(anchor, inputs[0], inputs.size() > 1 ? inputs[1] : at::Tensor(), part, again);
}

}  // namespace sam2unet::ops
