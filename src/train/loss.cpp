#include "train/loss.h"

#include <ATen/ATen.h>

namespace sam2unet::train {

// train.py:31-42:
//   weit = 1 + 5 |avg_pool2d(mask, 31, stride 1, padding 15) - mask|   (padding counts as zeros)
//   wiou = 1 - (inter + 1) / (union - inter + 1), inter and union weighted by weit
//   loss = mean over the batch of wbce + wiou
at::Tensor structure_loss(const at::Tensor& logits_nhwc, const at::Tensor& mask_nhwc, Bce bce) {
  // Losses of bf16 networks are computed in float32.
  const auto type = logits_nhwc.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor logits = logits_nhwc.permute({0, 3, 1, 2}).to(type);  // [B,1,H,W]
  const at::Tensor mask = mask_nhwc.permute({0, 3, 1, 2}).to(type);
  const at::Tensor weight = 1 + 5 * (at::avg_pool2d(mask, {31, 31}, {1, 1}, {15, 15}) - mask).abs();
  // Summed in float64, which costs no memory: a sum over 352^2 pixels in float32 is off in the sixth digit.
  const auto per_picture = [](const at::Tensor& t) { return t.sum({2, 3}, /*keepdim=*/false, at::kDouble); };

  const at::Tensor entropy = at::binary_cross_entropy_with_logits(logits, mask, {}, {}, at::Reduction::None);
  const at::Tensor wbce =
      bce == Bce::effective ? entropy.mean(at::kDouble) : per_picture(weight * entropy) / per_picture(weight);
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor inter = per_picture(p * mask * weight), both = per_picture((p + mask) * weight);
  const at::Tensor wiou = 1 - (inter + 1) / (both - inter + 1);
  return (wbce + wiou).mean();
}

Losses structure_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& mask, Bce bce) {
  Losses l{{},
           structure_loss(maps.out, mask, bce),
           structure_loss(*maps.out1, mask, bce),
           structure_loss(*maps.out2, mask, bce)};
  l.total = l.out + l.out1 + l.out2;
  return l;
}

}  // namespace sam2unet::train
