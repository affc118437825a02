// Marks what the shared library shows; everything else is hidden.
#pragma once

#if defined(_WIN32)
#define SAM2UNET_API
#else
#define SAM2UNET_API __attribute__((visibility("default")))
#endif
