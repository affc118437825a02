// What float32 means on a GPU, and whether results repeat.
#pragma once

namespace sam2unet::ops {

/// Products and convolutions of float32 tensors on a GPU: with all their bits, or rounded to TF32 (10 bits of
/// mantissa) first, which tensor cores take. Of the whole process, for whatever is computed or recorded from
/// now on. LibTorch's own default is TF32 for convolutions alone.
void set_float32_numerics(bool tf32);

/// Only algorithms that give the same bits every time; before anything is computed on a GPU. An operation
/// without one is an error that names it.
void use_deterministic_algorithms();

}  // namespace sam2unet::ops
