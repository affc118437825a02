#include "train/loss.h"

#include <ATen/ATen.h>

#include "train/class_loss.h"

namespace sam2unet::train {

namespace {

// [B,H,W,1] -> [B,1,H,W]; losses of bf16 networks are computed in float32.
at::Tensor plane(const at::Tensor& t, const at::Tensor& logits) {
  return t.permute({0, 3, 1, 2}).to(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

// Summed in float64, which costs no memory: a sum over 352^2 pixels in float32 is off in the sixth digit.
at::Tensor per_picture(const at::Tensor& t) {  // [B,1,H,W] -> [B,1]
  return t.sum({2, 3}, /*keepdim=*/false, at::kDouble);
}

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& mask) {
  return at::binary_cross_entropy_with_logits(logits, mask, {}, {}, at::Reduction::None);
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

// What every output's loss needs of the masks, computed once.
struct Target {
  at::Tensor mask;        // [B,1,H,W]
  at::Tensor weight;      // [B,1,H,W], of the structure losses
  at::Tensor foreground;  // [B,1] bool: whether any pixel is more foreground than not; structure_empty alone
};

Target target_of(const at::Tensor& mask, LossKind kind) {
  Target t{mask, {}, {}};
  if (kind == LossKind::structure || kind == LossKind::structure_empty) t.weight = edge_weight(mask);
  if (kind == LossKind::structure_empty) t.foreground = (mask > 0.5).flatten(2).any(2);
  return t;
}

// train.py:31-42:
//   wiou = 1 - (inter + 1) / (union - inter + 1), inter and union weighted by weit
//   loss = mean over the batch of wbce + wiou
//
// Without foreground wiou is 1 - 1 / (sum p + 1): next to 1 whatever is predicted, as long as not nearly
// every pixel's p is below 1 / pixels, and steep where that is so. structure_empty takes the background's IoU
// there, with 1 - p and 1 - mask in place of p and mask, which falls evenly with the false positives.
at::Tensor structure(const at::Tensor& logits, const Target& t, Bce bce) {
  const at::Tensor& weight = t.weight;
  const at::Tensor entropy = cross_entropy(logits, t.mask);
  const at::Tensor wbce =
      bce == Bce::effective ? entropy.mean(at::kDouble) : per_picture(weight * entropy) / per_picture(weight);
  at::Tensor p = at::sigmoid(logits), mask = t.mask;
  if (t.foreground.defined()) {
    // v where there is foreground, 1 - v elsewhere, exactly (LibTorch has no `where` without data).
    const at::Tensor has = t.foreground.view({-1, 1, 1, 1}).to(p.scalar_type());
    p = (1 - has) + (2 * has - 1) * p;
    mask = (1 - has) + (2 * has - 1) * mask;
  }
  const at::Tensor inter = per_picture(p * mask * weight), both = per_picture((p + mask) * weight);
  const at::Tensor wiou = 1 - (inter + 1) / (both - inter + 1);
  return (wbce + wiou).mean();
}

// mean cross-entropy + mean over the pictures of 1 - (2 sum p m + 1) / (sum p + sum m + 1)
at::Tensor dice_bce(const at::Tensor& logits, const at::Tensor& mask) {
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor dice = 1 - (2 * per_picture(p * mask) + 1) / (per_picture(p) + per_picture(mask) + 1);
  return cross_entropy(logits, mask).mean(at::kDouble) + dice.mean();
}

// Lin et al. 2017, as torchvision's sigmoid_focal_loss extends it to soft labels:
//   mean of a_t (1 - p_t)^2 BCE, p_t = p m + (1 - p)(1 - m), a_t = .25 m + .75 (1 - m)
at::Tensor focal(const at::Tensor& logits, const at::Tensor& mask) {
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor wrong = p + mask - 2 * p * mask;  // 1 - p_t
  return ((0.75 - 0.5 * mask) * wrong * wrong * cross_entropy(logits, mask)).mean(at::kDouble);
}

at::Tensor loss_of(const at::Tensor& logits, const Target& t, const LossOptions& o) {
  switch (o.kind) {
    case LossKind::structure:
    case LossKind::structure_empty:
      return structure(logits, t, o.bce);
    case LossKind::dice_bce:
      return dice_bce(logits, t.mask);
    case LossKind::focal:
      return focal(logits, t.mask);
    case LossKind::ce_dice:
      break;  // class_loss.cpp
  }
  return {};
}

}  // namespace

at::Tensor map_loss(const at::Tensor& logits, const at::Tensor& mask, const LossOptions& o) {
  if (o.kind == LossKind::ce_dice) return class_loss(logits, mask, o.ignore);
  return loss_of(plane(logits, logits), target_of(plane(mask, logits), o.kind), o);
}

Losses map_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& mask, const LossOptions& o) {
  if (o.kind == LossKind::ce_dice) return class_losses(maps, mask, o.ignore);
  const Target target = target_of(plane(mask, maps.out), o.kind);
  const auto loss = [&](const at::Tensor& logits) { return loss_of(plane(logits, logits), target, o); };
  Losses l{{}, loss(maps.out), loss(*maps.out1), loss(*maps.out2)};
  l.total = l.out + l.out1 + l.out2;
  return l;
}

}  // namespace sam2unet::train
