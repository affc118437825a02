// The plain spelling of every fused operation. A backend inherits them and hides those it does better.
#pragma once

#include <array>
#include <utility>

#include "ops/concept.h"

namespace sam2unet::ops {

template <class Self>
class Compositions {
 public:
  template <class Tensor, class Linear>
  Tensor linear_gelu(const Tensor& x, const Linear& w) {
    return self().gelu(self().linear(x, w));
  }
  template <class Tensor, class Linear>
  Tensor linear_add(const Tensor& x, const Linear& w, Tensor residual) {
    return self().add(std::move(residual), self().linear(x, w));
  }
  template <class Tensor, class Linear>
  Tensor linear_gelu_add(const Tensor& x, const Linear& w, Tensor residual) {
    return self().add(std::move(residual), self().linear_gelu(x, w));
  }
  template <class Tensor, class ConvBn>
  std::array<Tensor, kBranches> conv_bn_each(const std::array<const Tensor*, kBranches>& x,
                                             const std::array<const ConvBn*, kBranches>& w) {
    return {self().conv_bn(*x[0], *w[0]), self().conv_bn(*x[1], *w[1]), self().conv_bn(*x[2], *w[2])};
  }
  template <class Tensor, class ConvBn>
  Tensor conv_bn_relu(const Tensor& x, const ConvBn& w) {
    return self().relu(self().conv_bn(x, w));
  }
  template <class Tensor, class ConvBn>
  Tensor conv_bn_add_relu(const Tensor& x, const ConvBn& w, Tensor residual) {
    return self().relu(self().add(std::move(residual), self().conv_bn(x, w)));
  }
  template <class Tensor>
  Tensor upsample_behind(const Tensor& skip, const Tensor& x) {
    const Extent to = self().extent(skip);
    return self().concat(skip, self().upsample(x, to.h, to.w, Corners::aligned));
  }
  template <class Tensor, class Linear>
  Tensor adapt(Tensor x, const Linear& down, const Linear& up) {
    const Tensor hidden = self().linear_gelu(x, down);
    return self().linear_gelu_add(hidden, up, std::move(x));
  }
  template <class Tensor, class Norm, class Linear>
  Tensor feed_forward(Tensor x, const Norm& norm, const Linear& fc1, const Linear& fc2) {
    const Tensor hidden = self().linear_gelu(self().layer_norm(x, norm), fc1);
    return self().linear_add(hidden, fc2, std::move(x));
  }
  template <class F, class... Inputs>
  auto recomputable(const F& f, Inputs&&... inputs) {
    return f(std::forward<Inputs>(inputs)...);
  }

 private:
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace sam2unet::ops
