// The loss of networks with several classes.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/loss.h"

namespace sam2unet::train {

/// Cross entropy + soft Dice of one output. Logits [B,H,W,K]; ids [B,H,W,1] of classes or `ignore`, in any
/// type that holds them. A scalar, 0 where every pixel is ignored:
///   mean of -log p[id] over the batch's pixels that are not ignored
///   + 1 - mean over the foreground classes present of (2 sum p g + 1) / (sum p + sum g + 1),
/// p the softmax, g 1 where the id is the class, sums over the batch's pixels that are not ignored. Without a
/// foreground class there is only the cross entropy.
at::Tensor class_loss(const at::Tensor& logits, const at::Tensor& ids, int ignore);

/// The sum over the three outputs.
Losses class_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& ids, int ignore);

}  // namespace sam2unet::train
