// Integers out of bytes, without alignment. The caller has checked the bounds.
#pragma once

#include <cstdint>

namespace sam2unet::image {

inline std::uint32_t le16(const std::uint8_t* p) {
  return p[0] | static_cast<std::uint32_t>(p[1]) << 8;
}
inline std::uint32_t be16(const std::uint8_t* p) {
  return p[1] | static_cast<std::uint32_t>(p[0]) << 8;
}
inline std::uint32_t le32(const std::uint8_t* p) {
  return le16(p) | le16(p + 2) << 16;
}
inline std::uint32_t be32(const std::uint8_t* p) {
  return be16(p + 2) | be16(p) << 16;
}

}  // namespace sam2unet::image
