// Receptive-field block (SAM2UNet.py:79-118): four branches of growing reach over D channels, joined by a
// 3x3 convolution and a residual. The reference's BasicConv2d owns a ReLU that it never applies; nor do we.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "ops/concept.h"

namespace sam2unet::model {

// D is the decoder's width, 64 in the original.
template <class W>
struct Rfb {
  typename W::ConvBnFan entry;  // branch0.0, branch1.0, branch2.0, branch3.0, conv_res: 1x1, C -> D each
  struct Branch {
    typename W::ConvBn across, down, spread;  // 1xk, kx1, 3x3 dilated by k
  };
  std::array<Branch, 3> branches;  // k = 3, 5, 7
  typename W::ConvBn cat;          // 3x3, 4 D -> D

  template <class Maker>
  static Rfb make(Maker& m, const std::string& name, int dim, int n) {
    const auto conv = [&](const std::string& at, int in, ops::Kernel k) {
      return m.conv_bn(at + ".conv", at + ".bn", in, n, k);
    };
    const auto branch = [&](const std::string& at, int k) {
      return Branch{conv(at + ".1", n, {1, k, 1}), conv(at + ".2", n, {k, 1, 1}),
                    conv(at + ".3", n, {3, 3, k})};
    };
    return {m.conv_bn_fan({name + ".branch0.0", name + ".branch1.0", name + ".branch2.0", name + ".branch3.0",
                           name + ".conv_res"},
                          dim, n),
            {branch(name + ".branch1", 3), branch(name + ".branch2", 5), branch(name + ".branch3", 7)},
            conv(name + ".conv_cat", 4 * n, {3, 3, 1})};
  }
};

// relu(conv_cat(concat(branch0..3 x)) + conv_res x)
template <ops::Ops O>
typename O::Tensor rfb(O& o, const typename O::Tensor& x, const Rfb<typename O::Weights>& w) {  // [B,H,W,C]
  auto [x0, x1, x2, x3, residual] = o.conv_bn_fan(x, w.entry);  // 5 x [B,H,W,D]
  using Inputs = std::array<const typename O::Tensor*, ops::kBranches>;
  using Convs = std::array<const typename O::Weights::ConvBn*, ops::kBranches>;
  const auto& b = w.branches;
  auto y = o.conv_bn_each(Inputs{&x1, &x2, &x3}, Convs{&b[0].across, &b[1].across, &b[2].across});
  y = o.conv_bn_each(Inputs{&y[0], &y[1], &y[2]}, Convs{&b[0].down, &b[1].down, &b[2].down});
  y = o.conv_bn_each(Inputs{&y[0], &y[1], &y[2]}, Convs{&b[0].spread, &b[1].spread, &b[2].spread});
  return o.conv_bn_add_relu(o.concat(x0, y[0], y[1], y[2]), w.cat, std::move(residual));  // [B,H,W,D]
}

}  // namespace sam2unet::model
