// Values of the C API that several of its files translate.
#pragma once

#include <cstdint>

#include "sam2unet/image.h"

namespace sam2unet::capi {

PillowVersion pillow_of(std::int32_t version);

}  // namespace sam2unet::capi
