#include "train/loss.h"

#include <ATen/ATen.h>

namespace sam2unet::train {

namespace {

// [B,H,W,1] -> [B,1,H,W]; losses of bf16 networks are computed in float32.
at::Tensor plane(const at::Tensor& t, const at::Tensor& logits) {
  return t.permute({0, 3, 1, 2}).to(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

// weit = 1 + 5 |avg_pool2d(mask, 31, stride 1, padding 15) - mask|   (padding counts as zeros)
// The mean over columns, then over rows: 62 additions for a pixel instead of 961 (764 ms of one core for two
// masks of 352x352, where this takes 56). In float64, so that float32 losses see the weight rounded once.
at::Tensor edge_weight(const at::Tensor& mask) {
  const at::Tensor wide = mask.to(at::kDouble);
  const at::Tensor down = at::avg_pool2d(wide, {31, 1}, {1, 1}, {15, 0});
  const at::Tensor around = at::avg_pool2d(down, {1, 31}, {1, 1}, {0, 15});
  return (1 + 5 * (around - wide).abs()).to(mask.scalar_type());
}

// train.py:31-42:
//   wiou = 1 - (inter + 1) / (union - inter + 1), inter and union weighted by weit
//   loss = mean over the batch of wbce + wiou
at::Tensor weighted_loss(const at::Tensor& logits, const at::Tensor& mask, const at::Tensor& weight,
                         Bce bce) {
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

}  // namespace

at::Tensor structure_loss(const at::Tensor& logits, const at::Tensor& mask_nhwc, Bce bce) {
  const at::Tensor mask = plane(mask_nhwc, logits);
  return weighted_loss(plane(logits, logits), mask, edge_weight(mask), bce);
}

Losses structure_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& mask_nhwc, Bce bce) {
  const at::Tensor mask = plane(mask_nhwc, maps.out), weight = edge_weight(mask);
  const auto loss = [&](const at::Tensor& logits) {
    return weighted_loss(plane(logits, logits), mask, weight, bce);
  };
  Losses l{{}, loss(maps.out), loss(*maps.out1), loss(*maps.out2)};
  l.total = l.out + l.out1 + l.out2;
  return l;
}

}  // namespace sam2unet::train
