// A batch at several sizes, as the trainings of polyp networks do it (PraNet's MyTrain.py).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sam2unet::train {

/// round(size * scale / 32) * 32 of every scale, ties to even as Python's round; `size` itself where there
/// are no scales. UsageError if a side is below 32.
std::vector<int> training_sizes(int size, const std::vector<double>& scales);

/// [B,S,S,C] -> [B,size,size,C], bilinear with aligned corners (F.upsample of MyTrain.py); the same tensor
/// where the size is.
at::Tensor at_size(const at::Tensor& batch, int size);
/// Ids of classes [B,S,S,1] at another size, by nearest neighbour.
at::Tensor ids_at_size(const at::Tensor& ids, int size);

}  // namespace sam2unet::train
