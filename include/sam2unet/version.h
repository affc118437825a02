// The version of the library, "MAJOR.MINOR.PATCH".
#pragma once

#include "sam2unet/export.h"

namespace sam2unet {

SAM2UNET_API const char* version();

}  // namespace sam2unet
