// The losses of an output's logits, and their sum over the network's three outputs.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/network.h"
#include "train/choices.h"

namespace sam2unet::train {

struct LossOptions {
  LossKind kind = LossKind::structure;
  Bce bce = Bce::effective;  ///< of the structure losses
  int ignore = 255;          ///< of ce_dice: the id of pixels that count nowhere
};

/// Logits and masks [B,H,W,1], masks in [0,1]; of ce_dice [B,H,W,K] and ids (class_loss.h). A scalar: the
/// mean over the pictures.
at::Tensor map_loss(const at::Tensor& logits, const at::Tensor& mask, const LossOptions& options);

struct Losses {
  at::Tensor total, out, out1, out2;  // scalars
};
/// The sum over the three outputs (train.py:62).
Losses map_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& mask, const LossOptions& options);

}  // namespace sam2unet::train
