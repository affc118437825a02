// How many threads "all cores" are.
#pragma once

#include "sam2unet/export.h"

namespace sam2unet {

/// The processors this process may keep busy, at least 1: those of its affinity mask, and no more than the
/// quota of its container or service (control groups, version 1 and 2), rounded up. Read anew at each call.
SAM2UNET_API int available_cores();

}  // namespace sam2unet
