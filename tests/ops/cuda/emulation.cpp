#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {

Emulation& emulation() {
  static Emulation all;
  return all;
}

}  // namespace sam2unet::ops::cuda
