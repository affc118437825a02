// The U-Net decoder (SAM2UNet.py:7-38, 155-184): three of the four `Up` blocks are used, and two side
// outputs.
#pragma once

#include <string>

#include "model/rfb.h"
#include "ops/concept.h"

namespace sam2unet::model {

template <class W>
struct Up {
  typename W::ConvBn conv1, conv2;  // 3x3, 128 -> 64 -> 64

  template <class Maker>
  static Up make(Maker& m, const std::string& name) {
    constexpr int n = kDecoderWidth;
    const std::string at = name + ".conv.double_conv.";
    return {m.conv_bn(at + "0", at + "1", 2 * n, n, {3, 3, 1}),
            m.conv_bn(at + "3", at + "4", n, n, {3, 3, 1})};
  }
};

// x upsampled to the skip's size (align_corners), concat(skip, x), two conv + BatchNorm + ReLU
template <ops::Ops O>
typename O::Tensor up(O& o, const typename O::Tensor& x,
                      const typename O::Tensor& skip,  // [B,h,w,64], [B,2h,2w,64]
                      const Up<typename O::Weights>& w) {
  return o.conv_bn_relu(o.conv_bn_relu(o.upsample_behind(skip, x), w.conv1), w.conv2);  // [B,2h,2w,64]
}

// Logits of one map at the input's size: 1x1 convolution, then bilinear without align_corners.
template <ops::Ops O>
typename O::Tensor head(O& o, const typename O::Tensor& x, const typename O::Weights::Linear& w, int scale) {
  auto logits = o.linear(x, w);  // [B,h,w,1]
  const ops::Extent e = o.extent(logits);
  return o.upsample(logits, e.h * scale, e.w * scale, /*align_corners=*/false);  // [B,H,W,1]
}

}  // namespace sam2unet::model
