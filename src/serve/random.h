// Random bytes of the system.
#pragma once

#include <cstddef>
#include <string>

namespace sam2unet::serve {

/// `bytes` random bytes in hexadecimal.
std::string random_hex(std::size_t bytes);

}  // namespace sam2unet::serve
