// The structure loss of the official recipe.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/network.h"

namespace sam2unet::train {

/// Which cross-entropy the loss contains.
enum class Bce {
  effective,  ///< the plain mean, which the reference's `reduce='none'` amounts to (train.py:33)
  weighted,   ///< weighted by the neighbourhood, as the paper writes it
};

/// Logits and masks [B,H,W,1], masks in [0,1]. A scalar.
at::Tensor structure_loss(const at::Tensor& logits, const at::Tensor& mask, Bce bce);

struct Losses {
  at::Tensor total, out, out1, out2;  // scalars
};
/// The sum over the three outputs.
Losses structure_losses(const model::Maps<at::Tensor>& maps, const at::Tensor& mask, Bce bce);

}  // namespace sam2unet::train
