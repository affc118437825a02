// The U-Net decoder (SAM2UNet.py:7-38, 155-184) over D channels, 64 in the original: three of the four `Up`
// blocks are used, and two side outputs.
#pragma once

#include <string>

#include "ops/concept.h"

namespace sam2unet::model {

template <class W>
struct Up {
  typename W::ConvBn conv1, conv2;  // 3x3, 2 D -> D -> D

  template <class Maker>
  static Up make(Maker& m, const std::string& name, int n) {
    const std::string at = name + ".conv.double_conv.";
    return {m.conv_bn(at + "0", at + "1", 2 * n, n, {3, 3, 1}),
            m.conv_bn(at + "3", at + "4", n, n, {3, 3, 1})};
  }
};

// x upsampled to the skip's size (align_corners), concat(skip, x), two conv + BatchNorm + ReLU
template <ops::Ops O>
typename O::Tensor up(O& o, const typename O::Tensor& x,
                      const typename O::Tensor& skip,  // [B,h,w,D], [B,2h,2w,D]
                      const Up<typename O::Weights>& w) {
  return o.conv_bn_relu(o.conv_bn_relu(o.upsample_behind(skip, x), w.conv1), w.conv2);  // [B,2h,2w,D]
}

// Logits of K maps at the input's size: 1x1 convolution, then bilinear without align_corners.
template <ops::Ops O>
typename O::Tensor head(O& o, const typename O::Tensor& x, const typename O::Weights::Linear& w, int scale) {
  auto logits = o.linear(x, w);  // [B,h,w,K]
  const ops::Extent e = o.extent(logits);
  return o.upsample(logits, e.h * scale, e.w * scale, ops::Corners::unaligned);  // [B,H,W,K]
}

}  // namespace sam2unet::model
