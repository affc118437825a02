// Products whose tiles the copy engine brings.
#pragma once

#include "ops/cuda/launch.h"

namespace sam2unet::ops::cuda {

void launch_box_product(const Launcher& l, const ProductKernel& kernel, const ProductTask& task);

}  // namespace sam2unet::ops::cuda
