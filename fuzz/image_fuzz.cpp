// Decoding any bytes as a picture gives a picture or an ImageError.
#include <cstddef>
#include <cstdint>

#include "sam2unet/errors.h"
#include "sam2unet/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const sam2unet::Image image =
        sam2unet::decode_image({reinterpret_cast<const std::byte*>(data), size}, {.max_pixels = 1 << 16});
    if (image.pixels.size() !=
        static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3) {
      __builtin_trap();
    }
  } catch (const sam2unet::ImageError&) {
  }
  return 0;
}
