#include "ops/torch/recompute.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

namespace sam2unet::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::vector<at::Tensor> inputs_of(const at::Tensor& first, const at::Tensor& second, std::int64_t count) {
  return count == 2 ? std::vector<at::Tensor>{first, second} : std::vector<at::Tensor>{first};
}

struct Recompute : torch::autograd::Function<Recompute> {
  struct Holder : torch::CustomClassHolder {
    explicit Holder(Part p) : part(std::move(p)) {}
    Part part;
  };

  // Runs without gradients, as all of a Function's forward does. The anchor is what makes the result want
  // gradients where the inputs do not: before the first parameter that learns.
  static at::Tensor forward(AutogradContext* context, const at::Tensor&, const at::Tensor& first,
                            const at::Tensor& second, std::int64_t count, const Part& part,
                            const Part& again) {
    context->save_for_backward({first, second});
    context->saved_data["again"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(again));
    context->saved_data["count"] = count;
    return part(inputs_of(first, second, count));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto holder = context->saved_data["again"].toCapsule();
    const c10::AutoGradMode with_gradients(true);
    const std::int64_t count = context->saved_data["count"].toInt();
    variable_list leaves;
    for (const auto& x : saved) leaves.push_back(x.detach().requires_grad_(x.requires_grad()));
    const at::Tensor y = static_cast<Holder*>(holder.get())->part(inputs_of(leaves[0], leaves[1], count));
    torch::autograd::backward({y}, {gradients[0]});  // adds to the parameters' gradients itself
    return {{}, leaves[0].grad(), leaves[1].grad(), {}, {}, {}};
  }
};

}  // namespace

at::Tensor recomputed(const Part& part, const Part& again, const std::vector<at::Tensor>& inputs) {
  const at::Tensor anchor = at::empty({0}, inputs[0].options().requires_grad(false)).requires_grad_(true);
  // Functions take no undefined tensors; the anchor stands in for a second input.
  const auto count = static_cast<std::int64_t>(inputs.size());
  return Recompute::apply(anchor, inputs[0], count == 2 ? inputs[1] : anchor, count, part, again);
}

}  // namespace sam2unet::ops
