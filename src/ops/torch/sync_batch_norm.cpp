#include "ops/torch/sync_batch_norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cstdint>

namespace sam2unet::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::array<std::int64_t, 3> kPixels{0, 2, 3};  // of [B,C,H,W]

at::Tensor per_channel(const at::Tensor& t) {  // [C] -> [1,C,1,1]
  return t.reshape({1, -1, 1, 1});
}

struct SyncNorm : torch::autograd::Function<SyncNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& mean, const at::Tensor& inverse,
                            const at::Tensor& count, const GatherRows& gather) {
    context->save_for_backward({x, weight, mean, inverse, count});
    context->saved_data["gather"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(gather));
    return (x - per_channel(mean)) * per_channel(inverse * weight) + per_channel(bias);
  }

  // With xhat = (x - mean) inverse, and sums and count N over all processes:
  //   dx = weight inverse (dy - sum(dy) / N - xhat sum(dy xhat) / N)
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &inverse = saved[3], &n = saved[4];
    const auto holder = context->saved_data["gather"].toCapsule();
    const GatherRows& gather = static_cast<Holder*>(holder.get())->gather;
    const at::Tensor& dy = gradients[0];
    const at::Tensor normed = (x - per_channel(mean)) * per_channel(inverse);
    const at::Tensor sum = dy.sum(kPixels), product = (dy * normed).sum(kPixels);
    const at::Tensor all = gather(at::cat({sum, product})).sum(0) / n;
    const std::int64_t c = sum.numel();
    const at::Tensor dx = per_channel(weight * inverse) *
                          (dy - per_channel(all.narrow(0, 0, c)) - normed * per_channel(all.narrow(0, c, c)));
    return {dx, product, sum, {}, {}, {}, {}};
  }

  struct Holder : torch::CustomClassHolder {
    explicit Holder(GatherRows g) : gather(std::move(g)) {}
    GatherRows gather;
  };
};

}  // namespace

BatchMoments batch_moments(const at::Tensor& x, const GatherRows& gather) {
  const c10::NoGradGuard no_gradients;
  const std::int64_t c = x.size(1);
  const at::Tensor own = x.mean(kPixels);
  const at::Tensor squares = (x - per_channel(own)).square().sum(kPixels);
  const std::int64_t own_pixels = x.numel() / c;
  const at::Tensor pixels = at::full({1}, static_cast<double>(own_pixels), x.options());
  const at::Tensor rows = gather(at::cat({own, squares, pixels}));  // [processes, 2C+1]
  const at::Tensor n = rows.narrow(1, 2 * c, 1), total = n.sum(0);  // [processes,1], [1]
  const at::Tensor means = rows.narrow(1, 0, c);
  const at::Tensor mean = (means * n).sum(0) / total;
  const at::Tensor apart = ((means - mean).square() * n).sum(0);
  return {mean, (rows.narrow(1, c, c).sum(0) + apart) / total, total};
}

at::Tensor sync_batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const BatchMoments& m, double eps, const GatherRows& gather) {
  return SyncNorm::apply(x, weight, bias, m.mean, at::rsqrt(m.variance + eps), m.count, gather);
}

}  // namespace sam2unet::ops
