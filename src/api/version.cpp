#include "sam2unet/version.h"

namespace sam2unet {

const char* version() {
  return SAM2UNET_VERSION;
}

}  // namespace sam2unet
